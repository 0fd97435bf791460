// The axes of parallel coordinates: numbers, powers of ten, or categories.

import { differing, flat } from "./hover.js";
import { compact } from "./ticks.js";

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {string|number|boolean|null} Cell */

/**
 * @typedef {object} Found an axis as `/ui/mattered` gives it
 * @property {string} key as in a filter
 * @property {"number"|"category"} kind
 * @property {string[]} categories in the order from below; for categories only
 * @property {number|null} lo
 * @property {number|null} hi
 * @property {number|null} r rank correlation with the target, over all runs of the table
 * @property {Cell[]} values one for each run that was asked for
 *
 * @typedef {object} Axis
 * @property {string} key
 * @property {string} title
 * @property {Cell[]} values one for each run
 * @property {"number"|"log"|"category"} kind
 * @property {string[]} categories
 * @property {number} lo least; of a category its place from 0
 * @property {number} hi
 * @property {number|null} r
 * @property {boolean} target the metric that the others are held against
 */

const DECADES = 1;
/** What runs are told to differ in by chance explains nothing. */
const CHANCE = /(^|[._-])seed$/i;

/**
 * Whether runs differ in what they were configured to, so that there may be axes.
 *
 * @param {ChartRun[]} runs
 */
export function comparable(runs) {
  return differing(runs.map((run) => flat(run.config))).some((key) => !CHANCE.test(key));
}

/**
 * @param {Found[]} found the target last
 * @param {number[]} places of the runs among those that were asked for
 * @returns {Axis[]}
 */
export function axesOf(found, places) {
  return found.map((one, i) => {
    const target = i === found.length - 1;
    const values = places.map((place) => one.values[place] ?? null);
    const common = { ...one, title: short(one.key), values, target };
    if (one.kind === "category") return { ...common, lo: 0, hi: one.categories.length - 1 };
    const [lo, hi] = [Number(one.lo), Number(one.hi)];
    const log = !target && lo > 0 && Math.log10(hi / lo) >= DECADES;
    return { ...common, kind: log ? "log" : "number", lo, hi };
  });
}

/** @param {string} key */
const short = (key) =>
  key
    .replace(/^(config|metrics)\./, "")
    .split(".")
    .slice(-2)
    .join(".");

/**
 * Where a value lies on its axis.
 *
 * @param {Axis} axis
 * @param {Cell} value
 * @returns {number|null} 0 below to 1 above; null: it has none
 */
export function share(axis, value) {
  if (value === null) return null;
  if (axis.kind === "category") return axis.categories.indexOf(String(value)) / axis.hi;
  const number = Number(value);
  if (!Number.isFinite(number)) return null;
  if (axis.kind === "log") return Math.log(number / axis.lo) / Math.log(axis.hi / axis.lo);
  return (number - axis.lo) / (axis.hi - axis.lo);
}

/**
 * The value at a place of a numeric axis.
 *
 * @param {Axis} axis
 * @param {number} at 0 to 1
 */
export function valueAt(axis, at) {
  return axis.kind === "log" ? axis.lo * (axis.hi / axis.lo) ** at : axis.lo + (axis.hi - axis.lo) * at;
}

/**
 * The filter that keeps the runs between two places of an axis.
 *
 * @param {Axis} axis
 * @param {number} from 0 to 1
 * @param {number} to
 * @returns {string}
 */
export function expression(axis, from, to) {
  const key = quoted(axis.key);
  if (axis.kind === "category") {
    const kept = axis.categories.filter((name) => within(axis, name, from, to)).map(quoted);
    return kept.length === 1 ? `${key} = ${kept[0]}` : `${key} in (${kept.join(", ")})`;
  }
  const bound = (/** @type {number} */ at) => Number(valueAt(axis, at).toPrecision(4));
  if (to >= 1) return `${key} >= ${bound(from)}`;
  return from <= 0 ? `${key} <= ${bound(to)}` : `${key} in ${bound(from)}..${bound(to)}`;
}

/**
 * @param {Axis} axis
 * @param {Cell} value
 * @param {number} from
 * @param {number} to
 */
export function within(axis, value, from, to) {
  const at = share(axis, value);
  return at !== null && at >= from - 1e-9 && at <= to + 1e-9;
}

/** @param {string} word */
const quoted = (word) =>
  /^[\p{L}_][\p{L}\p{N}_./-]*$/u.test(word) && !/^(and|or|not|in|has|missing|true|false)$/i.test(word)
    ? word
    : JSON.stringify(word);

/**
 * What stands at the ends of an axis.
 *
 * @param {Axis} axis
 * @returns {[string, string]} below, above
 */
export function ends(axis) {
  if (axis.kind === "category") return [axis.categories[0], axis.categories[axis.categories.length - 1]];
  return [short3(axis.lo), short3(axis.hi)];
}

/** @param {number} value */
const short3 = (value) =>
  value !== 0 && Math.abs(value) < 0.01 ? value.toExponential(1).replace(".0e", "e") : compact(value);

/**
 * "r(lr) −0.71 · r(wd) 0.22": the keys that the target goes with most.
 *
 * @param {Axis[]} axes
 */
export function hint(axes) {
  const told = axes.filter((one) => one.r !== null && !one.target).slice(0, 2);
  return told
    .map(({ title, r }) => `r(${title}) ${/** @type {number} */ (r).toFixed(2).replace("-", "−")}`)
    .join(" · ");
}
