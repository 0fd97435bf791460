// The axes of parallel coordinates: numbers, powers of ten, or categories.

import { flat } from "./hover.js";
import { spearman } from "./spearman.js";
import { compact } from "./ticks.js";

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {string|number|boolean|null} Cell */

/**
 * @typedef {object} Axis
 * @property {string} key as in a filter
 * @property {string} title
 * @property {Cell[]} values one for each run
 * @property {"number"|"log"|"category"} kind
 * @property {string[]} categories in the order from below; for categories only
 * @property {number} lo least; of a category its place from 0
 * @property {number} hi
 * @property {number|null} r rank correlation with the target
 * @property {boolean} target the metric that the others are held against
 */

const MOST_AXES = 7;
const MOST_CATEGORIES = 12;
const DECADES = 1;
/** What runs are told to differ in by chance explains nothing. */
const CHANCE = /(^|[._-])seed$/i;

/**
 * Axes for the configuration keys in which runs differ, those that go with the target first, and the target last.
 *
 * @param {ChartRun[]} runs
 * @param {{key: string, values: (number|null)[]}} target
 * @returns {Axis[]} empty where there is nothing to compare
 */
export function axesOf(runs, target) {
  const last = axis(target.key, target.values, target.values, true);
  const found = configAxes(runs, target.values);
  if (!last || !found.length) return [];
  found.sort((a, b) => Math.abs(b.r ?? 0) - Math.abs(a.r ?? 0));
  return [...found.slice(0, MOST_AXES - 1), last];
}

/**
 * @param {ChartRun[]} runs
 * @param {(number|null)[]} against
 * @returns {Axis[]} one for each key in which they differ
 */
export function configAxes(runs, against) {
  const configs = runs.map((run) => flat(run.config));
  const keys = [...new Set(configs.flatMap(Object.keys))].filter((key) => !CHANCE.test(key));
  const column = (/** @type {string} */ key) => configs.map((config) => cell(config[key]));
  return keys.flatMap((key) => axis(key, column(key), against) ?? []);
}

/** @param {unknown} value @returns {Cell} */
function cell(value) {
  if (value === null || value === undefined) return null;
  return typeof value === "number" || typeof value === "boolean"
    ? value
    : typeof value === "string"
      ? value
      : JSON.stringify(value);
}

/**
 * @param {string} key
 * @param {Cell[]} values
 * @param {(number|null)[]} against
 * @param {boolean} [target]
 * @returns {Axis|null} null: it does not vary, or is a name that every run has for itself
 */
function axis(key, values, against, target = false) {
  const known = values.filter((value) => value !== null);
  const distinct = new Set(known);
  if (distinct.size < 2) return null;
  const common = { key, title: short(key), values, target };
  if (known.every((value) => typeof value === "number"))
    return numeric(common, /** @type {number[]} */ (known), target ? null : against);
  if (target || distinct.size > MOST_CATEGORIES) return null;
  const categories = [...distinct].map(String).sort((a, b) => mean(a, values, against) - mean(b, values, against));
  const places = values.map((value) => (value === null ? null : categories.indexOf(String(value))));
  const r = categories.length === 2 ? spearman(places, against) : null;
  return { ...common, kind: "category", categories, lo: 0, hi: categories.length - 1, r };
}

/**
 * @param {{key: string, title: string, values: Cell[], target: boolean}} common
 * @param {number[]} known
 * @param {(number|null)[]|null} against
 * @returns {Axis|null}
 */
function numeric(common, known, against) {
  const finite = known.filter(Number.isFinite);
  const [lo, hi] = [Math.min(...finite), Math.max(...finite)];
  if (!(hi > lo)) return null;
  const kind = lo > 0 && Math.log10(hi / lo) >= DECADES && !common.target ? "log" : "number";
  return {
    ...common,
    kind,
    categories: [],
    lo,
    hi,
    r: against && spearman(/** @type {(number|null)[]} */ (common.values), against),
  };
}

/**
 * The mean of the target over the runs of a category, so that good ones lie together.
 *
 * @param {string} category
 * @param {Cell[]} values
 * @param {(number|null)[]} against
 */
function mean(category, values, against) {
  const own = against.filter((value, i) => value !== null && String(values[i]) === category);
  return own.reduce((/** @type {number} */ sum, value) => sum + Number(value), 0) / (own.length || 1);
}

/** @param {string} key */
const short = (key) =>
  key
    .replace(/^config\./, "")
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
