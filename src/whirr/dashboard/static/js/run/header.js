// The head of a run's page: its name, how it stands or ended and why, how far it has come, what can be done.
import { prefix } from "../lib/api.js";
import { clear, h } from "../lib/dom.js";
import { age, duration, epoch, plural, stamp } from "../lib/format.js";
import { actionsOf } from "./actions.js";
import { copyable, listOf, statusMark } from "./ui.js";

/** @typedef {import("./types.js").About} About */

const ENDED = new Set(["completed", "failed", "cancelled"]);

/** What it says until the first answer, or where none comes: which run this is. @param {HTMLElement} root @param {string} runId */
export function awaitHeader(root, runId) {
  clear(root).append(h("div", { class: "rh-row" }, h("div", { class: "rh-title" }, heading(runId))));
}

/** @param {string} name */
function heading(name) {
  return h("h1", { class: "cut", title: name }, name);
}

/** @param {HTMLElement} root @param {About} about @param {() => void} done something was done with it */
export function drawHeader(root, about, done) {
  const { run, ending } = about;
  const name = run.name || run.run_id;
  const had = root.contains(document.activeElement) ? document.activeElement?.getAttribute("data-act") : null;
  const why = ending.text ? h("span", { class: "rh-why", title: ending.text }, ending.text) : null;
  const title = h("div", { class: "rh-title" }, heading(name), statusMark(run.status, ending.word), why);
  const acts = h("div", { class: "rh-acts" }, actionsOf(about, done));
  clear(root).append(h("div", { class: "rh-row" }, title, acts), h("div", { class: "rh-meta" }, ...metaOf(about)));
  if (had) /** @type {HTMLElement|null} */ (root.querySelector(`[data-act="${had}"]`))?.focus();
}

/** @param {About} about */
function metaOf(about) {
  const { run, now, job } = about;
  const parts = [h("span", null, copyable(run.run_id, "the id"))];
  if (run.status === "running") parts.push(...progressOf(about));
  if (run.started_at) parts.push(h("span", { title: run.started_at }, begun(run.started_at, now)));
  if (run.duration_seconds !== null && run.status !== "running") parts.push(h("span", null, `ran ${duration(run.duration_seconds)}`));
  const where = placeOf(about);
  if (where) parts.push(h("span", null, where));
  if (job && !ENDED.has(job.status)) parts.push(h("a", { href: `${prefix}/queue` }, "in the queue"));
  if (about.attempts.length > 1) parts.push(h("span", null, plural(about.attempts.length, "attempt")));
  const tags = about.tags.map((tag) => h("a", { class: "chip", href: `${prefix}/?filter=${encodeURIComponent(tagFilter(tag))}` }, tag));
  if (tags.length) parts.push(h("span", { class: "rh-tags" }, tags));
  return parts;
}

/** @param {string} moment @param {number} now */
function begun(moment, now) {
  const since = age(moment, now);
  return `started ${stamp(moment)}${since && since !== "now" ? `, ${since} ago` : ""}`;
}

/** @param {string} tag */
function tagFilter(tag) {
  return /^[\w.-]+$/.test(tag) ? `tag:${tag}` : `tag:"${tag.replace(/["\\]/g, "\\$&")}"`;
}

/** @param {About} about @returns {HTMLElement[]} */
function progressOf({ run, progress, now }) {
  const began = epoch(run.started_at);
  const elapsed = began === null ? null : Math.max(now - began, 0);
  const { share, step } = progress;
  if (share === null) return [h("span", null, [step === null ? "" : `step ${step.toLocaleString("en-US")} · `, `${duration(elapsed)} so far`].join(""))];
  const percent = Math.round(share * 100);
  const done = h("i", null);
  done.style.width = `${share * 100}%`;
  const bar = h("span", { class: "prog", role: "progressbar", "aria-label": "Progress", "aria-valuenow": percent, "aria-valuemin": 0, "aria-valuemax": 100 }, done);
  const left = elapsed && share > 0.005 && share < 1 ? ` · about ${duration((elapsed * (1 - share)) / share)} left` : "";
  return [h("span", { class: "rh-prog" }, bar, `${percent} %${left}`)];
}

/** Where it runs or ran. @param {About} about */
function placeOf({ run }) {
  const host = run.environment?.host ?? run.job?.host;
  const gpus = listOf(run.environment?.cuda_devices?.gpus);
  const models = [...new Set(gpus.map((gpu) => gpu?.name))];
  const many = listOf(run.job?.gpus).length || gpus.length;
  const cards = many ? `${many} × ${models.length === 1 ? models[0] : "GPU"}` : "";
  return [host, cards].filter(Boolean).join(", ");
}
