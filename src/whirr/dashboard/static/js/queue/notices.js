// What is said above the lists: that nothing is there yet, that nobody works, that the page is not up to date.
import { clear, h } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { toast } from "../lib/toast.js";
import { icon } from "./icons.js";

/** @import {ApiError} from "../lib/api.js" */
/** @import {Queue} from "./types.js" */

/**
 * Show what there is to say; the same is not said anew.
 *
 * @param {HTMLElement} place
 * @param {{error?: ApiError | null, queue?: Queue, words?: string}} about
 */
export function notices(place, about) {
  const [key, made] = about.error !== undefined ? troubled(about.error) : told(/** @type {Queue} */ (about.queue), about.words ?? "");
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  clear(place).append(...made());
}

/**
 * @param {ApiError | null} error
 * @returns {[string, () => HTMLElement[]]}
 */
function troubled(error) {
  if (!error) return ["", () => []];
  const hint = error.hint ? ` (${error.hint})` : "";
  return [error.message + hint, () => [h("p", { class: "alert", role: "alert" }, `This is not up to date: ${error.message}${hint}`)]];
}

/**
 * @param {Queue} queue
 * @param {string} words
 * @returns {[string, () => HTMLElement[]]}
 */
function told(queue, words) {
  if (words) return ["", () => []];
  const { counts } = queue;
  if (!Object.values(counts).some(Boolean)) return ["empty", () => [empty(queue.start)]];
  const waiting = counts.queued ?? 0;
  if (!waiting || queue.workers.living) return ["", () => []];
  return [`nobody ${waiting}`, () => [nobody(waiting, queue.start)]];
}

/** @param {string} start */
function empty(start) {
  return h(
    "div",
    { class: "empty" },
    h("h2", null, "The queue is empty"),
    h("p", null, "A command that is submitted waits here until a worker takes it."),
    command("whirr submit -- python train.py"),
    h("p", null, "A worker runs what waits, on this machine or on any other that reaches the same queue."),
    command(start),
  );
}

/**
 * @param {number} waiting
 * @param {string} start
 */
function nobody(waiting, start) {
  const text = `${plural(waiting, "job")} ${waiting === 1 ? "waits" : "wait"}, and no worker is running. Start one with`;
  return h("div", { class: "notice", role: "status" }, h("span", null, text), command(start));
}

/**
 * A command, and a button that copies it.
 *
 * @param {string} text
 * @returns {HTMLElement}
 */
export function command(text) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast("The command is copied");
    } catch {
      toast("This browser lets no page copy: mark the command and copy it", { error: true });
    }
  };
  const button = h("button", { class: "ib", type: "button", "aria-label": `Copy: ${text}`, title: "Copy", onclick: copy }, icon("copy"));
  return h("div", { class: "command" }, h("code", { class: "mono" }, text), button);
}
