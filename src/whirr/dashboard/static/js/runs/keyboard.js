/**
 * The keys of the Runs page, all listed under `?`.
 * @import {UrlState} from "../lib/state.js"
 * @import {FilterLine} from "./filter.js"
 * @import {SubLine} from "./subline.js"
 * @import {RunTable} from "./table.js"
 */
import { shortcut } from "../lib/keys.js";
import { compareLink, togglePin } from "./pinned.js";

/**
 * @param {{state: UrlState, table: RunTable, filter: FilterLine, sub: SubLine}} parts
 */
export function bindKeys({ state, table, filter, sub }) {
  const move = (/** @type {number} */ by) => table.moveTo(table.cursor < 0 ? 0 : table.cursor + by);
  const pin = () => table.current() && togglePin(state, table.current());
  const open = () => {
    const id = table.current();
    if (id) state.set({ focus: id }, { push: true });
    else table.toggleFold();
  };
  const close = () => {
    if (!state.get("focus") || document.querySelector(":popover-open")) return false;
    state.set({ focus: "" });
    return true;
  };
  shortcut("/", () => filter.focus(), "Filter the runs");
  shortcut("j", () => move(1), "Next run");
  shortcut("k", () => move(-1), "Previous run");
  shortcut("x", pin, "Pin the run: keep it in colour, to compare");
  shortcut("shift+x", () => state.set({ sel: [] }), "Unpin all");
  shortcut("c", () => state.get("sel").length > 1 && location.assign(compareLink(state)), "Compare the pinned runs");
  shortcut("s", () => sub.sort.open(), "Sort by a key");
  shortcut("r", () => state.get("sort") && state.set({ sort: reversed(state.get("sort")) }), "Reverse the order");
  shortcut("g", () => sub.pops.group.open(), "Group by a key");
  shortcut("v", () => sub.pops.columns.open(), "Choose the columns");
  shortcut("escape", close, "Close the run below the charts");
  shortcut("[", () => table.foldAll(true), "Fold all groups");
  shortcut("]", () => table.foldAll(false), "Open all groups");
  shortcut("enter", (event) => (within(event, table) ? open() : false), "Show the run below the charts; fold a group");
  table.grid.addEventListener("keydown", (event) => moved(event, table, pin));
}

/** @param {string} sort */
function reversed(sort) {
  return sort.startsWith("-") ? sort.slice(1) : `-${sort}`;
}

/**
 * Whether a key was meant for the table: nothing else that it could press has the focus.
 * @param {KeyboardEvent} event
 * @param {RunTable} table
 */
function within(event, table) {
  return (
    event.target === document.body || event.target === table.grid || event.target === document.getElementById("main")
  );
}

/**
 * The keys that a grid has by custom, while it has the focus.
 * @param {KeyboardEvent} event
 * @param {RunTable} table
 * @param {() => void} pin
 */
function moved(event, table, pin) {
  if (event.target !== table.grid || event.ctrlKey || event.metaKey || event.altKey) return;
  const now = Math.max(0, table.cursor);
  const end = table.layout.lines - 1;
  const lines = {
    ArrowDown: table.cursor + 1,
    ArrowUp: now - 1,
    PageDown: now + table.page,
    PageUp: now - table.page,
    Home: 0,
    End: end,
  };
  if (event.key in lines) table.moveTo(lines[/** @type {keyof typeof lines} */ (event.key)]);
  else if (event.key === "ArrowLeft") table.toggleFold(false);
  else if (event.key === "ArrowRight") table.toggleFold(true);
  else if (event.key === " ") pin();
  else return;
  event.preventDefault();
}
