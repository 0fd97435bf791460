// The box beside the cursor.

import { h, s } from "../lib/dom.js";
import { number, plural } from "../lib/format.js";
import { DASHES } from "./paint.js";
import { differing, flat } from "./hover.js";
import { position } from "./ticks.js";

/** @typedef {import("./hover.js").Reading} Reading */
/** @typedef {import("./types.js").Mark} Mark */

const DISTANCE = 16;
const MOST_KEYS = 4;

/**
 * A stroke as the line is drawn.
 *
 * @param {number|null} colour
 * @param {number} dash
 */
export function swatch(colour, dash) {
  const stroke = colour ? `var(--s${colour})` : "var(--ctx)";
  const line = s("path", {
    d: "M1 7h12",
    "stroke-width": colour ? 3 : 1.8,
    "stroke-linecap": "round",
    style: { stroke },
  });
  if (dash) line.setAttribute("stroke-dasharray", DASHES[dash % DASHES.length].map((part) => part * 0.8).join(" "));
  return s("svg", { class: "sw", viewBox: "0 0 14 14", width: 14, height: 14, "aria-hidden": "true" }, line);
}

/**
 * @param {{axis: string, at: number, pixel: number, few: Reading[], all: Reading[], marks: Mark[]}} shown
 * @returns {HTMLElement[]}
 */
export function content({ axis, at, pixel, few, all, marks }) {
  const count =
    all.length > few.length
      ? `${few.length} nearest of ${all.length}`
      : plural(all.length, all[0]?.line.sd ? "group" : "run");
  /** @type {HTMLElement[]} */
  const parts = [
    h("h6", null, h("span", null, position(axis, at, pixel)), h("span", null, all.length ? count : "no values here")),
  ];
  for (const one of few) parts.push(row(one));
  for (const mark of marks.slice(0, 3)) parts.push(h("small", { class: `mark ${mark.kind}` }, mark.text));
  const differs = difference(few);
  if (differs) parts.push(h("small", null, differs));
  return parts;
}

/** @param {Reading} reading */
function row({ line, value, raw, sd }) {
  const beside = sd !== null ? `± ${number(sd, 3)}` : raw !== null && !Number.isNaN(raw) ? number(raw, 3) : "";
  const name = line.sd ? `${line.label} (${line.count})` : line.label;
  return h(
    "div",
    { class: line.focus ? "row f" : "row" },
    swatch(line.colour, line.dash),
    h("span", { class: "cut" }, name),
    h("span", null, number(value, 4)),
    h("span", null, beside),
  );
}

/** @param {Reading[]} few */
function difference(few) {
  const configs = few.flatMap(({ line }) => (line.run ? [flat(line.run.config)] : []));
  if (configs.length < 2) return "";
  const keys = differing(configs);
  if (!keys.length) return "";
  const more = keys.length > MOST_KEYS ? ` and ${keys.length - MOST_KEYS} more` : "";
  return `differs in ${keys.slice(0, MOST_KEYS).join(", ")}${more}`;
}

/** One for a board: it lies above everything, also above a panel that fills the screen. */
export class Tooltip {
  constructor() {
    this.el = h("div", { class: "chart-tip", popover: "manual", "aria-hidden": "true" });
  }

  /**
   * @param {HTMLElement[]} parts
   * @param {number} x of the cursor in the window
   * @param {number} y
   */
  show(parts, x, y) {
    this.el.replaceChildren(...parts);
    if (!this.el.isConnected) document.body.append(this.el);
    if (!this.el.matches(":popover-open")) this.el.showPopover();
    const { offsetWidth: width, offsetHeight: height } = this.el;
    const left = x + DISTANCE + width < innerWidth - 8 ? x + DISTANCE : Math.max(8, x - DISTANCE - width);
    const top = Math.min(Math.max(8, y - height / 2), innerHeight - height - 8);
    this.el.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  hide() {
    if (this.el.isConnected && this.el.matches(":popover-open")) this.el.hidePopover();
  }

  remove() {
    this.el.remove();
  }
}
