// The queue page by keyboard: the row in focus, or what is selected, is acted on.
import { shortcut } from "../lib/keys.js";
import { again, cancel, mayAct, move, retry } from "./actions.js";

/** @import {Job} from "./types.js" */
/** @import {Selection} from "./selection.js" */

/**
 * @param {{selection: Selection, jobs: () => Job[], filter: HTMLElement}} page
 */
export function keyboard({ selection, jobs, filter }) {
  const links = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".job a.name")].filter((node) => node.checkVisibility()));

  /** @returns {Job | undefined} the job in whose row the focus is */
  function current() {
    const row = /** @type {HTMLElement | null | undefined} */ (document.activeElement?.closest(".job"));
    return row ? jobs().find((job) => String(job.id) === row.dataset.id) : undefined;
  }

  /** @returns {Job[]} */
  function meant() {
    const job = current();
    return selection.size ? selection.chosen() : job ? [job] : [];
  }

  /** @param {number} by */
  function step(by) {
    const all = links();
    const row = document.activeElement?.closest(".job");
    const at = row ? all.findIndex((link) => row.contains(link)) : by > 0 ? -1 : all.length;
    all[Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
  }

  shortcut("j", () => step(1), "Next job");
  shortcut("k", () => step(-1), "Job before");
  shortcut("/", () => filter.focus(), "Filter");
  if (!mayAct) return;
  const choose = () => {
    const job = current();
    if (job) selection.set(job.id, !selection.has(job.id));
  };
  shortcut("x", choose, "Select the job, or no longer");
  shortcut("escape", () => selection.clear(), "Select nothing");
  shortcut("c", () => selection.deed(cancel(meant())), "Cancel or stop the job, or the selected ones");
  shortcut("r", () => selection.deed(retry(meant())), "Queue it again");
  shortcut("e", () => meant().length === 1 && selection.deed(again(meant()[0])), "Submit it again with changes");
  shortcut("shift+arrowup", () => selection.deed(move(meant(), 1)), "Raise its priority");
  shortcut("shift+arrowdown", () => selection.deed(move(meant(), -1)), "Lower its priority");
}
