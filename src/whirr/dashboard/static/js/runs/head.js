/**
 * The table's head: a button over each column sorts by it.
 * @import {Shown} from "./shown.js"
 * @import {Acts} from "./table.js"
 */
import { h, s } from "../lib/dom.js";
import { kindOf } from "./lines.js";

/** The row of column headings. */
export class HeadRow {
  #drawn = "";

  /** @param {Acts} acts */
  constructor(acts) {
    this.acts = acts;
    this.row = h("div", { class: "row", role: "row", "aria-rowindex": "1" });
    this.root = h("div", { class: "head", role: "rowgroup" }, this.row);
  }

  /** @param {Shown[]} shown */
  draw(shown) {
    const now = JSON.stringify(shown.map((one) => [one.column.key, one.sorted, one.column.kind]));
    if (now === this.#drawn) return;
    this.#drawn = now;
    const kept = /** @type {HTMLElement | null} */ (
      this.row.contains(document.activeElement) ? document.activeElement : null
    );
    const key = kept?.dataset.key;
    this.row.replaceChildren(this.#cell("name", "Run", "", "name"), ...shown.map((one) => this.#of(one)));
    if (key) /** @type {HTMLElement | null} */ (this.row.querySelector(`[data-key="${CSS.escape(key)}"]`))?.focus();
  }

  /** @param {Shown} one */
  #of(one) {
    return this.#cell(one.column.key, one.title, one.sorted, kindOf(one));
  }

  /**
   * @param {string} key
   * @param {string} title
   * @param {"" | "up" | "down"} sorted
   * @param {string} kind
   */
  #cell(key, title, sorted, kind) {
    const order = { up: "ascending", down: "descending", "": "none" }[sorted];
    const button = h(
      "button",
      { type: "button", title: `${key}: sort`, dataset: { key }, onclick: () => this.acts.sort(key) },
      h("span", null, title),
      sorted ? arrow(sorted) : "",
    );
    return h(
      "div",
      { class: `cell ${kind}${sorted ? " sorted" : ""}`, role: "columnheader", "aria-sort": order },
      button,
    );
  }
}

/** @param {"up" | "down"} sorted */
function arrow(sorted) {
  const shape = sorted === "down" ? "M5 1.5v7M2.2 5.8 5 8.6l2.8-2.8" : "M5 8.5v-7M2.2 4.2 5 1.4l2.8 2.8";
  return s("svg", { class: "arrow", viewBox: "0 0 10 10", "aria-hidden": "true" }, s("path", { d: shape }));
}
