// A field that finds a run to compare: by name, id or a filter; a list below it, for keys and pointer.
import { getJson } from "../lib/api.js";
import { clear, h } from "../lib/dom.js";
import { age } from "../lib/format.js";
import { statusMark, wordsOf } from "../run/ui.js";

const TYPED_MS = 160;
const SHOWN = 12;

/** @typedef {{id: string, name: string|null, status: string, started_at: string|null}} Found */

export class Adder {
  /**
   * @param {(id: string) => void} chosen
   * @param {() => string[]} taken those that are there already
   */
  constructor(chosen, taken) {
    this.chosen = chosen;
    this.taken = taken;
    this.timer = 0;
    this.at = -1;
    this.asking = new AbortController();
    /** @type {Found[]} */
    this.found = [];
    this.list = h("ul", { class: "add-list card", role: "listbox", id: "add-list", "aria-label": "Runs", hidden: true });
    this.field = h("input", {
      class: "field", type: "text", placeholder: "Add a run", role: "combobox", autocomplete: "off", spellcheck: "false",
      "aria-label": "Add a run: its name, its id, or a filter", "aria-expanded": "false", "aria-controls": "add-list", "aria-autocomplete": "list",
    });
    this.element = h("div", { class: "add" }, this.field, this.list);
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("focus", () => void this.ask());
    this.field.addEventListener("blur", () => this.close());
    this.field.addEventListener("keydown", (event) => this.key(event));
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.ask(), TYPED_MS);
  }

  async ask() {
    this.asking.abort();
    const { signal } = (this.asking = new AbortController());
    try {
      const { rows, now } = await getJson("/ui/runs", { filter: this.field.value.trim(), count: SHOWN + this.taken().length, columns: "id" }, signal);
      if (signal.aborted || document.activeElement !== this.field) return;
      this.found = rows.filter((/** @type {Found} */ row) => !this.taken().includes(row.id)).slice(0, SHOWN);
      this.draw(now);
    } catch (error) {
      if (!signal.aborted) this.say(wordsOf(error));
    }
  }

  /** @param {number} now */
  draw(now) {
    this.at = this.found.length ? 0 : -1;
    if (!this.found.length) return this.say("No other run fits.");
    const items = this.found.map((run, place) => {
      const id = run.name ? h("span", { class: "soft cut" }, run.id) : null;
      const item = h("li", { role: "option", id: `add-${place}`, "aria-selected": "false" }, statusMark(run.status), h("span", { class: "cut" }, run.name || run.id), id, h("span", { class: "soft" }, age(run.started_at, now)));
      item.addEventListener("mousedown", (event) => { event.preventDefault(); this.choose(place); });
      return item;
    });
    clear(this.list).append(...items);
    this.open();
  }

  /** @param {string} text */
  say(text) {
    clear(this.list).append(h("li", { class: "soft", role: "option", "aria-disabled": "true", "aria-selected": "false" }, text));
    this.open();
  }

  open() {
    this.list.hidden = false;
    this.field.setAttribute("aria-expanded", "true");
    this.mark();
  }

  close() {
    this.list.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
    this.field.removeAttribute("aria-activedescendant");
  }

  mark() {
    [...this.list.children].forEach((item, place) => item.setAttribute("aria-selected", String(place === this.at)));
    if (this.at >= 0) this.field.setAttribute("aria-activedescendant", `add-${this.at}`);
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && this.found.length) {
      event.preventDefault();
      this.at = (this.at + steps[event.key] + this.found.length) % this.found.length;
      this.mark();
    } else if (event.key === "Enter" && !this.list.hidden && this.at >= 0) {
      event.preventDefault();
      this.choose(this.at);
    } else if (event.key === "Escape") {
      this.close();
    }
  }

  /** @param {number} place */
  choose(place) {
    this.field.value = "";
    this.close();
    this.chosen(this.found[place].id);
    this.field.blur();
  }
}
