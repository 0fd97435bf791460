/**
 * Where each line of the table lies: group lines, and rows that are not folded away. All in pixels from the top.
 * @import {Group} from "./types.js"
 */

export const ROW = 27;
export const GROUP = 31;

/**
 * @typedef {{kind: "group", group: Group, open: boolean, top: number, height: number}} GroupLine
 * @typedef {{kind: "row", index: number, top: number, height: number}} RowLine
 * @typedef {{line: number, top: number, rows: number, start: number, group: Group | null}} Block
 */

/** A block is one group line, if there are groups, with its unfolded rows; lines are found by halving. */
export class Layout {
  /**
   * @param {number} count how many rows there are
   * @param {Group[]} groups
   * @param {ReadonlySet<string>} folded labels of the folded groups
   */
  constructor(count, groups, folded) {
    this.folded = folded;
    /** @type {Block[]} */
    this.blocks = [];
    this.lines = 0;
    this.height = 0;
    if (!groups.length) this.#add(null, 0, count);
    for (const group of groups) this.#add(group, group.start, folded.has(group.label) ? 0 : group.count);
  }

  /**
   * @param {Group | null} group
   * @param {number} start
   * @param {number} rows
   */
  #add(group, start, rows) {
    this.blocks.push({ line: this.lines, top: this.height, rows, start, group });
    this.lines += rows + (group ? 1 : 0);
    this.height += rows * ROW + (group ? GROUP : 0);
  }

  /**
   * The line of a number from 0, or null where there is none.
   * @param {number} line
   * @returns {GroupLine | RowLine | null}
   */
  at(line) {
    if (line < 0 || line >= this.lines) return null;
    const block = this.#last((one) => one.line <= line);
    const { group, start } = block;
    const place = line - block.line - (group ? 1 : 0);
    if (group && place < 0) {
      return { kind: "group", group, open: !this.folded.has(group.label), top: block.top, height: GROUP };
    }
    const top = block.top + (group ? GROUP : 0) + place * ROW;
    return { kind: "row", index: start + place, top, height: ROW };
  }

  /**
   * The number of the line at a height.
   * @param {number} y
   * @returns {number}
   */
  lineAt(y) {
    if (!this.lines) return 0;
    const block = this.#last((one) => one.top <= Math.max(0, y));
    const within = y - block.top - (block.group ? GROUP : 0);
    if (within < 0) return block.line;
    const place = Math.min(block.rows - 1, Math.floor(within / ROW));
    return Math.max(block.line, block.line + place + (block.group ? 1 : 0));
  }

  /**
   * The number of the line that shows the row of an index, or -1 where it is folded away.
   * @param {number} index
   * @returns {number}
   */
  lineOf(index) {
    for (const block of this.blocks) {
      const place = index - block.start;
      if (place >= 0 && place < block.rows) return block.line + place + (block.group ? 1 : 0);
    }
    return -1;
  }

  /**
   * The last block for which something holds that holds for a beginning of them.
   * @param {(block: Block) => boolean} holds
   * @returns {Block}
   */
  #last(holds) {
    let low = 0;
    let high = this.blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (holds(this.blocks[middle])) low = middle;
      else high = middle - 1;
    }
    return this.blocks[low];
  }
}
