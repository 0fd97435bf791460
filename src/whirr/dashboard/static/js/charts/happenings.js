// What the queue did with the runs whose events the charts show.

import { getJson } from "../lib/api.js";

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {import("./types.js").JobEvent} JobEvent */

/** Fetches the events of single runs, once for each and again when they changed. */
export class Happenings {
  /** @type {Map<string, JobEvent[]>} */
  #known = new Map();
  /** @type {Set<string>} */
  #asked = new Set();

  /** @param {() => void} changed some have come */
  constructor(changed) {
    this.changed = changed;
  }

  /**
   * A run with its events, as far as they are known; asks for those of the one that is looked at.
   *
   * @param {ChartRun} run
   * @param {boolean} wanted
   * @returns {ChartRun}
   */
  of(run, wanted) {
    if (run.events) return run;
    if (wanted && !this.#asked.has(run.id)) this.#ask(run.id);
    return { ...run, events: this.#known.get(run.id) };
  }

  /** @param {string[]|null} runs that changed; null: all */
  touch(runs) {
    for (const run of runs ?? [...this.#asked]) this.#asked.delete(run);
  }

  /** @param {string} run */
  async #ask(run) {
    this.#asked.add(run);
    try {
      this.#known.set(run, (await getJson(`/ui/run/${encodeURIComponent(run)}`)).events ?? []);
      this.changed();
    } catch {
      // Charts without the marks of the queue are still charts; the page of the run says what is wrong with it.
    }
  }
}
