// What a panel shows, in pixels: computed once, then painted, pointed at and exported.

import { number } from "../lib/format.js";
import { extent } from "./extent.js";
import { fit, spread } from "./labels.js";
import { clipMarks, dataMarks } from "./marks.js";
import { Scale, drawable } from "./scale.js";
import { indexAt } from "./search.js";
import { durationTicks, numberTicks, timeTicks } from "./ticks.js";

/** @typedef {import("./types.js").Line} Line */
/** @typedef {import("./types.js").Label} Label */
/** @typedef {import("./types.js").Mark} Mark */
/** @typedef {import("./types.js").Tick} Tick */
/** @typedef {import("./types.js").View} View */
/** @typedef {import("./types.js").Box} Box */

/**
 * @typedef {object} Scene
 * @property {number} width
 * @property {number} height
 * @property {Box} box the plot within its axes
 * @property {Scale} x
 * @property {Scale} y
 * @property {Tick[]} xTicks
 * @property {Tick[]} yTicks
 * @property {Line[]} lines those drawn on top last
 * @property {Label[]} labels
 * @property {number} more how many coloured lines have no room for a label
 * @property {Mark[]} marks
 * @property {string} note what was clipped
 * @property {string} starts how many lines begin outside of the range
 */

const TOP = 10;
const BOTTOM = 24;
const GAP = 16;
/** Of the width, at most so much is for labels. */
const LABELLED = 0.42;
const LEAST_NAME = 84;
const WIDEST_LABEL = 180;
/** Between the plot and the text of a label. */
const LEADER = 14;
const LEAST_DIGITS = 3;
const MOST_DIGITS = 8;

/**
 * @param {{lines: Line[], events: Mark[], view: View, shown: [number, number]}} content
 * @param {{width: number, height: number, top?: number}} size pixels; `top` is left free for a title
 * @param {(text: string, bold?: boolean) => number} measure the width of a text
 * @returns {Scene}
 */
export function layout({ lines, events, view, shown }, { width, height, top = 0 }, measure) {
  const range = extent(lines, shown, view);
  const box = { left: 0, top: TOP + top, right: width - 14, bottom: height - BOTTOM };
  const y = new Scale(range.lo, range.hi, box.bottom, box.top, view.logy);
  const yTicks = numberTicks(y, Math.max(2, Math.floor((box.bottom - box.top) / 40)));
  box.left = Math.ceil(Math.max(14, ...yTicks.map((tick) => measure(tick.text)))) + 20;
  const labelled = lines.filter((line) => line.colour || line.focus).flatMap((line) => ending(line, shown, y) ?? []);
  const labels = labelsOf(labelled, box, width, measure);
  const x = new Scale(shown[0], shown[1], box.left, box.right);
  for (const label of labels) label.x = x.to(label.x);
  const clipped = range.clipped ? clipMarks(lines, shown, range) : { marks: [], note: "", starts: "" };
  return {
    width,
    height,
    box,
    x,
    y,
    xTicks: fitting(xTicks(view.x, x, box), x, measure),
    yTicks,
    lines,
    labels,
    more: labels.length ? labelled.length - labels.length : 0,
    marks: [...dataMarks(lines), ...clipped.marks, ...events].filter(
      (mark) => mark.x >= shown[0] && mark.x <= shown[1],
    ),
    note: clipped.note,
    starts: clipped.starts,
  };
}

/**
 * @param {string} axis
 * @param {Scale} scale
 * @param {Box} box
 */
function xTicks(axis, scale, box) {
  const count = Math.max(2, Math.floor((box.right - box.left) / 66));
  if (axis === "time") return timeTicks(scale, count);
  return axis === "relative" ? durationTicks(scale, count) : numberTicks(scale, count);
}

/**
 * Without those whose text would touch the one before.
 *
 * @param {Tick[]} ticks
 * @param {Scale} scale
 * @param {(text: string) => number} measure
 */
function fitting(ticks, scale, measure) {
  let end = -Infinity;
  return ticks.filter((tick) => {
    const half = measure(tick.text) / 2;
    if (scale.to(tick.at) - half < end) return false;
    end = scale.to(tick.at) + half + 8;
    return true;
  });
}

/**
 * Where a line ends within the shown range; x is still a value.
 *
 * @param {Line} line
 * @param {[number, number]} shown
 * @param {Scale} y
 * @returns {Label|null}
 */
function ending(line, [from, to], y) {
  let i = indexAt(line.x, to);
  while (i >= 0 && !drawable(line.y[i], y)) i -= 1;
  if (i < 0 || line.x[i] < from) return null;
  const at = Math.min(y.start, Math.max(y.end, y.to(line.y[i])));
  return { line, name: line.label, value: number(line.y[i], digitsOf(line.y[i], y)), x: line.x[i], y: at, textY: at };
}

/**
 * As many digits, as `number` counts them, as tell apart what lies a fiftieth of the axis apart.
 *
 * @param {number} value
 * @param {Scale} scale
 */
function digitsOf(value, scale) {
  if (scale.log || !value) return LEAST_DIGITS;
  const decimals = Math.ceil(-Math.log10((scale.hi - scale.lo) / 50));
  const power = Math.floor(Math.log10(Math.abs(value)));
  const digits = power < -3 ? decimals + power + 1 : decimals + Math.max(0, power);
  return Math.max(LEAST_DIGITS, Math.min(MOST_DIGITS, digits));
}

/**
 * Labels that have room, moved apart; narrows the box by the width they need. Where there is no room for name and value the
 * name stays, and one curve alone needs no name.
 *
 * @param {Label[]} labels
 * @param {Box} box
 * @param {number} width
 * @param {(text: string, bold?: boolean) => number} measure
 * @returns {Label[]}
 */
function labelsOf(labels, box, width, measure) {
  const room = Math.min(WIDEST_LABEL, (box.right - box.left) * LABELLED);
  const names = Math.ceil(Math.max(0, ...labels.map((label) => measure(label.name, true))));
  const values = Math.ceil(Math.max(0, ...labels.map((label) => measure(label.value)))) + 10;
  const alone = labels.length === 1;
  const name = alone ? 0 : Math.min(names, room - values - LEADER);
  const whole = alone ? room >= values + LEADER : name >= Math.min(names, LEAST_NAME);
  if (!labels.length || (!whole && (alone || names + LEADER > room))) return [];
  for (const label of labels) {
    label.name = alone ? "" : fit(label.name, whole ? name : names, (text) => measure(text, label.line.focus));
    if (!whole) label.value = "";
  }
  box.right = width - 14 - LEADER - (whole ? values + name : names);
  return spread(mostWanted(labels, Math.floor((box.bottom - box.top) / GAP) + 1), GAP, box.top + 2, box.bottom - 4);
}

/**
 * @param {Label[]} labels
 * @param {number} most
 */
function mostWanted(labels, most) {
  if (labels.length <= most) return labels;
  return [...labels].sort((a, b) => Number(b.line.focus) - Number(a.line.focus)).slice(0, Math.max(1, most));
}
