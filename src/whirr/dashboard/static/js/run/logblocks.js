/** The lines that stand in the page: a bounded stretch of a log, in blocks that cost nothing while out of sight. */

import { clear, h } from "../lib/dom.js";
import { lineElement } from "./logline.js";

/** @typedef {import("./logwindow.js").Chunk} Chunk */
/** @typedef {{from: number, to: number, count: number, element: HTMLElement}} Block */

const BLOCK_LINES = 600;
export const MOST_LINES = 20000;

export class Blocks {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @type {Block[]} */
    this.blocks = [];
    this.last = h("div", { class: "lg-rest" });
    this.root.append(this.last);
  }

  get count() {
    return this.blocks.reduce((sum, block) => sum + block.count, 0);
  }

  /** Remove all lines. */
  empty() {
    for (const block of this.blocks) block.element.remove();
    this.blocks = [];
    clear(this.last);
  }

  /** Lines that follow the last one. @param {Chunk} chunk */
  append(chunk) {
    let left = chunk.lines;
    while (left.length) {
      const block = this.#open(chunk.from);
      const some = left.slice(0, BLOCK_LINES - block.count);
      left = left.slice(some.length);
      this.#fill(block, some);
      block.to = left.length ? left[0].at : chunk.to;
    }
  }

  /** Lines that stand before the first one. @param {Chunk} chunk */
  prepend(chunk) {
    const made = [];
    for (let place = 0; place < chunk.lines.length; place += BLOCK_LINES) {
      const some = chunk.lines.slice(place, place + BLOCK_LINES);
      const block = this.#made(some[0].at);
      this.#fill(block, some);
      block.to = chunk.lines[place + BLOCK_LINES]?.at ?? chunk.to;
      made.push(block);
    }
    (this.blocks[0]?.element ?? this.last).before(...made.map((block) => block.element));
    this.blocks.unshift(...made);
  }

  /** The line that has no end yet. @param {import("./logwindow.js").Line|null} line */
  setRest(line) {
    clear(this.last);
    if (line) this.last.append(lineElement(line));
  }

  /** Take blocks off the top while there are too many lines; where the rest begins, or null. @returns {number|null} */
  trimTop() {
    let at = null;
    while (this.blocks.length > 1 && this.count > MOST_LINES) {
      this.blocks.shift()?.element.remove();
      at = this.blocks[0].from;
    }
    return at;
  }

  /** The same at the bottom; where the rest ends, or null. @returns {number|null} */
  trimBottom() {
    let at = null;
    while (this.blocks.length > 1 && this.count > MOST_LINES) {
      this.blocks.pop()?.element.remove();
      at = this.blocks[this.blocks.length - 1].to;
    }
    if (at !== null) clear(this.last);
    return at;
  }

  /** The line that begins at `at`, or the first one behind it. @param {number} at @returns {HTMLElement|null} */
  lineAt(at) {
    const block = this.blocks.find((one) => at < one.to);
    const lines = [...(block?.element.children ?? this.last.children)];
    return /** @type {HTMLElement|null} */ (lines.find((line) => placeOf(line) >= at) ?? null);
  }

  /** @param {number} from @returns {Block} */
  #open(from) {
    const last = this.blocks.at(-1);
    if (last && last.count < BLOCK_LINES) return last;
    const block = this.#made(last?.to ?? from);
    this.last.before(block.element);
    this.blocks.push(block);
    return block;
  }

  /** @param {number} from @returns {Block} */
  #made(from) {
    return { from, to: from, count: 0, element: h("div", { class: "lg-block" }) };
  }

  /** @param {Block} block @param {import("./logwindow.js").Line[]} lines */
  #fill(block, lines) {
    block.element.append(...lines.map(lineElement));
    block.count += lines.length;
    block.element.style.setProperty("--lines", String(block.count));
  }
}

/** Where the line of an element begins in its file. @param {Element} line */
export function placeOf(line) {
  return Number(/** @type {HTMLElement} */ (line).dataset.at);
}
