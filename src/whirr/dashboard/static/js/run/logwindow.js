/** A stretch of a log of any length, in whole lines: it begins at the end, and goes on either way. */

import { Screen } from "./ansi.js";
import { LogFile } from "./files.js";

/** @typedef {{at: number, spans: import("./ansi.js").Span[]}} Line  where it begins in the file, and what is seen */
/** @typedef {{from: number, to: number, lines: Line[]}} Chunk */

export const CHUNK = 1 << 17;
/** A line longer than this is cut where it is read: what its last carriage return left counts. */
const LONGEST = 1 << 16;
const NEWLINE = 10;
const RETURN = 13;
const decoder = new TextDecoder();

export class LogWindow {
  /** @param {LogFile} file */
  constructor(file) {
    this.file = file;
    /** The stretch, from the start of a line up to before the start of another. */
    this.start = 0;
    this.end = 0;
    /** What stands behind `end` without its newline. */
    this.rest = new Uint8Array();
    this.#screen = new Screen();
  }

  #screen;

  /** Whether nothing that is known of the file lies behind the stretch. */
  get atEnd() {
    return this.end + this.rest.length >= this.file.size;
  }

  /**
   * Begin with the last lines.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<Chunk>}
   */
  async openEnd(signal) {
    await this.file.look(signal);
    this.#begin(this.file.size);
    const chunk = await this.before(signal);
    return chunk ?? { from: 0, to: 0, lines: [] };
  }

  /**
   * Begin with the line that starts at `at`.
   *
   * @param {number} at
   * @param {AbortSignal} signal
   * @returns {Promise<Chunk>}
   */
  async openAt(at, signal) {
    await this.file.look(signal);
    this.#begin(Math.min(at, this.file.size));
    return this.next(signal);
  }

  /** @param {number} at */
  #begin(at) {
    this.start = this.end = at;
    this.rest = new Uint8Array();
    this.#screen = new Screen();
  }

  /**
   * The lines before the stretch; null at the start of the file.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<Chunk|null>}
   */
  async before(signal) {
    const to = this.start;
    for (let size = CHUNK; to > 0; size *= 4) {
      const from = Math.max(to - size, 0);
      const data = await this.file.read(from, to, signal);
      if (data.length < to - from) return null; // it has become shorter: whoever follows it is told
      const found = from === 0 ? 0 : data.indexOf(NEWLINE) + 1;
      const begins = from === 0 || (found > 0 && found < data.length);
      if (!begins && size < LONGEST * 16) continue;
      const first = begins ? found : 0;
      return this.#taken(data.subarray(first), from + first, to);
    }
    return null;
  }

  /** @param {Uint8Array} data @param {number} from @param {number} to */
  #taken(data, from, to) {
    const whole = data.lastIndexOf(NEWLINE) + 1;
    const opening = this.end === to && this.start === to;
    if (opening && whole < data.length) {
      this.rest = data.slice(whole);
      this.end = from + whole;
    }
    this.start = from;
    const screen = opening ? this.#screen : new Screen();
    const kept = opening ? data.subarray(0, whole) : data;
    return { from, to: opening ? this.end : to, lines: split(kept, from, screen) };
  }

  /**
   * The lines behind the stretch; where there are none, they are waited for, and there may be none after that.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<Chunk>}
   */
  async next(signal) {
    const from = this.end;
    const data = await this.file.next(from + this.rest.length, CHUNK, signal);
    if (this.end !== from) return { from, to: from, lines: [] }; // its end was left behind meanwhile
    const joined = joinedOf(this.rest, data);
    const whole = joined.lastIndexOf(NEWLINE) + 1;
    this.rest = joined.slice(whole);
    this.end = from + whole;
    return { from, to: this.end, lines: split(joined.subarray(0, whole), from, this.#screen) };
  }

  /** What is seen of the line that has no end yet; null where there is none. @returns {Line|null} */
  restLine() {
    if (!this.rest.length) return null;
    const screen = new Screen();
    screen.style = this.#screen.style;
    return { at: this.end, spans: screen.line(textOf(this.rest)) };
  }

  /** Forget what lies behind: the stretch ends at `at`. @param {number} at */
  dropAfter(at) {
    this.end = at;
    this.rest = new Uint8Array();
  }

  /** Forget what lies before `at`. @param {number} at */
  dropBefore(at) {
    this.start = at;
  }
}

/**
 * Whole lines.
 *
 * @param {Uint8Array} data
 * @param {number} from where it begins in the file
 * @param {Screen} screen
 * @returns {Line[]}
 */
function split(data, from, screen) {
  /** @type {Line[]} */
  const lines = [];
  for (let place = 0; place < data.length; ) {
    const found = data.indexOf(NEWLINE, place);
    const end = found < 0 ? data.length : found;
    lines.push({ at: from + place, spans: screen.line(textOf(data.subarray(place, end))) });
    place = end + 1;
  }
  return lines;
}

/** @param {Uint8Array} data the bytes of a line @returns {string} */
function textOf(data) {
  if (data.length <= LONGEST) return decoder.decode(data);
  const last = data.lastIndexOf(RETURN, data.length - 2);
  const from = data.length - last <= LONGEST ? last + 1 : 0;
  return decoder.decode(data.subarray(from, from + LONGEST));
}

/** @param {Uint8Array} one @param {Uint8Array} other @returns {Uint8Array} */
function joinedOf(one, other) {
  if (!one.length) return other;
  const found = new Uint8Array(one.length + other.length);
  found.set(one);
  found.set(other, one.length);
  return found;
}
