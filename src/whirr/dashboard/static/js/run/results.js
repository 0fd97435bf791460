// What a run came to: its summary, and last, least and greatest of each metric.
import { clear, h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { searchField } from "./ui.js";

/** @typedef {import("./types.js").RunFacts} RunFacts */

const SHOWN = 200;

/** A table of results that keeps what is searched for while its numbers change. */
export class Results {
  /** @param {(metric: string) => void} open shows the curve of a metric */
  constructor(open) {
    this.open = open;
    this.wanted = "";
    /** @type {RunFacts|null} */
    this.run = null;
    this.body = h("tbody", null);
    const heads = [["", "Key"], ["num", "Summary"], ["num", "Last"], ["num", "Min"], ["num", "Max"], ["num", "Points"]];
    const head = h("thead", null, h("tr", null, heads.map(([kind, word]) => h("th", { class: kind, scope: "col" }, word))));
    this.search = searchField("Search the results", (text) => { this.wanted = text; this.draw(); });
    this.element = h("div", { class: "tw", tabindex: "0", role: "region", "aria-label": "Results" }, h("table", null, head, this.body));
  }

  /** @param {RunFacts} run */
  update(run) {
    this.run = run;
    this.draw();
  }

  draw() {
    const run = /** @type {RunFacts} */ (this.run);
    const keys = [...new Set([...Object.keys(run.summary), ...Object.keys(run.metrics)])];
    const fits = keys.filter((key) => key.toLowerCase().includes(this.wanted));
    this.search.hidden = keys.length < 9;
    clear(this.body).append(...fits.slice(0, SHOWN).map((key) => this.row(key, run)));
    if (!fits.length) this.body.append(h("tr", null, h("td", { colspan: 6, class: "soft" }, keys.length ? "Nothing is called so." : "Nothing was logged.")));
    if (fits.length > SHOWN) this.body.append(h("tr", null, h("td", { colspan: 6, class: "soft" }, `and ${fits.length - SHOWN} more: search for them`)));
  }

  /** @param {string} key @param {RunFacts} run */
  row(key, run) {
    const metric = run.metrics[key];
    const curve = metric && h("button", { class: "lk mono cut", type: "button", title: `Show the curve of ${key}`, onclick: () => this.open(key) }, key);
    const summary = key in run.summary ? run.summary[key] : "";
    const shown = typeof summary === "object" && summary !== null ? JSON.stringify(summary) : number(summary);
    const wild = metric?.nonfinite ? h("span", { class: "warn", title: `${metric.nonfinite} were NaN or infinite` }, " ⚠", h("span", { class: "sr" }, `${metric.nonfinite} NaN or infinite`)) : null;
    const cells = metric ? [number(metric.last), number(metric.min), number(metric.max), metric.count.toLocaleString("en-US")] : ["", "", "", ""];
    const name = h("th", { scope: "row" }, curve || h("span", { class: "mono cut" }, key), wild);
    return h("tr", null, name, h("td", { class: "num sum cut", title: shown }, shown), cells.map((text) => h("td", { class: "num" }, text)));
  }
}
