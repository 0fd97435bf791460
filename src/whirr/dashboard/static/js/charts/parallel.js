// Parallel coordinates: each run a line over its configuration, ending at its result.

import { clear, h, s } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { ends, expression, share, valueAt, within } from "./axes.js";
import { fit } from "./labels.js";

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {import("./axes.js").Axis} Axis */

const TOP = 36;
const BOTTOM = 18;
const SIDE = 44;
const GRIP = 6;
const KEY_STEP = 0.05;
const NEAR_END = 0.03;
/** Lines of the same category are set apart by so many pixels at most. */
const APART = 5;

/** @typedef {{axis: Axis, from: number, to: number}} Brush */

/** Draws runs over axes; dragging along an axis chooses runs. */
export class Parallel {
  /** @type {ChartRun[]} */
  #runs = [];
  /** @type {Axis[]} */
  #axes = [];
  /** @type {Brush|null} */
  #brush = null;
  #width = 0;
  #height = 0;

  /**
   * @param {HTMLElement} root
   * @param {{onBrush?: (filter: string, key: string) => void}} [options] onBrush is given the filter that keeps the chosen runs
   */
  constructor(root, { onBrush } = {}) {
    this.onBrush = onBrush;
    this.svg = s("svg", {
      class: "parallel",
      role: "group",
      "aria-label": "Parallel coordinates of configuration and result",
    });
    this.root = root;
    root.append(this.svg);
    this.resizing = new ResizeObserver(() => this.#draw());
    this.resizing.observe(root);
  }

  /**
   * @param {ChartRun[]} runs
   * @param {Axis[]} axes from `axesOf`
   */
  set(runs, axes) {
    this.#runs = runs;
    this.#axes = axes;
    const brushed = this.#brush?.axis.key;
    if (brushed && !axes.some((axis) => axis.key === brushed)) this.#brush = null;
    this.#draw();
  }

  destroy() {
    this.resizing.disconnect();
    this.svg.remove();
  }

  #draw() {
    [this.#width, this.#height] = [this.root.clientWidth, this.root.clientHeight];
    if (!this.#width || !this.#axes.length) return void clear(this.svg);
    this.svg.setAttribute("viewBox", `0 0 ${this.#width} ${this.#height}`);
    clear(this.svg).append(...this.#lines(), ...this.#axes.map((axis, i) => this.#axis(axis, i)));
  }

  /** @param {number} index of an axis */
  #x(index) {
    return SIDE + (index * (this.#width - 2 * SIDE)) / Math.max(1, this.#axes.length - 1);
  }

  /** @param {number} at 0 to 1 */
  #y(at) {
    return TOP + (1 - at) * (this.#height - TOP - BOTTOM);
  }

  #lines() {
    const runs = this.#runs.map((run, i) => ({ run, i, kept: this.#kept(i) }));
    const rank = (/** @type {{run: ChartRun, kept: boolean}} */ { run, kept }) =>
      (kept ? 4 : 0) + (run.colour ? 1 : 0) + (run.focus ? 2 : 0);
    return runs.sort((a, b) => rank(a) - rank(b)).map(({ run, i, kept }) => this.#line(run, i, kept));
  }

  /** @param {number} i of a run */
  #kept(i) {
    const brush = this.#brush;
    return !brush || within(brush.axis, brush.axis.values[i], brush.from, brush.to);
  }

  /**
   * @param {ChartRun} run
   * @param {number} i
   * @param {boolean} kept by the brush
   */
  #line(run, i, kept) {
    const coloured = kept && (run.colour || run.focus);
    const stroke = !coloured ? "var(--ctx)" : run.colour ? `var(--s${run.colour})` : "var(--ink)";
    const look = {
      d: this.#path(i),
      fill: "none",
      "stroke-width": coloured ? (run.focus ? 2.6 : 1.7) : 1,
      opacity: coloured ? 1 : kept ? 0.75 : 0.35,
    };
    return s("path", { ...look, class: "run", style: { stroke } }, s("title", null, run.name));
  }

  /** @param {number} i of a run */
  #path(i) {
    let path = "";
    /** @type {[number, number]|null} */
    let before = null;
    this.#axes.forEach((axis, index) => {
      const at = share(axis, axis.values[i]);
      if (at === null) return void (before = null);
      const [x, y] = [this.#x(index), this.#y(at) + (axis.kind === "category" ? this.#apart(i) : 0)];
      const bend = before ? (x - before[0]) * 0.42 : 0;
      path += before ? `C${before[0] + bend} ${before[1]} ${x - bend} ${y} ${x} ${y}` : `M${x} ${y}`;
      before = [x, y];
    });
    return path;
  }

  /** @param {number} i of a run */
  #apart(i) {
    return (((i * 7) % 9) / 4 - 1) * APART;
  }

  /**
   * @param {Axis} axis
   * @param {number} index
   */
  #axis(axis, index) {
    const x = this.#x(index);
    const [top, bottom] = [TOP - 3, this.#height - BOTTOM + 3];
    const room = this.#axes.length > 1 ? this.#x(1) - this.#x(0) - 8 : this.#width;
    const [low, high] = ends(axis);
    const cut = (/** @type {string} */ text) => fit(text, room, (part) => part.length * 6.1);
    const about = axis.r === null ? axis.key : `${axis.key}: rank correlation ${number(axis.r, 2)}`;
    const grip = this.#grip(axis, x, top, bottom);
    return s(
      "g",
      { class: axis.target ? "axis target" : "axis" },
      s("text", { class: "name", x, y: 13, "text-anchor": "middle" }, cut(axis.title), s("title", null, about)),
      s("text", { x, y: TOP - 8, "text-anchor": "middle" }, cut(high)),
      s("text", { x, y: this.#height - 3, "text-anchor": "middle" }, cut(low)),
      s("line", { x1: x, x2: x, y1: top, y2: bottom }),
      ...this.#brushed(axis, x),
      grip,
    );
  }

  /**
   * @param {Axis} axis
   * @param {number} x
   */
  #brushed(axis, x) {
    const brush = this.#brush;
    if (brush?.axis.key !== axis.key) return [];
    const y = this.#y(brush.to) - 3;
    return [s("rect", { class: "brush", x: x - GRIP, y, width: 2 * GRIP, height: this.#y(brush.from) + 3 - y, rx: 3 })];
  }

  /**
   * The part of an axis that takes hold of pointer and keyboard.
   *
   * @param {Axis} axis
   * @param {number} x
   * @param {number} top
   * @param {number} bottom
   */
  #grip(axis, x, top, bottom) {
    const look = {
      class: "grip",
      x: x - 2 * GRIP,
      y: top,
      width: 4 * GRIP,
      height: bottom - top,
      rx: 4,
      dataset: { axis: axis.key },
    };
    const value = this.#spoken(axis);
    const grip = s("rect", {
      ...look,
      ...value,
      tabindex: 0,
      role: "slider",
      "aria-orientation": "vertical",
      "aria-label": `Filter by ${axis.title}`,
    });
    /** @type {number|null} */
    let start = null;
    const place = (/** @type {PointerEvent} */ event) => this.#place(event);
    grip.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      start = place(event);
      this.#drag(axis, start, place);
      event.preventDefault();
    });
    grip.addEventListener("keydown", (event) => this.#key(axis, event));
    return grip;
  }

  /** @param {PointerEvent} event @returns {number} 0 to 1 */
  #place(event) {
    const y = event.clientY - this.svg.getBoundingClientRect().top;
    return Math.min(1, Math.max(0, 1 - (y - TOP) / (this.#height - TOP - BOTTOM)));
  }

  /**
   * Follows the pointer until it is let go: on the window, as each redraw replaces the axis itself.
   *
   * @param {Axis} axis
   * @param {number} start
   * @param {(event: PointerEvent) => number} place
   */
  #drag(axis, start, place) {
    const stop = new AbortController();
    const { signal } = stop;
    const move = (/** @type {PointerEvent} */ event) => {
      const at = place(event);
      this.#brush = { axis, from: snapped(Math.min(start, at)), to: snapped(Math.max(start, at)) };
      this.#draw();
    };
    const end = (/** @type {PointerEvent} */ event) => {
      stop.abort();
      const moved = Math.abs(place(event) - start) > 0.02;
      if (moved) this.#tell();
      else this.#clear();
    };
    addEventListener("pointermove", move, { signal });
    addEventListener("pointerup", end, { signal });
    addEventListener("pointercancel", () => (stop.abort(), this.#clear()), { signal });
  }

  /**
   * Up and down move the lower end, with shift the upper one; Enter filters, Escape lets go.
   *
   * @param {Axis} axis
   * @param {KeyboardEvent} event
   */
  #key(axis, event) {
    const current = this.#brush?.axis.key === axis.key ? this.#brush : { axis, from: 0, to: 1 };
    const step = { ArrowUp: KEY_STEP, ArrowDown: -KEY_STEP }[event.key];
    if (event.key === "Enter") this.#tell();
    else if (event.key === "Escape") this.#clear();
    else if (step && event.shiftKey)
      this.#brush = { ...current, to: Math.min(1, Math.max(current.from, current.to + step)) };
    else if (step) this.#brush = { ...current, from: Math.max(0, Math.min(current.to, current.from + step)) };
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.#draw();
    for (const grip of this.svg.querySelectorAll(".grip")) {
      if (/** @type {SVGElement} */ (grip).dataset.axis === axis.key) /** @type {SVGElement} */ (grip).focus();
    }
  }

  #tell() {
    const brush = this.#brush;
    if (brush) this.onBrush?.(expression(brush.axis, brush.from, brush.to), brush.axis.key);
  }

  #clear() {
    this.#brush = null;
    this.#draw();
  }

  /**
   * @param {Axis} axis
   * @returns {Record<string, string|number>}
   */
  #spoken(axis) {
    const brush = this.#brush?.axis.key === axis.key ? this.#brush : { from: 0, to: 1 };
    const name = (/** @type {number} */ at) =>
      axis.kind === "category" ? axis.categories[Math.round(at * axis.hi)] : number(valueAt(axis, at), 3);
    return {
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": Math.round(brush.from * 100),
      "aria-valuetext": `from ${name(brush.from)} to ${name(brush.to)}`,
    };
  }
}

/**
 * To the end of an axis, where that is near: who drags to the end means all beyond.
 *
 * @param {number} at 0 to 1
 */
const snapped = (at) => (at < NEAR_END ? 0 : at > 1 - NEAR_END ? 1 : at);

/**
 * What parallel coordinates stand in: a card like those of the charts.
 *
 * @param {string} title
 * @returns {{el: HTMLElement, plot: HTMLElement, note: HTMLElement}}
 */
export function parallelCard(title) {
  const note = h("em", { class: "cut" });
  const plot = h("div", { class: "plot" });
  const head = h(
    "div",
    { class: "ch" },
    h("h3", null, title),
    h("span", { class: "hint" }, "drag on an axis to filter"),
    note,
  );
  return {
    el: h("section", { class: "card chart mattered", dataset: { size: "l" }, "aria-label": title }, head, plot),
    plot,
    note,
  };
}
