// Pointer and keyboard on a plot.

/** @typedef {import("./scene.js").Scene} Scene */

/**
 * @typedef {object} Host what a plot lets be done to it
 * @property {() => Scene|null} scene
 * @property {(at: number, py: number|null, pointer: {x: number, y: number}) => void} point
 * @property {() => void} leave
 * @property {(range: [number, number]|null) => void} zoom
 * @property {(py: number, at: number) => void} pick the curve nearest to there
 * @property {(range: [number, number]|null) => void} select shows the stretch that is being dragged, in pixels
 * @property {() => void} announce the values at the cursor
 */

const CLICK = 4;
/** A click that no second one follows within this time means the curve below it. */
const DOUBLE_MS = 260;
const KEY_STEP = 1 / 100;

/**
 * @param {HTMLElement} plot
 * @param {Host} host
 */
export function gestures(plot, host) {
  /** @type {number|null} where a drag began, in pixels of the plot */
  let from = null;
  let picking = 0;
  const place = (/** @type {PointerEvent|MouseEvent} */ event) => {
    const rect = plot.getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top };
  };
  plot.addEventListener("pointermove", (event) => {
    const scene = host.scene();
    if (!scene) return;
    const { x, y } = place(event);
    const at = clamp(x, scene.box.left, scene.box.right);
    host.point(scene.x.from(at), y, { x: event.clientX, y: event.clientY });
    if (from !== null) host.select(Math.abs(at - from) > CLICK ? [Math.min(from, at), Math.max(from, at)] : null);
  });
  plot.addEventListener("pointerdown", (event) => {
    const scene = host.scene();
    if (!scene || event.button !== 0) return;
    from = clamp(place(event).x, scene.box.left, scene.box.right);
    if (event.pointerType !== "touch") plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointerup", (event) => {
    const scene = host.scene();
    if (!scene || from === null) return;
    const { x, y } = place(event);
    const to = clamp(x, scene.box.left, scene.box.right);
    if (Math.abs(to - from) > CLICK) host.zoom(ordered(scene.x.from(from), scene.x.from(to)));
    else picking = window.setTimeout(() => host.pick(y, scene.x.from(to)), DOUBLE_MS);
    from = null;
    host.select(null);
  });
  const drop = () => {
    from = null;
    host.select(null);
  };
  plot.addEventListener("pointercancel", drop);
  plot.addEventListener("pointerleave", () => {
    if (from === null) host.leave();
  });
  plot.addEventListener("pointerdown", () => clearTimeout(picking));
  plot.addEventListener("dblclick", () => (clearTimeout(picking), host.zoom(null)));
  keyboard(plot, host);
}

/**
 * Arrows move the cursor, with shift faster; + and - zoom around it; 0 and Escape show all again.
 *
 * @param {HTMLElement} plot
 * @param {Host} host
 */
function keyboard(plot, host) {
  /** @type {number|null} pixels */
  let cursor = null;
  const show = (/** @type {Scene} */ scene, /** @type {number} */ at) => {
    cursor = clamp(at, scene.box.left, scene.box.right);
    const rect = plot.getBoundingClientRect();
    host.point(scene.x.from(cursor), null, { x: rect.left + cursor, y: rect.top + rect.height / 2 });
    host.announce();
  };
  plot.addEventListener("keydown", (event) => {
    const scene = host.scene();
    if (!scene || event.ctrlKey || event.metaKey || event.altKey) return;
    const { left, right } = scene.box;
    const middle = cursor ?? (left + right) / 2;
    const step = (right - left) * KEY_STEP * (event.shiftKey ? 10 : 1);
    const actions = /** @type {Record<string, () => void>} */ ({
      ArrowLeft: () => show(scene, middle - step),
      ArrowRight: () => show(scene, middle + step),
      Home: () => show(scene, left),
      End: () => show(scene, right),
      "+": () => host.zoom(around(scene, middle, 0.5)),
      "=": () => host.zoom(around(scene, middle, 0.5)),
      "-": () => host.zoom(around(scene, middle, 2)),
      0: () => host.zoom(null),
      Escape: () => host.zoom(null),
    });
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
  plot.addEventListener("blur", () => host.leave());
}

/**
 * @param {Scene} scene
 * @param {number} middle pixels
 * @param {number} factor of the shown range
 * @returns {[number, number]}
 */
function around({ x, box }, middle, factor) {
  return [x.from(middle - (middle - box.left) * factor), x.from(middle + (box.right - middle) * factor)];
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/**
 * @param {number} a
 * @param {number} b
 * @returns {[number, number]}
 */
const ordered = (a, b) => (a < b ? [a, b] : [b, a]);
