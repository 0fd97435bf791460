/** The mean of several curves, and how far they spread. */

import { indexAt, inside } from "./search.js";

/** At most so many places are added to a grid. */
const MOST_ENDS = 1000;

/**
 * @typedef {object} Curve
 * @property {ArrayLike<number>} x ascending
 * @property {ArrayLike<number>} y
 */

/**
 * Mean and sample standard deviation on a common grid, by interpolation between the drawn points. The grid also has the
 * places where curves begin and end, so that a curve of a single point is not lost between two places.
 *
 * A curve counts only from its first point to its last one: a run that ended early is not drawn on.
 *
 * @param {Curve[]} curves
 * @param {number} from
 * @param {number} to
 * @param {number} [count] points of the grid
 * @returns {{x: Float64Array, y: Float64Array, sd: Float64Array}} sd is 0 where there is one curve
 */
export function aggregate(curves, from, to, count = 240) {
  const even = Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));
  const x = Float64Array.from(new Set([...even, ...ends(curves, from, to)])).sort();
  const columns = curves.map((curve) => onto(x, curve));
  const y = new Float64Array(x.length).fill(NaN);
  const sd = new Float64Array(x.length).fill(NaN);
  for (let i = 0; i < x.length; i += 1) {
    const values = columns.map((column) => column[i]).filter((value) => !Number.isNaN(value));
    if (values.length) [y[i], sd[i]] = moments(values);
  }
  const first = y.findIndex((value) => !Number.isNaN(value));
  const last = y.findLastIndex((value) => !Number.isNaN(value));
  const [x1, y1, sd1] = [x, y, sd].map((column) => column.subarray(Math.max(0, first), last + 1));
  return { x: x1, y: y1, sd: sd1 };
}

/**
 * Where curves begin and end, also at gaps.
 *
 * @param {Curve[]} curves
 * @param {number} from
 * @param {number} to
 */
function ends(curves, from, to) {
  const found = new Set(
    curves.flatMap(({ x, y }) => {
      const [first, end] = inside(x, from, to);
      const places = Array.from({ length: end - first }, (_, i) => first + i);
      return places.filter((i) => isEnd(y, i) && x[i] >= from && x[i] <= to).map((i) => x[i]);
    }),
  );
  const every = Math.ceil(found.size / MOST_ENDS);
  return [...found].filter((_, i) => i % every === 0);
}

/**
 * @param {ArrayLike<number>} y
 * @param {number} i
 */
const isEnd = (y, i) => !Number.isNaN(y[i]) && (Number.isNaN(y[i - 1] ?? NaN) || Number.isNaN(y[i + 1] ?? NaN));

/**
 * @param {number[]} values at least one
 * @returns {[number, number]} mean, sample standard deviation
 */
export function moments(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return [mean, values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0];
}

/**
 * @param {Float64Array} grid
 * @param {Curve} curve
 */
function onto(grid, { x, y }) {
  const values = new Float64Array(grid.length).fill(NaN);
  // The last grid point may miss the end of the longest curve by rounding.
  const slack = (grid[grid.length - 1] - grid[0]) * 1e-9;
  for (let i = 0; i < grid.length; i += 1) values[i] = between(x, y, grid[i], slack);
  return values;
}

/**
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} y
 * @param {number} at
 * @param {number} slack
 */
function between(x, y, at, slack) {
  const end = x.length - 1;
  if (end < 0 || at < x[0] - slack || at > x[end] + slack) return NaN;
  const i = indexAt(x, at);
  if (i < 0) return y[0];
  if (i >= end || x[i + 1] === x[i]) return y[Math.min(i, end)];
  const share = (at - x[i]) / (x[i + 1] - x[i]);
  if (share <= 0) return y[i]; // the next one may be none
  return y[i] + (y[i + 1] - y[i]) * share;
}
