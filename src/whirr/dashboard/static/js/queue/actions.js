// What people do with jobs: asked first, done one after the other, told in a line.
import { ApiError, getJson, postJson } from "../lib/api.js";
import { confirm, form } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { toast } from "../lib/toast.js";
import { called } from "./words.js";

/** @typedef {{id: number, name: string, command: string, status: string}} Named */

/** Whether who looks may also act. */
export const mayAct = ["admin", "submit"].includes(document.body.dataset.role ?? "");

/** @param {Named} job */
export const canCancel = (job) => job.status === "queued" || job.status === "running";
/** @param {Named} job */
export const canRetry = (job) => job.status === "failed" || job.status === "cancelled";
/** @param {Named} job */
export const canMove = (job) => job.status === "queued";

/**
 * Take jobs out of the queue, and stop those that run.
 *
 * @param {Named[]} jobs
 * @returns {Promise<boolean>} whether something was done
 */
export async function cancel(jobs) {
  const chosen = jobs.filter(canCancel);
  if (!chosen.length) return false;
  const running = chosen.filter((job) => job.status === "running").length;
  const queued = chosen.length - running;
  const asked = chosen.length === 1 ? aboutOne(chosen[0]) : aboutMany(running, queued);
  if (!(await confirm({ ...asked, danger: true }))) return false;
  // The youngest first: a job fails when one that it waits for is cancelled before it.
  await each([...chosen].sort((a, b) => b.id - a.id), "cancel", {}, running ? "told to stop" : "cancelled");
  return true;
}

/** @param {Named} job */
function aboutOne(job) {
  const fate = "A job that waits for its success fails with it.";
  if (job.status === "running") {
    const text = `${called(job)}. It runs now: its processes are told to end, and after their grace they are ended. ${fate}`;
    return { title: `Stop job ${job.id}?`, text, action: "Stop job" };
  }
  return { title: `Take job ${job.id} out of the queue?`, text: `${called(job)}. It will not run. ${fate}`, action: "Take out" };
}

/**
 * @param {number} running
 * @param {number} queued
 */
function aboutMany(running, queued) {
  const parts = [
    running && `${plural(running, "job")} ${running === 1 ? "runs" : "run"} now: the processes are told to end, and after their grace they are ended.`,
    queued && `${plural(queued, "job")} ${queued === 1 ? "leaves" : "leave"} the queue.`,
    "Jobs that wait for their success fail with them.",
  ];
  const what = plural(running + queued, "job");
  const action = queued ? `Cancel ${what}` : `Stop ${what}`;
  return { title: `${action}?`, text: parts.filter(Boolean).join(" "), action };
}

/**
 * Queue jobs again that failed or were cancelled.
 *
 * @param {Named[]} jobs
 * @returns {Promise<boolean>} whether something was done
 */
export async function retry(jobs) {
  const chosen = jobs.filter(canRetry);
  if (!chosen.length) return false;
  const one = chosen.length === 1;
  const name = one ? `${called(chosen[0])}. ` : "";
  const text = `${name}${one ? "It keeps its number and run id" : "They keep their numbers and run ids"}; the files of earlier attempts are kept.`;
  const what = one ? `job ${chosen[0].id}` : plural(chosen.length, "job");
  if (!(await confirm({ title: `Queue ${what} again?`, text, action: "Queue again" }))) return false;
  // The oldest first: what a job waits for comes before it.
  await each([...chosen].sort((a, b) => a.id - b.id), "retry", {}, "queued again");
  return true;
}

/** What is under way: of two steps that are asked for at once neither is lost. */
let moving = Promise.resolve();

/**
 * Give waiting jobs a priority that differs by so much from what they have.
 *
 * @param {Named[]} jobs
 * @param {number} by
 * @returns {Promise<boolean>} whether something was done
 */
export async function move(jobs, by) {
  const chosen = jobs.filter(canMove);
  if (!chosen.length) return false;
  const mine = moving.then(() => each(chosen, "priority", { by }, by > 0 ? "raised" : "lowered"));
  moving = mine.catch(() => undefined);
  await mine;
  return true;
}

/**
 * Do the same with several jobs, whatever becomes of each, and tell what came of it.
 *
 * @param {Named[]} jobs
 * @param {string} what the last part of the path
 * @param {object} body
 * @param {string} done what they were, in a word, where all went well
 */
async function each(jobs, what, body, done) {
  const told = [];
  const wrong = [];
  for (const job of jobs) {
    try {
      told.push((await postJson(`/ui/jobs/${job.id}/${what}`, body)).text);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      wrong.push(error.message);
    }
  }
  if (told.length) toast(capital(told.length === 1 ? told[0] : `${plural(told.length, "job")} ${done}`));
  if (wrong.length) toast(capital(wrong.length > 1 ? `${wrong[0]}; and ${plural(wrong.length - 1, "more")} like it` : wrong[0]), { error: true });
}

const LABELS = {
  command: "Command",
  env: "Variables",
  name: "Name",
  tags: "Tags",
  gpus: "GPUs",
  priority: "Priority",
  retries: "Retries",
  timeout: "Time limit",
  after: "After these jobs have completed",
};

/**
 * Submit a job again, changed as people like.
 *
 * @param {{id: number}} job
 * @returns {Promise<boolean>} whether something was done
 */
export async function again(job) {
  let had;
  try {
    had = await getJson(`/ui/jobs/${job.id}`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(capital(error.message), { error: true });
    return false;
  }
  styled();
  let told = "";
  const given = await form({
    title: `Submit job ${had.id} again`,
    text: origin(had),
    action: "Submit",
    wide: true,
    fields: fieldsOf(had),
    check: (texts) => send(had.id, texts, (text) => (told = text)),
  });
  if (told) toast(capital(told)); // not before: a message within a dialog goes with it
  return given !== null;
}

/** The form has a style sheet of its own, since any page may ask for it. */
function styled() {
  if (document.getElementById("again-style")) return;
  document.head.append(h("link", { id: "again-style", rel: "stylesheet", href: new URL("../../css/again.css", import.meta.url).href }));
}

/** @param {Record<string, string>} had */
function fieldsOf(had) {
  const rows = Math.min(Math.max(Math.ceil(had.command.length / 84), had.command.split("\n").length, 2), 8);
  /** @type {import("../lib/dialog.js").Field[]} */
  const fields = [
    { name: "command", rows, mono: true, required: true, label: LABELS.command, hint: "Words as for a shell, with quotes; no shell sees them. *** stays what it hides." },
    { name: "env", rows: Math.min(Math.max(had.env.split("\n").length, 2), 8), mono: true, label: LABELS.env, hint: "One a line, such as SEED=1." },
    { name: "name", label: LABELS.name },
    { name: "tags", label: LABELS.tags, hint: "With commas between them" },
    { name: "gpus", label: LABELS.gpus, type: "number", min: 0, hint: "Empty: one, where there are any" },
    { name: "priority", label: LABELS.priority, type: "number", hint: "Higher runs first" },
    { name: "retries", label: LABELS.retries, type: "number", min: 0, hint: "When it fails" },
    { name: "timeout", label: LABELS.timeout, hint: "Such as 90s, 1h30m; empty: none" },
  ];
  if (had.after) fields.push({ name: "after", label: LABELS.after, hint: "Their numbers; empty: at once" });
  return fields.map((field) => ({ ...field, value: had[field.name] }));
}

/** @param {{workdir: string, snapshot: boolean, commit: string}} had */
function origin({ workdir, snapshot, commit }) {
  const code = commit ? ` at commit ${commit.slice(0, 8)}` : "";
  if (snapshot) return `A new job, on the files that were submitted then${code}.`;
  return `A new job in ${workdir}, on the files as they are there when it starts.`;
}

/**
 * @param {number} id
 * @param {Record<string, string>} texts
 * @param {(text: string) => void} done told what came of it
 * @returns {Promise<string | null>} what is wrong
 */
async function send(id, texts, done) {
  try {
    done((await postJson(`/ui/jobs/${id}/again`, { texts })).text);
    return null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return capital(error.message) + (error.hint ? `: ${error.hint}` : "");
  }
}

/** @param {string} text */
function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
