/** What happened to runs besides their values: shown as small marks at the edges of the plot. */

import { plural } from "../lib/format.js";
import { excursions } from "./extent.js";

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {import("./types.js").Line} Line */
/** @typedef {import("./types.js").Mark} Mark */

const KINDS = /** @type {Record<string, "nan"|"up"|"down">} */ ({ NaN: "nan", Infinity: "up", "-Infinity": "down" });
const WORDS = /** @type {Record<string, string>} */ ({ NaN: "NaN", Infinity: "+∞", "-Infinity": "−∞" });

/**
 * NaN, infinities and restarts of these lines.
 *
 * @param {Line[]} lines
 * @returns {Mark[]}
 */
export function dataMarks(lines) {
  return lines.flatMap((line) => {
    const { nonfinite = [], restarts = [] } = line.series ?? {};
    const own = { colour: line.colour, above: false };
    return [
      ...nonfinite.map(([x, what]) => ({
        x,
        kind: KINDS[what] ?? "nan",
        text: `${line.label}: ${WORDS[what] ?? what}`,
        ...own,
      })),
      ...restarts.map((x) => ({ x, kind: /** @type {const} */ ("restart"), text: `${line.label}: restarted`, ...own })),
    ];
  });
}

/**
 * Where lines leave the shown range of y, and what to say about it.
 *
 * @param {Line[]} lines
 * @param {[number, number]} shown
 * @param {{lo: number, hi: number}} range
 * @returns {{marks: Mark[], note: string, starts: string}} starts: that curves begin outside is plain to see, and said
 *   only where everything is said
 */
export function clipMarks(lines, shown, range) {
  const all = lines.flatMap((line) => excursions(line, shown, range).map((found) => ({ line, ...found })));
  const spikes = all.filter((one) => !one.start);
  const marks = spikes.map(({ line, x, above }) => ({
    x,
    above,
    kind: /** @type {const} */ ("clip"),
    colour: null,
    text: `${line.label}: goes beyond the drawn range`,
  }));
  const starts = all.filter((one) => one.start && !one.whole).length;
  return { marks, note: clipNote(all), starts: starts ? `${plural(starts, "start")} clipped` : "" };
}

/** @param {import("./types.js").Excursion[]} all */
function clipNote(all) {
  const whole = all.filter((one) => one.whole);
  const spikes = all.filter((one) => !one.start);
  const told = [whole.length && plural(whole.length, "run"), spikes.length && plural(spikes.length, "outlier")].filter(
    Boolean,
  );
  if (!told.length) return "";
  const counted = [...whole, ...spikes];
  const sides = [counted.some((one) => one.above) ? "↑" : "", counted.some((one) => !one.above) ? "↓" : ""];
  return `${told.join(", ")} clipped ${sides.join("")}`;
}

/**
 * What the queue did with a run, on an axis of time.
 *
 * @param {ChartRun} run
 * @param {string} axis
 * @param {number|null} zero when an axis of elapsed time begins, in seconds since 1970
 * @returns {Mark[]} none on other axes
 */
export function eventMarks(run, axis, zero) {
  const start = axis === "time" ? 0 : axis === "relative" ? zero : null;
  if (start === null) return [];
  return (run.events ?? []).map(({ kind, at, text }) => ({
    x: at - start,
    kind: /** @type {const} */ ("event"),
    colour: null,
    above: true,
    text: text || kind,
  }));
}
