/** Which range of y a panel shows, and what of the lines lies outside of it. */

import { inside } from "./search.js";

/** @typedef {import("./types.js").Line} Line */
/** @typedef {import("./types.js").Excursion} Excursion */

/** At most so many values decide about the range: sorting more is felt when the smoothing is dragged. */
const SAMPLE = 6000;
/** Of fewer values nobody can say which ones are outliers. */
const LEAST = 60;
/** Values farther from the middle half than three times its range are outliers: Tukey's outer fence. */
const REACH = 3;
/** Of so few lines none is cut off whole, nor more than a small part of their values. */
const FEW = 4;
const MOST_CUT = 0.04;
/** Parts of the shown x. */
const TOGETHER = 0.02;
const MARGIN = 0.05;
/** Ends beyond which the span between them, or the power of ten, is no number any more. */
const FARTHEST = 8e307;
const LOG_ENDS = /** @type {const} */ ([-323.3, 308.2]);

/**
 * @typedef {object} Extent
 * @property {number} lo
 * @property {number} hi
 * @property {boolean} clipped whether some values lie outside
 */

/**
 * The range of y over the shown x.
 *
 * With `clip` a few values far from all others do not decide it. Plain curves are shown whole; of one that falls steeply
 * and then goes on for long, the long part fills the panel.
 *
 * @param {Line[]} lines
 * @param {[number, number]} shown range of x
 * @param {{logy: boolean, clip: boolean}} view
 * @returns {Extent}
 */
export function extent(lines, shown, { logy, clip }) {
  const values = sorted(lines, shown, logy);
  if (!values.length) return logy ? { lo: 0.1, hi: 1, clipped: false } : { lo: 0, hi: 1, clipped: false };
  let [lo, hi] = [values[0], values[values.length - 1]];
  const least = lo;
  const greatest = hi;
  if (clip) [lo, hi] = core(values, lines.length < FEW ? MOST_CUT : 0.25);
  if (!logy) [lo, hi] = [bounded(lo, -FARTHEST, FARTHEST), bounded(hi, -FARTHEST, FARTHEST)];
  const clipped = lo > least || hi < greatest;
  if (!(hi > lo)) [lo, hi] = logy ? [lo - 0.3, hi + 0.3] : widened(lo);
  const margin = (hi - lo) * MARGIN;
  if (logy) return { lo: 10 ** bounded(lo - margin, ...LOG_ENDS), hi: 10 ** bounded(hi + margin, ...LOG_ENDS), clipped };
  const floor = lo >= 0 && lo - margin < 0 ? 0 : lo - margin;
  return { lo: bounded(floor, -FARTHEST, FARTHEST), hi: bounded(hi + margin, -FARTHEST, FARTHEST), clipped };
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
const bounded = (value, least, most) => Math.min(most, Math.max(least, value));

/** @param {number} value that all points share */
const widened = (value) => [value - (Math.abs(value) * 0.1 || 0.5), value + (Math.abs(value) * 0.1 || 0.5)];

/**
 * @param {Float64Array} values sorted
 * @param {number} most the part of them that may be cut off at either end
 * @returns {[number, number]}
 */
function core(values, most) {
  const at = (/** @type {number} */ share) => values[Math.round(share * (values.length - 1))];
  const [low, high] = [at(0.25), at(0.75)];
  const reach = (high - low) * REACH;
  if (!reach || values.length < LEAST) return [values[0], values[values.length - 1]];
  return [
    firstAtLeast(values, Math.min(low - reach, at(most))),
    lastAtMost(values, Math.max(high + reach, at(1 - most))),
  ];
}

/**
 * @param {Float64Array} values
 * @param {number} bound
 */
const firstAtLeast = (values, bound) => values.find((value) => value >= bound) ?? values[0];

/**
 * @param {Float64Array} values
 * @param {number} bound
 */
const lastAtMost = (values, bound) => values.findLast((value) => value <= bound) ?? values[values.length - 1];

/**
 * @param {Line[]} lines
 * @param {[number, number]} shown
 * @param {boolean} logy gives logarithms, and leaves out what has none
 */
function sorted(lines, shown, logy) {
  const all = lines.reduce((sum, line) => sum + line.y.length * (line.raw ? 2 : 1), 0);
  const stride = Math.max(1, Math.ceil(all / SAMPLE));
  /** @type {number[]} */
  const values = [];
  for (const line of lines) {
    const [from, to] = inside(line.x, ...shown);
    for (const column of columns(line)) collect(column, from, to, stride, values);
  }
  // Sums of what is drawn, such as a mean with its spread, may go beyond all numbers.
  const finite = values.filter((value) => Number.isFinite(value) && (!logy || value > 0));
  return Float64Array.from(logy ? finite.map(Math.log10) : finite).sort();
}

/**
 * @param {Line} line
 * @returns {ArrayLike<number>[]}
 */
function columns(line) {
  const { y, sd, raw } = line;
  if (sd) return [Float64Array.from(y, (value, i) => value - sd[i]), Float64Array.from(y, (value, i) => value + sd[i])];
  return raw ? [y, raw] : [y];
}

/**
 * Every `stride`-th value, and in between the one that is farthest out, so that no extreme is lost.
 *
 * @param {ArrayLike<number>} column
 * @param {number} from
 * @param {number} to
 * @param {number} stride
 * @param {number[]} into
 */
function collect(column, from, to, stride, into) {
  for (let i = from; i < to; i += stride) {
    let [low, high] = [Infinity, -Infinity];
    for (let j = i; j < Math.min(i + stride, to); j += 1) {
      if (column[j] < low) low = column[j];
      if (column[j] > high) high = column[j];
    }
    if (low < Infinity) into.push(low);
    if (stride > 1 && high > low) into.push(high);
  }
}

/**
 * The stretches of a line that lie outside of the range, each once, where it is farthest out. A noisy line crosses the edge
 * many times: stretches with next to nothing between them are one.
 *
 * @param {Line} line
 * @param {[number, number]} shown
 * @param {{lo: number, hi: number}} range
 * @returns {Excursion[]}
 */
export function excursions(line, shown, { lo, hi }) {
  const y = line.raw ?? line.y;
  const [from, to] = inside(line.x, ...shown);
  const near = (shown[1] - shown[0]) * TOGETHER;
  /** @type {(Excursion & {end: number, far: number})[]} */
  const found = [];
  let within = 0;
  for (let i = from; i < to; i += 1) {
    const side = y[i] > hi ? 1 : y[i] < lo ? -1 : 0;
    const before = found[found.length - 1];
    if (!side) within += Number.isNaN(y[i]) ? 0 : 1;
    else if (before && before.above === side > 0 && line.x[i] - before.end <= near)
      extend(before, line.x[i], side * y[i]);
    else found.push(excursion(line, i, side, near));
  }
  if (found.length && !within) found[0].whole = true;
  return found;
}

/**
 * @param {Line} line
 * @param {number} i where it begins
 * @param {number} side
 * @param {number} near
 */
function excursion({ x, y, raw }, i, side, near) {
  return { x: x[i], above: side > 0, start: x[i] - x[0] <= near, whole: false, end: x[i], far: side * (raw ?? y)[i] };
}

/**
 * @param {Excursion & {end: number, far: number}} stretch
 * @param {number} x
 * @param {number} far how far out, in its own direction
 */
function extend(stretch, x, far) {
  stretch.end = x;
  if (far <= stretch.far) return;
  stretch.x = x;
  stretch.far = far;
}
