// The queue page: what runs, what waits and why, what has ended; and what can be done about it.
import { byId, h } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { UrlState } from "../lib/state.js";
import { again, cancel, mayAct, move, retry } from "./actions.js";
import { endedRow } from "./ended.js";
import { Feed } from "./feed.js";
import { keyboard } from "./keyboard.js";
import { List, say } from "./list.js";
import { notices } from "./notices.js";
import { runningRow } from "./running.js";
import { Selection } from "./selection.js";
import { setClock } from "./ticking.js";
import { waitingRow } from "./waiting.js";
import { room } from "./words.js";

/** @import {Ended, Job, Queue, Running, Waiting} from "./types.js" */
/** @import {Deeds} from "./head.js" */

const PAGE = 100;
const MOST = 2000;
const TYPED_MS = 180;

/** Whether there is a pointer that can be over something without pressing it. */
const points = matchMedia("(hover: hover)");
const state = new UrlState({ q: "", show: "all", limit: PAGE });
const selection = new Selection(byId("chosen"), deed, jobs);

/** @type {Deeds} */
const deeds = {
  cancel: (job) => deed(cancel([job])),
  retry: (job) => deed(retry([job])),
  again: (job) => deed(again(job)),
  move: (job, by) => deed(move([job], by)),
  select: (id, on) => selection.set(id, on),
  isSelected: (id) => selection.has(id),
};

const lists = {
  running: new List(byId("running"), (/** @type {Running} */ job) => runningRow(job, deeds)),
  waiting: new List(byId("waiting"), (/** @type {Waiting} */ job) => waitingRow(job, deeds)),
  ended: new List(byId("ended"), (/** @type {Ended} */ job) => endedRow(job, deeds)),
};

/** @type {Queue | null} */
let found = null;

/** @type {Feed<Queue>} */
const feed = new Feed("/ui/queue", ["queue", "workers", "runs"], () => ({ limit: limit(), words: state.get("q") }), show, (error) =>
  notices(byId("trouble"), { error }),
);

/** @returns {number} */
function limit() {
  return Math.min(Math.max(Math.round(state.get("limit")), 1), MOST);
}

/** @returns {Job[]} every job that is shown */
function jobs() {
  return found ? [...found.running, ...found.waiting, ...found.recent] : [];
}

/**
 * Ask anew as soon as something was done.
 *
 * @param {Promise<boolean>} doing
 */
async function deed(doing) {
  if (await doing) await feed.now();
}

/** @param {Queue} queue */
function show(queue) {
  found = queue;
  setClock(queue.now);
  selection.keep(new Set(jobs().map((job) => job.id)));
  const hold = points.matches && document.querySelector(".acts:hover, .prio:hover") !== null;
  const place = focused();
  lists.running.show(queue.running, { hold });
  lists.waiting.show(queue.waiting, { hold });
  lists.ended.show(queue.recent, { hold });
  if (place && !document.activeElement?.closest(".job")) place();
  heads(queue);
  notices(byId("notice"), { queue, words: state.get("q") });
  byId("main").dataset.ready = "true";
}

/**
 * Rows that move or go take the focus with them: it is put back into the row, or to the one that took its place.
 *
 * @returns {(() => void) | null}
 */
function focused() {
  const at = /** @type {HTMLElement | null} */ (document.activeElement);
  const row = /** @type {HTMLElement | null | undefined} */ (at?.closest(".job"));
  if (!at || !row || !row.parentElement) return null;
  const list = row.parentElement;
  const index = [...list.children].indexOf(row);
  const { act } = at.dataset;
  return () => {
    const now = row.isConnected ? row : (list.children[Math.min(index, list.children.length - 1)] ?? byId("filter"));
    const node = act ? now.querySelector(`[data-act="${act}"]`) : null;
    /** @type {HTMLElement} */ (node ?? now.querySelector("a.name") ?? now).focus({ preventScroll: true });
  };
}

/** @param {Queue} queue */
function heads(queue) {
  const { counts, matching } = queue;
  const running = (counts.running ?? 0) + (counts.cancelling ?? 0);
  const ended = (counts.completed ?? 0) + (counts.failed ?? 0) + (counts.cancelled ?? 0);
  const of = (/** @type {number} */ shown, /** @type {number} */ all) => (shown < all ? `${shown} of ${all.toLocaleString("en-US")}` : String(all));
  say(byId("running-count"), of(queue.running.length, running));
  say(byId("waiting-count"), of(matching ? matching.waiting : (counts.queued ?? 0), counts.queued ?? 0));
  say(byId("ended-count"), of(matching ? matching.ended : queue.recent.length, ended));
  say(byId("room"), room(queue.workers));
  byId("running-none").hidden = queue.running.length > 0;
  say(byId("running-none"), queue.matching ? "No job that runs fits the filter." : "Nothing runs.");
  byId("waiting-none").hidden = queue.waiting.length > 0;
  say(byId("waiting-none"), queue.matching ? "No job that waits fits the filter." : "Nothing waits.");
  byId("ended-none").hidden = queue.recent.length > 0;
  say(byId("ended-none"), queue.matching ? "None of the last that ended fits the filter." : "No job has ended yet.");
  more("waiting-more", (matching ? matching.waiting : (counts.queued ?? 0)) - queue.waiting.length, "waiting");
  more("ended-more", (matching ? matching.ended : ended) - queue.recent.length, "ended");
}

/**
 * @param {string} id
 * @param {number} count
 * @param {string} what
 */
function more(id, count, what) {
  const node = byId(id);
  node.hidden = count <= 0;
  say(node, `Show more: ${count.toLocaleString("en-US")} ${what} ${count === 1 ? "is" : "are"} not shown`);
}

function tabs() {
  const shown = state.get("show");
  byId("main").dataset.show = shown;
  for (const button of document.querySelectorAll("#show button")) {
    button.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (button).dataset.show === shown));
  }
}

function wire() {
  const filter = /** @type {HTMLInputElement} */ (byId("filter"));
  filter.value = state.get("q");
  let typed = 0;
  filter.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => state.set({ q: filter.value.trim(), limit: PAGE }), TYPED_MS);
  });
  for (const button of document.querySelectorAll("#show button")) {
    button.addEventListener("click", () => state.set({ show: /** @type {HTMLElement} */ (button).dataset.show ?? "all" }, { push: true }));
  }
  for (const id of ["waiting-more", "ended-more"]) {
    byId(id).addEventListener("click", () => state.set({ limit: Math.min(limit() * 4, MOST) }));
  }
  for (const [list, rows] of Object.entries(lists)) {
    const box = byId(`${list}-all`);
    box.hidden = !mayAct;
    box.addEventListener("change", () => selection.all(rows.items, /** @type {HTMLInputElement} */ (box).checked));
  }
  document.addEventListener("pointerout", (event) => {
    if (/** @type {Element} */ (event.target).closest(".acts, .prio")) feed.soon();
  });
  state.on((changed) => {
    if (changed.has("show")) tabs();
    if (document.activeElement !== filter) filter.value = state.get("q");
    if (changed.has("q") || changed.has("limit")) feed.now();
  });
}

byId("main").append(h("div", { class: "sr", id: "told", "aria-live": "polite" }));
selection.changed = () => {
  for (const [name, list] of Object.entries(lists)) {
    for (const [id, { node }] of list.rows) mark(node, selection.has(Number(id)));
    const chosen = list.items.filter((job) => selection.has(job.id)).length;
    const box = /** @type {HTMLInputElement} */ (byId(`${name}-all`));
    box.checked = chosen > 0 && chosen === list.items.length;
    box.indeterminate = chosen > 0 && chosen < list.items.length;
  }
  say(byId("told"), selection.size ? `${plural(selection.size, "job")} selected` : "");
};

/**
 * @param {HTMLElement} node
 * @param {boolean} on
 */
function mark(node, on) {
  node.classList.toggle("on", on);
  const box = /** @type {HTMLInputElement | null} */ (node.querySelector("input.pick"));
  if (box) box.checked = on;
}

wire();
tabs();
keyboard({ selection, jobs, filter: byId("filter") });
feed.now();
