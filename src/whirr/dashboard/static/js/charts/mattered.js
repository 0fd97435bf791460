// "What mattered": configuration beside the result, and a filter from a stretch of an axis.

import { getJson } from "../lib/api.js";
import { plural } from "../lib/format.js";
import { axesOf, comparable, hint } from "./axes.js";
import { Parallel, parallelCard } from "./parallel.js";

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {import("../lib/state.js").UrlState} UrlState */

const LEAST_RUNS = 3;
/** More lines than that tell no more. */
const MOST_LINES = 150;
/** All runs are looked at for it, which costs the server something where they are thousands. */
const AGAIN_MS = 5000;

/** @typedef {{runs: number, left_out: number, axes: import("./axes.js").Found[]}} Answer */

export class Mattered {
  /** @type {{ids: string[], answer: Answer}|null} */
  #known = null;
  #asked = "";
  #timer = 0;
  #asking = new AbortController();
  #told = "";

  /**
   * @param {UrlState} state whose `filter` a brush narrows
   * @param {() => void} changed there is something else to show
   */
  constructor(state, changed) {
    const { el, plot, note } = parallelCard("What mattered");
    this.el = el;
    this.note = note;
    this.state = state;
    this.changed = changed;
    this.parallel = new Parallel(plot, {
      onBrush: (filter, key) => state.set({ filter: narrowed(state.get("filter"), filter, key) }, { push: true }),
    });
  }

  destroy() {
    clearTimeout(this.#timer);
    this.#asking.abort();
    this.parallel.destroy();
    this.el.remove();
  }

  /** Runs may have grown: ask again after a while. */
  touch() {
    this.#timer ||= window.setTimeout(() => {
      [this.#timer, this.#asked] = [0, ""];
      this.changed();
    }, AGAIN_MS);
  }

  /**
   * @param {ChartRun[]} given runs whose lines are drawn, all or some; the correlations are those of all runs in the table
   * @param {string|null} metric that configuration is held against; null: not known yet
   * @returns {boolean} whether there is anything to show, or may be: its place is kept, so that the panels need not move later
   */
  update(given, metric) {
    if (given.length < LEAST_RUNS) return false;
    const every = Math.ceil(given.length / MOST_LINES);
    const runs = given.filter((_, i) => i % every === 0);
    if (metric === null) return comparable(runs);
    const ids = runs.map((run) => run.id).sort();
    const question = JSON.stringify([this.state.get("filter"), this.state.get("hide"), metric, ids]);
    if (question !== this.#asked) void this.#ask(question, ids, metric);
    if (!this.#known) return comparable(runs);
    this.#draw(runs, this.#known);
    return this.#known.answer.axes.length > 0;
  }

  /**
   * @param {string} question
   * @param {string[]} ids
   * @param {string} metric
   */
  async #ask(question, ids, metric) {
    this.#asking.abort();
    const { signal } = (this.#asking = new AbortController());
    this.#asked = question;
    const [filter, hide] = [this.state.get("filter"), this.state.get("hide").join(",")];
    try {
      const answer = await getJson("/ui/mattered", { filter, hide, metric, runs: ids.join(",") }, signal);
      if (signal.aborted) return;
      this.#known = { ids, answer };
    } catch (error) {
      if (signal.aborted) return;
      [this.#asked, this.#told] = ["", ""];
      this.note.textContent = `This could not be loaded: ${/** @type {Error} */ (error).message}`;
      return;
    }
    this.changed();
  }

  /**
   * @param {ChartRun[]} given
   * @param {{ids: string[], answer: Answer}} known
   */
  #draw(given, { ids, answer }) {
    const place = new Map(ids.map((id, i) => [id, i]));
    const runs = given.filter((run) => place.has(run.id));
    const axes = axesOf(
      answer.axes,
      runs.map((run) => /** @type {number} */ (place.get(run.id))),
    );
    const now = JSON.stringify([answer, runs.map(({ id, name, colour, focus }) => [id, name, colour, focus])]);
    if (!axes.length || now === this.#told) return;
    this.#told = now;
    this.parallel.set(runs, axes);
    this.note.textContent = [hint(axes), reach(answer, runs.length)].filter(Boolean).join(" · ");
    this.note.title = axes
      .filter((axis) => axis.r !== null)
      .map((axis) => `${axis.key}: r ${axis.r?.toFixed(2)}`)
      .join("\n");
  }
}

/**
 * What the correlations are of, in words.
 *
 * @param {Answer} answer
 * @param {number} drawn
 */
function reach({ runs, left_out }, drawn) {
  const some = runs > drawn ? `, ${drawn.toLocaleString("en-US")} drawn` : "";
  const told = `over ${plural(runs, "run")}${some}`;
  return left_out ? `${told}, without ${plural(left_out, "key")} of too many` : told;
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
