// The frame of a panel: title, notes, plot, menu.

import { h, s } from "../lib/dom.js";
import { menu } from "./menu.js";

/** @typedef {import("./panel.js").Panel} Panel */

/**
 * @typedef {object} Parts
 * @property {HTMLElement} el
 * @property {HTMLElement} plot
 * @property {HTMLCanvasElement} canvas lines
 * @property {HTMLCanvasElement} overlay cursor
 * @property {HTMLElement} band the stretch that is dragged
 * @property {HTMLElement} hint
 * @property {HTMLElement} note
 * @property {HTMLElement} message
 */

/**
 * @param {Panel} panel
 * @returns {Parts}
 */
export function card(panel) {
  const { title } = panel.spec;
  const canvas = h("canvas", { "aria-hidden": "true" });
  const overlay = h("canvas", { class: "over", "aria-hidden": "true" });
  const band = h("div", { class: "band", hidden: true });
  const message = h("div", { class: "message", hidden: true });
  const plot = h(
    "div",
    { class: "plot", tabindex: 0, role: "group", "aria-roledescription": "chart", "aria-label": `Chart of ${title}` },
    canvas,
    overlay,
    band,
  );
  const hint = h("span", { class: "hint" });
  const note = h("em", { class: "cut" });
  const head = h("div", { class: "ch" }, h("h3", { class: "cut", title }, title), hint, note, more(panel));
  const el = h(
    "section",
    { class: "card chart", dataset: { state: "waiting", panel: panel.spec.key } },
    head,
    plot,
    message,
  );
  return { el, plot, canvas, overlay, band, hint, note, message };
}

/** @param {Panel} panel */
function more(panel) {
  const dots = s(
    "svg",
    { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
    [3, 8, 13].map((cx) => s("circle", { cx, cy: 8, r: 1.35 })),
  );
  const name = `More of ${panel.spec.title}`;
  const button = h(
    "button",
    {
      class: "more",
      type: "button",
      "aria-label": name,
      title: "Size, full screen, table, export",
      "aria-haspopup": "true",
    },
    dots,
  );
  button.addEventListener("click", () => menu(panel, button));
  return button;
}
