// A job that waits: its place, why it waits, and its priority.
import { prefix } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { epoch, stamp } from "../lib/format.js";
import { mayAct } from "./actions.js";
import { acts, cell, head, row } from "./head.js";
import { iconButton } from "./icons.js";
import { say } from "./list.js";
import { tell } from "./ticking.js";
import { attempt, gpus, who } from "./words.js";

/** @import {Waiting} from "./types.js" */
/** @import {Deeds} from "./head.js" */
/** @import {Row} from "./list.js" */

/**
 * @param {Waiting} job
 * @param {Deeds} deeds
 * @returns {Row<Waiting>}
 */
export function waitingRow(job, deeds) {
  let now = job;
  const top = head(job, deeds);
  const parts = {
    place: h("span", { class: "position" }),
    by: h("span", { class: "soft cut" }),
    why: h("span", { class: "why" }),
    cause: h("span", { class: "soft cut" }),
    many: h("span", { class: "many" }),
    level: h("span", { class: "level" }),
    since: h("span", { class: "time" }),
  };
  const raise = iconButton("up", `Raise the priority of job ${job.id}`, () => deeds.move(now, 1));
  const lower = iconButton("down", `Lower the priority of job ${job.id}`, () => deeds.move(now, -1));
  const drop = iconButton("cancel", `Cancel job ${job.id}`, () => deeds.cancel(now));
  const repeat = iconButton("again", `Submit job ${job.id} again with changes`, () => deeds.again(now));
  const node = row(
    job,
    top.box,
    h("div", { class: "rank" }, parts.place),
    cell("main", [top.nodes], [parts.by]),
    cell("reason", [parts.why], [parts.cause]),
    h("div", { class: "ask" }, parts.many),
    h("div", { class: "prio" }, mayAct && lower, parts.level, mayAct && raise),
    h("div", { class: "when" }, parts.since),
    acts(repeat, drop),
  );
  /** @param {Waiting} item */
  const update = (item) => {
    now = item;
    top.update(now);
    order(parts, now);
    about(parts, now);
    reason(parts.why, now);
  };
  return { node, update };
}

/**
 * @param {{place: HTMLElement, level: HTMLElement, since: HTMLElement}} parts
 * @param {Waiting} now
 */
function order({ place, level, since }, now) {
  say(place, now.position === null ? "–" : String(now.position));
  place.title = now.position === null ? "it waits for other jobs" : `number ${now.position} in the order`;
  say(level, now.priority < 0 ? `−${-now.priority}` : String(now.priority));
  level.title = "priority";
  level.classList.toggle("plain", now.priority === 0);
  tell(since, epoch(now.submitted_at));
  since.title = `submitted ${stamp(now.submitted_at)}`;
}

/**
 * @param {{by: HTMLElement, cause: HTMLElement, many: HTMLElement}} parts
 * @param {Waiting} now
 */
function about({ by, cause, many }, now) {
  say(by, [who(now.submitted_by), now.name ? now.command : ""].filter(Boolean).join(" · "));
  by.title = `${now.submitted_by ? `submitted by ${now.submitted_by}, ` : "submitted "}${stamp(now.submitted_at)}\n${now.command}`;
  say(cause, [attempt(now) && `${attempt(now)} ended`, now.last_cause].filter(Boolean).join(": "));
  cause.title = now.last_cause;
  say(many, gpus(now.gpus));
}

/**
 * Why a job waits; the jobs it waits for are links.
 *
 * @param {HTMLElement} node
 * @param {Waiting} job
 */
function reason(node, job) {
  node.classList.toggle("stuck", job.stuck);
  tell(node, job.starts_at, { way: "until", before: "tried again in " });
  const key = job.starts_at === null ? job.why : "";
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  if (!key) return;
  const known = new Set(job.needs.map((need) => String(need.id)));
  const parts = job.why.split(/(\d+)(?= \()/);
  node.replaceChildren(...parts.map((part) => (known.has(part) ? h("a", { href: `${prefix}/runs/job-${part}` }, part) : part)));
}
