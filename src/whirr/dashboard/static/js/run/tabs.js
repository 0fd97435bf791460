// The tabs of a page: one list of tabs, one panel each, built when it is first looked at.
import { h } from "../lib/dom.js";

/** @typedef {{key: string, label: string, build: () => import("./types.js").Pane}} Tab */

export class Tabs {
  /**
   * @param {Tab[]} tabs the first one is shown where the state names none of them
   * @param {import("../lib/state.js").UrlState} state its key `tab` says which
   */
  constructor(tabs, state) {
    this.tabs = tabs;
    this.state = state;
    /** @type {Map<string, import("./types.js").Pane>} */
    this.panes = new Map();
    /** @type {import("./types.js").About | null} */
    this.about = null;
    this.buttons = tabs.map((tab) => this.#button(tab));
    this.panels = tabs.map((tab) => this.#panel(tab));
    this.list = h("div", { class: "tl", role: "tablist", "aria-label": "About this run" }, this.buttons);
    this.list.addEventListener("keydown", (event) => this.#step(event));
    state.on((changed) => changed.has("tab") && this.show());
  }

  /** @param {Tab} tab */
  #button({ key, label }) {
    const about = { class: "tab", type: "button", role: "tab", id: `tab-${key}`, "aria-controls": `panel-${key}` };
    const count = h("i", null);
    return h("button", { ...about, onclick: () => this.state.set({ tab: key }, { push: true }) }, `${label} `, count);
  }

  /** @param {Tab} tab */
  #panel({ key }) {
    const about = { role: "tabpanel", id: `panel-${key}`, "aria-labelledby": `tab-${key}`, class: `pn pn-${key}` };
    return h("div", { ...about, hidden: true, tabindex: "-1" });
  }

  /** A number beside the name of a tab; null: none. @param {string} key @param {number|string|null} count */
  setCount(key, count) {
    const place = this.tabs.findIndex((tab) => tab.key === key);
    const node = this.buttons[place].querySelector("i");
    if (node) node.textContent = count === null ? "" : String(count);
  }

  /** @param {import("./types.js").About} about */
  update(about) {
    this.about = about;
    for (const pane of this.panes.values()) pane.update(about);
    this.show();
  }

  show() {
    const wanted = this.state.get("tab");
    const chosen = Math.max(this.tabs.findIndex((tab) => tab.key === wanted), 0);
    this.buttons.forEach((button, place) => {
      button.setAttribute("aria-selected", String(place === chosen));
      button.tabIndex = place === chosen ? 0 : -1;
      this.panels[place].hidden = place !== chosen;
    });
    const { list, buttons } = this; // a narrow window shows only some of the tabs
    if (list.scrollWidth > list.clientWidth) list.scrollLeft = buttons[chosen].offsetLeft - list.clientWidth / 2;
    if (this.about) this.#fill(chosen);
  }

  /** @param {number} place */
  #fill(place) {
    const { key, build } = this.tabs[place];
    if (this.panes.has(key) || !this.about) return;
    const pane = build();
    this.panes.set(key, pane);
    this.panels[place].append(pane.element);
    pane.update(this.about);
  }

  /** @param {KeyboardEvent} event */
  #step(event) {
    /** @type {Record<string, number>} */
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    const by = steps[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const many = this.tabs.length;
    const now = this.buttons.findIndex((button) => button.tabIndex === 0);
    const next = Math.abs(by) === 1 ? (now + by + many) % many : by > 0 ? many - 1 : 0;
    this.state.set({ tab: this.tabs[next].key });
    this.buttons[next].focus();
  }
}
