// The signs on buttons and before rows.
import { h, s } from "../lib/dom.js";

const PATHS = {
  stop: ["M5 5h8v8H5z"],
  cancel: ["M5 5l8 8M13 5l-8 8"],
  retry: ["M14 9a5 5 0 1 1-1.6-3.7", "M14.2 3v3.2H11"],
  again: ["M6.5 6.5h8v8h-8z", "M11.5 6.5v-3h-8v8h3"],
  up: ["M5 10.8 9 6.8l4 4"],
  down: ["M5 7.2l4 4 4-4"],
  copy: ["M6.5 6.5h8v8h-8z", "M11.5 6.5v-3h-8v8h3"],
  completed: ["M4 9.5l3.4 3.4L14 5.8"],
  failed: ["M5 5l8 8M13 5l-8 8"],
  cancelled: ["M4.5 9h9"],
};

/**
 * @param {keyof typeof PATHS} name
 * @returns {SVGElement}
 */
export function icon(name) {
  return s("svg", { viewBox: "0 0 18 18", "aria-hidden": "true", class: `i-${name}` }, PATHS[name].map((d) => s("path", { d })));
}

/**
 * A button that is a sign.
 *
 * @param {keyof typeof PATHS} name
 * @param {string} words what it does
 * @param {() => void} act
 * @returns {HTMLButtonElement}
 */
export function iconButton(name, words, act) {
  return h("button", { class: "ib", type: "button", "aria-label": words, title: words, onclick: act, dataset: { act: name } }, icon(name));
}
