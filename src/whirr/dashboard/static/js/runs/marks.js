/**
 * The small drawings that say what a run is: its swatch, its status.
 * @import {Mark} from "./types.js"
 */
import { h, s } from "../lib/dom.js";

const WORDS = new Set(["running", "failed", "cancelled", "cancelling", "queued", "unknown"]);

/**
 * A run's line as the charts draw it: in colour or as grey context, dashed as its group.
 * @param {Mark | undefined} mark
 * @returns {SVGElement}
 */
export function swatch(mark) {
  const colour = mark?.colour ? `c${mark.colour}` : "ctx";
  const line = s("path", { d: "M1.5 7h11" });
  const parts = mark?.pinned ? [line, s("circle", { cx: "7", cy: "7", r: "3" })] : [line];
  return s(
    "svg",
    { class: `line ${colour} d${mark?.dash ?? 0}`, viewBox: "0 0 14 14", "aria-hidden": "true" },
    ...parts,
  );
}

/**
 * A status as a mark with its word; of a run that ended well only the word, for who listens.
 * @param {string} status
 * @param {string | null} cause
 * @returns {HTMLElement}
 */
export function statusMark(status, cause) {
  const told = cause && status !== "completed" ? `${status}: ${cause}` : status;
  if (!WORDS.has(status)) return h("span", { class: "sr" }, told);
  const mark = h("span", { class: `st st-${status}`, role: "img", "aria-label": told, title: told });
  if (status === "failed") mark.append(s("svg", { viewBox: "0 0 9 9" }, s("path", { d: "M1.5 1.5l6 6M7.5 1.5l-6 6" })));
  return mark;
}

/**
 * The shape of a fold: it points down while open.
 * @returns {SVGElement}
 */
export function chevron() {
  return s(
    "svg",
    { class: "chev", viewBox: "0 0 10 10", "aria-hidden": "true" },
    s("path", { d: "M3.5 2 6.5 5 3.5 8" }),
  );
}
