// "What mattered": configuration beside the result, and a filter from a stretch of an axis.

import { axesOf, configAxes, hint } from "./axes.js";
import { Parallel, parallelCard } from "./parallel.js";

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {import("../lib/state.js").UrlState} UrlState */

const LEAST_RUNS = 3;

export class Mattered {
  #told = "";

  /** @param {UrlState} state whose `filter` a brush narrows */
  constructor(state) {
    const { el, plot, note } = parallelCard("What mattered");
    this.el = el;
    this.note = note;
    this.parallel = new Parallel(plot, {
      onBrush: (filter, key) => state.set({ filter: narrowed(state.get("filter"), filter, key) }, { push: true }),
    });
  }

  destroy() {
    this.parallel.destroy();
    this.el.remove();
  }

  /**
   * @param {ChartRun[]} runs
   * @param {{key: string, values: (number|null)[]}|null} target the metric and its last value in each run; null: not known yet
   * @returns {boolean} whether there is anything to show, or may be: its place is kept, so that the panels need not move later
   */
  update(runs, target) {
    if (runs.length < LEAST_RUNS) return false;
    if (!target) return configAxes(runs, []).length > 0;
    const axes = axesOf(runs, target);
    const now = JSON.stringify([axes, runs.map(({ id, name, colour, focus }) => [id, name, colour, focus])]);
    if (axes.length && now !== this.#told) {
      this.parallel.set(runs, axes);
      this.note.textContent = hint(axes);
      this.note.title = axes
        .filter((axis) => axis.r !== null)
        .map((axis) => `${axis.key}: r ${axis.r?.toFixed(2)}`)
        .join("\n");
    }
    this.#told = now;
    return axes.length > 0;
  }
}

/**
 * A filter with a further condition; one that the last brush on the same axis added gives way.
 *
 * @param {string} filter
 * @param {string} condition
 * @param {string} key of the axis
 */
export function narrowed(filter, condition, key) {
  const own = condition.slice(0, condition.search(/ (in|=|>=|<=) /));
  const parts = filter.split(" and ").filter((part) => part.trim() && !brushedBefore(part, own || key));
  // An "or" beside "and" would bind less than meant.
  const kept = parts.join(" and ");
  return kept ? `${/ or /i.test(kept) ? `(${kept})` : kept} and ${condition}` : condition;
}

/**
 * @param {string} part
 * @param {string} own key of the axis as a filter writes it
 */
const brushedBefore = (part, own) =>
  [" in ", " = ", " >= ", " <= "].some((operator) => part.trim().startsWith(own + operator));
