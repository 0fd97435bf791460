/**
 * One line of the table as nodes: a run, or a group of runs.
 * @import {GroupLine} from "./layout.js"
 * @import {Shown} from "./shown.js"
 * @import {Group, Mark, Row} from "./types.js"
 */
import { better } from "../charts/words.js";
import { prefix } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number, plural } from "../lib/format.js";
import { whole } from "./figures.js";
import { chevron, statusMark, swatch } from "./marks.js";

/**
 * What a line needs to know of the whole table.
 * @typedef {{shown: Shown[], markOf: (row: Row) => Mark | undefined}} View
 */

const BAR = 60;
const LONG = 10;
const ENDING = /^(.+?)([\s·_/-]*[^\s·_/-]{1,8})$/su;

/**
 * The cells of a run.
 * @param {Row} row
 * @param {View} view
 * @returns {Node[]}
 */
export function runCells(row, view) {
  return [nameCell(row, view.markOf(row)), ...view.shown.map((shown) => valueCell(row, shown))];
}

/**
 * @param {Row} row
 * @param {Mark | undefined} mark
 */
function nameCell(row, mark) {
  const name = row.name || row.id;
  const pinned = Boolean(mark?.pinned);
  const title = pinned ? "Pinned: unpin (x)" : "Pin: keep it in colour (x)";
  const about = {
    class: "swb",
    type: "button",
    tabindex: "-1",
    title,
    "aria-pressed": String(pinned),
    dataset: { act: "pin" },
  };
  const pin = h("button", { ...about, "aria-label": `Pin ${name}` }, swatch(mark));
  const link = h(
    "a",
    { class: "nm", href: `${prefix}/runs/${encodeURIComponent(row.id)}`, tabindex: "-1", title: hint(row) },
    ...parted(name),
  );
  return h("div", { class: "cell name", role: "rowheader" }, pin, link, statusMark(row.status, row.cause));
}

/**
 * A long name in two parts: where there is no room, the first one is cut, for names mostly differ in their last word.
 * @param {string} name
 * @returns {HTMLElement[]}
 */
function parted(name) {
  const [, head, tail] = (name.length > LONG && name.match(ENDING)) || [];
  return head ? [h("span", null, head), h("span", null, tail)] : [h("span", null, name)];
}

/** @param {Row} row */
function hint(row) {
  const parts = [row.name && row.name !== row.id ? `${row.name} (${row.id})` : row.id, row.status];
  if (row.cause) parts.push(row.cause);
  if (row.tags.length) parts.push(row.tags.join(", "));
  return parts.join(" · ");
}

/**
 * @param {Row} row
 * @param {Shown} shown
 */
function valueCell(row, shown) {
  const cell = shown.cell(row);
  const { lo, hi } = shown.column;
  const box = h("div", { class: `cell ${kindOf(shown)}`, role: "gridcell", title: whole(shown.column, cell) });
  if (!shown.sorted) {
    box.append(shown.write(cell));
    return box;
  }
  box.classList.add("sorted");
  if (typeof cell === "number" && lo !== null && hi !== null) {
    box.classList.toggle("best", cell === (isBestLow(shown) ? lo : hi));
    const bar = h("i", { class: "bar", "aria-hidden": "true" });
    bar.style.width = `${hi > lo ? Math.round(6 + ((cell - lo) / (hi - lo)) * (BAR - 6)) : BAR}px`;
    box.append(bar);
  }
  box.append(h("span", null, shown.write(cell)));
  return box;
}

/**
 * Whether the smallest value of the sorted column is its best: as its name says, else as it is sorted.
 * @param {Shown} shown
 */
function isBestLow({ column, sorted }) {
  const direction = better(column.key);
  return direction ? direction === "lower" : sorted === "up";
}

/**
 * How the cells of a column stand.
 * @param {Shown} shown
 * @returns {"age" | "number" | "text"}
 */
export function kindOf(shown) {
  return shown.column.key === "started" ? "age" : shown.column.kind;
}

/**
 * The cells of a group's line: its label, how many runs, and the mean of each column.
 * @param {GroupLine} line
 * @param {View} view
 * @returns {Node[]}
 */
export function groupCells(line, view) {
  const { group, open } = line;
  const spread = spreadOf(group, view.shown);
  const last = view.shown.at(-1);
  const beside = spread && last?.column.key === "started" && !last.sorted;
  const about = plural(group.count, "run") + (spread && !beside ? ` · s.d. ${spread}` : "");
  const fold = h(
    "button",
    { class: "fold", type: "button", tabindex: "-1", "aria-expanded": String(open), dataset: { act: "fold" } },
    chevron(),
    h("b", null, group.label),
    h("span", null, about),
  );
  const cells = view.shown.map((shown) => (beside && shown === last ? spreadCell(spread) : meanCell(group, shown)));
  return [h("div", { class: "cell name", role: "rowheader" }, fold), ...cells];
}

/** @param {string} spread */
function spreadCell(spread) {
  return h(
    "div",
    { class: "cell age sd", role: "gridcell", title: "standard deviation of the sorted column" },
    `± ${spread}`,
  );
}

/**
 * @param {Group} group
 * @param {Shown} shown
 */
function meanCell(group, shown) {
  const found = shown.place < 0 ? null : group.cells[shown.place];
  if (!found) return h("div", { class: "cell", role: "gridcell" });
  const sd = found.sd === null ? "" : ` ± ${number(found.sd)}`;
  const title = `${shown.column.key}: mean ${number(found.mean)}${sd} of ${plural(found.n, "run")}`;
  return h(
    "div",
    { class: `cell number${shown.sorted ? " sorted" : ""}`, role: "gridcell", title },
    shown.write(found.mean),
  );
}

/**
 * @param {Group} group
 * @param {Shown[]} shown
 * @returns {string}
 */
function spreadOf(group, shown) {
  const sorted = shown.find((one) => one.sorted && one.place >= 0);
  const found = sorted ? group.cells[sorted.place] : null;
  return sorted && found && found.sd !== null ? number(found.sd, 3) : "";
}
