/** The list under the filter line: what could stand at the cursor, as the server knows the runs' keys. */
import { getJson } from "../lib/api.js";
import { clear, h } from "../lib/dom.js";

const REST = 70;
const SHOWN = 12;

/**
 * @typedef {{text: string, kind: string, detail: string}} CompletionItem
 * @typedef {{from: number, to: number, items: CompletionItem[]}} Completion
 */

/** A listbox that belongs to an input. */
export class Completions {
  #timer = 0;
  #request = new AbortController();
  #active = -1;
  #found = /** @type {Completion} */ ({ from: 0, to: 0, items: [] });

  /**
   * @param {HTMLInputElement} input
   * @param {(item: CompletionItem, completion: Completion) => void} take
   */
  constructor(input, take) {
    this.input = input;
    this.take = take;
    this.list = h("ul", {
      class: "completions",
      role: "listbox",
      id: "filter-list",
      "aria-label": "Completions",
      hidden: true,
    });
    this.list.addEventListener("mousedown", (event) => this.#picked(event));
    input.setAttribute("aria-controls", "filter-list");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-expanded", "false");
    input.addEventListener("focus", () => input.value || this.ask());
  }

  /** Look what could stand at the cursor. */
  ask() {
    window.clearTimeout(this.#timer);
    this.#request.abort();
    this.#timer = window.setTimeout(() => void this.#fetch(), REST);
  }

  async #fetch() {
    const request = new AbortController();
    this.#request = request;
    const query = { text: this.input.value, at: this.input.selectionStart ?? this.input.value.length };
    try {
      const found = /** @type {Completion} */ (await getJson("/ui/complete", query, request.signal));
      if (request.signal.aborted || document.activeElement !== this.input) return;
      this.#found = { ...found, items: found.items.slice(0, SHOWN) };
      this.#draw();
    } catch {
      if (!request.signal.aborted) this.close(); // no help is no error: the line can be typed without
    }
  }

  /** Away with the list. */
  close() {
    window.clearTimeout(this.#timer);
    this.#request.abort();
    this.#found = { from: 0, to: 0, items: [] };
    this.#draw();
  }

  #draw() {
    const { items, from } = this.#found;
    this.#active = -1;
    this.list.hidden = !items.length;
    this.input.setAttribute("aria-expanded", String(items.length > 0));
    clear(this.list).append(...items.map((item, place) => option(item, place)));
    this.list.style.setProperty("--at", `calc(${from}ch - ${this.input.scrollLeft}px)`);
    this.#mark();
  }

  #mark() {
    for (const [place, node] of [...this.list.children].entries()) {
      node.setAttribute("aria-selected", String(place === this.#active));
      if (place === this.#active) node.scrollIntoView({ block: "nearest" });
    }
    if (this.#active >= 0) this.input.setAttribute("aria-activedescendant", `completion-${this.#active}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  /**
   * A key was pressed in the input.
   * @param {KeyboardEvent} event
   * @returns {boolean} whether it was meant for the list
   */
  pressed(event) {
    const { items } = this.#found;
    if (!items.length) {
      const asked = event.key === "ArrowDown" || (event.key === " " && event.ctrlKey);
      if (asked) this.ask();
      return asked;
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.#move(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Tab" && !event.shiftKey && this.#begun()) this.#take(Math.max(0, this.#active));
    else if (event.key === "Enter" && this.#active >= 0) this.#take(this.#active);
    else return false;
    return true;
  }

  /** Whether there is something to complete: a chosen item or a begun word. */
  #begun() {
    return this.#active >= 0 || this.#found.to > this.#found.from;
  }

  /** @param {number} by */
  #move(by) {
    const count = this.#found.items.length + 1; // one more place: none of them
    this.#active = ((this.#active + 1 + by + count) % count) - 1;
    this.#mark();
  }

  /** @param {number} place */
  #take(place) {
    const found = this.#found;
    const item = found.items[place];
    this.close();
    this.take(item, found);
  }

  /** @param {MouseEvent} event */
  #picked(event) {
    event.preventDefault(); // the input keeps the focus
    const node = /** @type {Element} */ (event.target).closest("[role=option]");
    if (node) this.#take([...this.list.children].indexOf(node));
  }
}

/**
 * @param {CompletionItem} item
 * @param {number} place
 */
function option(item, place) {
  const about = { role: "option", id: `completion-${place}`, "aria-selected": "false" };
  const kind = h("i", { class: `kind k-${item.kind}` }, item.kind);
  return h("li", about, h("span", { class: "mono" }, item.text), h("small", null, item.detail), kind);
}
