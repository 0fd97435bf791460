/** Lines of a log as elements: text only, whatever they hold. */

import { h } from "../lib/dom.js";
import { PLAIN } from "./ansi.js";

const STAMP = /^\[?(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\]?(?=\s|$)/;
const LEVEL = /\b(DEBUG|TRACE|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b/;
const PROBLEM = /^\s*(?:Traceback \(most recent call last\)|(?:[\w.]+\.)*\w*(?:Error|Exception|Interrupt)\b(?::|$))/;

/** @type {Record<string, string>} */
const CLASSES = { DEBUG: "lg-dim", TRACE: "lg-dim", INFO: "lg-f4", WARN: "lg-f3", WARNING: "lg-f3" };

/**
 * @param {import("./logwindow.js").Line} line
 * @returns {HTMLElement}
 */
export function lineElement(line) {
  const plain = line.spans.every((span) => span.style === PLAIN);
  const parts = plain ? decorated(line.spans.map((span) => span.text).join("")) : line.spans.map(spanNode);
  const found = /** @type {HTMLElement} */ (h("div", { class: "lg-line" }, ...parts));
  found.dataset.at = String(line.at);
  return found;
}

/**
 * A line without colours of its own: its time is dimmed, its level coloured.
 *
 * @param {string} text
 * @returns {(Node|string)[]}
 */
function decorated(text) {
  if (PROBLEM.test(text)) return [h("span", { class: "lg-f1" }, text)];
  const stamp = STAMP.exec(text)?.[0] ?? "";
  const rest = text.slice(stamp.length);
  const level = LEVEL.exec(rest.slice(0, 80));
  const before = stamp ? [h("span", { class: "lg-dim" }, stamp)] : [];
  if (!level) return [...before, rest];
  const at = level.index;
  const word = h("span", { class: CLASSES[level[1]] ?? "lg-f1" }, level[1]);
  return [...before, rest.slice(0, at), word, rest.slice(at + level[1].length)];
}

/** @param {import("./ansi.js").Span} span @returns {Node|string} */
function spanNode({ text, style }) {
  if (style === PLAIN) return text;
  const [fg, bg] = style.inverse ? [style.bg ?? "back", style.fg ?? "ink"] : [style.fg, style.bg];
  const classes = [];
  if (typeof fg === "number") classes.push(`lg-f${fg}`);
  else if (fg === "back") classes.push("lg-fback");
  if (typeof bg === "number") classes.push(`lg-b${bg}`);
  else if (bg === "ink") classes.push("lg-bink");
  for (const name of /** @type {const} */ (["bold", "dim", "italic", "underline"])) {
    if (style[name]) classes.push(`lg-${name}`);
  }
  const found = /** @type {HTMLElement} */ (h("span", { class: classes.join(" ") }, text));
  if (typeof fg === "string" && fg.startsWith("#")) found.style.color = fg;
  if (typeof bg === "string" && bg.startsWith("#")) found.style.backgroundColor = bg;
  return found;
}

const HIGHLIGHT = "whirr-found";

/**
 * Mark a text wherever it stands in the lines below an element.
 *
 * @param {HTMLElement} lines
 * @param {string} text empty: nothing
 */
export function highlight(lines, text) {
  if (!("highlights" in CSS)) return;
  CSS.highlights.delete(HIGHLIGHT);
  if (!text) return;
  const wanted = text.toLowerCase();
  /** @type {Range[]} */
  const ranges = [];
  for (const line of lines.querySelectorAll(".lg-line")) {
    if (ranges.length > 2000) break;
    rangesIn(line, wanted, ranges);
  }
  CSS.highlights.set(HIGHLIGHT, new Highlight(...ranges));
}

/** @param {Element} line @param {string} wanted @param {Range[]} ranges */
function rangesIn(line, wanted, ranges) {
  const whole = (line.textContent ?? "").toLowerCase();
  for (let at = whole.indexOf(wanted); at >= 0; at = whole.indexOf(wanted, at + wanted.length)) {
    const [start, from] = placeIn(line, at);
    const [end, to] = placeIn(line, at + wanted.length);
    if (!start || !end) return;
    const range = new Range();
    range.setStart(start, from);
    range.setEnd(end, to);
    ranges.push(range);
  }
}

/**
 * The text node that holds a place of a line's text, and the place in it.
 *
 * @param {Element} line
 * @param {number} at
 * @returns {[Text|null, number]}
 */
function placeIn(line, at) {
  const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
  let left = at;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = /** @type {Text} */ (node);
    if (left <= text.length) return [text, left];
    left -= text.length;
  }
  return [null, 0];
}
