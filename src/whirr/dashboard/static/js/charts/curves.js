/** The curves of `/ui/curves`: decoding them, and keeping those that were used last. */

import { postBytes } from "../lib/api.js";
import { Lane } from "./lane.js";

/** @typedef {import("./types.js").Series} Series */
/** @typedef {import("./types.js").Query} Query */

/**
 * @typedef {object} Head one series in the header of an answer
 * @property {string} run
 * @property {number} n
 * @property {number} at
 * @property {number} x0
 * @property {boolean} [x8] x is of 64 bits, and absolute
 * @property {boolean} [y8] y is of 64 bits
 * @property {number} [zero] when x is 0, in seconds since 1970, on an axis of elapsed time
 * @property {number} total
 * @property {number} first
 * @property {number} last
 * @property {number|null} last_y
 * @property {[number, string][]} [nonfinite]
 * @property {number} [nonfinite_total]
 * @property {number[]} [restarts]
 * @property {string} version
 */

const KEPT_BYTES = 48 * 2 ** 20;
const HEAD_BYTES = 400;

/** @param {number} at */
const padded = (at) => (at + 7) & ~7;

/**
 * An answer of `/ui/curves`: a length, a JSON header, then the columns of each series.
 *
 * @param {ArrayBuffer} buffer
 * @returns {Series[]}
 */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return head.series.map((/** @type {Head} */ one) => series(one, buffer, 4 + length));
}

/**
 * @param {Head} head
 * @param {ArrayBuffer} buffer
 * @param {number} data where the columns begin
 * @returns {Series}
 */
function series(head, buffer, data) {
  const at = data + head.at;
  const values = padded(at + head.n * (head.x8 ? 8 : 4));
  return {
    run: head.run,
    x: abscissae(head, buffer, at),
    // A copy: a view would keep the whole answer in memory for one series of it.
    y: head.y8 ? new Float64Array(buffer, values, head.n).slice() : new Float32Array(buffer, values, head.n).slice(),
    total: head.total,
    first: head.first,
    last: head.last,
    lastY: head.last_y,
    nonfinite: head.nonfinite ?? [],
    nonfiniteTotal: head.nonfinite_total ?? 0,
    restarts: head.restarts ?? [],
    zero: head.zero ?? null,
    version: head.version,
  };
}

/**
 * @param {Head} head
 * @param {ArrayBuffer} buffer
 * @param {number} at
 */
function abscissae(head, buffer, at) {
  if (head.x8) return new Float64Array(buffer, at, head.n).slice();
  return Float64Array.from(new Float32Array(buffer, at, head.n), (offset) => head.x0 + offset);
}

/**
 * @param {Query} query
 * @param {string} run
 */
const keyOf = (query, run) =>
  JSON.stringify([run, query.metric, query.source, query.x, query.from, query.to, query.points]);

/** @typedef {{run: string, series: Series|null, age: number, bytes: number}} Entry */

/**
 * Fetches curves and keeps them, the longest unused ones going first.
 *
 * Only what is missing or may have grown is asked for, so a run that is added to fifty costs one curve. A series whose
 * version did not change stays the same object, and with it all that was computed from it.
 */
export class CurveStore {
  /** @type {Map<string, Entry>} in the order of use */
  #kept = new Map();
  #bytes = 0;
  /** @type {Map<string, number>} how often each run was said to have changed */
  #ages = new Map();
  #age = 0;
  #lane = new Lane(3);

  /** @param {(path: string, body: unknown, signal?: AbortSignal) => Promise<ArrayBuffer>} [post] */
  constructor(post = postBytes, limit = KEPT_BYTES) {
    this.post = post;
    this.limit = limit;
  }

  /**
   * These runs may have grown.
   *
   * @param {string[]|null} runs null: all
   */
  touch(runs) {
    if (runs === null) this.#age += 1;
    else for (const run of runs) this.#ages.set(run, (this.#ages.get(run) ?? 0) + 1);
  }

  /**
   * What is there already, even if it may have grown since.
   *
   * @param {Query} query
   * @param {string[]} runs
   * @returns {Map<string, Series>}
   */
  kept(query, runs) {
    const found = new Map();
    for (const run of runs) {
      const entry = this.#use(keyOf(query, run));
      if (entry?.series) found.set(run, entry.series);
    }
    return found;
  }

  /**
   * The curves of all these runs that have the metric.
   *
   * @param {Query} query
   * @param {string[]} runs
   * @param {AbortSignal} [signal]
   * @returns {Promise<Map<string, Series>>}
   * @throws {import("../lib/api.js").ApiError} when the server refuses
   */
  async load(query, runs, signal) {
    const wanted = runs.filter((run) => this.#kept.get(keyOf(query, run))?.age !== this.#ageOf(run));
    if (wanted.length) await this.#lane.run(() => this.#fetch(query, wanted, signal), signal);
    return this.kept(query, runs);
  }

  /**
   * @param {Query} query
   * @param {string[]} runs
   * @param {AbortSignal} [signal]
   */
  async #fetch(query, runs, signal) {
    // Taken before asking: what changes while the server answers has to be asked for again.
    const ages = new Map(runs.map((run) => [run, this.#ageOf(run)]));
    const answer = decode(await this.post("/ui/curves", { ...query, runs }, signal));
    const found = new Map(answer.map((one) => [one.run, one]));
    for (const run of runs) this.#keep(keyOf(query, run), run, found.get(run) ?? null, ages.get(run) ?? 0);
    this.#shrink();
  }

  /**
   * @param {string} key
   * @param {string} run
   * @param {Series|null} fetched
   * @param {number} age
   */
  #keep(key, run, fetched, age) {
    const before = this.#kept.get(key);
    if (before?.series && fetched && before.series.version === fetched.version) {
      before.age = age;
      return;
    }
    if (before) this.#drop(key, before);
    const bytes = HEAD_BYTES + (fetched ? fetched.x.byteLength + fetched.y.byteLength : 0);
    this.#kept.set(key, { run, series: fetched, age, bytes });
    this.#bytes += bytes;
  }

  /** @param {string} key */
  #use(key) {
    const entry = this.#kept.get(key);
    if (!entry) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, entry);
    return entry;
  }

  #shrink() {
    for (const [key, entry] of this.#kept) {
      if (this.#bytes <= this.limit) return;
      this.#drop(key, entry);
    }
  }

  /**
   * @param {string} key
   * @param {Entry} entry
   */
  #drop(key, entry) {
    this.#kept.delete(key);
    this.#bytes -= entry.bytes;
  }

  /** @param {string} run */
  #ageOf(run) {
    return this.#age + (this.#ages.get(run) ?? 0);
  }
}
