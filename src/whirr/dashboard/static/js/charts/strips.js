// The machine under a run at a glance: GPUs as heat, the rest as small curves.

import { clear, h } from "../lib/dom.js";
import { live } from "../lib/live.js";
import { aggregate } from "./aggregate.js";
import { CurveStore } from "./curves.js";
import { ink } from "./ink.js";
import { roll } from "./roll.js";
import { chosen } from "./samples.js";
import { onTheme } from "../lib/theme.js";
import { scaled } from "./canvas.js";
import { Scale } from "./scale.js";

/** @typedef {import("./types.js").Series} Series */
/** @typedef {import("./types.js").Query} Query */
/** @typedef {import("./samples.js").Sample} Sample */

const POINTS = 240;
const REFRESH_MS = 10_000;
const CELL = 5;
/** Percent of use. */
const IDLE = 10;

/** @typedef {{sample: Sample, el: HTMLElement, value: HTMLElement, canvas: HTMLCanvasElement, found: Map<string, Series>, series: Series[], full: number}} Strip */

/** Follows the samples of one run. */
export class Strips {
  /** @type {Strip[]} */
  #strips = [];
  #store = new CurveStore();
  #stop = new AbortController();
  #timer = 0;

  /**
   * @param {HTMLElement} root
   * @param {string} runId
   */
  constructor(root, runId) {
    this.run = runId;
    this.message = h("p", { class: "soft strips-none", hidden: true });
    this.el = h("div", { class: "strips" }, this.message);
    root.append(this.el);
    this.resizing = new ResizeObserver(() => this.#draw());
    this.resizing.observe(this.el);
    const heard = live.on("runs", ({ changed }) => (changed === null || changed.includes(runId)) && this.refresh());
    this.endings = [heard, onTheme(() => this.#draw())];
    void this.#ask();
  }

  destroy() {
    clearTimeout(this.#timer);
    this.#stop.abort();
    this.resizing.disconnect();
    for (const end of this.endings) end();
    this.el.remove();
  }

  /** There may be new samples: they come every ten seconds, other news of a run far more often. */
  refresh() {
    this.#timer ||= window.setTimeout(() => {
      this.#timer = 0;
      void this.#ask();
    }, REFRESH_MS);
  }

  async #ask() {
    const { signal } = this.#stop;
    this.#store.touch(null);
    try {
      const { metrics } = await roll([this.run], signal);
      this.#arrange(chosen(metrics));
      await Promise.all(this.#strips.map((strip) => this.#load(strip, signal)));
      this.#tell();
      this.#say(this.#strips.length ? "" : "No samples of the machine yet.");
      this.#draw();
    } catch (error) {
      if (!signal.aborted) this.#say(`The samples could not be loaded: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** @param {string} text */
  #say(text) {
    this.message.hidden = !text;
    this.message.textContent = text;
  }

  /** @param {Sample[]} samples */
  #arrange(samples) {
    const before = this.#strips.map(({ sample }) => [sample.title, ...sample.names].join());
    if (before.join("\n") === samples.map((sample) => [sample.title, ...sample.names].join()).join("\n")) return;
    this.#strips = samples.map((sample) => {
      const value = h("b");
      const canvas = h("canvas", { role: "img", "aria-label": sample.title });
      const el = h(
        "div",
        { class: sample.heat ? "strip heat" : "strip" },
        h("div", { class: "head" }, h("span", null, sample.title), value),
        h("div", { class: "plot" }, canvas),
      );
      return { sample, el, value, canvas, found: new Map(), series: [], full: 0 };
    });
    clear(this.el).append(this.message, ...this.#strips.map((strip) => strip.el));
  }

  /**
   * @param {Strip} strip
   * @param {AbortSignal} signal
   */
  async #load(strip, signal) {
    const { names, totals, full } = strip.sample;
    strip.found = await this.#series(strip, names, signal);
    // What there is of it does not change.
    if (!strip.full) strip.full = Math.max(full, ...lasts([...(await this.#series(strip, totals, signal)).values()]));
  }

  /** Says the last values: of the GPUs at work, where others of the machine stand idle. */
  #tell() {
    const heat = this.#strips.find((strip) => strip.sample.heat);
    const idle = idleGpus(heat?.found ?? new Map());
    for (const strip of this.#strips) {
      strip.series = [...strip.found].flatMap(([name, series]) => (idle.has(gpuOf(name)) ? [] : [series]));
      const text = strip.sample.say(lasts(strip.series), strip.full);
      strip.value.textContent = text;
      strip.canvas.setAttribute("aria-label", `${strip.sample.title}: now ${text || "unknown"}`);
    }
  }

  /**
   * @param {Strip} strip
   * @param {string[]} names
   * @param {AbortSignal} signal
   * @returns {Promise<Map<string, Series>>} by name
   */
  async #series({ sample }, names, signal) {
    const query = { source: sample.source, x: "relative", from: null, to: null, points: POINTS };
    const answers = await Promise.all(
      names.map((metric) => this.#store.load({ ...query, metric }, [this.run], signal)),
    );
    return new Map(answers.flatMap((answer, i) => [...answer.values()].map((series) => [names[i], series])));
  }

  #draw() {
    for (const strip of this.#strips) {
      const { clientWidth: width, clientHeight: height } = /** @type {HTMLElement} */ (strip.canvas.parentElement);
      const pen = scaled(strip.canvas, width, height);
      if (!width || !height || !strip.series.length) continue;
      const x = new Scale(...span(strip.series), 0, width);
      if (strip.sample.heat) paintHeat(pen, strip, x, width, height);
      else paintCurve(pen, strip, x, width, height);
    }
  }
}

/**
 * @param {Series[]} series
 * @returns {[number, number]}
 */
function span(series) {
  const first = Math.min(...series.map((one) => one.first));
  const last = Math.max(...series.map((one) => one.last));
  return [first, last > first ? last : first + 1];
}

/** @param {string} name of a sample such as gpu_3_power */
const gpuOf = (name) => name.match(/^gpu_\d+_/)?.[0];

/**
 * GPUs that did next to nothing while others worked: of other jobs, or of nobody.
 *
 * @param {Map<string, Series>} use in percent
 * @returns {Set<string|undefined>}
 */
function idleGpus(use) {
  const most = [...use].map(([name, { y }]) => ({
    gpu: gpuOf(name),
    most: Array.from(y).reduce((a, b) => (b > a ? b : a), 0),
  }));
  if (most.every((one) => one.most < IDLE)) return new Set();
  return new Set(most.filter((one) => one.most < IDLE).map((one) => one.gpu));
}

/** @param {Series[]} series */
const lasts = (series) => series.flatMap((one) => (one.lastY === null ? [] : [one.lastY]));

/**
 * A row for each GPU; the busier, the stronger.
 *
 * @param {CanvasRenderingContext2D} pen
 * @param {Strip} strip
 * @param {Scale} x
 * @param {number} width
 * @param {number} height
 */
function paintHeat(pen, { full, series }, x, width, height) {
  const row = height / series.length;
  const cells = Math.max(1, Math.floor(width / CELL));
  pen.fillStyle = ink().run;
  series.forEach((one, i) => {
    heat(one, x, cells).forEach((value, cell) => {
      const share = Math.min(1, value / (full || 100));
      pen.globalAlpha = Number.isNaN(value) ? 0 : 0.06 + 0.9 * share ** 2;
      const left = Math.round((cell * width) / cells);
      pen.fillRect(
        left,
        Math.round(i * row),
        Math.round(((cell + 1) * width) / cells) - left,
        Math.max(1, Math.round(row) - 2),
      );
    });
  });
  pen.globalAlpha = 1;
}

/**
 * The mean of each cell; one without a point of its own is as the one before, up to the last point.
 *
 * @param {Series} series
 * @param {Scale} x
 * @param {number} cells
 */
function heat(series, x, cells) {
  const sums = new Float64Array(cells);
  const counts = new Float64Array(cells);
  const cellOf = (/** @type {number} */ at) => Math.min(cells - 1, Math.max(0, Math.floor((x.to(at) / x.end) * cells)));
  series.y.forEach((value, i) => {
    if (Number.isNaN(value)) return;
    sums[cellOf(series.x[i])] += value;
    counts[cellOf(series.x[i])] += 1;
  });
  let before = NaN;
  const last = cellOf(series.last);
  return Array.from(sums, (sum, cell) => {
    if (counts[cell]) before = sum / counts[cell];
    return cell < cellOf(series.first) || cell > last ? NaN : before;
  });
}

/**
 * The curve, or the mean of several with a band of one standard deviation.
 *
 * @param {CanvasRenderingContext2D} pen
 * @param {Strip} strip
 * @param {Scale} scale
 * @param {number} width
 * @param {number} height
 */
function paintCurve(pen, { full, series }, scale, width, height) {
  const { x, y, sd } = series.length > 1 ? aggregate(series, scale.lo, scale.hi) : { ...series[0], sd: null };
  const drawn = [...y.keys()].filter((i) => !Number.isNaN(y[i]));
  const greatest = drawn.reduce((most, i) => Math.max(most, y[i]), 0);
  const up = new Scale(0, full || greatest * 1.15 || 1, height - 1, 2);
  const to = (/** @type {number} */ i, /** @type {number} */ value) => pen.lineTo(scale.to(x[i]), up.to(value));
  pen.fillStyle = ink().grid;
  pen.fillRect(0, height - 1, width, 1);
  pen.fillStyle = pen.strokeStyle = ink().ink;
  pen.lineWidth = 1.3;
  pen.lineJoin = "round";
  pen.globalAlpha = 0.07;
  pen.beginPath();
  for (const i of drawn) to(i, y[i]);
  for (const i of [...drawn].reverse()) to(i, 0);
  pen.fill();
  pen.beginPath();
  if (sd) for (const i of drawn) to(i, y[i] + sd[i]);
  if (sd) for (const i of [...drawn].reverse()) to(i, y[i] - sd[i]);
  pen.fill();
  pen.globalAlpha = 0.75;
  pen.beginPath();
  for (const i of drawn) to(i, y[i]);
  pen.stroke();
  pen.globalAlpha = 1;
}
