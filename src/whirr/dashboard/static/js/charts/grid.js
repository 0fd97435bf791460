// Where the panels stand, and which of them are in sight.

import { clear, h } from "../lib/dom.js";
import { Panel } from "./panel.js";

/** @typedef {import("./order.js").Section} Section */
/** @typedef {import("./subjects.js").Spec} Spec */
/** @typedef {import("./panel.js").Host} Host */
/** @typedef {import("./panels.js").Look} Look */

/** With more panels than this, those below the first ones are folded by prefix. */
const UNFOLDED = 60;
/** Above, between and below two rows of panels, pixels. */
const PADDING = 42;
const AHEAD = "240px";

/**
 * How wide each panel of the first section is, so that every row is filled.
 *
 * @param {number} count
 * @param {boolean} beside whether the parallel coordinates stand among them
 * @returns {NonNullable<Look["size"]>[]} the last one is theirs
 */
export function sizes(count, beside) {
  if (count === 1) return beside ? ["m", "m"] : ["w", "l"];
  if (count === 2) return ["l", "s", "w"];
  const rest = count - 2 - (beside ? 1 : 0);
  const last = { 0: [], 1: ["w"], 2: ["m", "m"] }[rest % 3] ?? [];
  const full = Array.from({ length: rest - last.length }, () => "s");
  return /** @type {NonNullable<Look["size"]>[]} */ (["l", "s", ...(beside ? ["s"] : []), ...full, ...last, "l"]);
}

export class Grid {
  /** @type {Map<string, Panel>} */
  panels = new Map();
  /** @type {Map<string, HTMLDetailsElement>} */
  #folds = new Map();
  /** @type {Map<Element, Panel>} */
  #seen = new Map();
  /** @type {HTMLElement|null} holds the panels without a heading */
  top = null;

  /** @param {Host} host */
  constructor(host) {
    this.host = host;
    this.el = h("div", { class: "chart-panels" });
    this.sizing = new ResizeObserver(() => this.#heights());
    this.sizing.observe(this.el);
    const options = { rootMargin: AHEAD, scrollMargin: AHEAD };
    this.watching = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#seen.get(target)?.show(isIntersecting);
    }, options);
  }

  destroy() {
    this.watching.disconnect();
    this.sizing.disconnect();
    for (const panel of this.panels.values()) panel.destroy();
  }

  /** Two rows fill the height there is, where the panels have one of their own to scroll in. */
  #heights() {
    const height = getComputedStyle(this.el).overflowY === "visible" ? 0 : this.el.clientHeight - PADDING;
    this.el.style.setProperty("--tall", `${Math.round(Math.min(460, Math.max(288, height * 0.57)))}px`);
    this.el.style.setProperty("--low", `${Math.round(Math.min(340, Math.max(218, height * 0.43)))}px`);
  }

  /**
   * @param {Section[]} sections
   * @param {{mattered: HTMLElement|null, filtered: boolean}} more
   */
  update(sections, { mattered, filtered }) {
    const count = sections.reduce((sum, section) => sum + section.specs.length, 0);
    const wanted = new Set(sections.flatMap((section) => section.specs.map((spec) => spec.key)));
    for (const [key, panel] of this.panels) if (!wanted.has(key)) this.#remove(key, panel);
    const parts = sections.map((section) => {
      if (!section.name) return this.#top(section.specs, mattered);
      return this.#fold(section, count <= UNFOLDED || (filtered && section.specs.length <= UNFOLDED));
    });
    arrangeChildren(this.el, parts);
  }

  /**
   * @param {string} key
   * @param {Panel} panel
   */
  #remove(key, panel) {
    this.watching.unobserve(panel.el);
    this.#seen.delete(panel.el);
    this.panels.delete(key);
    panel.destroy();
  }

  /**
   * @param {Spec[]} specs
   * @param {HTMLElement|null} mattered
   */
  #top(specs, mattered) {
    this.top ??= h("div", { class: "chart-grid" });
    const wide = sizes(specs.length, mattered !== null);
    const cards = specs.map((spec, i) => this.#card(spec, wide[i], i < 2));
    if (mattered) {
      mattered.dataset.size = wide[wide.length - 1];
      mattered.dataset.tall = String(specs.length < 2);
      cards.splice(3, 0, mattered);
    }
    arrangeChildren(this.top, cards);
    return this.top;
  }

  /**
   * @param {Section} section
   * @param {boolean} open unless somebody has chosen
   */
  #fold({ name, specs }, open) {
    const grid = h("div", { class: "chart-grid" });
    const fill = () =>
      arrangeChildren(
        grid,
        specs.map((spec) => this.#card(spec, "s", false)),
      );
    const fold = this.#folds.get(name) ?? h("details", { class: "chart-fold" });
    const chosen = fold.dataset.chosen;
    const summary = h("summary", null, h("h2", null, name), h("i", null, String(specs.length)));
    summary.addEventListener("click", () => (fold.dataset.chosen = String(!fold.open)));
    fold.ontoggle = () => fold.open && fill();
    fold.open = chosen ? chosen === "true" : open;
    clear(fold).append(summary, grid);
    if (fold.open) fill();
    this.#folds.set(name, fold);
    return fold;
  }

  /**
   * @param {Spec} spec
   * @param {NonNullable<Look["size"]>} size unless somebody has chosen
   * @param {boolean} tall
   */
  #card(spec, size, tall) {
    let panel = this.panels.get(spec.key);
    if (!panel) {
      panel = new Panel(this.host, spec);
      this.panels.set(spec.key, panel);
      this.#seen.set(panel.el, panel);
      this.watching.observe(panel.el);
    }
    if (JSON.stringify(panel.spec.metrics) !== JSON.stringify(spec.metrics)) panel.refresh();
    panel.spec = spec;
    const look = this.host.look(spec.key);
    panel.el.dataset.size = look.size ?? size;
    panel.el.dataset.tall = String(look.size ? look.size !== "s" : tall);
    panel.el.dataset.pinned = String(look.pinned);
    return panel.el;
  }
}

/**
 * Gives an element these children, touching nothing where they stand already.
 *
 * @param {HTMLElement} el
 * @param {HTMLElement[]} children
 */
function arrangeChildren(el, children) {
  if (children.length === el.children.length && children.every((child, i) => child === el.children[i])) return;
  el.replaceChildren(...children);
}
