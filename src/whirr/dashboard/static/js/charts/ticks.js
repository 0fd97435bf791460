/** Where an axis has its ticks, and what they say. */

/** @typedef {import("./types.js").Tick} Tick */
/** @typedef {import("./scale.js").Scale} Scale */

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const MOST_TICKS = 1000;
/** The least and the greatest power of ten that there is. */
const POWERS = [-323, 308];
const TIMES = [
  0.001,
  0.01,
  0.1,
  1,
  2,
  5,
  10,
  15,
  30,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
  30 * DAY,
  90 * DAY,
  365 * DAY,
];

/**
 * The smallest of 1, 2, 2.5, 5 times a power of ten that needs at most `count` steps for the span.
 *
 * @param {number} span
 * @param {number} count
 */
export function niceStep(span, count) {
  const least = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 2.5, 5].find((factor) => power * factor >= least * (1 - 1e-9)) ?? 10);
}

/**
 * @param {number} lo
 * @param {number} hi
 * @param {number} step
 * @param {number} [origin] a place that would have a tick
 */
function multiples(lo, hi, step, origin = 0) {
  const slack = step * 1e-6;
  const first = Math.ceil((lo - origin - slack) / step);
  const count = Math.min(MOST_TICKS, Math.floor((hi - origin + slack) / step) - first + 1);
  // Counted, not added up: where the values are large beside the step, adding it may change nothing, for ever.
  const values = Array.from({ length: Math.max(0, count) }, (_, i) => origin + (first + i) * step);
  return [...new Set(values)];
}

/**
 * Ticks for plain numbers, also on a logarithmic scale.
 *
 * @param {Scale} scale
 * @param {number} count about how many
 * @returns {Tick[]}
 */
export function numberTicks(scale, count) {
  const decades = scale.log ? Math.log10(scale.hi) - Math.log10(scale.lo) : 0;
  if (decades > 0.8) return powers(scale, decades, count);
  const step = niceStep(scale.hi - scale.lo, count);
  const values = multiples(scale.lo, scale.hi, step).filter((value) => !scale.log || value > 0);
  const text = numberFormat(Math.max(Math.abs(scale.lo), Math.abs(scale.hi)), step);
  return values.map((at) => ({ at, text: text(at) }));
}

/**
 * @param {Scale} scale
 * @param {number} decades
 * @param {number} count
 * @returns {Tick[]}
 */
function powers(scale, decades, count) {
  const factors = decades * 3 <= count + 1 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / count));
  const ticks = [];
  const first = Math.max(POWERS[0], Math.floor(Math.log10(scale.lo)));
  const last = Math.min(POWERS[1], Math.log10(scale.hi));
  for (let power = first; power <= last; power += 1) {
    if (power % every !== 0) continue;
    for (const factor of factors) {
      const at = factor * 10 ** power;
      if (at >= scale.lo * 0.999 && at <= scale.hi * 1.001) ticks.push({ at, text: compact(at) });
    }
  }
  return ticks;
}

/**
 * How the numbers of one axis are written, so that they all have the same form.
 *
 * @param {number} greatest magnitude on the axis
 * @param {number} step
 * @returns {(value: number) => string}
 */
export function numberFormat(greatest, step) {
  if (greatest >= 1e15 || (greatest < 0.01 && greatest > 0)) return scientific(step);
  const [scale, suffix] =
    greatest >= 1e9 ? [1e9, "G"] : greatest >= 1e6 ? [1e6, "M"] : greatest >= 1e4 ? [1e3, "k"] : [1, ""];
  const digits = Math.min(9, Math.max(0, decimals(step / scale)));
  return (value) => (Math.abs(value) < step * 1e-6 ? "0" : minus((value / scale).toFixed(digits)) + suffix);
}

/** @param {number} step */
function scientific(step) {
  return (/** @type {number} */ value) => {
    if (Math.abs(value) < step * 1e-6) return "0";
    const power = Math.floor(Math.log10(Math.abs(value)) + 1e-9);
    const digits = Math.min(4, Math.max(0, power + decimals(step)));
    return minus(value.toExponential(digits).replace(/\.0+e/, "e"));
  };
}

/**
 * How many decimals a step needs: 0.25 needs two, 0.5 one.
 *
 * @param {number} step
 */
function decimals(step) {
  const power = Math.floor(Math.log10(step) + 1e-9);
  const factor = step / 10 ** power;
  return -power + (Math.abs(factor - 2.5) < 1e-6 ? 1 : 0);
}

/** @param {string} text */
const minus = (text) => text.replaceAll("-", "−").replace("e+", "e");

/**
 * One number by itself, short.
 *
 * @param {number} value
 */
export function compact(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e15)) return minus(value.toExponential(0));
  if (size >= 1e4) return numberFormat(size, size / 100)(value).replace(/\.0+(?=\D)/, "");
  return minus(String(Number(value.toPrecision(3))));
}

/**
 * Ticks in seconds of elapsed time.
 *
 * @param {Scale} scale
 * @param {number} count
 * @returns {Tick[]}
 */
export function durationTicks(scale, count) {
  const step = timeStep(scale.hi - scale.lo, count);
  return multiples(scale.lo, scale.hi, step).map((at) => ({ at, text: span(at, step) }));
}

/**
 * @param {number} range
 * @param {number} count
 */
function timeStep(range, count) {
  return TIMES.find((step) => range / step <= count) ?? niceStep(range / DAY, count) * DAY;
}

/**
 * @param {number} seconds
 * @param {number} step
 */
function span(seconds, step) {
  if (Math.abs(seconds) < step * 1e-6) return "0";
  const [unit, name] =
    step >= DAY ? [DAY, "d"] : step >= HOUR ? [HOUR, "h"] : step >= MINUTE ? [MINUTE, "m"] : [1, "s"];
  const hours = Math.trunc(seconds / HOUR);
  const minutes = Math.round(seconds / MINUTE) - hours * 60;
  if (unit === MINUTE && hours) return minutes ? `${hours} h ${String(minutes).padStart(2, "0")}` : `${hours} h`;
  return `${Number((seconds / unit).toFixed(3))} ${name}`;
}

/**
 * Ticks in seconds since 1970, on round times of the viewer's own zone.
 *
 * @param {Scale} scale
 * @param {number} count
 * @returns {Tick[]}
 */
export function timeTicks(scale, count) {
  const step = timeStep(scale.hi - scale.lo, count);
  const midnight = new Date(scale.lo * 1000);
  midnight.setHours(0, 0, 0, 0);
  return multiples(scale.lo, scale.hi, step, midnight.getTime() / 1000).map((at) => ({ at, text: clock(at, step) }));
}

/**
 * @param {number} at
 * @param {number} step
 */
function clock(at, step) {
  const date = new Date(Math.round(at * 1000));
  const month = date.toLocaleString("en", { month: "short" });
  const day = `${date.getDate()} ${month}`;
  if (step >= 300 * DAY) return `${month} ${date.getFullYear()}`;
  if (step >= DAY) return day;
  const hour = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (step < MINUTE) return `${hour}:${two(date.getSeconds())}`;
  return hour === "00:00" ? day : hour;
}

/** @param {number} number */
const two = (number) => String(number).padStart(2, "0");

/**
 * The x of a cursor in words: "step 33,300".
 *
 * @param {string} axis
 * @param {number} at
 * @param {number} pixel how much of the axis one is
 */
export function position(axis, at, pixel) {
  if (axis === "time") {
    const date = new Date(at * 1000);
    return `${date.getDate()} ${date.toLocaleString("en", { month: "short" })} ${clock(at, 1)}`;
  }
  if (axis === "relative") return `after ${elapsed(at)}`;
  const digits = axis === "step" ? 0 : Math.min(12, Math.max(0, Math.ceil(-Math.log10(pixel))));
  return `${axisName(axis)} ${minus(at.toLocaleString("en", { maximumFractionDigits: digits }))}`;
}

/**
 * @param {number} seconds
 * @returns {string}
 */
export function elapsed(seconds) {
  if (seconds < 0) return `−${elapsed(-seconds)}`;
  if (seconds < MINUTE) return `${Number(seconds.toPrecision(3))} s`;
  const [days, hours, minutes] = [
    Math.floor(seconds / DAY),
    Math.floor(seconds / HOUR) % 24,
    Math.floor(seconds / MINUTE) % 60,
  ];
  if (days) return `${days} d ${hours} h`;
  return hours ? `${hours} h ${minutes} m` : `${minutes} m ${Math.floor(seconds % MINUTE)} s`;
}

/** @param {string} axis as in a query: step, time, relative, metric:<name> */
export const axisName = (axis) => axis.replace(/^metric:/, "");
