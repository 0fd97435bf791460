// What can be done with a run: compare it, stop its job, try it again, submit it again.
import { prefix } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { again, canCancel, canRetry, cancel, mayAct, retry } from "../queue/actions.js";

/** @typedef {import("./types.js").About} About */

/**
 * @param {About} about
 * @param {() => void} done something was done
 * @returns {HTMLElement[]}
 */
export function actionsOf({ run, job }, done) {
  /** @type {HTMLElement[]} */
  const found = [h("a", { class: "btn", href: `${prefix}/compare?runs=${encodeURIComponent(run.run_id)}`, "data-act": "compare" }, "Compare")];
  if (!job || !mayAct) return found;
  const named = { id: Number(job.job_id), name: run.name ?? "", command: job.command.join(" "), status: job.status };
  const act = (/** @type {string} */ word, /** @type {string} */ kind, /** @type {() => Promise<boolean>} */ fn) =>
    h("button", { class: `btn${kind}`, type: "button", "data-act": word, onclick: () => fn().then((did) => did && done()) }, word);
  if (canRetry(named)) found.push(act("Retry", "", () => retry([named])));
  found.push(act("Submit again", "", () => again(named)));
  if (canCancel(named)) found.push(act("Stop", " d", () => cancel([named])));
  return found;
}
