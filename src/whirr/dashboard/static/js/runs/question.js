/**
 * The question that the state of the page asks the table's route.
 * @import {UrlState} from "../lib/state.js"
 * @import {Question} from "./types.js"
 */

/** What the keys of the state are while the address does not say otherwise; the charts add theirs. */
export const DEFAULTS = {
  filter: "",
  sort: "",
  group: "",
  columns: /** @type {string[]} */ ([]),
  sel: /** @type {string[]} */ ([]),
  focus: "",
  hide: /** @type {string[]} */ ([]),
  colour: "run",
  tab: "logs",
};

/**
 * @param {UrlState} state
 * @returns {Question}
 */
export function questionOf(state) {
  return {
    filter: state.get("filter"),
    hide: state.get("hide"),
    sort: state.get("sort"),
    group: state.get("group"),
    columns: state.get("columns"),
  };
}

/**
 * The query of a window of rows; what is not said is left out.
 * @param {Question} question
 * @param {number} start
 * @param {number} count
 * @returns {Record<string, string | number>}
 */
export function queryOf({ hide, columns, ...texts }, start, count) {
  const said = Object.entries({ ...texts, hide: hide.join(","), columns: columns.join(",") }).filter(
    ([, text]) => text,
  );
  return { ...Object.fromEntries(said), start, count };
}

/**
 * The key that the rows are sorted by, and whether the largest comes first.
 * @param {string} sort
 * @returns {{key: string, down: boolean}}
 */
export function sortOf(sort) {
  const down = sort.startsWith("-");
  return { key: down ? sort.slice(1) : sort, down };
}

/**
 * The order that a click on a column leads to: its better end first, then the other, then none.
 * @param {string} sort the order now
 * @param {string} key
 * @param {boolean} downFirst
 * @returns {string}
 */
export function nextSort(sort, key, downFirst) {
  const first = downFirst ? `-${key}` : key;
  const second = downFirst ? key : `-${key}`;
  if (sort === first) return second;
  return sort === second ? "" : first;
}

/**
 * Whether less of a metric is more: its best value is its smallest.
 * @param {string} key
 * @returns {boolean}
 */
export function lowerIsBetter(key) {
  return /(^|[\W_])(loss|err|error|perplexity|ppl|mae|mse|rmse|fid|wer|cer|nll|latency|duration|regret)([\W_]|$)/i.test(
    key,
  );
}

/**
 * A text in quotes, as a filter takes it.
 * @param {string} text
 * @returns {string}
 */
export function quoted(text) {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
