/**
 * The columns as they are shown: widths, headings, what a row has to say in each.
 * @import {Answer, Cell, Column, Row} from "./types.js"
 */
import { heading, writer } from "./figures.js";
import { sortOf } from "./question.js";

/**
 * @typedef {{
 *   column: Column, title: string, width: number, write: (cell: Cell) => string, cell: (row: Row) => Cell,
 *   place: number, sorted: "" | "up" | "down"
 * }} Shown
 */

const AGE = /** @type {Column} */ ({ key: "started", lo: null, hi: null, kind: "text" });

/**
 * @param {Answer} answer
 * @param {string[]} chosen the columns that the user picked; none: as many of the proposed ones as there is room for, and
 *   the age
 * @param {string} sort
 * @param {number} room pixels
 * @returns {Shown[]}
 */
export function shownColumns(answer, chosen, sort, room) {
  const { key, down } = sortOf(sort);
  const shown = answer.columns
    .map((column, place) => showing(column, place, answer.now))
    .filter((one) => one.column.key !== "name");
  const age = showing(AGE, -1, answer.now);
  const kept = chosen.length ? shown : [...fitting(shown, key, room - age.width), age];
  for (const one of kept) if (one.column.key === key) one.sorted = down ? "down" : "up";
  return kept;
}

/**
 * Those proposed that fit beside one another; results and settings take turns, the column sorted by is one of them.
 * @param {Shown[]} shown
 * @param {string} key
 * @param {number} room
 */
function fitting(shown, key, room) {
  const settings = shown.filter((one) => one.column.room === "config");
  const results = shown.filter((one) => one.column.room !== "config" && one.column.key !== "started");
  const sorted = shown.filter((one) => one.column.key === key && key !== "started");
  const ranked = [...new Set([...sorted, ...results.slice(0, 2), ...settings.slice(0, 2), ...results, ...settings])];
  let left = room;
  const kept = new Set(ranked.filter((one, place) => (left -= one.width) >= 0 || place < 2));
  return shown.filter((one) => kept.has(one));
}

/**
 * @param {Column} column
 * @param {number} place of its cell in a row's cells, or -1: the row knows it itself
 * @param {number} now
 * @returns {Shown}
 */
function showing(column, place, now) {
  const title = heading(column.key);
  const cell = cellOf(column.key, place);
  const write = writer(column, now);
  return { column, title, width: widthOf(title, column, write), write, cell, place, sorted: "" };
}

/**
 * @param {string} key
 * @param {number} place
 * @returns {(row: Row) => Cell}
 */
function cellOf(key, place) {
  if (key === "started") return (row) => row.started_at;
  if (key === "duration") return (row) => row.duration_seconds;
  return (row) => row.cells[place] ?? null;
}

/**
 * @param {string} title
 * @param {Column} column
 * @param {(cell: Cell) => string} write
 */
function widthOf(title, column, write) {
  if (column.key === "started") return 62;
  const longest = Math.max(write(column.lo).length, write(column.hi).length);
  const least = column.kind === "number" ? Math.max(62, longest * 7 + 16) : 80;
  return Math.round(Math.max(least, Math.min(132, title.length * 5.7 + 22)));
}
