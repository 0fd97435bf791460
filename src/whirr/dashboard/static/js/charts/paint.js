// Paints a scene, on a canvas or into an SVG file.

import { ink, lineColour } from "./ink.js";
import { drawable } from "./scale.js";
import { window } from "./search.js";

/** @typedef {import("./types.js").Line} Line */
/** @typedef {import("./types.js").Label} Label */
/** @typedef {import("./types.js").Mark} Mark */
/** @typedef {import("./scene.js").Scene} Scene */

/**
 * What painting needs of a canvas.
 *
 * @typedef {Pick<CanvasRenderingContext2D, "save"|"restore"|"beginPath"|"moveTo"|"lineTo"|"closePath"|"arc"|"rect"|"clip"|
 *   "stroke"|"fill"|"fillText"|"measureText"|"setLineDash"|"strokeStyle"|"fillStyle"|"lineWidth"|"globalAlpha"|"font"|"textAlign"|
 *   "lineJoin"|"lineCap">} Pen
 */

export const DASHES = [[], [7, 4], [2, 3.5]];
const TEXT = 11;
/** Points to a pixel. */
const DENSE = 0.6;
/** Of a value alone, beside half the width of its line. */
const DOT = 1;
/** Narrower panels have no room for what an event says. */
const ROOMY = 420;
const MOST_LETTERS = 28;

/** @param {number} [weight] */
export const font = (weight = 400) => `${weight} ${TEXT}px ${ink().family}`;

/**
 * @param {Pen} pen
 * @param {Scene} scene
 */
export function paint(pen, scene) {
  paintAxes(pen, scene);
  const events = scene.marks.filter((mark) => mark.kind === "event").sort((a, b) => a.x - b.x);
  for (const event of events) paintEvent(pen, scene, event);
  pen.save();
  const { left, top, right, bottom } = scene.box;
  pen.beginPath();
  // A line that ends at the edge keeps its full width.
  pen.rect(left, top - 1, right - left + 2, bottom - top + 2);
  pen.clip();
  paintLines(pen, scene);
  pen.restore();
  if (scene.width >= ROOMY) paintEventTexts(pen, scene, events);
  for (const mark of scene.marks) if (mark.kind !== "event") paintMark(pen, scene, mark);
  paintLabels(pen, scene);
}

/**
 * @param {Pen} pen
 * @param {Scene} scene
 */
function paintAxes(pen, { box, x, y, xTicks, yTicks, height }) {
  const { grid, ink3 } = ink();
  pen.font = font();
  pen.fillStyle = ink3;
  pen.strokeStyle = grid;
  pen.lineWidth = 1;
  pen.textAlign = "right";
  for (const tick of yTicks) {
    const at = Math.round(y.to(tick.at)) + 0.5;
    pen.beginPath();
    pen.moveTo(box.left, at);
    pen.lineTo(box.right, at);
    pen.stroke();
    pen.fillText(tick.text, box.left - 8, at + 3.5);
  }
  pen.textAlign = "center";
  for (const tick of xTicks) pen.fillText(tick.text, x.to(tick.at), height - 7);
}

/**
 * @param {Pen} pen
 * @param {Scene} scene
 */
function paintLines(pen, scene) {
  for (const line of scene.lines) if (line.sd) paintBand(pen, scene, line);
  for (const line of scene.lines) if (line.raw) strokeLine(pen, scene, line, line.raw, 1, 0.24);
  for (const line of scene.lines) strokeLine(pen, scene, line, line.y, widthOf(line, scene), 1);
}

/**
 * @param {Line} line
 * @param {Scene} scene
 */
function widthOf(line, { box, x }) {
  const [from, to] = window(line.x, x.lo, x.hi);
  // Raw noise with a point on nearly every pixel would fill a band.
  const noisy = line.y === line.series?.y && to - from > (box.right - box.left) * DENSE;
  if (line.focus) return noisy ? 1.8 : 2.6;
  if (line.sd) return 2.1;
  return line.colour && !noisy ? 1.7 : 1;
}

/**
 * @param {Pen} pen
 * @param {Scene} scene
 * @param {Line} line
 * @param {ArrayLike<number>} column
 * @param {number} width
 * @param {number} alpha
 */
function strokeLine(pen, scene, line, column, width, alpha) {
  pen.strokeStyle = line.focus && !line.colour ? ink().ink : lineColour(line.colour);
  pen.lineWidth = width;
  pen.globalAlpha = alpha;
  // Round joins of a noisy line cost twice as much as the line, and nobody sees them.
  pen.lineJoin = width > 1 ? "round" : "bevel";
  pen.setLineDash(alpha < 1 ? [] : DASHES[line.dash % DASHES.length]);
  pen.beginPath();
  const alone = trace(pen, scene, line.x, column);
  pen.stroke();
  pen.setLineDash([]);
  pen.fillStyle = pen.strokeStyle;
  pen.beginPath();
  for (const [x, y] of alone) dot(pen, x, y, DOT + width / 2);
  pen.fill();
  pen.globalAlpha = 1;
}

/**
 * The path of a column, with gaps where it has no value.
 *
 * @param {Pen} pen
 * @param {Scene} scene
 * @param {ArrayLike<number>} xs
 * @param {ArrayLike<number>} ys
 * @returns {[number, number][]} places of values alone between gaps, which no line shows
 */
function trace(pen, { x, y }, xs, ys) {
  const [from, to] = window(xs, x.lo, x.hi);
  /** @type {[number, number][]} */
  const alone = [];
  let drawing = false;
  for (let i = from; i < to; i += 1) {
    if (!drawable(ys[i], y)) {
      drawing = false;
      continue;
    }
    const [px, py] = [x.to(xs[i]), far(y.to(ys[i]))];
    if (drawing) pen.lineTo(px, py);
    else if (i + 1 < to && drawable(ys[i + 1], y)) pen.moveTo(px, py);
    else alone.push([px, py]);
    drawing = true;
  }
  return alone;
}

/**
 * @param {Pen} pen whose path gets a circle of its own
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 */
function dot(pen, x, y, radius) {
  pen.moveTo(x + radius, y);
  pen.arc(x, y, radius, 0, Math.PI * 2);
}

/**
 * Canvases lose lines to places millions of pixels away.
 *
 * @param {number} pixel
 */
const far = (pixel) => Math.max(-20000, Math.min(20000, pixel));

/**
 * @param {Pen} pen
 * @param {Scene} scene
 * @param {Line} line
 */
function paintBand(pen, { x, y }, { x: xs, y: ys, sd, colour }) {
  if (!sd) return;
  const bottom = (/** @type {number} */ value) => far(y.to(y.log ? Math.max(value, y.lo / 10) : value));
  const drawn = Array.from({ length: xs.length }, (_, i) => i).filter((i) => !Number.isNaN(ys[i]));
  pen.fillStyle = lineColour(colour);
  pen.globalAlpha = 0.15;
  pen.beginPath();
  for (const i of drawn) pen.lineTo(x.to(xs[i]), bottom(ys[i] + sd[i]));
  for (const i of drawn.reverse()) pen.lineTo(x.to(xs[i]), bottom(ys[i] - sd[i]));
  pen.closePath();
  pen.fill();
  pen.globalAlpha = 1;
}

/**
 * @param {Pen} pen
 * @param {Scene} scene
 * @param {Mark} event
 */
function paintEvent(pen, { box, x }, event) {
  const at = Math.round(x.to(event.x)) + 0.5;
  pen.strokeStyle = ink().ink3;
  pen.lineWidth = 1;
  pen.setLineDash([2, 3]);
  pen.beginPath();
  pen.moveTo(at, box.top);
  pen.lineTo(at, box.bottom);
  pen.stroke();
  pen.setLineDash([]);
}

/**
 * What happened, beside its line; a text that would run into the one before is left to the tooltip.
 *
 * @param {Pen} pen
 * @param {Scene} scene
 * @param {Mark[]} events by x
 */
function paintEventTexts(pen, { box, x }, events) {
  const { ink2, panel } = ink();
  pen.font = font();
  pen.textAlign = "left";
  let free = -Infinity;
  for (const event of events) {
    const text = event.text.slice(0, MOST_LETTERS);
    const [left, width] = [x.to(event.x) + 3, pen.measureText(text).width + 6];
    if (left < free || left + width > box.right) continue;
    pen.fillStyle = panel;
    pen.globalAlpha = 0.85;
    pen.beginPath();
    pen.rect(left, box.top, width, 15);
    pen.fill();
    pen.globalAlpha = 1;
    pen.fillStyle = ink2;
    pen.fillText(text, left + 3, box.top + 11);
    free = left + width + 4;
  }
}

/**
 * @param {Pen} pen
 * @param {Scene} scene
 * @param {Mark} mark
 */
function paintMark(pen, { box, x }, mark) {
  const at = x.to(mark.x);
  const top = mark.kind === "up" || mark.kind === "restart" || (mark.kind === "clip" && mark.above);
  const edge = top ? box.top - 1 : box.bottom + 1;
  const inward = top ? 1 : -1;
  const { wait, fail } = ink();
  pen.lineWidth = 1.6;
  pen.strokeStyle = mark.kind === "nan" ? fail : lineColour(mark.colour);
  pen.fillStyle = mark.kind === "clip" ? wait : fail;
  pen.beginPath();
  if (mark.kind === "nan") cross(pen, at, edge - 4);
  else if (mark.kind === "restart") bracket(pen, at, box.top);
  else triangle(pen, at, edge, inward);
}

/**
 * @param {Pen} pen
 * @param {number} x
 * @param {number} y
 */
function cross(pen, x, y) {
  pen.moveTo(x - 3, y - 3);
  pen.lineTo(x + 3, y + 3);
  pen.moveTo(x + 3, y - 3);
  pen.lineTo(x - 3, y + 3);
  pen.stroke();
}

/**
 * @param {Pen} pen
 * @param {number} x
 * @param {number} y
 */
function bracket(pen, x, y) {
  pen.moveTo(x, y + 9);
  pen.lineTo(x, y);
  pen.lineTo(x + 5, y);
  pen.stroke();
}

/**
 * @param {Pen} pen
 * @param {number} x
 * @param {number} edge
 * @param {number} inward
 */
function triangle(pen, x, edge, inward) {
  pen.moveTo(x, edge);
  pen.lineTo(x - 4, edge + 6 * inward);
  pen.lineTo(x + 4, edge + 6 * inward);
  pen.closePath();
  pen.fill();
}

/**
 * @param {Pen} pen
 * @param {Scene} scene
 */
function paintLabels(pen, { box, labels, more, width }) {
  const { ink3 } = ink();
  for (const label of labels) paintLabel(pen, label, box.right, width - 14);
  if (!more) return;
  pen.font = font();
  pen.fillStyle = ink3;
  pen.textAlign = "right";
  pen.fillText(`+${more} more`, width - 14, box.bottom + 17);
}

/**
 * @param {Pen} pen
 * @param {Label} label
 * @param {number} left
 * @param {number} right
 */
function paintLabel(pen, { line, name, value, x, y, textY }, left, right) {
  const { ink: dark, ink2, panel } = ink();
  const colour = line.colour ? lineColour(line.colour) : dark;
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  // From a curve that ended long before, the line would cross all others.
  const near = x > left - 24;
  pen.globalAlpha = near ? 0.5 : 1;
  pen.beginPath();
  pen.moveTo(near ? Math.min(x + 4, left) : left + 4, near ? y : textY);
  pen.lineTo(left + 9, textY);
  pen.stroke();
  pen.globalAlpha = 1;
  pen.lineWidth = 1.8;
  pen.fillStyle = line.live ? panel : colour;
  pen.beginPath();
  pen.arc(x, y, line.live ? 3.3 : 2.4, 0, Math.PI * 2);
  pen.fill();
  pen.stroke();
  pen.textAlign = "left";
  pen.font = font(line.focus ? 700 : 450);
  pen.fillStyle = dark;
  if (name) pen.fillText(name, left + 13, textY + 4);
  pen.textAlign = "right";
  pen.font = font(line.focus ? 600 : 400);
  pen.fillStyle = name ? ink2 : dark;
  pen.fillText(value, right, textY + 4);
}
