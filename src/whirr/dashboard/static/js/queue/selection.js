// The jobs that were chosen, and the bar that says what can be done with them together.
import { clear, h } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { again, canCancel, canMove, canRetry, cancel, move, retry } from "./actions.js";

/** @import {Job} from "./types.js" */

export class Selection {
  /**
   * @param {HTMLElement} bar
   * @param {(doing: Promise<boolean>) => void} deed told of what is done
   * @param {() => Job[]} jobs every job that is shown
   */
  constructor(bar, deed, jobs) {
    this.bar = bar;
    this.deed = deed;
    this.jobs = jobs;
    /** @type {Set<number>} */
    this.ids = new Set();
    this.changed = () => {};
  }

  get size() {
    return this.ids.size;
  }

  /** @param {number} id */
  has(id) {
    return this.ids.has(id);
  }

  /** @returns {Job[]} */
  chosen() {
    return this.jobs().filter((job) => this.ids.has(job.id));
  }

  /**
   * @param {number} id
   * @param {boolean} on
   */
  set(id, on) {
    if (on) this.ids.add(id);
    else this.ids.delete(id);
    this.show();
  }

  /**
   * @param {Job[]} jobs
   * @param {boolean} on
   */
  all(jobs, on) {
    for (const { id } of jobs) on ? this.ids.add(id) : this.ids.delete(id);
    this.show();
  }

  clear() {
    this.ids.clear();
    this.show();
  }

  /**
   * Forget those that are no longer shown.
   *
   * @param {Set<number>} shown
   */
  keep(shown) {
    for (const id of [...this.ids]) if (!shown.has(id)) this.ids.delete(id);
    this.show();
  }

  show() {
    const jobs = this.chosen();
    const key = jobs.map((job) => `${job.id} ${job.status}`).join();
    if (this.bar.dataset.key !== key) this.draw(jobs);
    this.bar.dataset.key = key;
    this.bar.hidden = !jobs.length;
    this.changed();
  }

  /** @param {Job[]} jobs */
  draw(jobs) {
    const act = this.bar.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.act : undefined;
    const some = (/** @type {(job: Job) => boolean} */ fits) => jobs.filter(fits).length;
    const all = [
      { name: "raise", words: "Raise", count: some(canMove), act: () => move(this.chosen(), 1) },
      { name: "lower", words: "Lower", count: some(canMove), act: () => move(this.chosen(), -1) },
      { name: "retry", words: "Queue again", count: some(canRetry), act: () => retry(this.chosen()) },
      { name: "again", words: "Submit with changes", count: jobs.length === 1 ? 1 : 0, act: () => again(jobs[0]) },
      { name: "cancel", words: "Cancel", count: some(canCancel), act: () => cancel(this.chosen()) },
    ];
    const buttons = all
      .filter((one) => one.count)
      .map((one) => {
        const words = one.count < jobs.length ? `${one.words} ${one.count}` : one.words;
        const style = one.name === "cancel" ? "btn d" : "btn";
        return h("button", { class: style, type: "button", dataset: { act: one.name }, onclick: () => this.deed(one.act()) }, words);
      });
    const none = h("button", { class: "btn", type: "button", dataset: { act: "none" }, onclick: () => this.clear() }, "Clear");
    clear(this.bar).append(h("b", null, `${plural(jobs.length, "job")} selected`), ...buttons, none);
    if (act) /** @type {HTMLElement} */ (this.bar.querySelector(`[data-act="${act}"]`) ?? none).focus();
  }
}
