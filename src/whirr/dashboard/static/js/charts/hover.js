// What the cursor points at, and the cursor itself.

import { ink, lineColour } from "./ink.js";
import { nearest } from "./search.js";

/** @typedef {import("./types.js").Line} Line */
/** @typedef {import("./types.js").Mark} Mark */
/** @typedef {import("./scene.js").Scene} Scene */

/**
 * @typedef {object} Reading a line's value at the cursor
 * @property {Line} line
 * @property {number} value as drawn
 * @property {number|null} raw before smoothing, where that differs
 * @property {number|null} sd
 * @property {number} px
 * @property {number} py
 */

/** A line that ends so few pixels beside the cursor is still told. */
const REACH = 5;

/**
 * @param {Scene} scene
 * @param {number} at x of the cursor, a value
 * @returns {Reading[]} of the lines that have a value there
 */
export function readings(scene, at) {
  return scene.lines.flatMap((line) => reading(scene, line, at) ?? []);
}

/**
 * @param {Scene} scene
 * @param {Line} line
 * @param {number} at
 * @returns {Reading|null}
 */
function reading({ x, y }, line, at) {
  const i = nearest(line.x, at);
  const value = line.y[i];
  if (i < 0 || Number.isNaN(value) || (y.log && value <= 0)) return null;
  const px = x.to(line.x[i]);
  const end = i === 0 || i === line.x.length - 1;
  if (end && Math.abs(px - x.to(at)) > REACH && outside(line.x, at)) return null;
  const raw = line.series && line.series.y !== line.y ? line.series.y[i] : null;
  return { line, value, raw, sd: line.sd ? line.sd[i] : null, px, py: y.to(value) };
}

/**
 * @param {ArrayLike<number>} x
 * @param {number} at
 */
const outside = (x, at) => at < x[0] || at > x[x.length - 1];

/**
 * The few nearest to the pointer, from top to bottom; the one in focus is always among them.
 *
 * @param {Reading[]} all
 * @param {number|null} py null: no pointer, as with the keyboard; then the coloured ones come first
 * @param {number} [most]
 * @returns {Reading[]}
 */
export function nearestFew(all, py, most = 5) {
  const rank = (/** @type {Reading} */ one) => (one.line.focus ? -1 : 0);
  const distance = (/** @type {Reading} */ one) => (py === null ? (one.line.colour ? 0 : 1) : Math.abs(one.py - py));
  const chosen = [...all].sort((a, b) => rank(a) - rank(b) || distance(a) - distance(b)).slice(0, most);
  return chosen.sort((a, b) => a.py - b.py);
}

/**
 * Marks within a few pixels of the cursor.
 *
 * @param {Scene} scene
 * @param {number} at
 * @returns {Mark[]}
 */
export function marksAt({ marks, x }, at) {
  return marks.filter((mark) => Math.abs(x.to(mark.x) - x.to(at)) <= REACH);
}

/**
 * Config keys that have not the same value in all of these.
 *
 * @param {Record<string, unknown>[]} configs flat
 * @returns {string[]}
 */
export function differing(configs) {
  const keys = new Set(configs.flatMap((config) => Object.keys(config)));
  return [...keys].filter((key) => new Set(configs.map((config) => JSON.stringify(config[key]))).size > 1);
}

/**
 * Nested configuration as one level: `{"optim": {"lr": 1}}` is `{"optim.lr": 1}`.
 *
 * @param {Record<string, unknown>} config
 * @param {string} [prefix]
 * @returns {Record<string, unknown>}
 */
export function flat(config, prefix = "") {
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) =>
      value && typeof value === "object" && !Array.isArray(value)
        ? Object.entries(flat(/** @type {Record<string, unknown>} */ (value), `${prefix}${key}.`))
        : [[prefix + key, value]],
    ),
  );
}

/**
 * The cursor: a line, and a dot on each coloured curve.
 *
 * @param {CanvasRenderingContext2D} pen
 * @param {Scene} scene
 * @param {number} at x, a value
 * @param {boolean} own whether the pointer is in this panel
 */
export function paintCursor(pen, scene, at, own) {
  const { box, x } = scene;
  const px = Math.round(x.to(at)) + 0.5;
  if (px < box.left - 1 || px > box.right + 1) return;
  pen.strokeStyle = ink().ink;
  pen.globalAlpha = own ? 0.38 : 0.22;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(px, box.top);
  pen.lineTo(px, box.bottom);
  pen.stroke();
  pen.globalAlpha = 1;
  for (const one of readings(scene, at)) if (one.line.colour || one.line.focus) paintDot(pen, scene, one);
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Scene} scene
 * @param {Reading} reading
 */
function paintDot(pen, { box }, { line, px, py }) {
  if (py < box.top - 2 || py > box.bottom + 2) return;
  pen.fillStyle = line.colour ? lineColour(line.colour) : ink().ink;
  pen.strokeStyle = ink().panel;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.arc(px, py, line.focus ? 4 : 3, 0, Math.PI * 2);
  pen.fill();
  pen.stroke();
}
