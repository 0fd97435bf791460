/**
 * Numbers of one column written alike, so that their digits stand under one another.
 * @import {Cell, Column} from "./types.js"
 */
import { age, duration, stamp } from "../lib/format.js";

/** What part of a value may be lost by rounding. */
const LOST = 0.02;
const TIMES = new Set(["started", "finished", "started_at", "finished_at"]);

/**
 * How many digits after the point the numbers of a column get; null: written with a power of ten.
 * @param {number} lo
 * @param {number} hi
 * @returns {number | null}
 */
export function decimals(lo, hi) {
  const sizes = [Math.abs(lo), Math.abs(hi)].filter((size) => size > 0);
  if (!sizes.length) return 0;
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  if (most >= 1e7 || most < 1e-2 || (least < 1e-3 && most < 0.1)) return null;
  if (Number.isInteger(lo) && Number.isInteger(hi)) return 0;
  return Math.max(0, 4 - Math.max(0, Math.floor(Math.log10(most))));
}

/**
 * @param {number} value
 * @param {number | null} digits
 * @returns {string}
 */
export function written(value, digits) {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  if (digits === null) return minus(value.toExponential(2).replace(/0e\+?/, "e").replace("e+", "e"));
  const kept = digits === 0 && !Number.isInteger(value) && Math.abs(value) < 1e4 ? 4 : digits;
  // A small value in a column of large ones is not rounded to a digit or none.
  if (kept && Math.abs(Number(value.toFixed(kept)) - value) > LOST * Math.abs(value))
    return Math.abs(value) < 1e-2 ? written(value, null) : minus(String(Number(value.toPrecision(3))));
  return minus(value.toLocaleString("en", { minimumFractionDigits: kept, maximumFractionDigits: kept }));
}

/** @param {string} text */
function minus(text) {
  return text.replace(/^-/, "−");
}

/**
 * What writes the cells of a column.
 * @param {Column} column
 * @param {number} now seconds since 1970 at the server
 * @returns {(cell: Cell) => string}
 */
export function writer(column, now) {
  const { key } = column;
  if (TIMES.has(key)) return (cell) => (cell === null ? "" : age(/** @type {string} */ (cell), now));
  if (key === "duration") return (cell) => (typeof cell === "number" ? duration(cell) : "");
  const digits = decimals(column.lo ?? 0, column.hi ?? 0);
  return (cell) => (typeof cell === "number" ? written(cell, digits) : plain(cell));
}

/** @param {Cell} cell */
function plain(cell) {
  if (cell === "Infinity") return "∞";
  if (cell === "-Infinity") return "−∞";
  return cell === null ? "" : String(cell);
}

/**
 * A cell in full, for the tooltip.
 * @param {Column} column
 * @param {Cell} cell
 * @returns {string}
 */
export function whole(column, cell) {
  if (cell === null) return `${column.key}: not there`;
  return TIMES.has(column.key) ? stamp(String(cell)) : `${column.key}: ${cell}`;
}

/**
 * What stands over a column: its key without the room it was found in.
 * @param {string} key
 * @returns {string}
 */
export function heading(key) {
  if (key === "started") return "Age";
  return key.replace(/^(config|summary|metrics)\./, "");
}
