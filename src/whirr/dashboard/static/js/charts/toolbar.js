// The row above the charts: which metrics, which x, smoothing, toggles.

import { clear, h, s } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { axisName, position } from "./ticks.js";

/** @typedef {import("../lib/state.js").UrlState} UrlState */
/** @typedef {import("./types.js").View} View */

const SHOWN_AXES = /^(step|time|relative|metric:(.*[/_.])?(epochs?|tokens|samples|examples|images))$/;
const TITLES = /** @type {Record<string, string>} */ ({ step: "Step", time: "Time", relative: "Relative" });
const MOST_AXES = 6;
const SMOOTHEST = 0.99;

/** @param {string} axis */
const titleOf = (axis) => TITLES[axis] ?? axisName(axis).replace(/^\w/, (letter) => letter.toUpperCase());

/** @typedef {{metrics: number|null, axes: string[], groups: boolean, colours: string}} Facts */

export class Toolbar {
  /**
   * @param {UrlState} state
   * @param {(smooth: number) => void} preview the slider is being dragged
   */
  constructor(state, preview) {
    this.state = state;
    this.find = this.#find();
    this.axes = h("div", { class: "seg", role: "group", "aria-label": "x axis" });
    this.others = h("select", {
      class: "axes",
      "aria-label": "Other x axes",
      hidden: true,
      onchange: () => this.#choose(this.others.value),
    });
    this.slider = h("input", { type: "range", min: 0, max: SMOOTHEST, step: 0.01, "aria-label": "Smoothing" });
    /** @type {number|null} where the slider is while it is dragged: browsers allow few changes of the address in a second */
    this.sliding = null;
    this.slider.addEventListener("input", () => {
      this.sliding = Number(this.slider.value);
      this.#slid(this.sliding);
      preview(this.sliding);
    });
    this.slider.addEventListener("change", () => {
      this.sliding = null;
      state.set({ smooth: Number(this.slider.value) });
    });
    this.weight = h("output", { class: "weight" });
    this.toggles = /** @type {Record<string, HTMLElement>} */ ({
      raw: this.#toggle("raw", ["Raw", " ghost"], "The curve before smoothing, pale behind it"),
      logy: this.#toggle("logy", ["Log y"], "Logarithmic y axis"),
      clip: this.#toggle(
        "clip",
        ["Clip", " outliers"],
        "A few values far from all others do not decide the range of y",
      ),
      mean: this.#toggle("mean", ["Group mean"], "Mean and standard deviation of each group instead of its runs"),
    });
    this.zoom = h("button", {
      class: "chip zoom",
      type: "button",
      hidden: true,
      onclick: () => state.set({ zoom: "" }, { push: true }),
    });
    this.colours = h("span", { class: "colours" });
    this.el = h(
      "div",
      { class: "chart-tools", role: "group", "aria-label": "How charts are drawn" },
      h("label", { class: "find" }, lens(), this.find),
      this.axes,
      this.others,
      h("label", { class: "smooth" }, h("span", { class: "roomy" }, "Smooth"), this.slider, this.weight),
      ...Object.values(this.toggles),
      this.zoom,
      this.colours,
    );
  }

  #find() {
    const find = h("input", {
      type: "search",
      "aria-label": "Filter metrics",
      autocomplete: "off",
      spellcheck: "false",
    });
    find.addEventListener("input", () => this.state.set({ metrics: find.value }));
    return find;
  }

  /**
   * @param {string} key
   * @param {[string, string?]} text the second part is left out where room is scarce
   * @param {string} title
   */
  #toggle(key, [text, more], title) {
    const change = () => this.state.set({ [key]: !this.state.get(key) });
    return h(
      "button",
      { class: "tg", type: "button", role: "switch", title, onclick: change },
      h("span", null, text, more && h("span", { class: "roomy" }, more)),
    );
  }

  /** @param {string} axis */
  #choose(axis) {
    this.state.set({ x: axis, zoom: "" }, { push: true });
  }

  /**
   * @param {View} view
   * @param {Facts} facts
   */
  update(view, facts) {
    if (document.activeElement !== this.find) this.find.value = this.state.get("metrics");
    this.find.placeholder = facts.metrics === null ? "Filter metrics" : `Filter ${plural(facts.metrics, "metric")}`;
    this.#axes(view.x, facts.axes);
    this.slider.value = String(view.smooth);
    this.#slid(view.smooth);
    for (const [key, toggle] of Object.entries(this.toggles)) {
      toggle.setAttribute("aria-checked", String(view[/** @type {"raw"} */ (key)]));
    }
    this.toggles.mean.hidden = !facts.groups;
    this.toggles.raw.toggleAttribute("disabled", !view.smooth || view.mean);
    this.colours.textContent = facts.colours;
    this.#zoom(view);
  }

  /** @param {number} smooth */
  #slid(smooth) {
    this.slider.style.setProperty("--part", `${(smooth / SMOOTHEST) * 100}%`);
    this.weight.value = smooth ? smooth.toFixed(2) : "off";
  }

  /** @param {View} view */
  #zoom({ zoom, x }) {
    this.zoom.hidden = !zoom;
    if (!zoom) return;
    const [from, to] = zoom.map((at) => position(x, at, (zoom[1] - zoom[0]) / 1000));
    this.zoom.title = `Zoomed from ${from} to ${to}`;
    clear(this.zoom).append("Zoomed ", h("b", null, "×"));
    this.zoom.setAttribute("aria-label", "Leave the zoom");
  }

  /**
   * @param {string} chosen
   * @param {string[]} axes
   */
  #axes(chosen, axes) {
    const known = axes.includes(chosen) ? axes : [...axes, chosen];
    const shown = known.filter((axis) => SHOWN_AXES.test(axis)).slice(0, MOST_AXES);
    const rest = known.filter((axis) => !shown.includes(axis));
    const wanted = JSON.stringify([shown, rest]);
    if (this.axes.dataset.axes !== wanted) {
      this.axes.dataset.axes = wanted;
      clear(this.axes).append(...shown.map((axis) => this.#axis(axis)));
      clear(this.others).append(
        h("option", { value: "" }, "⋯"),
        ...rest.map((axis) => h("option", { value: axis }, axisName(axis))),
      );
    }
    for (const button of this.axes.children)
      button.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (button).dataset.axis === chosen));
    this.others.hidden = !rest.length;
    this.others.value = rest.includes(chosen) ? chosen : "";
  }

  /** @param {string} axis */
  #axis(axis) {
    return h(
      "button",
      { type: "button", dataset: { axis }, "aria-pressed": "false", onclick: () => this.#choose(axis) },
      titleOf(axis),
    );
  }
}

function lens() {
  const look = {
    viewBox: "0 0 16 16",
    width: 12,
    height: 12,
    fill: "none",
    stroke: "currentColor",
    "stroke-width": 1.8,
    "stroke-linecap": "round",
    "aria-hidden": "true",
  };
  return s("svg", look, s("circle", { cx: 7, cy: 7, r: 4.6 }), s("path", { d: "m10.6 10.6 3.2 3.2" }));
}
