// Canvases as sharp as the screen.

/**
 * Gives a canvas a size; what was on it is gone.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {number} width in CSS pixels
 * @param {number} height
 * @returns {CanvasRenderingContext2D} in CSS pixels
 */
export function scaled(canvas, width, height) {
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  return pen(canvas);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @returns {CanvasRenderingContext2D} in CSS pixels
 */
export function pen(canvas) {
  const found = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  found.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  return found;
}
