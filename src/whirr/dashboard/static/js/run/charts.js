// The curves of one run: what it logged, and how its machine was used.
import { Board } from "../charts/board.js";
import { Strips } from "../charts/strips.js";
import { h } from "../lib/dom.js";

/** @typedef {import("./types.js").About} About */
/** @typedef {import("../lib/state.js").UrlState} UrlState */

/** The keys of a second board in the same address: each with the name of its room before it. */
class Room {
  /** @param {UrlState} state @param {string} name */
  constructor(state, name) {
    this.state = state;
    this.name = name;
  }

  /** @param {Record<string, any>} values */
  prefixed(values) {
    return Object.fromEntries(Object.entries(values).map(([key, value]) => [`${this.name}.${key}`, value]));
  }

  /** @param {string} key */
  get(key) {
    return this.state.get(`${this.name}.${key}`);
  }

  /** @param {Record<string, any>} changes @param {{push?: boolean}} [options] */
  set(changes, options) {
    this.state.set(this.prefixed(changes), options);
  }

  /** @param {Record<string, any>} defaults */
  adopt(defaults) {
    this.state.adopt(this.prefixed(defaults));
  }

  /** @param {(changed: Set<string>) => void} fn */
  on(fn) {
    const start = `${this.name}.`;
    return this.state.on((changed) => {
      const own = [...changed].filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
      if (own.length) fn(new Set(own));
    });
  }
}

/**
 * A run as the charts want it.
 *
 * @param {About} about
 * @returns {import("../charts/types.js").ChartRun}
 */
function chartRun({ run, events }) {
  return { id: run.run_id, name: run.name || run.run_id, colour: 1, group: null, dash: 0, status: run.status, focus: true, config: run.config, events };
}

/** @param {UrlState} state @returns {import("./types.js").Pane & {refresh: () => void}} */
export function chartsPane(state) {
  const element = h("div", { class: "bd" }, h("h2", { class: "sr" }, "What it logged"));
  const board = new Board(element, { state, fixedRuns: true });
  return pane(element, board);
}

/** @param {UrlState} state @param {string} runId @returns {import("./types.js").Pane & {refresh: () => void}} */
export function systemPane(state, runId) {
  const strips = h("div", { class: "st card" });
  const charts = h("div", { class: "bd" }, h("h2", { class: "sr" }, "What it used of its machine"));
  const room = new Room(state, "sys");
  room.adopt({ x: "relative" });
  const shown = new Strips(strips, runId);
  const board = new Board(charts, { state: /** @type {UrlState} */ (/** @type {unknown} */ (room)), source: "system", fixedRuns: true });
  const made = pane(h("div", null, strips, charts), board);
  return { ...made, refresh: () => { made.refresh(); shown.refresh?.(); } };
}

/** @param {HTMLElement} element @param {Board} board */
function pane(element, board) {
  let id = "";
  const update = (/** @type {About} */ about) => {
    id = about.run.run_id;
    board.setRuns([chartRun(about)]);
  };
  return { element, update, refresh: () => board.refresh([id]) };
}
