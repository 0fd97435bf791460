/**
 * The run in focus, below the charts: what becomes of it, its log and machine, its configuration, files and notes.
 * @import {UrlState} from "../lib/state.js"
 * @import {Mark} from "./types.js"
 * @import {RunAbout} from "./about.js"
 */
import { getJson, prefix } from "../lib/api.js";
import { clear, h, s } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { codeOf, GOING, said } from "./about.js";
import { actionsOf } from "./actions.js";
import { statusMark, swatch } from "./marks.js";
import { PANES } from "./panes.js";

/** @typedef {{refresh?: (about: RunAbout) => void, destroy?: () => void}} Pane */

/** Shows one run at a time; a tab is built when it is looked at. */
export class Drawer {
  #id = "";
  #about = /** @type {RunAbout | null} */ (null);
  #mark = /** @type {Mark | undefined} */ (undefined);
  #pane = /** @type {Pane | null} */ (null);
  #shown = "";
  #request = new AbortController();

  /**
   * @param {HTMLElement} root
   * @param {UrlState} state
   */
  constructor(root, state) {
    this.root = root;
    this.state = state;
    this.head = h("div", { class: "dh" });
    this.title = h("div", { class: "title" });
    this.tabs = h("div", { class: "seg", role: "tablist", "aria-label": "About this run" });
    this.acts = h("div", { class: "acts" });
    this.body = h("div", { class: "db", id: "drawer-body", role: "tabpanel", tabindex: "0" });
    const close = h(
      "button",
      { class: "ib", type: "button", title: "Close (Esc)", "aria-label": "Close", onclick: () => this.close() },
      cross(),
    );
    this.head.append(this.title, h("span", { class: "grow" }), this.tabs, this.acts, close);
    clear(root).append(this.head, this.body);
    this.#drawTabs();
  }

  close() {
    this.state.set({ focus: "" }, { push: true });
  }

  /**
   * Show a run; empty: none.
   * @param {string} id
   */
  show(id) {
    if (id === this.#id) return;
    this.#id = id;
    this.#about = null;
    this.root.hidden = !id;
    this.#drop();
    if (!id) return;
    this.#drawHead();
    this.#drawPane();
    void this.refresh();
  }

  /** Ask again what becomes of it. */
  async refresh() {
    const id = this.#id;
    if (!id) return;
    this.#request.abort();
    const request = new AbortController();
    this.#request = request;
    try {
      const about = await getJson(`/ui/run/${encodeURIComponent(id)}`, undefined, request.signal);
      if (id !== this.#id || request.signal.aborted) return;
      this.#about = about;
      this.#drawHead();
      if (this.#pane) this.#pane.refresh?.(about);
      else this.#drawPane();
    } catch (error) {
      if (id === this.#id && !request.signal.aborted) this.#tellTrouble(/** @type {Error} */ (error));
    }
  }

  /**
   * How the run is marked in the charts.
   * @param {Mark | undefined} mark
   */
  setMark(mark) {
    if (JSON.stringify(mark) === JSON.stringify(this.#mark)) return;
    this.#mark = mark;
    if (this.#id) this.#drawHead();
  }

  /** The tab in the state may have changed. */
  showTab() {
    this.#drawTabs();
    if (this.#id && this.#shown !== this.#tab()) this.#drawPane();
  }

  #tab() {
    const tab = this.state.get("tab");
    return tab in PANES ? tab : "logs";
  }

  #drawTabs() {
    const now = this.#tab();
    const had = this.tabs.contains(document.activeElement);
    const nodes = Object.entries(PANES).map(([key, { title }]) => {
      const on = key === now;
      const about = {
        type: "button",
        role: "tab",
        id: `tab-${key}`,
        "aria-selected": String(on),
        "aria-controls": "drawer-body",
        tabindex: on ? "0" : "-1",
      };
      return h("button", { ...about, onclick: () => this.state.set({ tab: key }) }, title);
    });
    clear(this.tabs).append(...nodes);
    this.body.setAttribute("aria-labelledby", `tab-${now}`);
    this.tabs.onkeydown = (event) => this.#step(event, Object.keys(PANES), now);
    if (had) /** @type {HTMLElement | null} */ (this.tabs.querySelector("[aria-selected=true]"))?.focus();
  }

  /**
   * @param {KeyboardEvent} event
   * @param {string[]} keys
   * @param {string} now
   */
  #step(event, keys, now) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    this.state.set({ tab: keys[(keys.indexOf(now) + by + keys.length) % keys.length] });
  }

  #drawHead() {
    const about = this.#about;
    const name = about?.run.name || this.#id;
    const link = h(
      "a",
      { class: "cut", href: `${prefix}/runs/${encodeURIComponent(this.#id)}`, title: `${name}: open its page` },
      name,
    );
    const parts = [h("span", { class: "sw" }, swatch(this.#mark)), h("h2", { class: "cut" }, link)];
    if (about) parts.push(...headParts(about));
    clear(this.title).append(...parts);
    clear(this.acts).append(...(about ? actionsOf(about, () => void this.refresh()) : []));
  }

  #drawPane() {
    this.#drop();
    const key = this.#tab();
    const { make, waits } = PANES[key];
    if (waits && !this.#about) return;
    this.#shown = key;
    this.#pane = make(this.body, this.#id, this.#about);
  }

  #drop() {
    this.#pane?.destroy?.();
    this.#pane = null;
    this.#shown = "";
    clear(this.body).className = "db";
  }

  /** @param {Error} error */
  #tellTrouble(error) {
    if (this.#about) return; // what is shown stays; the live dot says when the server is away
    this.#drop();
    this.body.append(h("p", { class: "alert", role: "alert" }, error.message));
  }
}

/** @param {RunAbout} about */
function headParts(about) {
  const { run } = about;
  const done = about.progress.share;
  const going = GOING.has(run.status);
  const parts = [statusMark(run.status, null)];
  if (going && done !== null) parts.push(progressBar(done));
  const code = codeOf(about);
  const words = said(about).map((word) => h("span", null, word));
  if (code)
    words.push(h("span", null, h("span", { class: "mono" }, code.commit), code.changed ? ` ${code.changed}` : ""));
  if (about.progress.step !== null) words.push(h("span", null, `step ${number(about.progress.step)}`));
  return [
    ...parts,
    h("span", { class: "meta cut", title: words.map((word) => word.textContent).join(" · ") }, ...words),
  ];
}

/** @param {number} done */
function progressBar(done) {
  const fill = h("i", null);
  fill.style.width = `${done * 100}%`;
  const percent = String(Math.round(done * 100));
  return h(
    "span",
    {
      class: "prog",
      role: "progressbar",
      "aria-label": "Progress",
      "aria-valuenow": percent,
      "aria-valuemin": "0",
      "aria-valuemax": "100",
    },
    fill,
  );
}

function cross() {
  return s("svg", { viewBox: "0 0 18 18", "aria-hidden": "true" }, s("path", { d: "M5 5l8 8M13 5l-8 8" }));
}
