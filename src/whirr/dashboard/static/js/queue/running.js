// A job that runs: how far it is, where, its last values and its last line.
import { prefix } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { duration, epoch, stamp } from "../lib/format.js";
import { canCancel } from "./actions.js";
import { acts, cell, head, row } from "./head.js";
import { iconButton } from "./icons.js";
import { say } from "./list.js";
import { tell } from "./ticking.js";
import { attempt, gpus, metrics, progress } from "./words.js";

/** @import {Running} from "./types.js" */
/** @import {Deeds} from "./head.js" */
/** @import {Row} from "./list.js" */

/**
 * @param {Running} job
 * @param {Deeds} deeds
 * @returns {Row<Running>}
 */
export function runningRow(job, deeds) {
  let now = job;
  const top = head(job, deeds);
  const soft = () => h("span", { class: "soft" });
  const parts = {
    dot: h("span", { class: "dot pulse", role: "img" }),
    values: h("span", { class: "values" }),
    line: h("div", { class: "line mono cut" }),
    done: h("i"),
    far: h("b"),
    left: soft(),
    place: h("a", { class: "cut place", href: `${prefix}/workers` }),
    squares: h("span", { class: "squares", "aria-hidden": "true" }),
    many: soft(),
    since: h("span", { class: "time" }),
    tries: soft(),
    stop: iconButton("stop", `Stop job ${job.id}`, () => deeds.cancel(now)),
  };
  const bar = h("span", { class: "prog" }, parts.done);
  const repeat = iconButton("again", `Submit job ${job.id} again with changes`, () => deeds.again(now));
  const node = row(
    job,
    top.box,
    cell("main", [parts.dot, top.nodes], [parts.values]),
    cell("far", [bar, parts.far], [parts.left]),
    cell("where", [parts.place], [parts.squares, parts.many]),
    cell("when", [parts.since], [parts.tries]),
    acts(repeat, parts.stop),
    parts.line,
  );
  /** @param {Running} item */
  const update = (item) => {
    now = item;
    top.update(now);
    const stopping = now.status === "cancelling";
    node.classList.toggle("stopping", stopping);
    bar.hidden = now.part === null;
    state(parts, stopping, now);
    output(parts, now);
    pace(parts, stopping, now);
    where(parts, now);
  };
  return { node, update };
}

/**
 * @param {{dot: HTMLElement, stop: HTMLButtonElement}} parts
 * @param {boolean} stopping
 * @param {Running} now
 */
function state({ dot, stop }, stopping, now) {
  dot.classList.toggle("queued", stopping);
  dot.classList.toggle("pulse", !stopping);
  dot.setAttribute("aria-label", stopping ? "stopping" : "running");
  stop.disabled = !canCancel(now);
}

/**
 * @param {{values: HTMLElement, line: HTMLElement}} parts
 * @param {Running} now
 */
function output({ values, line }, now) {
  const found = metrics(now.progress.latest);
  const key = JSON.stringify(found);
  if (values.dataset.key !== key) {
    const shown = found.map(([name, value]) => h("span", null, `${name} `, h("b", null, value)));
    values.replaceChildren(...(shown.length ? shown : [h("span", { class: "soft" }, "no metrics yet")]));
  }
  values.dataset.key = key;
  say(line, now.line || "no output yet");
  line.title = now.line;
}

/**
 * @param {{done: HTMLElement, far: HTMLElement, left: HTMLElement, since: HTMLElement, tries: HTMLElement}} parts
 * @param {boolean} stopping
 * @param {Running} now
 */
function pace({ done, far, left, since, tries }, stopping, now) {
  done.style.width = `${(now.part ?? 0) * 100}%`;
  const words = stopping ? "stopping" : progress(now);
  say(far, words || "no step yet");
  far.classList.toggle("none", !words);
  if (now.ends_at === null || stopping) say(left, now.timeout_s === null ? "" : `limit ${duration(now.timeout_s)}`);
  tell(left, stopping ? null : now.ends_at, { way: "until", before: "about ", after: " left" });
  tell(since, epoch(now.started_at));
  since.title = `since ${stamp(now.started_at)}`;
  say(tries, attempt(now));
}

/**
 * @param {{place: HTMLElement, squares: HTMLElement, many: HTMLElement}} parts
 * @param {Running} now
 */
function where({ place, squares, many }, { worker, gpu_ids }) {
  const away = worker?.health === "dead" ? " (gone)" : worker?.health === "unseen" ? " (not seen)" : "";
  say(place, worker ? worker.name + away : "no worker");
  place.title = worker ? `${worker.name} on ${worker.host}` : "";
  place.classList.toggle("trouble", !worker || away !== "");
  if (squares.children.length !== gpu_ids.length) squares.replaceChildren(...gpu_ids.map(() => h("i")));
  say(many, gpu_ids.length ? gpus(gpu_ids.length) : "no GPU");
}
