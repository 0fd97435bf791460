// Durations that go on while nothing is asked for: seconds on the server's clock, told anew once a second.
import { age, duration } from "../lib/format.js";

let ahead = 0;

/** @param {number} now seconds since 1970 on the server's clock */
export function setClock(now) {
  ahead = now - Date.now() / 1000;
}

/** @returns {number} seconds since 1970 on the server's clock */
export function clock() {
  return Date.now() / 1000 + ahead;
}

/**
 * Let a node tell a duration that goes on.
 *
 * @param {HTMLElement} node
 * @param {number | null} at a moment in seconds since 1970; null: it tells none any more
 * @param {{way?: "since" | "until" | "age", before?: string, after?: string}} [words] whether it counts from that moment,
 *   to it, or says roughly how long ago it was; and the words around
 */
export function tell(node, at, { way = "since", before = "", after = "" } = {}) {
  if (at === null) {
    node.removeAttribute("data-at");
    return;
  }
  Object.assign(node.dataset, { at: String(at), way, before, after });
  write(node);
}

/** @param {HTMLElement} node */
function write(node) {
  const { at, way, before = "", after = "" } = node.dataset;
  const seconds = way === "until" ? Number(at) - clock() : clock() - Number(at);
  const told = way === "age" ? age(Number(at), clock()) : duration(rounded(seconds));
  const text = before + told + after;
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Whole seconds, so that nothing flickers.
 *
 * @param {number} seconds
 */
function rounded(seconds) {
  return Math.max(Math.floor(seconds), 1);
}

setInterval(() => {
  if (document.hidden) return;
  for (const node of document.querySelectorAll("[data-at]")) write(/** @type {HTMLElement} */ (node));
}, 1000);
