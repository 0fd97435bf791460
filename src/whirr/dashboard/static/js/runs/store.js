/**
 * The rows that answer a question, fetched in windows as they come into sight.
 * @import {Answer, Question, Row} from "./types.js"
 */
import { getJson } from "../lib/api.js";
import { queryOf } from "./question.js";

export const WINDOW = 100;
const KEPT = 40;

/**
 * Holds the windows of one question. While a new question is under way, the old answer stays. While `held`
 * (a pointer is over the rows), rows keep their places; `stale` says that they would have others by now.
 */
export class RowStore {
  #asked = 0;
  #proposed = false;
  #question = /** @type {Question | null} */ (null);
  #windows = /** @type {Map<number, Row[]>} */ (new Map());
  #pending = /** @type {Map<number, AbortController>} */ (new Map());

  /**
   * @param {{changed: (anew: boolean) => void, failed: (error: unknown) => void}} told
   */
  constructor(told) {
    this.told = told;
    /** @type {Answer | null} */
    this.answer = null;
    this.held = false;
    this.stale = false;
  }

  /** Whether the columns are those that the server proposed. */
  get proposed() {
    return this.#proposed;
  }

  /**
   * Ask anew; what was under way is given up.
   * @param {Question} question
   * @param {number} first the window to begin with
   * @returns {Promise<boolean>} whether there is an answer
   */
  async ask(question, first = 0) {
    this.#asked += 1;
    this.#question = question;
    this.#proposed = !question.columns.length;
    for (const request of this.#pending.values()) request.abort();
    this.#pending.clear();
    return this.#fetch(first, true);
  }

  /**
   * The row of an index; undefined until it has come.
   * @param {number} index
   * @returns {Row | undefined}
   */
  row(index) {
    return this.#windows.get(Math.floor(index / WINDOW))?.[index % WINDOW];
  }

  /**
   * The index of a run among the rows that have come, or -1.
   * @param {string} id
   * @returns {number}
   */
  indexOf(id) {
    for (const [number, rows] of this.#windows) {
      const place = rows.findIndex((row) => row.id === id);
      if (place >= 0) return number * WINDOW + place;
    }
    return -1;
  }

  /**
   * Fetch what is missing of these rows.
   * @param {number[]} indices
   */
  need(indices) {
    if (!this.answer) return;
    for (const number of new Set(indices.map((index) => Math.floor(index / WINDOW)))) {
      if (!this.#windows.has(number) && !this.#pending.has(number)) void this.#fetch(number, false);
    }
  }

  /**
   * Look again at the windows of these rows, or at the first one; all others are forgotten.
   * @param {number[]} indices
   * @returns {Promise<void>}
   */
  async refresh(indices) {
    const numbers = new Set((indices.length ? indices : [0]).map((index) => Math.floor(index / WINDOW)));
    for (const number of this.#windows.keys()) if (!numbers.has(number)) this.#windows.delete(number);
    await Promise.all([...numbers].map((number) => this.#pending.has(number) || this.#fetch(number, false)));
  }

  /**
   * @param {number} number of the window
   * @param {boolean} anew its answer takes the place of all there was
   * @returns {Promise<boolean>} whether an answer has come
   */
  async #fetch(number, anew) {
    const asked = this.#asked;
    const request = new AbortController();
    this.#pending.set(number, request);
    try {
      const query = queryOf(/** @type {Question} */ (this.#question), number * WINDOW, WINDOW);
      const answer = /** @type {Answer} */ (await getJson("/ui/runs", query, request.signal));
      if (asked !== this.#asked) return false;
      if (anew) this.#begin(answer);
      this.#keep(number, answer);
      this.told.changed(anew);
      return true;
    } catch (error) {
      if (asked === this.#asked && !request.signal.aborted) this.told.failed(error);
      return false;
    } finally {
      if (this.#pending.get(number) === request) this.#pending.delete(number);
    }
  }

  /**
   * The first answer to a question. Columns that it proposes are those of all windows, whatever would be proposed later.
   * @param {Answer} answer
   */
  #begin(answer) {
    this.#windows.clear();
    const columns = answer.columns.map((column) => column.key);
    this.#question = { .../** @type {Question} */ (this.#question), columns };
  }

  /**
   * While the order is held, rows that are there take their new values and stay where they are.
   * @param {number} number
   * @param {Answer} answer
   */
  #keep(number, answer) {
    const before = this.held ? this.#windows.get(number) : undefined;
    const fresh = new Map(answer.rows.map((row) => [row.id, row]));
    const rows = before?.map((row) => fresh.get(row.id) ?? row) ?? answer.rows;
    if (before && this.answer) {
      const { chosen, groups } = this.answer;
      this.stale ||= chosen !== answer.chosen || rows.some((row, place) => row !== answer.rows[place]);
      this.answer = {
        ...answer,
        chosen,
        groups: groups.length === answer.groups.length && !this.stale ? answer.groups : groups,
      };
    } else this.answer = answer;
    this.#windows.delete(number);
    this.#windows.set(number, rows);
    for (const oldest of this.#windows.keys()) {
      if (this.#windows.size <= KEPT) break;
      this.#windows.delete(oldest);
    }
  }
}
