// Rows of keys with a value of each run: what differs from the first one is marked.
import { better } from "../charts/words.js";
import { clear, h } from "../lib/dom.js";
import { number, plural } from "../lib/format.js";
import { card, plainValue, searchField } from "../run/ui.js";
import { headCell } from "./heads.js";

/** @typedef {import("./types.js").Row} Row */
/** @typedef {import("./types.js").Head} Head */

const SHOWN = 500;

/** One table of the comparison, with its own search. */
export class DiffTable {
  /**
   * @param {string} title
   * @param {{results?: boolean, none: string, same: string}} about results: numbers are rounded, and how much they differ
   *   is said; none: said where no run has any; same: said where all are alike
   */
  constructor(title, { results = false, none, same }) {
    this.title = title;
    this.results = results;
    this.none = none;
    this.same = same;
    this.wanted = "";
    /** @type {Row[]} */
    this.rows = [];
    /** @type {Head[]} */
    this.runs = [];
    this.all = false;
    this.count = h("span", null);
    this.search = searchField(`Search ${title.toLowerCase()}`, (text) => { this.wanted = text; this.draw(); });
    this.body = h("div", { class: "tw", tabindex: "0", role: "region", "aria-label": title });
    this.element = card(title, { note: this.count, side: this.search }, this.body);
  }

  /** @param {Row[]} rows @param {Head[]} runs @param {boolean} all those that are alike too */
  update(rows, runs, all) {
    Object.assign(this, { rows, runs, all });
    this.draw();
  }

  draw() {
    const differing = this.rows.filter((row) => row.differs).length;
    const fits = this.rows.filter((row) => (this.all || row.differs) && row.key.toLowerCase().includes(this.wanted));
    this.count.textContent = this.rows.length ? (this.runs.length > 1 ? `${differing} of ${this.rows.length} differ` : plural(this.rows.length, "value")) : "";
    this.search.hidden = this.rows.length < 9;
    const text = !this.rows.length ? this.none : this.wanted ? "Nothing is called so." : this.same;
    clear(this.body).append(fits.length ? this.table(fits) : h("p", { class: "soft cmp-none" }, text));
  }

  /** @param {Row[]} rows */
  table(rows) {
    const heads = h("tr", null, h("th", { scope: "col" }, "Key"), this.runs.map((run, place) => headCell(run, place)));
    const more = rows.length > SHOWN ? h("tr", null, h("td", { colspan: this.runs.length + 1, class: "soft" }, `and ${rows.length - SHOWN} more: search for them`)) : null;
    return h("table", { class: "cmp", style: { "--runs": this.runs.length } }, h("thead", null, heads), h("tbody", null, rows.slice(0, SHOWN).map((row) => this.row(row)), more));
  }

  /** @param {Row} row */
  row(row) {
    const best = this.results ? bestOf(row) : -1;
    const cells = row.values.map((value, place) => {
      if (row.missing.includes(place)) return h("td", { class: `none${this.changed(row, place)}` }, h("span", { "aria-hidden": "true" }, "–"), h("span", { class: "sr" }, "not set"));
      const text = this.results && typeof value === "number" ? number(value) : plainValue(value);
      const kind = `${typeof value === "number" ? "num " : ""}${place === best ? "far" : ""}`;
      return h("td", { class: kind + this.changed(row, place), title: text }, h("span", { class: "v mono" }, text), this.delta(row, place));
    });
    return h("tr", null, h("th", { scope: "row", class: "mono", title: row.key }, row.key), cells);
  }

  /** @param {Row} row @param {number} place @returns {string} */
  changed(row, place) {
    if (!place || this.results) return "";
    const absent = row.missing.includes(place) !== row.missing.includes(0);
    return absent || JSON.stringify(row.values[place]) !== JSON.stringify(row.values[0]) ? " ch" : "";
  }

  /** How much a number differs from that of the first run. @param {Row} row @param {number} place */
  delta(row, place) {
    const [first, value] = [row.values[0], row.values[place]];
    if (!this.results || !place || typeof first !== "number" || typeof value !== "number" || !first || first === value) return null;
    const share = ((value - first) / Math.abs(first)) * 100;
    const digits = Math.abs(share) < 10 ? 1 : 0;
    const text = Math.abs(share) >= 1000 ? `${number(value - first, 2)}` : `${share > 0 ? "+" : "−"}${Math.abs(share).toFixed(digits)} %`;
    return h("span", { class: "dl" }, text);
  }
}

/** Where the best number of a row stands, as far as its name says which is. @param {Row} row @returns {number} -1: nowhere */
function bestOf(row) {
  const direction = better(row.key);
  const numbers = row.values.filter((value) => typeof value === "number");
  if (!direction || numbers.length < 2 || !row.differs) return -1;
  return row.values.indexOf(direction === "lower" ? Math.min(...numbers) : Math.max(...numbers));
}
