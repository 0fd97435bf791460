/** Looks for a text in a whole log, at the server, a part at a time. */

import { getJson } from "../lib/api.js";

/** So many lines are found at most. */
export const MOST_FOUND = 5000;

export class LogSearch {
  /**
   * @param {string} runId
   * @param {string} path
   * @param {string} text what to look for, whatever its case; empty: what looks like an error
   */
  constructor(runId, path, text) {
    this.text = text;
    this.#where = `/ui/run/${encodeURIComponent(runId)}/find`;
    this.#params = text ? { path, text } : { path, errors: "true" };
    /** Where the lines that were found begin. @type {number[]} */
    this.found = [];
    /** How far it has looked, and how much there is, in bytes. */
    this.looked = 0;
    this.size = 0;
    this.done = false;
  }

  #where;
  /** @type {Record<string, string>} */
  #params;

  /**
   * Look through the next part.
   *
   * @param {AbortSignal} signal
   */
  async more(signal) {
    const answer = await getJson(this.#where, { ...this.#params, start: this.looked }, signal);
    const last = this.found.at(-1) ?? -1;
    this.found.push(...answer.lines.filter((/** @type {number} */ at) => at > last));
    this.size = answer.size;
    this.looked = answer.next;
    this.done = answer.done || this.found.length >= MOST_FOUND;
  }

  /**
   * Look on until there is something at or behind `at`, or nothing is left.
   *
   * @param {AbortSignal} signal
   * @param {() => void} told called after each part
   */
  async all(signal, told) {
    do {
      await this.more(signal);
      told();
    } while (!this.done && !signal.aborted);
  }
}
