// What the pages of runs build of: cards, lists of facts, fields that search, buttons that copy.
import { h, s } from "../lib/dom.js";
import { toast } from "../lib/toast.js";

/** @typedef {import("../lib/dom.js").Child} Child */

/** Whether who looks may change anything. */
export const mayEdit = ["submit", "admin"].includes(document.body.dataset.role ?? "");

/**
 * A titled card.
 *
 * @param {string} title
 * @param {{note?: Child, side?: Child | Child[], class?: string}} [more] note: beside the title; side: at the right
 * @param {...(Child | Child[])} body
 */
export function card(title, { note, side, class: kind = "" } = {}, ...body) {
  const words = note === undefined ? null : h("span", { class: "soft" }, note);
  const head = h("div", { class: "cd-head" }, h("h2", null, title), words, h("span", { class: "grow" }), side);
  return h("section", { class: `card cd ${kind}`.trim() }, head, ...body);
}

/**
 * Facts as a list: a label, and what is to be said of it; those without anything are left out.
 *
 * @param {[string, Child | Child[]][]} rows
 */
export function facts(rows) {
  const known = rows.filter(([, value]) => !isNothing(value));
  return h("dl", { class: "fx" }, known.map(([label, value]) => h("div", null, h("dt", null, label), h("dd", null, value))));
}

/** @param {Child | Child[]} value */
function isNothing(value) {
  return value === null || value === undefined || value === false || value === "" || (Array.isArray(value) && !value.length);
}

/**
 * A text that is copied at a click.
 *
 * @param {string} text
 * @param {string} what it is, for the label and the message
 * @param {string} [shown] what is shown of it
 */
export function copyable(text, what, shown = text) {
  const button = h("button", { class: "ib cp", type: "button", title: `Copy ${what}`, "aria-label": `Copy ${what}` }, copyIcon());
  button.addEventListener("click", () => copy(text, what));
  return h("span", { class: "cpx" }, h("code", { class: "mono", title: shown === text ? null : text }, shown), button);
}

/** @param {string} text @param {string} what */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`Copied ${what}`);
  } catch {
    toast("This browser lets no page copy: mark the text and copy it", { error: true });
  }
}

function copyIcon() {
  const back = s("path", { d: "M11.5 6V4.2A1.2 1.2 0 0 0 10.3 3H4.2A1.2 1.2 0 0 0 3 4.2v6.1a1.2 1.2 0 0 0 1.2 1.2H6" });
  return s("svg", { viewBox: "0 0 18 18", "aria-hidden": "true" }, s("rect", { x: 6, y: 6, width: 9, height: 9, rx: 1.6 }), back);
}

/**
 * A field that searches below it.
 *
 * @param {string} label
 * @param {(text: string) => void} typed
 */
export function searchField(label, typed) {
  const field = h("input", { type: "search", class: "field sf", placeholder: label, "aria-label": label, spellcheck: "false" });
  field.addEventListener("input", () => typed(field.value.trim().toLowerCase()));
  return field;
}

/** @type {Record<string, string>} */
const DOTS = {
  running: "dot pulse", queued: "dot queued", cancelling: "dot queued", failed: "dot failed", completed: "dot done",
};

/**
 * The mark of a status; the word stands beside it, or is said to those who do not see it.
 *
 * @param {string} status
 * @param {string} [word]
 */
export function statusMark(status, word) {
  const dot = h("span", { class: DOTS[status] ?? "dot idle", "aria-hidden": "true" });
  return h("span", { class: `sm sm-${status}` }, dot, word ? h("span", null, word) : h("span", { class: "sr" }, status));
}

/**
 * A value of a configuration as people read it.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function plainValue(value) {
  if (typeof value === "string") return value;
  if (value === undefined) return "";
  return JSON.stringify(value);
}

/** @type {Record<string, string>} */
const KINDS = { number: "vn", boolean: "vb", string: "vs" };

/** @param {unknown} value */
export function valueNode(value) {
  const kind = value === null ? "vb" : KINDS[typeof value] ?? "";
  return h("span", { class: `mono ${kind}` }, value === "" ? "''" : plainValue(value));
}

/** A list, whatever a damaged file has in its place. @param {unknown} value @returns {any[]} */
export function listOf(value) {
  return Array.isArray(value) ? value : [];
}

/** @param {unknown} error */
export function wordsOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** The link to a run's page. @param {string} prefix @param {string} id */
export function runLink(prefix, id) {
  return `${prefix}/runs/${encodeURIComponent(id)}`;
}
