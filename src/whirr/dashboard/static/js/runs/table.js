/**
 * The table of runs: only the lines in sight are there, each keeps its node while it stays in sight.
 * @import {GroupLine, RowLine} from "./layout.js"
 * @import {RowStore} from "./store.js"
 * @import {Shown} from "./shown.js"
 * @import {Mark, Row} from "./types.js"
 */
import { clear, h } from "../lib/dom.js";
import { HeadRow } from "./head.js";
import { Layout, ROW } from "./layout.js";
import { groupCells, runCells } from "./lines.js";

const BEYOND = 8;
const END = 6;

/**
 * @typedef {{node: HTMLElement, drawn: string, line: number}} Kept
 * @typedef {{
 *   focus: (id: string) => void, pin: (id: string) => void, sort: (key: string) => void, resized: () => void
 * }} Acts
 */

/** A grid of ARIA with one stop for the Tab key; its current line is told by `aria-activedescendant`. */
export class RunTable {
  #nodes = /** @type {Map<string, Kept>} */ (new Map());
  #frame = 0;
  #width = 0;
  #anchor = /** @type {{id: string, within: number} | null} */ (null);
  #cursorId = "";

  /**
   * @param {HTMLElement} root
   * @param {RowStore} store
   * @param {Acts} acts
   */
  constructor(root, store, acts) {
    this.store = store;
    this.acts = acts;
    this.folded = /** @type {Set<string>} */ (new Set());
    this.layout = new Layout(0, [], this.folded);
    this.shown = /** @type {Shown[]} */ ([]);
    this.markOf = /** @type {(row: Row) => Mark | undefined} */ (() => undefined);
    this.focus = "";
    this.cursor = -1;
    this.head = new HeadRow(acts);
    this.body = h("div", { class: "rows", role: "rowgroup" });
    this.scroller = root;
    const about = {
      class: "grid",
      role: "grid",
      tabindex: "0",
      "aria-label": "Runs",
      "aria-readonly": "true",
      "aria-multiselectable": "true",
    };
    this.grid = h("div", about, this.head.root, this.body);
    clear(root).append(this.grid);
    root.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(root);
    this.body.addEventListener("click", (event) => this.#clicked(event));
    this.grid.addEventListener("focus", () => this.#entered());
  }

  /**
   * The answer, its columns or its folds have changed. What is in sight stays there, but for a new question.
   * @param {Shown[]} shown
   * @param {boolean} [anew]
   */
  set(shown, anew = false) {
    const answer = this.store.answer;
    if (!answer) return;
    this.shown = shown;
    this.layout = new Layout(answer.chosen, answer.groups, this.folded);
    this.head.draw(shown);
    const widths = shown.map((one) => `${one.width}px`).join(" ");
    this.grid.style.setProperty("--columns", `minmax(var(--name), 1fr) ${widths} ${END}px`);
    this.grid.style.setProperty("--least", `${shown.reduce((sum, one) => sum + one.width, 0)}px`);
    this.grid.setAttribute("aria-rowcount", String(this.layout.lines + 1));
    this.grid.setAttribute("aria-colcount", String(shown.length + 1));
    this.body.style.height = `${this.layout.height}px`;
    this.#stay(anew);
    this.drawNow();
  }

  /** @param {boolean} anew */
  #stay(anew) {
    const held = this.#anchor && this.layout.at(this.layout.lineOf(this.store.indexOf(this.#anchor.id)));
    if (anew) this.scroller.scrollTop = 0;
    else if (this.scroller.scrollTop > 0 && this.#anchor && held)
      this.scroller.scrollTop = held.top + this.#anchor.within;
    const line = this.#cursorId ? this.layout.lineOf(this.store.indexOf(this.#cursorId)) : -1;
    this.cursor = line >= 0 ? line : Math.min(this.cursor, this.layout.lines - 1);
  }

  /** Who comes by the Tab key finds the cursor at the first line in sight. */
  #entered() {
    if (this.cursor < 0 && this.grid.matches(":focus-visible"))
      this.moveTo(this.layout.lineAt(this.scroller.scrollTop));
  }

  #resized() {
    if (this.scroller.clientWidth === this.#width) return this.draw();
    this.#width = this.scroller.clientWidth;
    this.acts.resized();
  }

  /** Pixels for columns beside the name. */
  get room() {
    return this.scroller.clientWidth - parseFloat(getComputedStyle(this.grid).getPropertyValue("--name")) - END;
  }

  /** Draw in the next frame. */
  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.drawNow();
    });
  }

  /** The numbers of the first and the last line that are to be there. */
  range() {
    const { scrollTop, clientHeight } = this.scroller;
    const first = Math.max(0, this.layout.lineAt(scrollTop) - BEYOND);
    return [first, Math.min(this.layout.lines - 1, this.layout.lineAt(scrollTop + clientHeight) + BEYOND)];
  }

  /** The indices of the rows in sight. */
  visible() {
    const [first, last] = this.range();
    const found = [];
    for (let line = first; line <= last; line++) {
      const one = this.layout.at(line);
      if (one?.kind === "row") found.push(one.index);
    }
    return found;
  }

  /** Bring the nodes in line with what is in sight. */
  drawNow() {
    const [first, last] = this.range();
    const missing = [];
    const gone = new Map(this.#nodes);
    const nodes = [];
    for (let number = first; number <= last; number++) {
      const line = this.layout.at(number);
      if (!line) continue;
      const row = line.kind === "row" ? this.store.row(line.index) : null;
      if (line.kind === "row" && !row) missing.push(line.index);
      const key = line.kind === "group" ? `g:${line.group.label}` : row ? `r:${row.id}` : `n:${line.index}`;
      gone.delete(key);
      nodes.push(this.#place(key, line, number));
    }
    for (const [key, kept] of gone) {
      kept.node.remove();
      this.#nodes.delete(key);
    }
    this.#order(nodes);
    this.store.need(missing);
    this.#tellCursor();
  }

  /**
   * Lines stand in the document in the order they are seen in: that is how they are read aloud.
   * @param {HTMLElement[]} nodes
   */
  #order(nodes) {
    /** @type {ChildNode | null} */
    let next = this.body.firstChild;
    for (const node of nodes) {
      if (node === next) next = next.nextSibling;
      else this.body.insertBefore(node, next);
    }
    const first = this.layout.lineAt(this.scroller.scrollTop);
    const line = this.layout.at(first);
    const row = line?.kind === "row" ? this.store.row(line.index) : undefined;
    this.#anchor = line && row ? { id: row.id, within: this.scroller.scrollTop - line.top } : null;
  }

  /**
   * @param {string} key
   * @param {GroupLine | RowLine} line
   * @param {number} number
   */
  #place(key, line, number) {
    let kept = this.#nodes.get(key);
    if (!kept) {
      kept = { node: h("div", { role: "row" }), drawn: "", line: -1 };
      this.#nodes.set(key, kept);
    }
    const { node } = kept;
    if (kept.line !== number) {
      kept.line = number;
      node.id = `line-${number}`;
      node.setAttribute("aria-rowindex", String(number + 2));
    }
    node.style.transform = `translateY(${line.top}px)`;
    this.#fill(kept, line);
    node.classList.toggle("cursor", number === this.cursor);
    return node;
  }

  /**
   * @param {Kept} kept
   * @param {GroupLine | RowLine} line
   */
  #fill(kept, line) {
    const row = line.kind === "row" ? this.store.row(line.index) : undefined;
    const mark = row && this.markOf(row);
    const columns = this.shown.map((one) => [one.column, one.sorted, row ? one.write(one.cell(row)) : ""]);
    const now = JSON.stringify([
      row,
      mark,
      columns,
      line.kind === "group" && [line.group, line.open],
      row?.id === this.focus,
    ]);
    if (kept.drawn === now) return;
    kept.drawn = now;
    const view = { shown: this.shown, markOf: this.markOf };
    const cells =
      line.kind === "group" ? groupCells(line, view) : row ? runCells(row, view) : waiting(view.shown.length);
    kept.node.replaceChildren(...cells);
    kept.node.className = `row ${line.kind}${row && row.id === this.focus ? " on" : ""}`;
    if (row) kept.node.dataset.run = row.id;
    if (row) kept.node.setAttribute("aria-selected", String(Boolean(mark?.pinned)));
    if (row && row.id === this.focus) kept.node.setAttribute("aria-current", "true");
    else kept.node.removeAttribute("aria-current");
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const target = /** @type {Element} */ (event.target);
    const node = /** @type {HTMLElement | null} */ (target.closest("[role=row]"));
    if (!node || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.cursor = Number(node.id.slice(5));
    const act = /** @type {HTMLElement | null} */ (target.closest("[data-act]"))?.dataset.act;
    if (node.classList.contains("group")) this.toggleFold();
    else if (node.dataset.run) (act === "pin" ? this.acts.pin : this.acts.focus)(node.dataset.run);
    this.draw();
  }

  /**
   * Move the cursor to a line and bring it in sight.
   * @param {number} line
   */
  moveTo(line) {
    if (!this.layout.lines) return;
    this.cursor = Math.max(0, Math.min(this.layout.lines - 1, line));
    this.reveal(this.cursor);
    this.drawNow();
  }

  /**
   * Scroll no further than it takes to see a line.
   * @param {number} number
   */
  reveal(number) {
    const line = this.layout.at(number);
    if (!line) return;
    const head = this.head.root.offsetHeight;
    const { scrollTop, clientHeight } = this.scroller;
    const bottom = line.top + line.height + head + 2;
    if (line.top < scrollTop) this.scroller.scrollTop = number === 0 ? 0 : line.top;
    else if (bottom > scrollTop + clientHeight) this.scroller.scrollTop = bottom - clientHeight;
  }

  /** How many lines a page of the table has. */
  get page() {
    return Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 2);
  }

  /** The id of the run under the cursor, or empty. */
  current() {
    const line = this.layout.at(this.cursor);
    return (line?.kind === "row" && this.store.row(line.index)?.id) || "";
  }

  /**
   * Fold the group under the cursor, or open it; from one of its rows, fold it.
   * @param {boolean} [open] open it, or fold it, whichever it was
   */
  toggleFold(open) {
    const line = this.layout.at(this.cursor);
    const block = this.layout.blocks.findLast((one) => one.line <= this.cursor);
    if (!line || !block?.group) return;
    const { label } = block.group;
    const folded = open === undefined ? line.kind === "row" || line.open : !open;
    if (folded) this.folded.add(label);
    else this.folded.delete(label);
    this.cursor = block.line;
    this.set(this.shown);
  }

  /**
   * Fold all groups, or open them.
   * @param {boolean} folded
   */
  foldAll(folded) {
    this.folded.clear();
    if (folded) for (const block of this.layout.blocks) if (block.group) this.folded.add(block.group.label);
    this.set(this.shown);
  }

  #tellCursor() {
    this.#cursorId = this.current();
    const there = this.cursor >= 0 && this.body.querySelector(`#line-${this.cursor}`);
    if (there) this.grid.setAttribute("aria-activedescendant", `line-${this.cursor}`);
    else this.grid.removeAttribute("aria-activedescendant");
  }
}

/**
 * The cells of a row that has not come yet.
 * @param {number} columns
 */
function waiting(columns) {
  const cells = [h("div", { class: "cell name", role: "rowheader" }, h("i", { class: "wait" }))];
  for (let place = 0; place < columns; place++)
    cells.push(h("div", { class: "cell", role: "gridcell" }, h("i", { class: "wait" })));
  return cells;
}
