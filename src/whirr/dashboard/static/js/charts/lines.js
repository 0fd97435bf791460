/** From runs and their curves to the lines of a panel. */

import { aggregate } from "./aggregate.js";
import { smooth } from "./smooth.js";

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {import("./types.js").Series} Series */
/** @typedef {import("./types.js").Line} Line */
/** @typedef {import("./types.js").View} View */

const COLOURS = 10;
const DASHES = 3;

/** Events so far outside of the curves, as a part of their range, still widen what is shown. */
const AROUND = 0.15;

/**
 * The range of x that all curves together have, with events shortly before or after, or the zoom.
 *
 * @param {Iterable<Series>} series
 * @param {View} view
 * @param {{x: number}[]} [events]
 * @returns {[number, number]}
 */
export function shownRange(series, view, events = []) {
  if (view.zoom) return view.zoom;
  let [lo, hi] = [Infinity, -Infinity];
  for (const { first, last } of series) [lo, hi] = [Math.min(lo, first), Math.max(hi, last)];
  if (!(hi >= lo)) return [0, 1];
  const around = (hi - lo) * AROUND;
  const near = events.map((event) => event.x).filter((x) => x >= lo - around && x <= hi + around);
  [lo, hi] = [Math.min(lo, ...near), Math.max(hi, ...near)];
  return hi > lo ? [lo, hi] : [lo - 0.5, hi + 0.5];
}

/**
 * Runs as lines, those drawn last (on top) at the end: context, colours, focus.
 *
 * @param {ChartRun[]} runs
 * @param {Map<string, Series>} curves
 * @param {View} view
 * @param {[number, number]} shown
 * @returns {Line[]}
 */
export function runLines(runs, curves, view, shown) {
  const present = runs.filter((run) => curves.has(run.id));
  const names = shortNames(present.map((run) => run.name));
  const lines = present.map((run, i) =>
    runLine({ ...run, name: names[i] }, /** @type {Series} */ (curves.get(run.id)), view, shown),
  );
  return lines.sort((a, b) => rank(a) - rank(b));
}

/** @param {Line} line */
const rank = (line) => (line.focus ? 2 : line.colour ? 1 : 0);

/**
 * @param {ChartRun} run
 * @param {Series} series
 * @param {View} view
 * @param {[number, number]} shown
 * @returns {Line}
 */
function runLine(run, series, view, [from, to]) {
  const y = smooth(series.x, series.y, view.smooth, to - from);
  return {
    id: run.id,
    label: run.name,
    colour: run.colour ?? null,
    dash: run.dash ?? 0,
    focus: run.focus,
    live: run.status === "running",
    x: series.x,
    y,
    raw: view.raw && y !== series.y && (run.colour || run.focus) ? series.y : null,
    sd: null,
    count: 1,
    series,
    run,
  };
}

/**
 * Groups as their mean with a band of one standard deviation.
 *
 * @param {ChartRun[]} runs
 * @param {Map<string, Series>} curves
 * @param {View} view
 * @param {[number, number]} shown
 * @returns {Line[]}
 */
export function groupLines(runs, curves, view, shown) {
  const groups = Map.groupBy(runs, (run) => run.group ?? "others");
  return [...groups].flatMap(([group, members], index) => {
    const present = members.filter((run) => curves.get(run.id)?.y.length);
    return present.length ? [groupLine(group, index, present, curves, view, shown)] : [];
  });
}

/**
 * @param {string} group
 * @param {number} index
 * @param {ChartRun[]} runs
 * @param {Map<string, Series>} curves
 * @param {View} view
 * @param {[number, number]} shown
 * @returns {Line}
 */
function groupLine(group, index, runs, curves, view, [from, to]) {
  const smoothed = runs.map((run) => {
    const { x, y } = /** @type {Series} */ (curves.get(run.id));
    return { x, y: smooth(x, y, view.smooth, to - from) };
  });
  const { x, y, sd } = aggregate(smoothed, from, to);
  // Runs coloured by their group lend it their look; otherwise it gets one of its own.
  const own = runs[0].colour && runs.every(({ colour, dash }) => colour === runs[0].colour && dash === runs[0].dash);
  return {
    id: `group ${group}`,
    label: group,
    colour: own ? runs[0].colour : (index % COLOURS) + 1,
    dash: own ? runs[0].dash : index % DASHES,
    focus: false,
    live: runs.some((run) => run.status === "running"),
    x,
    y,
    raw: null,
    sd,
    count: runs.length,
    series: null,
    run: null,
  };
}

/**
 * Names without the folders that all of them lie in: "sweep-7/vit-s" and "sweep-7/resnet" are told apart by their ends.
 *
 * @param {string[]} names
 */
export function shortNames(names) {
  if (names.length < 2) return names;
  let shared = names[0];
  for (const name of names) while (!name.startsWith(shared)) shared = shared.slice(0, -1);
  const folders = shared.slice(0, shared.lastIndexOf("/") + 1).length;
  return names.some((name) => name.length === folders) ? names : names.map((name) => name.slice(folders));
}
