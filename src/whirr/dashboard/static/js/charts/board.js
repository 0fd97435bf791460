// All charts of some runs: the toolbar, the panels, and what they have in common.

import { h } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { onTheme } from "../lib/theme.js";
import { CurveStore } from "./curves.js";
import { Frames } from "./frames.js";
import { Grid } from "./grid.js";
import { Happenings } from "./happenings.js";
import { Mattered } from "./mattered.js";
import { arrange } from "./order.js";
import { readLooks, writeLooks } from "./panels.js";
import { roll } from "./roll.js";
import { Toolbar } from "./toolbar.js";
import { Tooltip, content } from "./tooltip.js";
import { BOARD_STATE, TIMES, viewOf, writeZoom } from "./view.js";
import { watch, watched } from "./watched.js";

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {import("./types.js").Metric} Metric */
/** @typedef {import("./types.js").Source} Source */
/** @typedef {import("./panel.js").Panel} Panel */
/** @typedef {import("./panels.js").Look} Look */
/** @typedef {import("./subjects.js").Spec} Spec */
/** @typedef {import("../lib/state.js").UrlState} UrlState */

/** Live runs change several times a second; their curves are asked for at most so often. */
const REFRESH_MS = 1000;
const DATA = ["x", "zoom"];
const LOOKS = ["smooth", "raw", "logy", "clip", "mean"];
const ORDER = ["metrics", "panels", "sort"];

/** @typedef {import("./panel.js").Host} Host */

/** @implements {Host} */
export class Board {
  /** @type {ChartRun[]} */
  runs = [];
  store = new CurveStore();
  frames = new Frames();
  tooltip = new Tooltip();
  /** @type {Host["cursor"]} */
  cursor = { at: null, panel: null, py: null, pointer: { x: 0, y: 0 } };
  /** @type {ChartRun[]} as they were given */
  #given = [];
  /** @type {Metric[]} */
  #metrics = [];
  /** @type {string[]} */
  #axes = ["step", "time", "relative"];
  #known = false;
  /** @type {number} how many runs there are to choose from */
  #every = 0;
  /** @type {AbortController|null} */
  #rolling = null;
  #trouble = "";
  /** @type {Set<string>|null} */
  #changed = new Set();
  #timer = 0;

  /**
   * @param {HTMLElement} root is filled; it may have a height of its own, and then the panels scroll in it
   * @param {{state: UrlState, source?: Source, fixedRuns?: boolean, onFocus?: (run: string) => void}} options
   *   fixedRuns: the runs are those the page is about, not a choice from many; onFocus: a curve was clicked (otherwise the
   *   state's `focus` changes, where it has one)
   */
  constructor(root, { state, source = "metrics", fixedRuns = false, onFocus }) {
    this.state = state;
    this.source = source;
    this.fixedRuns = fixedRuns;
    this.onFocus = onFocus;
    state.adopt(BOARD_STATE);
    this.view = viewOf(state, false, source === "system");
    this.happenings = new Happenings(() => this.#dress());
    this.toolbar = new Toolbar(state, (smooth) => this.#preview(smooth));
    this.grid = new Grid(this);
    this.mattered = new Mattered(state, () => this.#update());
    this.message = h("p", { class: "chart-message", hidden: true });
    this.spoken = h("div", { class: "sr", "aria-live": "polite" });
    const heading = h("h2", { class: "sr" }, "Charts");
    this.el = h("div", { class: "charts" }, heading, this.toolbar.el, this.message, this.grid.el, this.spoken);
    root.append(this.el);
    // What was drawn before the fonts had come was measured with others.
    const fonts = () => this.#redraw();
    document.fonts.addEventListener("loadingdone", fonts);
    this.endings = [
      state.on((changed) => this.#stateChanged(changed)),
      onTheme(() => this.#redraw()),
      () => document.fonts.removeEventListener("loadingdone", fonts),
    ];
    this.#update();
  }

  /**
   * These runs are shown from now on.
   *
   * @param {ChartRun[]} runs those that matter most first
   * @param {number} [every] of so many that fit, where these are a choice of them
   */
  setRuns(runs, every = runs.length) {
    const before = new Set(this.#given.map((run) => run.id));
    const same = runs.length === before.size && runs.every((run) => before.has(run.id));
    [this.#given, this.#every] = [runs, every];
    this.#dress();
    if (same && (this.#known || runs.length)) return;
    void this.#roll();
    if (!this.#metrics.length) this.#update();
    this.#reload();
  }

  /**
   * These runs have new data.
   *
   * @param {string[]|null} ids null: nobody knows which
   */
  refresh(ids) {
    const own = ids?.filter((id) => this.#given.some((run) => run.id === id)) ?? null;
    if (own?.length === 0) return;
    if (own && this.#changed) for (const id of own) this.#changed.add(id);
    else this.#changed = null;
    this.#timer ||= window.setTimeout(() => this.#refreshNow(), REFRESH_MS);
  }

  destroy() {
    clearTimeout(this.#timer);
    this.#rolling?.abort();
    for (const end of this.endings) end();
    this.frames.stop();
    this.grid.destroy();
    this.mattered.destroy();
    this.tooltip.remove();
    this.el.remove();
  }

  #refreshNow() {
    const changed = this.#changed && [...this.#changed];
    this.#changed = new Set();
    this.#timer = 0;
    this.store.touch(changed);
    this.happenings.touch(changed);
    this.mattered.touch();
    this.#dress();
    if (!this.#rolling) void this.#roll();
    for (const panel of this.grid.panels.values()) panel.renew();
  }

  /** Asks which metrics there are. */
  async #roll() {
    this.#rolling?.abort();
    const { signal } = (this.#rolling = new AbortController());
    const runs = this.#given.map((run) => run.id);
    try {
      const found = await roll(runs, signal);
      if (signal.aborted) return;
      [this.#rolling, this.#trouble] = [null, ""];
      this.#metrics = found.metrics.filter((metric) => metric.source === this.source);
      this.#axes = this.source === "system" ? TIMES : found.axes;
      this.#known = true;
      this.#update();
    } catch (error) {
      if (signal.aborted) return;
      this.#rolling = null;
      this.#trouble = `The list of metrics could not be loaded: ${/** @type {Error} */ (error).message}`;
      this.#update();
    }
  }

  /** @param {Set<string>} changed keys of the state */
  #stateChanged(changed) {
    const some = (/** @type {string[]} */ keys) => keys.some((key) => changed.has(key));
    if (!some([...DATA, ...LOOKS, ...ORDER])) return;
    this.#update();
    if (changed.has("x")) this.#dress();
    if (some(DATA)) this.#reload();
    if (some(DATA) || some(LOOKS)) this.#redraw();
  }

  /** The toolbar, the order of the panels, and what is said where there are none. */
  #update() {
    const grouped = new Set(this.#given.map((run) => run.group).filter((group) => group !== null)).size > 0;
    this.view = viewOf(this.state, grouped, this.source === "system");
    if (this.toolbar.sliding !== null) this.view.smooth = this.toolbar.sliding;
    const colours = this.fixedRuns ? "" : coloursOf(this.#given, this.view.mean, this.#every);
    this.toolbar.update(this.view, {
      metrics: this.#known ? this.#metrics.length : null,
      axes: this.#axes,
      groups: grouped,
      colours,
    });
    const filter = this.state.get("metrics").trim();
    const wish = { looks: this.looks(), first: this.#sorted(), watched: watched(), filter };
    const sections = arrange(this.#metrics, wish);
    const mattered = this.#matters(sections.flatMap((section) => section.specs)) ? this.mattered.el : null;
    this.grid.update(sections, { mattered, filtered: filter !== "" });
    this.#say(this.#trouble || (sections.length ? "" : this.#nothing(filter)));
  }

  /** @param {string} filter */
  #nothing(filter) {
    if (this.#rolling) return this.#given.length ? "Reading what these runs have logged…" : "";
    if (!this.#known) return "";
    if (!this.#given.length) return "No runs are shown.";
    if (this.#metrics.length) return `No metric fits “${filter}”.`;
    const what = this.source === "system" ? "samples of the machine" : "metrics";
    return this.#given.length === 1 ? `This run has no ${what} yet.` : `These runs have no ${what} yet.`;
  }

  /** @param {string} text */
  #say(text) {
    this.message.hidden = !text;
    this.message.textContent = text;
  }

  /** The metric that the table is sorted by. */
  #sorted() {
    return String(this.state.get("sort") ?? "")
      .replace(/^-/, "")
      .replace(/^metrics?\./, "");
  }

  /**
   * Configuration is held against the metric that the table is sorted by, else that of the first panel.
   *
   * @param {Spec[]} specs in their order
   */
  #matters(specs) {
    if (this.fixedRuns || this.source !== "metrics" || this.state.get("filter") === undefined) return false;
    const against = specs.find(({ key }) => key === this.#sorted()) ?? specs[0];
    return this.mattered.update(this.#given, against?.key ?? null);
  }

  /** Runs with the events that are to be marked. */
  #dress() {
    const timed = this.view.x === "time" || this.view.x === "relative";
    const alone = this.#given.length === 1;
    this.runs = this.#given.map((run) => this.happenings.of(run, timed && (alone || run.focus)));
    this.#update();
    this.#redraw();
  }

  #reload() {
    for (const panel of this.grid.panels.values()) panel.refresh();
  }

  #redraw() {
    for (const panel of this.grid.panels.values()) panel.redraw();
  }

  /** @param {number} smooth as the slider is dragged; the address follows when it is let go */
  #preview(smooth) {
    this.view = { ...this.view, smooth };
    this.#redraw();
  }

  // What panels ask of their board.

  /** @param {Panel} panel */
  drawn(panel) {
    performance.mark("whirr-panel-drawn", { detail: panel.spec.key });
    if (this.cursor.panel === panel) this.frames.ask("cursor", () => this.#drawCursor());
  }

  /**
   * @param {Panel|null} panel
   * @param {number|null} at
   * @param {number|null} py
   * @param {{x: number, y: number}} pointer
   */
  point(panel, at, py, pointer) {
    this.cursor = { at, panel, py, pointer };
    this.frames.ask("cursor", () => this.#drawCursor());
  }

  #drawCursor() {
    for (const panel of this.grid.panels.values()) if (panel.visible) panel.drawCursor();
    const told = this.cursor.panel?.reading();
    if (!told) return this.tooltip.hide();
    this.tooltip.show(content(told), this.cursor.pointer.x, this.cursor.pointer.y);
  }

  /** @param {[number, number]|null} range */
  zoom(range) {
    this.state.set({ x: this.view.x, zoom: writeZoom(range) }, { push: true });
  }

  /** @param {string} run */
  focus(run) {
    if (this.onFocus) this.onFocus(run);
    else if (this.state.get("focus") !== undefined) this.state.set({ focus: run }, { push: true });
  }

  /** @param {string} text */
  say(text) {
    this.spoken.textContent = text;
  }

  looks() {
    return readLooks(this.state.get("panels"));
  }

  /** @param {string} key @returns {Look} */
  look(key) {
    return this.looks().get(key) ?? { size: null, pinned: false };
  }

  /**
   * @param {string} key
   * @param {Partial<Look>} change
   */
  setLook(key, change) {
    const looks = this.looks();
    looks.set(key, { ...this.look(key), ...change });
    if (change.pinned || (change.size && change.size !== "s")) watch(key);
    this.state.set({ panels: writeLooks(looks) });
  }
}

/**
 * @param {ChartRun[]} runs
 * @param {boolean} mean
 * @param {number} every
 */
function coloursOf(runs, mean, every) {
  if (!runs.length) return "";
  const some = every > runs.length;
  const count = (/** @type {number} */ number) => number.toLocaleString("en-US");
  if (mean) {
    const groups = plural(new Set(runs.map((run) => run.group)).size, "group");
    return some ? `${groups}, of ${count(runs.length)} of ${count(every)} runs` : groups;
  }
  const coloured = runs.filter((run) => run.colour).length;
  const context = runs.length - coloured;
  const told = context ? `${coloured} in colour, ${context} as context` : `${coloured} in colour`;
  return some ? `${told}, of ${count(every)} runs` : told;
}
