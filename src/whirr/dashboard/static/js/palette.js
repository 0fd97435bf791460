/** The command field: type a few letters, jump to a run, a metric, a page, or do something. */
import { getJson, prefix } from "./lib/api.js";
import { open as openDialog } from "./lib/dialog.js";
import { clear, h } from "./lib/dom.js";
import { help } from "./lib/keys.js";
import { toggle } from "./lib/theme.js";
import { seek } from "./runs/picker.js";
import { lowerIsBetter, quoted } from "./runs/question.js";

const REST = 90;
const RUNS = 8;
const METRICS = 6;
const WAYS = 12;

/** @typedef {{label: string, room: string, detail: string, go: () => unknown}} Way */

/** @type {HTMLDialogElement | null} */
let shown = null;

/** Its style comes with it: most visits of a page go without. */
const styled = new Promise((resolve) => {
  const href = new URL("../css/palette.css", import.meta.url).href;
  document.head.append(h("link", { rel: "stylesheet", href, onload: resolve, onerror: resolve }));
});

/** Open the command field; if it is open, close it. */
export async function open() {
  await styled;
  if (shown) return shown.close();
  const palette = new Palette();
  shown = palette.box;
  openDialog(palette.box, () => {
    shown = null;
    palette.closed();
  });
  palette.input.focus();
  void palette.seek();
}

/** An input over a list of ways to go. */
class Palette {
  #timer = 0;
  #request = new AbortController();
  #active = 0;
  #ways = /** @type {Way[]} */ ([]);
  #metrics = /** @type {Promise<Way[]> | null} */ (null);
  #settled = false;
  #goes = false;

  constructor() {
    this.input = h("input", {
      class: "palette-input",
      type: "text",
      role: "combobox",
      placeholder: "A run, a metric, a page or a command",
      "aria-label": "Jump to a run, metric or command",
      "aria-controls": "palette-list",
      "aria-expanded": "true",
      "aria-autocomplete": "list",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.#typed(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#pressed(event),
    });
    this.list = h("ul", {
      id: "palette-list",
      role: "listbox",
      "aria-label": "Where to",
      onclick: (/** @type {MouseEvent} */ event) => this.#picked(event),
    });
    this.list.addEventListener("mousemove", (event) => this.#hovered(event));
    this.none = h("p", { class: "palette-none", hidden: true }, "Nothing of this name");
    this.box = h("dialog", { class: "palette", "aria-label": "Jump to" }, this.input, this.list, this.none);
  }

  closed() {
    window.clearTimeout(this.#timer);
    this.#request.abort();
  }

  #typed() {
    this.#settled = this.#goes = false;
    this.#request.abort(); // what was asked before this is not what the next Enter means
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.seek(), REST);
  }

  /** Show what there is for the text; runs come when the server has found them. */
  async seek() {
    this.#request.abort();
    const request = new AbortController();
    this.#request = request;
    const text = this.input.value.trim();
    const fixed = seek(commands(), text).slice(0, text ? WAYS : undefined);
    if (!text) this.#draw([...fixed]);
    this.#metrics ??= metricWays();
    const [runs, metrics] = await Promise.all([runWays(text, request.signal), this.#metrics]);
    if (request.signal.aborted) return;
    const fitting = text ? seek(metrics, text).slice(0, METRICS) : [];
    this.#draw(text ? [...runs, ...fitting, ...fixed] : [...fixed, ...runs]);
    this.#settled = true;
    if (this.#goes) this.#go(0);
  }

  /** @param {Way[]} ways */
  #draw(ways) {
    this.#ways = ways;
    this.#active = 0;
    this.none.hidden = ways.length > 0;
    this.list.hidden = !ways.length;
    clear(this.list).append(...ways.map(wayNode));
    this.#mark();
  }

  #mark() {
    for (const [place, node] of [...this.list.children].entries())
      node.setAttribute("aria-selected", String(place === this.#active));
    if (!this.#ways.length) return this.input.removeAttribute("aria-activedescendant");
    this.input.setAttribute("aria-activedescendant", `way-${this.#active}`);
    this.list.children[this.#active].scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const count = this.#ways.length;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && count) this.#active = (this.#active + by + count) % count;
    else if (event.key === "Enter") this.#go(this.#active);
    else return;
    event.preventDefault();
    this.#mark();
  }

  /** @param {MouseEvent} event */
  #placeOf(event) {
    const node = /** @type {Element} */ (event.target).closest("[role=option]");
    return node ? [...this.list.children].indexOf(node) : -1;
  }

  /** @param {MouseEvent} event */
  #picked(event) {
    const place = this.#placeOf(event);
    if (place >= 0) this.#go(place);
  }

  /** @param {MouseEvent} event */
  #hovered(event) {
    const place = this.#placeOf(event);
    if (place < 0 || place === this.#active) return;
    this.#active = place;
    this.#mark();
  }

  /**
   * Go there; while the answer to what was typed last is under way, once it is there.
   * @param {number} place
   */
  #go(place) {
    this.#goes = !this.#settled;
    const way = this.#ways[place];
    if (this.#goes || !way) return;
    this.box.close();
    way.go();
  }
}

/**
 * @param {Way} way
 * @param {number} place
 */
function wayNode(way, place) {
  const detail = way.detail ? h("small", { class: "cut" }, way.detail) : "";
  return h(
    "li",
    { role: "option", id: `way-${place}`, "aria-selected": "false" },
    h("span", { class: "cut" }, way.label),
    detail,
    h("i", null, way.room),
  );
}

/**
 * A page or a command.
 * @param {string} label
 * @param {string} room
 * @param {() => unknown} go
 * @param {string} [detail]
 * @returns {Way}
 */
function way(label, room, go, detail = "") {
  return { label, room, detail, go };
}

/** @param {string} path */
function to(path) {
  return () => location.assign(prefix + path);
}

/** @returns {Way[]} */
function commands() {
  const tabs = [...document.querySelectorAll("nav.tabs a.tab")].map((tab) => {
    const { firstChild, pathname } = /** @type {HTMLAnchorElement} */ (tab);
    return way((firstChild?.textContent ?? "").trim(), "page", () => location.assign(pathname));
  });
  const leaving = /** @type {HTMLFormElement | null} */ (document.querySelector("form[action$='/logout']"));
  const press = (/** @type {string} */ id) => () => document.getElementById(id)?.click();
  return [
    ...tabs,
    way("Light or dark", "command", toggle, "changes the theme"),
    way("Copy a link to this view", "command", press("copy-link")),
    way("Keyboard shortcuts", "command", help),
    way("Running runs", "filter", to("/?filter=status%3Arunning")),
    way("Failed runs", "filter", to("/?filter=status%3Afailed")),
    ...(leaving ? [way("Sign out", "command", () => leaving.requestSubmit())] : []),
  ];
}

/**
 * @param {string} text
 * @param {AbortSignal} signal
 * @returns {Promise<Way[]>}
 */
async function runWays(text, signal) {
  const words = text.split(/\s+/).filter(Boolean).map(quoted).join(" and ");
  try {
    const { rows } = await getJson("/ui/runs", { filter: words, start: 0, count: RUNS }, signal);
    return rows.map((/** @type {import("./runs/types.js").Row} */ row) => {
      const detail = [row.name && row.name !== row.id ? row.id : "", row.status, ...row.tags]
        .filter(Boolean)
        .join(" · ");
      return way(row.name || row.id, "run", to(`/runs/${encodeURIComponent(row.id)}`), detail);
    });
  } catch {
    return []; // pages and commands are there without the server
  }
}

/** @returns {Promise<Way[]>} */
async function metricWays() {
  try {
    const { metrics } = await getJson("/ui/keys");
    return metrics.map((/** @type {{key: string, runs: number}} */ { key, runs }) => {
      const query = new URLSearchParams({ metrics: key, sort: lowerIsBetter(key) ? key : `-${key}` });
      return way(key, "metric", to(`/?${query}`), runs === 1 ? "of 1 run" : `of ${runs} runs`);
    });
  } catch {
    return [];
  }
}
