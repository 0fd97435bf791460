/**
 * What the route of one run tells, in words.
 *
 * @import {About} from "../run/types.js"
 * @typedef {About} RunAbout
 */
import { duration, epoch, number, plural } from "../lib/format.js";

/** Statuses of a run that goes on. */
export const GOING = new Set(["running", "cancelling"]);

/**
 * What is said of a run beside its name, each part for itself.
 * @param {RunAbout} about
 * @returns {string[]}
 */
export function said(about) {
  const { run } = about;
  return [...paceOf(about), machineOf(run)].filter(Boolean);
}

/** @param {RunAbout} about */
function paceOf({ run, ending, now, progress: { share } }) {
  if (!GOING.has(run.status)) return [ending.text || ending.word.toLowerCase(), duration(run.duration_seconds)];
  const started = epoch(run.started_at);
  const gone = started === null ? 0 : now - started;
  const left =
    share !== null && share > 0.01 && share < 1 && gone > 5 ? `${duration((gone * (1 - share)) / share)} left` : "";
  return [share === null ? "" : `${Math.floor(share * 100)} %`, left || (gone > 0 ? `for ${duration(gone)}` : "")];
}

/** @param {Record<string, any>} run */
function machineOf(run) {
  const host = run.job?.host ?? run.environment?.host;
  const gpus = run.environment?.cuda_devices?.gpus ?? [];
  const count = run.job?.gpus?.length ?? gpus.length;
  if (!count) return host ?? "";
  const model = shortModel(gpus[0]?.name);
  return [host, model ? `${count} × ${model}` : plural(count, "GPU")].filter(Boolean).join(", ");
}

/** @param {string | undefined} name */
function shortModel(name) {
  return (name ?? "")
    .replace(/^NVIDIA\s+/i, "")
    .replace(/\s+(80|40|96|141)GB.*$/i, "")
    .replace(/GeForce\s+/i, "");
}

/**
 * The commit a run came from: its short name, and what had changed since.
 * @param {RunAbout} about
 * @returns {{commit: string, changed: string} | null}
 */
export function codeOf({ run, git }) {
  const info = git?.commit ? git : run.git_info;
  if (!info?.commit) return null;
  const untracked = info.untracked?.count;
  const changed = info.dirty ? (untracked ? `changed, ${plural(untracked, "new file")}` : "changed") : "";
  return { commit: String(info.commit).slice(0, 7), changed };
}

/**
 * A nested document as lines of dotted keys.
 * @param {unknown} value
 * @param {string} [above]
 * @returns {[string, string][]}
 */
export function flat(value, above = "") {
  if (typeof value === "number") return [[above, figure(value)]];
  if (value === null || typeof value !== "object") return [[above, String(value)]];
  const entries = Object.entries(value);
  const short = JSON.stringify(value);
  if (!entries.length || (Array.isArray(value) && short.length < 60)) return [[above, short]];
  return entries.flatMap(([key, one]) => flat(one, above ? `${above}.${key}` : key));
}

/**
 * A number with six digits that say something.
 * @param {number} value
 */
function figure(value) {
  const text = number(value, 6);
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}
