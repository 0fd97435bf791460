/**
 * Picking the columns: which ones, and in which order.
 * @import {Option} from "./picker.js"
 */
import { clear, h } from "../lib/dom.js";
import { seek } from "./picker.js";

const MOST = 100;

/** The window of the column picker; every change is told at once. */
export class ColumnPicker {
  #seek = "";
  #dragged = "";

  /**
   * @param {HTMLElement} root
   * @param {{columns: string[], options: Option[], change: (columns: string[]) => void}} about
   */
  constructor(root, { columns, options, change }) {
    this.columns = columns;
    this.options = options;
    this.change = change;
    this.chosen = h("ol", { class: "chosen", "aria-label": "Columns shown, in their order" });
    this.found = h("ul", { class: "found", "aria-label": "More columns" });
    const sought = h("input", {
      class: "seek",
      type: "search",
      placeholder: "Find a column",
      "aria-label": "Find a column",
      oninput: (/** @type {Event} */ event) => this.#sought(/** @type {HTMLInputElement} */ (event.target).value),
    });
    const reset = h("button", { class: "link", type: "button", onclick: () => this.change([]) }, "As proposed");
    root.append(h("div", { class: "poph" }, h("b", null, "Columns"), reset), sought, this.chosen, this.found);
    this.#draw();
  }

  /** @param {string} text */
  #sought(text) {
    this.#seek = text;
    this.#draw();
  }

  /**
   * @param {string[]} columns
   * @param {string} [keep] the column whose button has the focus afterwards
   */
  #set(columns, keep) {
    this.columns = columns;
    this.change(columns);
    this.#draw();
    const again = keep && this.chosen.parentElement?.querySelector(`[data-key="${CSS.escape(keep)}"] [data-main]`);
    if (again) /** @type {HTMLElement} */ (again).focus();
  }

  #draw() {
    const known = new Map(this.options.map((one) => [one.value, one]));
    clear(this.chosen).append(...this.columns.map((key) => this.#chosenNode(key, known.get(key)?.detail ?? "")));
    const rest = seek(
      this.options.filter((one) => !this.columns.includes(one.value)),
      this.#seek,
    ).slice(0, MOST);
    clear(this.found).append(...rest.map((one) => this.#foundNode(one)));
    if (!rest.length) this.found.append(h("li", { class: "none" }, "Nothing more of this name"));
  }

  /**
   * @param {string} key
   * @param {string} detail
   */
  #chosenNode(key, detail) {
    const node = h(
      "li",
      { draggable: "true", dataset: { key } },
      h("span", { class: "grip", "aria-hidden": "true" }, "⠿"),
      this.#check(key, true, detail),
      this.#mover(key, -1, "↑", "up"),
      this.#mover(key, 1, "↓", "down"),
    );
    node.addEventListener("dragstart", () => (this.#dragged = key));
    node.addEventListener("dragover", (event) => event.preventDefault());
    node.addEventListener("drop", (event) => this.#dropped(event, key));
    return node;
  }

  /** @param {Option} one */
  #foundNode(one) {
    return h("li", { dataset: { key: one.value } }, this.#check(one.value, false, one.detail ?? ""));
  }

  /**
   * @param {string} key
   * @param {boolean} on
   * @param {string} detail
   */
  #check(key, on, detail) {
    const toggle = () => this.#set(on ? this.columns.filter((one) => one !== key) : [...this.columns, key], key);
    const box = h("input", { type: "checkbox", checked: on, "data-main": "", onchange: toggle });
    return h("label", { title: key }, box, h("span", null, key), h("small", null, detail));
  }

  /**
   * @param {string} key
   * @param {number} by
   * @param {string} sign
   * @param {string} word
   */
  #mover(key, by, sign, word) {
    const place = this.columns.indexOf(key);
    const disabled = place + by < 0 || place + by >= this.columns.length;
    return h(
      "button",
      {
        type: "button",
        class: "mv",
        disabled,
        title: `Move ${word}`,
        "aria-label": `Move ${key} ${word}`,
        onclick: () => this.#move(key, by),
      },
      sign,
    );
  }

  /**
   * @param {string} key
   * @param {number} by
   */
  #move(key, by) {
    const columns = this.columns.filter((one) => one !== key);
    columns.splice(this.columns.indexOf(key) + by, 0, key);
    this.#set(columns, key);
  }

  /**
   * @param {Event} event
   * @param {string} onto
   */
  #dropped(event, onto) {
    event.preventDefault();
    if (!this.#dragged || this.#dragged === onto) return;
    const down = this.columns.indexOf(this.#dragged) < this.columns.indexOf(onto);
    const columns = this.columns.filter((one) => one !== this.#dragged);
    columns.splice(columns.indexOf(onto) + (down ? 1 : 0), 0, this.#dragged);
    this.#set(columns);
  }
}
