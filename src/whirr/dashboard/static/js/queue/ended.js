// A job that has ended: how, why, when.
import { h } from "../lib/dom.js";
import { duration, epoch, stamp } from "../lib/format.js";
import { canRetry } from "./actions.js";
import { acts, cell, head, row } from "./head.js";
import { icon, iconButton } from "./icons.js";
import { say } from "./list.js";
import { tell } from "./ticking.js";

/** @import {Ended} from "./types.js" */
/** @import {Deeds} from "./head.js" */
/** @import {Row} from "./list.js" */

/**
 * @param {Ended} job
 * @param {Deeds} deeds
 * @returns {Row<Ended>}
 */
export function endedRow(job, deeds) {
  let now = job;
  const top = head(job, deeds);
  const sign = h("span", { class: "sign", role: "img" });
  const cause = h("span", { class: "cause" });
  const ago = h("span", { class: "time" });
  const repeat = iconButton("again", `Submit job ${job.id} again with changes`, () => deeds.again(now));
  const back = iconButton("retry", `Queue job ${job.id} again`, () => deeds.retry(now));
  const node = row(
    job,
    top.box,
    h("div", { class: "end" }, sign),
    cell("main", [top.nodes], [cause]),
    h("div", { class: "when" }, ago),
    acts(back, repeat),
  );
  /** @param {Ended} item */
  const update = (item) => {
    now = item;
    top.update(now);
    mark(sign, now.status);
    const words = ending(now);
    say(cause, words);
    cause.title = words;
    cause.classList.toggle("bad", now.status === "failed");
    back.hidden = !canRetry(now);
    tell(ago, epoch(now.finished_at), { way: "age" });
    ago.title = stamp(now.finished_at);
  };
  return { node, update };
}

/**
 * @param {HTMLElement} sign
 * @param {string} status
 */
function mark(sign, status) {
  if (sign.dataset.key === status) return;
  sign.dataset.key = status;
  sign.className = `sign ${status}`;
  sign.setAttribute("aria-label", status);
  sign.replaceChildren(icon(status === "completed" ? "completed" : status === "failed" ? "failed" : "cancelled"));
}

/**
 * @param {Ended} job
 * @returns {string}
 */
function ending(job) {
  const ran = job.ran_s === null ? "" : `ran ${duration(job.ran_s)}`;
  if (job.status === "completed") return ran || "completed";
  return [job.cause.text, ran || "never started"].filter(Boolean).join(" · ");
}
