/**
 * The strip that appears while runs are pinned: how many, compare them, let them go.
 * @import {UrlState} from "../lib/state.js"
 */
import { prefix } from "../lib/api.js";
import { clear, h } from "../lib/dom.js";

const COMPARED = 8;

/**
 * Pin a run, or let it go.
 * @param {UrlState} state
 * @param {string} id
 */
export function togglePin(state, id) {
  const sel = state.get("sel");
  state.set({ sel: sel.includes(id) ? sel.filter((/** @type {string} */ one) => one !== id) : [...sel, id] });
}

/**
 * Where the pinned runs are compared.
 * @param {UrlState} state
 * @returns {string}
 */
export function compareLink(state) {
  return `${prefix}/compare?runs=${encodeURIComponent(state.get("sel").slice(0, COMPARED).join(","))}`;
}

/**
 * @param {HTMLElement} root
 * @param {UrlState} state
 */
export function drawPinned(root, state) {
  const count = state.get("sel").length;
  root.hidden = !count;
  if (!count) return;
  const release = h("button", { class: "btn", type: "button", onclick: () => state.set({ sel: [] }) }, "Unpin");
  const compare =
    count > 1
      ? h(
          "a",
          { class: "btn p", href: compareLink(state) },
          count > COMPARED ? `Compare the first ${COMPARED}` : "Compare",
        )
      : "";
  clear(root).append(
    h("span", null, h("b", null, String(count)), " pinned"),
    h("span", { class: "grow" }),
    release,
    compare,
  );
}
