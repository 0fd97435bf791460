// The runs of a comparison: their heads in tables, and as chips that can be moved and taken out.
import { prefix } from "../lib/api.js";
import { h, s } from "../lib/dom.js";
import { runLink, statusMark } from "../run/ui.js";

/** @typedef {import("./types.js").Head} Head */

/** What a run is called. @param {Head} run */
export function nameOf(run) {
  return run.name || run.run_id;
}

/** The colour of a run, by its place. @param {number} place from 0 */
export function swatch(place) {
  const mark = h("span", { class: "cmp-sw", "aria-hidden": "true" });
  mark.style.background = `var(--s${(place % 10) + 1})`;
  return mark;
}

/** @param {Head} run @param {number} place */
export function headCell(run, place) {
  const link = h("a", { href: runLink(prefix, run.run_id), class: "cut" }, nameOf(run));
  return h("th", { scope: "col", class: "cmp-h", title: nameOf(run) }, h("span", null, swatch(place), link));
}

/**
 * @param {Head} run
 * @param {number} place
 * @param {{first: () => void, remove: () => void}} acts
 */
export function chip(run, place, { first, remove }) {
  const name = nameOf(run);
  const same = run.name ? h("span", { class: "soft cut" }, run.run_id) : null;
  const link = h("a", { class: "cut", href: runLink(prefix, run.run_id), title: name }, name);
  const to = place ? button(`Compare all with ${name}`, "M4 9h9M4 9l3.5-3.5M4 9l3.5 3.5M15 4.5v9", first) : h("span", { class: "soft base" }, "base");
  const off = button(`Take out ${name}`, "M5 5l8 8M13 5l-8 8", remove);
  return h("li", { class: "cmp-run card" }, swatch(place), link, same, statusMark(run.status), to, off);
}

/** @param {string} label @param {string} path @param {() => void} act */
function button(label, path, act) {
  const icon = s("svg", { viewBox: "0 0 18 18", "aria-hidden": "true" }, s("path", { d: path }));
  return h("button", { class: "ib", type: "button", title: label, "aria-label": label, onclick: act }, icon);
}
