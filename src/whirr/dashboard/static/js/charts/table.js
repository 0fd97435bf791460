// A chart as a table, for who cannot see it and for who wants the numbers.

import { open } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { readings } from "./hover.js";
import { position } from "./ticks.js";

/** @typedef {import("./panel.js").Panel} Panel */
/** @typedef {import("./types.js").Line} Line */
/** @typedef {import("./scene.js").Scene} Scene */

const COLUMNS = 5;

/** @param {Panel} panel */
export function showTable(panel) {
  const { scene, spec, host } = panel;
  if (!scene) return;
  const { lo, hi } = scene.x;
  const places = Array.from({ length: COLUMNS }, (_, i) => lo + ((hi - lo) * i) / (COLUMNS - 1));
  const heads = ["", ...places.map((at) => position(host.view.x, at, scene.x.pixel)), "least", "greatest"];
  const rows = [...scene.lines].reverse().map((line) => row(scene, line, places));
  const table = h(
    "table",
    null,
    h("caption", { class: "sr" }, `${spec.title} by ${host.view.x}`),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        heads.map((text) => h("th", { scope: "col", class: text ? "num" : "" }, text || "run")),
      ),
    ),
    h("tbody", null, rows),
  );
  const close = h("button", { class: "btn", type: "button", onclick: () => box.close() }, "Close");
  const scroll = h(
    "div",
    { class: "chart-table", tabindex: 0, role: "region", "aria-label": `Values of ${spec.title}` },
    table,
  );
  const box = h(
    "dialog",
    { class: "wide", "aria-label": spec.title },
    h("h2", null, spec.title),
    scroll,
    h("div", { class: "act" }, close),
  );
  open(box);
  close.focus();
}

/**
 * @param {Scene} scene
 * @param {Line} line
 * @param {number[]} places
 */
function row(scene, line, places) {
  const own = { ...scene, lines: [line] };
  const values = places.map((at) => readings(own, at)[0]?.value);
  const finite = Array.from(line.y).filter((value) => !Number.isNaN(value));
  const ends = finite.length ? [Math.min(...finite), Math.max(...finite)] : [undefined, undefined];
  return h(
    "tr",
    null,
    h("th", { scope: "row" }, line.label),
    [...values, ...ends].map((value) => h("td", { class: "num" }, value === undefined ? "–" : number(value, 4))),
  );
}
