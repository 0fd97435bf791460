// Which samples of a machine are shown at a glance, and how their last values are told.

import { memory, number } from "../lib/format.js";

/** @typedef {import("./types.js").Metric} Metric */
/** @typedef {import("./types.js").Source} Source */

/**
 * @typedef {object} Sample
 * @property {string} title
 * @property {string[]} names of the curves
 * @property {Source} source
 * @property {boolean} heat rows of colour instead of a curve
 * @property {string[]} totals curves of what there is of it at most
 * @property {number} full the value at the top; 0: the greatest there is
 * @property {(last: number[], total: number) => string} say the last values; total 0: unknown
 */

const MOST = 4;
const THROUGHPUT = /(throughput|(samples|images|img|tokens|tok|items|steps|it|examples)(_per_s(ec(ond)?)?|\/s(ec)?))$/i;

const mean = (/** @type {number[]} */ values) => values.reduce((sum, value) => sum + value, 0) / values.length;
/**
 * @param {number[]} last megabytes of each GPU
 * @param {number} total megabytes of one
 */
function used(last, total) {
  if (!last.length) return "";
  return total ? `${size(Math.max(...last))} of ${size(total)}` : size(Math.max(...last));
}

const percent = (/** @type {number[]} */ last) => (last.length ? `${Math.round(mean(last))} %` : "");
const size = (/** @type {number} */ megabytes) => memory(megabytes * 2 ** 20);

/** @type {(Omit<Sample, "names"|"totals"|"source"> & {pattern: RegExp, total?: RegExp})[]} those that tell most first */
const KINDS = [
  { title: "GPU utilisation", pattern: /^gpu_\d+_utilization$/, heat: true, full: 100, say: percent },
  {
    title: "GPU memory",
    pattern: /^gpu_\d+_memory_used$/,
    total: /^gpu_\d+_memory_total$/,
    heat: false,
    full: 0,
    say: used,
  },
  {
    title: "GPU temperature",
    pattern: /^gpu_\d+_temperature$/,
    heat: false,
    full: 0,
    say: (last) => (last.length ? `${Math.round(Math.max(...last))} °C` : ""),
  },
  {
    title: "GPU power",
    pattern: /^gpu_\d+_power$/,
    heat: false,
    full: 0,
    say: (last) => (last.length ? `${Math.round(last.reduce((sum, one) => sum + one, 0))} W` : ""),
  },
  { title: "CPU", pattern: /^cpu_percent$/, heat: false, full: 100, say: percent },
  { title: "Memory", pattern: /^memory_percent$/, heat: false, full: 100, say: percent },
  {
    title: "Memory of the run",
    pattern: /^process_memory_mb$/,
    heat: false,
    full: 0,
    say: ([last]) => (last === undefined ? "" : size(last)),
  },
  {
    title: "Disk, written",
    pattern: /^disk_write_mb_s$/,
    heat: false,
    full: 0,
    say: ([last]) => (last === undefined ? "" : `${number(last, 2)} MB/s`),
  },
];

/**
 * The four samples that tell most of a run; its throughput is one of them, if it logs that.
 *
 * @param {Metric[]} metrics
 * @returns {Sample[]}
 */
export function chosen(metrics) {
  const system = metrics.filter((metric) => metric.source === "system").map((metric) => metric.name);
  const found = KINDS.flatMap(({ pattern, total, ...kind }) => {
    const names = system
      .filter((name) => pattern.test(name))
      .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const totals = system.filter((name) => total?.test(name));
    return names.length ? [/** @type {Sample} */ ({ ...kind, names, totals, source: "system" })] : [];
  });
  const rate = metrics.find((metric) => metric.source === "metrics" && THROUGHPUT.test(metric.name));
  if (rate) found.splice(MOST - 1, 0, throughput(rate.name));
  return found.slice(0, MOST);
}

/**
 * @param {string} name
 * @returns {Sample}
 */
function throughput(name) {
  return {
    title: "Throughput",
    names: [name],
    totals: [],
    source: "metrics",
    heat: false,
    full: 0,
    say: ([last]) => (last === undefined ? "" : `${Math.round(last).toLocaleString("en")} ${unit(name)}`),
  };
}

/** @param {string} name such as images_per_s */
const unit = (name) =>
  name
    .match(/([a-z]+)(_per_s|\/s)/i)?.[1]
    .replace(/^images$/i, "img")
    .concat("/s") ?? "";
