// Runs side by side: what differs in config, results, packages, environment and code, and their curves.
import { Board } from "../charts/board.js";
import { getJson } from "../lib/api.js";
import { byId, clear, h } from "../lib/dom.js";
import { live } from "../lib/live.js";
import { UrlState } from "../lib/state.js";
import { wordsOf } from "../run/ui.js";
import { Adder } from "./adding.js";
import { CodeCard } from "./code.js";
import { chip, nameOf } from "./heads.js";
import { DiffTable } from "./table.js";

/** @typedef {import("./types.js").Comparison} Comparison */
/** @typedef {import("./types.js").Head} Head */

const MOST = 8;
const AGAIN_MS = 2000;

class ComparePage {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.state = new UrlState({ runs: /** @type {string[]} */ ([]), all: false, code: /** @type {string[]} */ ([]) });
    this.stop = new AbortController();
    this.timer = 0;
    /** @type {Comparison|null} */
    this.known = null;
    this.adder = new Adder((id) => this.set([...this.ids(), id]), () => this.ids());
    this.chips = h("ul", { class: "cmp-runs", "aria-label": "Runs compared" });
    this.all = h("button", { class: "tg", type: "button", role: "switch", onclick: () => this.state.set({ all: !this.state.get("all") }) }, "Also what is the same");
    this.trouble = h("p", { class: "alert", role: "alert", hidden: true });
    this.charts = h("div", { class: "cmp-charts" });
    this.config = new DiffTable("Config", { none: "None of them was given a config.", same: "They were given the same." });
    this.results = new DiffTable("Results", { results: true, none: "None of them logged anything.", same: "They came to the same." });
    this.packages = new DiffTable("Packages", { none: "No packages were recorded.", same: "They had the same packages." });
    this.environment = new DiffTable("Environment", { none: "Nothing was recorded.", same: "They ran in the same environment." });
    this.code = new CodeCard(this.state);
    const head = h("div", { class: "cmp-head" }, h("h1", null, "Compare"), h("span", { class: "grow" }), this.all);
    const who = h("div", { class: "cmp-who" }, this.chips, this.adder.element);
    this.empty = h("div", { class: "empty" }, h("h2", null, "Choose runs to compare"), h("p", null, "Add two runs above, or pin some in the table of runs and compare those."));
    this.parts = h("div", { class: "cmp-parts" }, this.config.element, this.results.element, this.charts, this.environment.element, this.packages.element, this.code.element);
    clear(root).append(head, who, this.trouble, this.empty, this.parts);
    /** @type {Board|null} */
    this.board = null;
    this.state.on((changed) => this.changed(changed));
  }

  /** @returns {string[]} */
  ids() {
    return this.state.get("runs");
  }

  /** @param {string[]} ids */
  set(ids) {
    this.state.set({ runs: ids.slice(0, MOST) }, { push: true });
  }

  /** @param {Set<string>} changed */
  changed(changed) {
    if (changed.has("runs")) void this.load();
    else if (changed.has("all") || changed.has("code")) this.draw();
  }

  soon() {
    this.timer ||= window.setTimeout(() => { this.timer = 0; void this.load(); }, AGAIN_MS);
  }

  async load() {
    this.stop.abort();
    const { signal } = (this.stop = new AbortController());
    const ids = this.ids();
    try {
      this.known = ids.length ? await getJson("/ui/compare", { runs: ids.join(",") }, signal) : null;
      if (signal.aborted) return;
      this.say(this.known?.missing.length ? `Not there any more: ${this.known.missing.join(", ")}` : "");
      this.draw();
    } catch (error) {
      if (!signal.aborted) this.say(wordsOf(error));
    }
  }

  /** @param {string} text */
  say(text) {
    this.trouble.textContent = text;
    this.trouble.hidden = !text;
  }

  draw() {
    const known = this.known;
    const runs = known?.runs ?? [];
    document.title = runs.length ? `${runs.map(nameOf).join(" · ")} · Compare · whirr` : "Compare · whirr";
    this.empty.hidden = runs.length > 0;
    this.parts.hidden = this.all.hidden = !runs.length;
    this.adder.element.hidden = this.ids().length >= MOST;
    this.all.setAttribute("aria-checked", String(this.state.get("all")));
    clear(this.chips).append(...runs.map((run, place) => chip(run, place, this.acts(run.run_id))));
    if (known && runs.length) this.fill(known);
  }

  /** @param {string} id */
  acts(id) {
    const others = this.ids().filter((one) => one !== id);
    return { first: () => this.set([id, ...others]), remove: () => this.set(others) };
  }

  /** @param {Comparison} known */
  fill({ runs, config, summary, packages, environment, unrecorded }) {
    const all = this.state.get("all") || runs.length < 2;
    this.config.update(config, runs, all);
    this.results.update(summary, runs, all);
    this.environment.update(environment, runs, all);
    const recorded = runs.filter((_, place) => !unrecorded.includes(place));
    const rows = unrecorded.length ? among(packages, unrecorded) : packages;
    this.packages.update(rows, recorded, all);
    this.code.update(runs);
    this.board ??= new Board(this.charts, { state: this.state, fixedRuns: true });
    this.board.setRuns(runs.map(chartRun));
  }
}

/**
 * Rows without the columns of some runs.
 *
 * @param {import("./types.js").Row[]} rows
 * @param {number[]} without
 */
function among(rows, without) {
  return rows.map((row) => {
    const values = row.values.filter((_, place) => !without.includes(place));
    const missing = row.missing.filter((place) => !without.includes(place)).map((place) => place - without.filter((one) => one < place).length);
    const differs = missing.length > 0 || values.some((value) => value !== values[0]);
    return { ...row, values, missing, differs };
  });
}

/** @param {Head} run @param {number} place @returns {import("../charts/types.js").ChartRun} */
function chartRun(run, place) {
  return { id: run.run_id, name: nameOf(run), colour: (place % 10) + 1, group: null, dash: 0, status: run.status, focus: false, config: run.config };
}

const page = new ComparePage(byId("compare"));
page.draw();
void page.load();
live.on("runs", (/** @type {{changed: string[]|null}} */ { changed }) => {
  const own = changed === null ? page.ids() : page.ids().filter((id) => changed.includes(id));
  if (!own.length) return;
  page.soon();
  page.board?.refresh(own);
});
