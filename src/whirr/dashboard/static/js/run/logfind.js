/** The search of a log: a line to type into, how many lines were found, from one to the next, the first error. */

import { h } from "../lib/dom.js";
import { LogSearch, MOST_FOUND } from "./logsearch.js";

const TYPED_MS = 180;

/** @typedef {{place: number, show(at: number): void, highlight(text: string): void}} View */

export class FindBar {
  /** @param {string} runId @param {string} path @param {View} view */
  constructor(runId, path, view) {
    this.#runId = runId;
    this.#path = path;
    this.#view = view;
    this.#field = /** @type {HTMLInputElement} */ (
      h("input", { type: "search", class: "lg-field", placeholder: "Search the log", "aria-label": "Search the log" })
    );
    this.#count = h("span", { class: "lg-count", role: "status" });
    const step = (/** @type {number} */ by) => () => this.#step(by);
    this.#back = h("button", { class: "lg-button", type: "button", "aria-label": "Previous match", onclick: step(-1) }, "↑");
    this.#on = h("button", { class: "lg-button", type: "button", "aria-label": "Next match", onclick: step(1) }, "↓");
    const error = h("button", { class: "lg-button", type: "button", onclick: () => this.#start("", true) }, "First error");
    this.element = h("div", { class: "lg-find" }, this.#field, this.#count, this.#back, this.#on, error);
    this.#field.addEventListener("input", () => this.#typed());
    this.#field.addEventListener("keydown", (event) => this.#key(/** @type {KeyboardEvent} */ (event)));
    this.#tell();
  }

  #runId;
  #path;
  #view;
  #field;
  #count;
  #back;
  #on;
  #timer = 0;
  #chosen = -1;
  #stop = new AbortController();
  /** @type {LogSearch|null} */
  #search = null;

  /** Stop looking. */
  destroy() {
    clearTimeout(this.#timer);
    this.#stop.abort();
    this.#view.highlight("");
  }

  /** Other lines stand in the page now: mark in them what is looked for. */
  redraw() {
    this.#view.highlight(this.#search?.text ?? "");
  }

  /** The log has grown: what is new is looked through, too. */
  grown() {
    this.redraw();
    if (this.#search?.done && this.#search.found.length < MOST_FOUND) void this.#look(this.#search, false);
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#start(this.#field.value, false), TYPED_MS);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Enter") {
      event.preventDefault();
      if (this.#search?.text === this.#field.value) this.#step(event.shiftKey ? -1 : 1);
      else this.#typed();
    } else if (event.key === "Escape" && this.#field.value) {
      event.stopPropagation();
      this.#field.value = "";
      this.#start("", false);
    }
  }

  /** @param {string} text @param {boolean} errors look for what looks like an error instead */
  #start(text, errors) {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#chosen = -1;
    if (errors) this.#field.value = "";
    this.#search = text || errors ? new LogSearch(this.#runId, this.#path, text) : null;
    this.#view.highlight(text);
    this.#tell();
    if (this.#search) void this.#look(this.#search, true, errors);
  }

  /**
   * @param {LogSearch} search
   * @param {boolean} go show what is found
   * @param {boolean} [first] the first there is, else the first from where the view is
   */
  async #look(search, go, first = false) {
    const from = first ? 0 : this.#view.place;
    const told = () => {
      if (search !== this.#search) return;
      if (go && this.#chosen < 0) this.#choose(search.found.findIndex((at) => at >= from));
      this.#tell();
    };
    try {
      await search.all(this.#stop.signal, told);
      if (go && this.#chosen < 0 && search === this.#search && search.found.length) this.#choose(0);
      this.#tell();
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#count.textContent = error instanceof Error ? error.message : "failed";
    }
  }

  /** @param {number} by */
  #step(by) {
    const many = this.#search?.found.length ?? 0;
    if (many) this.#choose((this.#chosen + by + many) % many);
  }

  /** @param {number} which */
  #choose(which) {
    const at = this.#search?.found[which];
    if (at === undefined) return;
    this.#chosen = which;
    this.#view.show(at);
    this.#tell();
  }

  #tell() {
    const search = this.#search;
    const many = search?.found.length ?? 0;
    this.#back.toggleAttribute("disabled", !many);
    this.#on.toggleAttribute("disabled", !many);
    if (!search) this.#count.textContent = "";
    else this.#count.textContent = many ? this.#places(search) : search.done ? noneOf(search) : "looking…";
  }

  /** @param {LogSearch} search */
  #places(search) {
    const many = search.found.length.toLocaleString("en");
    const more = search.done ? (search.found.length >= MOST_FOUND ? "+" : "") : "…";
    return this.#chosen < 0 ? `${many}${more} lines` : `${(this.#chosen + 1).toLocaleString("en")} of ${many}${more}`;
  }
}

/** @param {LogSearch} search */
function noneOf(search) {
  return search.text ? "not found" : "no error found";
}
