// One chart: loads its curves when it is seen, draws them, and follows the cursor.

import { clear, h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { pen, scaled } from "./canvas.js";
import { card } from "./card.js";
import { measuring } from "./exporting.js";
import { gestures } from "./gestures.js";
import { marksAt, nearestFew, paintCursor, readings } from "./hover.js";
import { groupLines, runLines, shownRange } from "./lines.js";
import { eventMarks } from "./marks.js";
import { paint } from "./paint.js";
import { layout } from "./scene.js";
import { subjects } from "./subjects.js";
import { position } from "./ticks.js";
import { about } from "./words.js";

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {import("./types.js").Series} Series */
/** @typedef {import("./types.js").Query} Query */
/** @typedef {import("./types.js").View} View */
/** @typedef {import("./subjects.js").Spec} Spec */
/** @typedef {import("./scene.js").Scene} Scene */

/**
 * @typedef {object} Host the board, as its panels see it
 * @property {View} view
 * @property {ChartRun[]} runs
 * @property {import("./curves.js").CurveStore} store
 * @property {import("./frames.js").Frames} frames
 * @property {{at: number|null, panel: Panel|null, py: number|null, pointer: {x: number, y: number}}} cursor
 * @property {import("./tooltip.js").Tooltip} tooltip
 * @property {(panel: Panel|null, at: number|null, py: number|null, pointer: {x: number, y: number}) => void} point
 * @property {(range: [number, number]|null) => void} zoom
 * @property {(run: string) => void} focus
 * @property {(text: string) => void} say to a screen reader
 * @property {(key: string) => import("./panels.js").Look} look
 * @property {(key: string, look: Partial<import("./panels.js").Look>) => void} setLook
 * @property {(panel: Panel) => void} drawn
 */

/** So far from a curve a click still means it. */
const PICK = 24;
const measure = measuring();

export class Panel {
  /** @type {Map<string, Series>} */
  curves = new Map();
  /** @type {Scene|null} */
  scene = null;
  visible = false;
  stale = true;
  axis = "";
  width = 0;
  height = 0;
  /** @type {AbortController|null} */
  #loading = null;
  #cursorDrawn = false;
  #busy = false;
  #again = false;

  /**
   * @param {Host} host
   * @param {Spec} spec
   */
  constructor(host, spec) {
    this.host = host;
    this.spec = spec;
    this.parts = card(this);
    this.el = this.parts.el;
    this.#listen();
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(this.parts.plot);
  }

  destroy() {
    this.#loading?.abort();
    this.resizing.disconnect();
    this.el.remove();
  }

  /** @param {boolean} visible or nearly so */
  show(visible) {
    this.visible = visible;
    if (visible) return this.resize();
    // Hundreds of canvases out of sight would hold hundreds of megabytes.
    [this.width, this.height] = [0, 0];
    for (const canvas of [this.parts.canvas, this.parts.overlay]) scaled(canvas, 0, 0);
  }

  /** What is asked for has changed. */
  refresh() {
    this.stale = true;
    if (this.visible) this.load();
  }

  /** Its runs may have grown; an answer that is under way is awaited, for news come faster than a slow server answers. */
  renew() {
    if (this.#busy) this.#again = true;
    else this.refresh();
  }

  /** What is to be seen of its data has changed. */
  redraw() {
    if (this.visible && this.el.dataset.state === "drawn") {
      this.host.frames.ask(this, () => this.#current() && this.draw());
    } else if (!this.#busy) this.stale = true; // one that waits for its curves is drawn when they come
  }

  /** Whether its curves are those of the x axis that is wished for: others stay as they were drawn until those have come. */
  #current() {
    return this.axis === this.host.view.x && this.el.dataset.state === "drawn";
  }

  /** @param {string} metric @returns {Query} */
  query(metric) {
    const [from, to] = this.host.view.zoom ?? [null, null];
    // Least and greatest of each stretch: two points for three pixels are as good as all.
    const wide = this.width > 1300 ? 1600 : this.width > 660 ? 800 : 400;
    const points = this.host.view.mean ? Math.min(wide, pointsOfMany(this.host.runs.length)) : wide;
    return { metric, source: this.spec.source, x: this.host.view.x, from, to, points };
  }

  async load() {
    if (!this.width) return;
    this.stale = false;
    this.#loading?.abort();
    const { signal } = (this.#loading = new AbortController());
    const axis = this.host.view.x;
    this.#busy = true;
    this.#again = false;
    this.el.setAttribute("aria-busy", "true");
    try {
      const curves = await this.#fetch(signal);
      if (signal.aborted) return;
      [this.curves, this.axis] = [curves, axis];
      this.fail(null);
      this.host.frames.ask(this, () => this.draw());
    } catch (error) {
      if (!signal.aborted) this.fail(/** @type {Error} */ (error));
    } finally {
      if (!signal.aborted) this.#loaded();
    }
  }

  #loaded() {
    this.#busy = false;
    this.el.removeAttribute("aria-busy");
    if (this.#again) this.refresh();
  }

  /** @param {AbortSignal} signal */
  async #fetch(signal) {
    const wanted = subjects(this.spec, this.host.runs);
    const ids = [...new Set(wanted.map((one) => one.id))];
    const answers = await Promise.all(
      this.spec.metrics.map(async ({ name }) => [name, await this.host.store.load(this.query(name), ids, signal)]),
    );
    const byMetric = /** @type {Map<string, Map<string, Series>>} */ (new Map(/** @type {any} */ (answers)));
    const found = wanted.flatMap(({ metric, id, run }) => {
      const series = byMetric.get(metric)?.get(id);
      return series ? [/** @type {[string, Series]} */ ([run.id, series])] : [];
    });
    return new Map(found);
  }

  /** @param {Error|null} error */
  fail(error) {
    this.parts.message.hidden = !error;
    if (!error) return;
    this.el.dataset.state = "failed";
    const again = h("button", { class: "btn", type: "button", onclick: () => this.refresh() }, "Try again");
    clear(this.parts.message).append(h("p", null, `This chart could not be loaded: ${error.message}`), again);
  }

  /** The lines and all that goes with them, for the panel itself and for files. */
  content() {
    const { view } = this.host;
    const runs = subjects(this.spec, this.host.runs).map((one) => one.run);
    const told = this.host.runs.length === 1 ? this.host.runs[0] : this.host.runs.find((run) => run.focus);
    const own = [...this.curves.values()].find((series) => series.run === told?.id);
    const events = told ? eventMarks(told, view.x, own?.zero ?? null) : [];
    const shown = shownRange(this.curves.values(), view, events);
    const make = view.mean && this.spec.metrics.length === 1 ? groupLines : runLines;
    return { lines: make(runs, this.curves, view, shown), events, view, shown };
  }

  draw() {
    if (!this.width || !this.height) return;
    const content = this.content();
    const some = content.lines.some((line) => line.x.length);
    this.el.dataset.state = some ? "drawn" : "empty";
    this.parts.message.hidden = some;
    if (!some)
      clear(this.parts.message).append(h("p", null, this.host.view.zoom ? "Nothing within the zoom" : "No values"));
    this.scene = layout(content, { width: this.width, height: this.height }, measure);
    paint(this.#wiped(this.parts.canvas), this.scene);
    this.#describe();
    this.drawCursor();
    this.host.drawn(this);
  }

  #describe() {
    const { hint, note, more, label } = about(this);
    this.parts.hint.textContent = hint;
    this.parts.note.textContent = note;
    this.parts.note.title = more;
    this.parts.plot.setAttribute("aria-label", label);
  }

  /** The cursor of the board, where it lies in this panel. */
  drawCursor() {
    const { at, panel } = this.host.cursor;
    if (at === null && !this.#cursorDrawn) return;
    const over = this.#wiped(this.parts.overlay);
    this.#cursorDrawn = at !== null;
    if (at !== null && this.scene && this.#current()) paintCursor(over, this.scene, at, panel === this);
  }

  /** @param {HTMLCanvasElement} canvas */
  #wiped(canvas) {
    const wiped = pen(canvas);
    wiped.clearRect(0, 0, this.width, this.height);
    return wiped;
  }

  /** What the tooltip shows: the few nearest, all, and marks at the cursor. */
  reading() {
    const { at, py } = this.host.cursor;
    if (at === null || !this.scene || !this.#current()) return null;
    const all = readings(this.scene, at);
    return {
      axis: this.host.view.x,
      at,
      pixel: this.scene.x.pixel,
      all,
      few: nearestFew(all, py),
      marks: marksAt(this.scene, at),
    };
  }

  announce() {
    const told = this.reading();
    if (!told) return;
    const values = told.few.map(({ line, value }) => `${line.label} ${number(value, 4)}`);
    this.host.say(
      [position(told.axis, told.at, told.pixel), ...values, ...told.marks.map((mark) => mark.text)].join(", "),
    );
  }

  resize() {
    if (!this.visible) return;
    const { clientWidth: width, clientHeight: height } = this.parts.plot;
    if (width === this.width && height === this.height) return;
    const points = this.width ? this.query("").points : null;
    [this.width, this.height] = [width, height];
    for (const canvas of [this.parts.canvas, this.parts.overlay]) scaled(canvas, width, height);
    if (!width || !height) return;
    // At once: a canvas that was resized is empty until it is drawn.
    if (this.#current()) this.draw();
    if (this.stale || (points && this.query("").points !== points)) this.refresh();
  }

  #listen() {
    const { host } = this;
    gestures(this.parts.plot, {
      scene: () => (this.#current() ? this.scene : null),
      point: (at, py, pointer) => host.point(this, at, py, pointer),
      leave: () => host.point(null, null, null, { x: 0, y: 0 }),
      zoom: (range) => host.zoom(range),
      pick: (py, at) => this.#pick(py, at),
      select: (range) => this.#select(range),
      announce: () => host.frames.ask(`say ${this.spec.key}`, () => this.announce()),
    });
  }

  /**
   * @param {number} py
   * @param {number} at
   */
  #pick(py, at) {
    if (!this.scene) return;
    const near = readings(this.scene, at).filter((one) => one.line.run && Math.abs(one.py - py) <= PICK);
    near.sort((a, b) => Math.abs(a.py - py) - Math.abs(b.py - py));
    const series = near[0]?.line.series;
    if (series) this.host.focus(series.run);
  }

  /** @param {[number, number]|null} range pixels */
  #select(range) {
    const { band } = this.parts;
    band.hidden = !range;
    if (!range || !this.scene) return;
    band.style.left = `${range[0]}px`;
    band.style.width = `${range[1] - range[0]}px`;
  }
}

/**
 * Points of each of many runs, of which the mean is drawn: steps, so that one run more does not ask for all of them anew.
 *
 * @param {number} runs
 */
const pointsOfMany = (runs) => (runs > 200 ? 100 : runs > 100 ? 200 : Infinity);
