// The attempts at a job, and what happened to a run and when.
import { clear, h } from "../lib/dom.js";
import { duration, memory, plural, stamp } from "../lib/format.js";
import { card } from "./ui.js";

/** @typedef {import("./types.js").About} About */
/** @typedef {import("./types.js").AttemptFacts} AttemptFacts */

/** @param {import("../lib/state.js").UrlState} state @returns {import("./types.js").Pane} */
export function attemptsPane(state) {
  const element = h("div", { class: "at" });
  let drawn = "";
  const update = (/** @type {About} */ about) => {
    const text = JSON.stringify([about.attempts, about.events, about.job?.status]);
    if (text === drawn) return;
    drawn = text;
    clear(element).append(attemptsCard(about, state), eventsCard(about));
  };
  return { element, update };
}

/** @param {About} about @param {import("../lib/state.js").UrlState} state */
function attemptsCard({ attempts, job, run }, state) {
  if (!attempts.length) {
    const text = job ? "It has not been started yet." : run.job_id === null ? "It was started by hand, not by the queue: there is this one attempt." : "The queue does not know this job any more.";
    return card("Attempts", {}, h("p", { class: "soft" }, text));
  }
  const heads = ["Attempt", "Outcome", "Started", "Ran", "Worker", "GPUs", "CPU time", "Peak memory", "Output"];
  const head = h("thead", null, h("tr", null, heads.map((word) => h("th", { scope: "col" }, word))));
  const rows = [...attempts].reverse().flatMap((one) => rowsOf(one, state, heads.length));
  const note = job && job.retries ? `${plural(job.retries, "retry", "retries")} allowed` : undefined;
  const table = h("div", { class: "tw", tabindex: "0", role: "region", "aria-label": "Attempts" }, h("table", null, head, h("tbody", null, rows)));
  return card("Attempts", { note }, table);
}

/** @param {AttemptFacts} one @param {import("../lib/state.js").UrlState} state @param {number} columns */
function rowsOf(one, state, columns) {
  const word = one.outcome ?? (one.started_at ? "running" : "kept");
  const path = one.output;
  const open = path && h("button", { class: "btn", type: "button", onclick: () => state.set({ tab: "logs", log: path }, { push: true }) }, "Open");
  const files = one.files.length > 1 ? h("span", { class: "soft" }, ` ${plural(one.files.length, "file")}`) : null;
  const cells = [
    h("span", { class: `out out-${word}` }, word),
    h("span", { title: one.started_at ?? "" }, stamp(one.started_at)),
    duration(one.seconds),
    workerOf(one.worker),
    one.gpus?.length ? h("span", { title: one.gpus.join("\n") }, String(one.gpus.length)) : "",
    duration(one.usage?.cpu_s),
    one.usage?.max_rss_bytes ? memory(one.usage.max_rss_bytes) : "",
    h("span", null, open, files),
  ];
  const row = h("tr", null, h("th", { scope: "row" }, String(one.number)), cells.map((cell) => h("td", null, cell)));
  if (!one.cause) return [row];
  return [row, h("tr", { class: "why" }, h("td", null), h("td", { colspan: columns - 1 }, one.cause.message))];
}

/** The name of a worker, and its host where that says more. @param {string} [label] */
function workerOf(label = "") {
  const at = label.lastIndexOf("@");
  return at > 0 && label.slice(0, at) === label.slice(at + 1) ? label.slice(at + 1) : label;
}

/** @param {About} about */
function eventsCard({ events }) {
  const items = events.map((event, place) => {
    const since = h("span", { class: "soft" }, place ? `+${duration(event.at - events[place - 1].at)}` : "");
    return h("li", { class: `ev ev-${event.kind}` }, h("time", { title: new Date(event.at * 1000).toISOString() }, stamp(event.at)), since, h("span", null, event.text));
  });
  return card("What happened", {}, items.length ? h("ol", { class: "evs" }, items) : h("p", { class: "soft" }, "Nothing yet."));
}
