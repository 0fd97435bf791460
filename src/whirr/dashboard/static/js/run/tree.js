// A configuration as a tree that can be searched; nested values fold.
import { clear, h } from "../lib/dom.js";
import { copy, searchField, valueNode } from "./ui.js";

const SHOWN = 400;

/**
 * @param {Record<string, any>} config
 * @param {string} what it is, for labels
 */
export function configTree(config, what) {
  const body = h("div", { class: "tr" });
  const count = countOf(config);
  const draw = (/** @type {string} */ wanted) => {
    const budget = { left: SHOWN * (wanted ? 4 : 1) };
    const rows = rowsOf(config, "", wanted, budget);
    clear(body).append(...(rows.length ? rows : [h("p", { class: "soft" }, "Nothing has this in its key or value.")]));
    if (budget.left <= 0) body.append(h("p", { class: "soft" }, `There is more: search for it among ${count} values.`));
  };
  draw("");
  const json = h("button", { class: "btn", type: "button", onclick: () => copy(JSON.stringify(config, null, 2), `the ${what} as JSON`) }, "Copy JSON");
  return { body, count, tools: [count > 8 ? searchField(`Search the ${what}`, draw) : null, json] };
}

/** @param {unknown} value @returns {number} */
function countOf(value) {
  if (!isNested(value)) return 1;
  return Object.values(value).map(countOf).reduce((sum, count) => sum + count, 0);
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isNested(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
}

/**
 * @param {Record<string, unknown>} config
 * @param {string} above the dotted key of what it stands in
 * @param {string} wanted
 * @param {{left: number}} budget
 * @returns {HTMLElement[]}
 */
function rowsOf(config, above, wanted, budget) {
  /** @type {HTMLElement[]} */
  const found = [];
  for (const [key, value] of Object.entries(config)) {
    if (budget.left <= 0) break;
    const path = above ? `${above}.${key}` : key;
    const row = isNested(value) ? folder(key, value, path, wanted, budget) : leaf(key, value, path, wanted, budget);
    if (row) found.push(row);
  }
  return found;
}

/** @param {string} key @param {Record<string, unknown>} value @param {string} path @param {string} wanted @param {{left: number}} budget */
function folder(key, value, path, wanted, budget) {
  const inner = rowsOf(value, path, path.toLowerCase().includes(wanted) ? "" : wanted, budget);
  if (!inner.length) return null;
  return h("details", { open: true }, h("summary", null, h("span", { class: "mono" }, key)), h("div", { class: "in" }, inner));
}

/** @param {string} key @param {unknown} value @param {string} path @param {string} wanted @param {{left: number}} budget */
function leaf(key, value, path, wanted, budget) {
  const node = valueNode(value);
  if (wanted && !path.toLowerCase().includes(wanted) && !(node.textContent ?? "").toLowerCase().includes(wanted)) return null;
  budget.left -= 1;
  return h("div", { class: "lf", title: path }, h("span", { class: "mono k" }, key), node);
}
