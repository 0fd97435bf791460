// What is said of jobs in words.
import { number, plural } from "../lib/format.js";

/** @import {Job, Running, Room} from "./types.js" */

const FIRST = [/^(val|valid|eval|test)[/_.]/i, /loss/i, /acc|score|reward|f1|auc|bleu|miou/i];
const COUNTERS = new Set(["epoch", "global_step", "step"]);

/**
 * What people call a job.
 *
 * @param {{id: number, name: string, command: string}} job
 * @returns {string}
 */
export function called(job) {
  return job.name || job.command;
}

/**
 * How far a run has come: `68 %`, `step 61,240`, or nothing.
 *
 * @param {Running} job
 * @returns {string}
 */
export function progress(job) {
  const { done, total, step } = job.progress;
  if (job.part !== null) return `${Math.floor(job.part * 100)} %`;
  if (done !== null && total) return `${number(done)} of ${number(total)}`;
  return step === null ? "" : `step ${number(step)}`;
}

/**
 * The last values of the metrics one looks at first.
 *
 * @param {Record<string, number | string>} latest
 * @param {number} [most]
 * @returns {[string, string][]} names and values
 */
export function metrics(latest, most = 3) {
  const names = Object.keys(latest).filter((name) => !COUNTERS.has(name));
  const rank = (/** @type {string} */ name) => FIRST.reduce((sum, form, place) => sum + (form.test(name) ? 1 << (2 - place) : 0), 0);
  const chosen = names.map((name, place) => ({ name, place, rank: rank(name) })).sort((a, b) => b.rank - a.rank || a.place - b.place);
  return chosen.slice(0, most).map(({ name }) => [name, number(latest[name])]);
}

/**
 * How many workers there are and what of them is idle: `2 workers · 3 of 8 GPUs idle`.
 *
 * @param {Room} room
 * @returns {string}
 */
export function room({ living, gpus, slots }) {
  if (!living) return "no worker is running";
  const [what, { idle, all }] = gpus.all ? ["GPU", gpus] : ["slot", slots];
  return `${plural(living, "worker")} · ${idle} of ${plural(all, what)} idle`;
}

/**
 * What an attempt is called, where it is not the first: `attempt 3`.
 *
 * @param {Job} job
 * @returns {string}
 */
export function attempt(job) {
  return job.attempt > 1 ? `attempt ${job.attempt}` : "";
}

/**
 * @param {number | null} count
 * @returns {string}
 */
export function gpus(count) {
  return count === null ? "" : count ? plural(count, "GPU") : "no GPU";
}

/**
 * Who submitted a job, without the host and the token's name.
 *
 * @param {string} by
 * @returns {string}
 */
export function who(by) {
  const [said, token] = by.split(" (token ");
  return said.replace(/^token /, "").replace(/@.*$/, "") || token?.replace(/\)$/, "") || "";
}
