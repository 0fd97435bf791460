/**
 * Which runs the charts show and in which colours: pinned ones and the first have colour, others are grey context.
 * @import {UrlState} from "../lib/state.js"
 * @import {Keyring} from "./keyring.js"
 * @import {Answer, ChartRun, Group, Mark, Question, Row} from "./types.js"
 */
import { getJson } from "../lib/api.js";
import { assign } from "../lib/colours.js";
import { queryOf, questionOf, quoted, sortOf } from "./question.js";

/** So many runs have colour where fewer are pinned. */
export const COLOURED = 8;
const CHARTED = 60;
/** Means of groups are of so many runs. */
const MEANT = 500;
const PALETTE = 10;
const GREY = /** @type {Mark} */ ({ colour: null, dash: 0, pinned: false });

/** Knows the runs for the charts; tells them, and the marks of all rows, when they have changed. */
export class Choice {
  #columns = /** @type {string[]} */ ([]);
  #config = /** @type {string[]} */ ([]);
  #top = /** @type {Row[]} */ ([]);
  #extra = /** @type {Row[]} */ ([]);
  #members = /** @type {Row[] | null} */ (null);
  #every = 0;
  #marks = /** @type {Map<string, Mark>} */ (new Map());
  #request = new AbortController();
  #told = "";

  /**
   * @param {UrlState} state
   * @param {Keyring} keyring
   * @param {(runs: ChartRun[], every: number) => void} publish with how many there are to choose from
   */
  constructor(state, keyring, publish) {
    this.state = state;
    this.keyring = keyring;
    this.publish = publish;
    this.groups = /** @type {Group[]} */ ([]);
  }

  /** Ask which runs they are. */
  async load() {
    this.#request.abort();
    const request = new AbortController();
    this.#request = request;
    const question = questionOf(this.state);
    const { key } = sortOf(question.sort);
    const wanted = [key, question.group, ...this.#config.map((one) => `config.${one}`)].filter(Boolean);
    const columns = [...new Set(wanted)];
    try {
      const top = await answer({ ...question, group: "", columns }, CHARTED, request.signal);
      const extra = await this.#others(top.rows, columns, request.signal);
      const members = await this.#ofGroups({ ...question, columns }, request.signal);
      if (request.signal.aborted) return;
      this.#columns = top.columns.map((one) => one.key);
      [this.#top, this.#extra, this.#members, this.#every] = [top.rows, extra, members, top.chosen];
      this.update();
    } catch (error) {
      if (!request.signal.aborted) console.debug(error); // the table asks the same, and says what is wrong
    }
  }

  /** Learn in which configuration keys runs differ, and ask again with them. */
  async learn() {
    const config = await this.keyring.differing().catch(() => []);
    if (config.join("\n") === this.#config.join("\n")) return;
    this.#config = config;
    await this.load();
  }

  /**
   * Pinned and focused runs that are not among the first.
   * @param {Row[]} rows
   * @param {string[]} columns
   * @param {AbortSignal} signal
   * @returns {Promise<Row[]>}
   */
  async #others(rows, columns, signal) {
    const known = new Set(rows.map((row) => row.id));
    const missing = this.#special().filter((id) => !known.has(id));
    if (!missing.length) return [];
    const filter = `id in (${missing.map(quoted).join(", ")})`;
    return (await answer({ filter, hide: [], sort: "", group: "", columns }, CHARTED, signal)).rows;
  }

  /**
   * The runs that means are of: all of each group, or of large ones a part that is not chosen by how good they are.
   * @param {Question} question
   * @param {AbortSignal} signal
   * @returns {Promise<Row[] | null>} null: no means are shown
   */
  async #ofGroups(question, signal) {
    if (!question.group || !this.state.get("mean")) return null;
    return (await answer(question, CHARTED, signal, MEANT)).rows;
  }

  /** The runs that somebody chose: pinned, and in focus. */
  #special() {
    const focus = this.state.get("focus");
    return [...new Set([...this.state.get("sel"), ...(focus ? [focus] : [])])];
  }

  /** Another run is pinned or in focus, or the colouring is another. */
  change() {
    const known = new Set([...this.#top, ...this.#extra].map((row) => row.id));
    this.update();
    if (this.#special().some((id) => !known.has(id))) void this.load();
  }

  /** Colours and runs anew from what is known. */
  update() {
    this.#marks = this.#byRun() ? marksOf(this.#coloured(), new Set(this.state.get("sel"))) : new Map();
    const focus = this.state.get("focus");
    const pinned = new Set(this.state.get("sel"));
    const kept = this.#extra.filter((row) => pinned.has(row.id) || row.id === focus);
    const runs = (this.#members ?? [...this.#top, ...kept]).map((row) => this.#chartRun(row, focus));
    const now = JSON.stringify([runs, this.#every]);
    if (now === this.#told) return;
    this.#told = now;
    this.publish(runs, this.#every);
  }

  #byRun() {
    return this.state.get("colour") !== "group" || !this.state.get("group");
  }

  /** The ids of the runs in colour: pinned, then the first in the table that have curves, and the one in focus. */
  #coloured() {
    const pinned = this.state.get("sel");
    if (this.state.get("colour") === "pins") return this.#special();
    const sorted = this.#columns.indexOf(sortOf(this.state.get("sort")).key);
    const first = this.#top.filter((row) => (sorted < 0 || row.cells[sorted] !== null) && row.logged);
    const coloured = [...new Set([...pinned, ...first.map((row) => row.id)])].slice(
      0,
      Math.max(COLOURED, pinned.length),
    );
    return [...new Set([...coloured, ...this.#special()])];
  }

  /**
   * How a row is marked in the table.
   * @param {Row} row
   * @returns {Mark}
   */
  markOf(row) {
    if (this.#byRun()) return this.#marks.get(row.id) ?? GREY;
    const group = row.group ?? this.#groupOf(row);
    return { ...groupMark(this.groups, group), pinned: this.state.get("sel").includes(row.id) };
  }

  /** @param {Row} row of the first ones or the others */
  #groupOf(row) {
    const place = this.#columns.indexOf(this.state.get("group"));
    if (!this.state.get("group") || place < 0) return null;
    const cell = row.cells[place] ?? null;
    return this.groups.find((group) => group.value === cell)?.label ?? (cell === null ? null : String(cell));
  }

  /**
   * @param {Row} row
   * @param {string} focus
   * @returns {ChartRun}
   */
  #chartRun(row, focus) {
    const { colour, dash } = this.markOf(row);
    const config = Object.fromEntries(
      this.#config.map((key) => [key, row.cells[this.#columns.indexOf(`config.${key}`)] ?? null]),
    );
    return {
      id: row.id,
      name: row.name || row.id,
      colour,
      group: row.group ?? this.#groupOf(row),
      dash,
      status: row.status,
      focus: row.id === focus,
      config,
    };
  }
}

/**
 * @param {Parameters<typeof queryOf>[0]} question
 * @param {number} count
 * @param {AbortSignal} signal
 * @param {number} [sample] so many of all groups instead
 * @returns {Promise<Answer>}
 */
function answer(question, count, signal, sample = 0) {
  return getJson("/ui/runs", { ...queryOf(question, 0, count), sample: sample || null }, signal);
}

/**
 * Ten colours, then the same ones dashed, then dotted.
 * @param {string[]} ids
 * @param {Set<string>} pinned
 * @returns {Map<string, Mark>}
 */
function marksOf(ids, pinned) {
  const colours = assign(ids.slice(0, PALETTE));
  return new Map(
    ids.map((id, place) => {
      const dash = /** @type {0 | 1 | 2} */ (Math.min(2, Math.floor(place / PALETTE)));
      return [id, { colour: colours.get(id) ?? (place % PALETTE) + 1, dash, pinned: pinned.has(id) }];
    }),
  );
}

/**
 * @param {Group[]} groups
 * @param {string | null} label
 * @returns {Mark}
 */
function groupMark(groups, label) {
  const place = groups.findIndex((group) => group.label === label);
  if (place < 0 || place >= PALETTE) return GREY;
  return { colour: place + 1, dash: /** @type {0 | 1 | 2} */ (place % 3), pinned: false };
}
