/**
 * What can be done with the run in focus, for those who may: submit its job again, stop it.
 * @import {RunAbout} from "./about.js"
 */
import { h } from "../lib/dom.js";
import { again, canCancel, cancel, mayAct } from "../queue/actions.js";

/**
 * The buttons of a run; one that no job of this queue has made has none.
 * @param {RunAbout} about
 * @param {() => void} done something was done
 * @returns {HTMLElement[]}
 */
export function actionsOf({ run, job }, done) {
  if (!mayAct || !job) return [];
  const named = { id: Number(job.job_id), name: run.name ?? "", command: "", status: String(job.status) };
  const buttons = [button("Clone", "", "Submit it again, with changes", () => void again(named).then(done))];
  if (canCancel(named)) buttons.push(button("Stop", " d", "Stop its job", () => void cancel([named]).then(done)));
  return buttons;
}

/**
 * @param {string} word
 * @param {string} kind
 * @param {string} title
 * @param {() => void} act
 */
function button(word, kind, title, act) {
  return h("button", { class: `btn${kind}`, type: "button", title, onclick: act }, word);
}
