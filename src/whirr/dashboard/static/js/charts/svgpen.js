// A canvas that writes an SVG file.

/** @typedef {import("./paint.js").Pen} Pen */

const XML = /** @type {Record<string, string>} */ ({
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
});
const ANCHORS = /** @type {Record<string, string>} */ ({ left: "start", center: "middle", right: "end" });

/** @param {string} text */
const escaped = (text) =>
  // Control characters may not stand in XML, not even escaped.
  text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"']/g, (one) => XML[one]);

/** @param {number} pixel */
const short = (pixel) => String(Math.round(pixel * 100) / 100);

/** @type {CanvasRenderingContext2D|undefined} */
let measuring;

/** @implements {Pen} */
export class SvgPen {
  /** @type {Pen["strokeStyle"]} */
  strokeStyle = "#000";
  /** @type {Pen["fillStyle"]} */
  fillStyle = "#000";
  lineWidth = 1;
  globalAlpha = 1;
  font = "11px sans-serif";
  /** @type {CanvasTextAlign} */
  textAlign = "left";
  /** @type {CanvasLineJoin} */
  lineJoin = "miter";
  /** @type {CanvasLineCap} */
  lineCap = "butt";
  /** @type {number[]} */
  #dash = [];
  /** @type {string[]} */
  #path = [];
  /** @type {string[]} */
  #parts = [];
  /** @type {boolean[]} whether each saved state has opened a clipped group since */
  #saved = [];
  #clips = 0;

  save() {
    this.#saved.push(false);
  }

  restore() {
    if (this.#saved.pop()) this.#parts.push("</g>");
  }

  beginPath() {
    this.#path = [];
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  moveTo(x, y) {
    this.#path.push(`M${short(x)} ${short(y)}`);
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  lineTo(x, y) {
    this.#path.push(`${this.#path.length ? "L" : "M"}${short(x)} ${short(y)}`);
  }

  closePath() {
    this.#path.push("Z");
  }

  /**
   * Whole circles only.
   *
   * @param {number} x
   * @param {number} y
   * @param {number} radius
   */
  arc(x, y, radius) {
    const half = `a${radius} ${radius} 0 1 0`;
    this.#path.push(`M${short(x - radius)} ${short(y)}${half} ${2 * radius} 0${half} ${-2 * radius} 0`);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   */
  rect(x, y, width, height) {
    this.#path.push(`M${short(x)} ${short(y)}h${short(width)}v${short(height)}h${short(-width)}Z`);
  }

  clip() {
    this.#clips += 1;
    this.#parts.push(`<clipPath id="clip${this.#clips}"><path d="${this.#path.join("")}"/></clipPath>`);
    this.#parts.push(`<g clip-path="url(#clip${this.#clips})">`);
    this.#saved[this.#saved.length - 1] = true;
  }

  stroke() {
    const dash = this.#dash.length ? ` stroke-dasharray="${this.#dash.join(" ")}"` : "";
    const joins = ` stroke-linejoin="${this.lineJoin}" stroke-linecap="${this.lineCap}"`;
    this.#shape(`fill="none" stroke="${this.strokeStyle}" stroke-width="${this.lineWidth}"${dash}${joins}`);
  }

  fill() {
    this.#shape(`fill="${this.fillStyle}"`);
  }

  /** @param {string} look */
  #shape(look) {
    if (!this.#path.length) return;
    const alpha = this.globalAlpha < 1 ? ` opacity="${this.globalAlpha}"` : "";
    this.#parts.push(`<path d="${this.#path.join("")}" ${look}${alpha}/>`);
  }

  /** @param {Iterable<number>} dash */
  setLineDash(dash) {
    this.#dash = [...dash];
  }

  /**
   * @param {string} text
   * @param {number} x
   * @param {number} y
   */
  fillText(text, x, y) {
    const [, weight, size, family] = this.font.match(/^(\d+ )?(\S+px) (.*)$/) ?? [];
    const look = `font-weight="${(weight ?? "400").trim()}" font-size="${size}" font-family="${escaped(family ?? "")}"`;
    const anchor = ANCHORS[this.textAlign] ?? "start";
    this.#parts.push(
      `<text x="${short(x)}" y="${short(y)}" ${look} text-anchor="${anchor}" fill="${this.fillStyle}">${escaped(text)}</text>`,
    );
  }

  /** @param {string} text */
  measureText(text) {
    measuring ??= /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
    measuring.font = this.font;
    return measuring.measureText(text);
  }

  /**
   * The file.
   *
   * @param {number} width
   * @param {number} height
   * @param {string} background
   */
  toString(width = 0, height = 0, background = "none") {
    const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
    const back = `<rect width="${width}" height="${height}" fill="${background}"/>`;
    return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>${back}${this.#parts.join("")}</svg>\n`;
  }
}
