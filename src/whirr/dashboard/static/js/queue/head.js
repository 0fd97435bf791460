// What the rows of all three lists begin with: selection, name, number, tags.
import { prefix } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { mayAct } from "./actions.js";
import { say } from "./list.js";
import { called } from "./words.js";

/** @import {Job} from "./types.js" */

/**
 * @typedef {{cancel: (job: Job) => void, retry: (job: Job) => void, again: (job: Job) => void,
 *   move: (job: Job, by: number) => void, select: (id: number, on: boolean) => void,
 *   isSelected: (id: number) => boolean}} Deeds
 */

/** @typedef {{box: HTMLElement, nodes: HTMLElement[], update: (job: Job) => void}} Head */

/**
 * @param {Job} job
 * @param {Deeds} deeds
 * @returns {Head}
 */
export function head(job, deeds) {
  const box = h("input", { type: "checkbox", class: "pick", "aria-label": `Select job ${job.id}` });
  box.addEventListener("change", () => deeds.select(job.id, box.checked));
  const link = h("a", { class: "name cut", href: `${prefix}/runs/${encodeURIComponent(job.run_id)}` });
  const tags = h("span", { class: "tags" });

  /** @param {Job} now */
  function update(now) {
    box.checked = deeds.isSelected(now.id);
    say(link, called(now));
    link.classList.toggle("mono", !now.name);
    link.title = now.name ? `${now.name}\n${now.command}` : now.command;
    const key = JSON.stringify(now.tags);
    if (tags.dataset.key !== key) tags.replaceChildren(...now.tags.map((tag) => h("span", { class: "tag" }, tag)));
    tags.dataset.key = key;
  }

  const number = h("span", { class: "soft no" }, `#${job.id}`);
  return { box: mayAct ? box : h("span", { class: "pick" }), nodes: [link, number, tags], update };
}

/**
 * @param {Job} job
 * @param {...HTMLElement} parts
 * @returns {HTMLElement}
 */
export function row(job, ...parts) {
  return h("li", { class: "job", dataset: { id: String(job.id) } }, parts);
}

/**
 * Two lines, one above the other.
 *
 * @param {string} name of the cell
 * @param {(HTMLElement | HTMLElement[])[]} above
 * @param {HTMLElement[]} below
 * @returns {HTMLElement}
 */
export function cell(name, above, below) {
  return h("div", { class: name }, h("div", { class: "l1" }, above.flat()), h("div", { class: "l2" }, below));
}

/**
 * The buttons of a row; none for who may only look.
 *
 * @param {...HTMLElement} buttons
 * @returns {HTMLElement}
 */
export function acts(...buttons) {
  return h("div", { class: "acts" }, mayAct ? buttons : []);
}
