/**
 * The strip that appears while runs are pinned: how many, and which of them no row shows; compare them, let them go.
 * @import {Question, Answer} from "./types.js"
 * @import {UrlState} from "../lib/state.js"
 */
import { ApiError, getJson, prefix } from "../lib/api.js";
import { clear, h } from "../lib/dom.js";
import { queryOf, questionOf, quoted } from "./question.js";

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
  const told = h("span", null, h("b", null, String(count)), " pinned");
  clear(root).append(told, h("span", { class: "grow" }), release, compare);
  void tellUnseen(told, state);
}

/**
 * Say which of the pinned runs are in no row.
 * @param {HTMLElement} told
 * @param {UrlState} state
 */
async function tellUnseen(told, state) {
  const sel = state.get("sel");
  const among = `id in (${sel.map(quoted).join(", ")})`;
  const { filter, hide } = questionOf(state);
  try {
    const there = await countOf(among, []);
    const seen = filter || hide.length ? await countOf(filter ? `(${filter}) and ${among}` : among, hide) : there;
    if (there === null || seen === null) return;
    const gone = sel.length - there;
    const parts = [h("b", null, String(there)), " pinned"];
    if (gone) parts.push(` · ${gone} not there`);
    if (there > seen) parts.push(` · ${there - seen} outside the filter`);
    clear(told).append(...parts);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // what is wrong with the filter stands under it
  }
}

/**
 * How many runs there are of this kind.
 * @param {string} filter
 * @param {string[]} hide
 * @returns {Promise<number | null>} null: they are being read
 */
async function countOf(filter, hide) {
  const question = /** @type {Question} */ ({ filter, hide, sort: "", group: "", columns: [] });
  const { chosen, reading } = /** @type {Answer} */ (await getJson("/ui/runs", queryOf(question, 0, 1)));
  return reading ? null : chosen;
}
