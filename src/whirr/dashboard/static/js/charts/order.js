// Which panels there are, and in which order.

import { better } from "./words.js";

/** @typedef {import("./types.js").Metric} Metric */
/** @typedef {import("./subjects.js").Spec} Spec */
/** @typedef {import("./panels.js").Looks} Looks */

/** Up to so many panels need no headings. */
const FLAT = 12;
const TOP = 5;
/** After all that tells how good a model is. */
const LATE = 100;
const STAGES = [
  /(^|[/_.-])(val|valid|validation|dev|eval)([/_.-]|$)/i,
  /(^|[/_.-])test([/_.-]|$)/i,
  /(^|[/_.-])train(ing)?([/_.-]|$)/i,
];

/**
 * @typedef {object} Section
 * @property {string} name of the prefix; empty: no heading
 * @property {Spec[]} specs
 */

/**
 * @param {Metric[]} metrics
 * @param {{looks: Looks, first: string, watched: Map<string, number>, filter: string}} wish `first`: the metric that the
 *   table is sorted by
 * @returns {Section[]}
 */
export function arrange(metrics, { looks, first, watched, filter }) {
  const specs = panelsOf(metrics).filter((spec) => matches(spec.title, filter));
  const key = new Map(specs.map((spec) => [spec, rank(spec, looks, first, watched)]));
  specs.sort((a, b) => compare(/** @type {Rank} */ (key.get(a)), /** @type {Rank} */ (key.get(b))));
  if (specs.length <= FLAT) return specs.length ? [{ name: "", specs }] : [];
  const pinned = specs.filter((spec) => looks.get(spec.key)?.pinned).length;
  const top = specs.splice(0, Math.max(TOP, pinned));
  const rest = specs.sort((a, b) => a.title.localeCompare(b.title, "en", { numeric: true }));
  return [
    { name: "", specs: top },
    ...[...Map.groupBy(rest, prefix)].map(([name, members]) => ({ name, specs: members })),
  ];
}

/**
 * Whether a name has all these words, or matches the expression between slashes.
 *
 * @param {string} name
 * @param {string} filter
 */
export function matches(name, filter) {
  const [, source] = filter.match(/^\/(.+)\/$/) ?? [];
  if (source) {
    try {
      return new RegExp(source, "i").test(name);
    } catch {
      return false;
    }
  }
  const low = name.toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => low.includes(word));
}

/** @param {Spec} spec */
const prefix = ({ title }) => (title.includes("/") ? title.slice(0, title.indexOf("/")) : "other");

/** @typedef {(number|string)[]} Rank */

/**
 * The more watched, the less: pinned, sorted by, enlarged before, quality of validation, test and training, all others.
 *
 * @param {Spec} spec
 * @param {Looks} looks
 * @param {string} first
 * @param {Map<string, number>} watched
 * @returns {Rank}
 */
function rank({ key, title, metrics, runs }, looks, first, watched) {
  return [
    looks.get(key)?.pinned ? 0 : 1,
    metrics.some(({ name }) => name === first) ? 0 : 1,
    -(watched.get(key) ?? 0),
    quality(title),
    -runs,
    title,
  ];
}

/** @param {string} title */
function quality(title) {
  const direction = better(title);
  if (title.startsWith("gpu_")) return LATE;
  if (!direction) return Infinity;
  const stage = STAGES.findIndex((pattern) => pattern.test(title));
  return (stage < 0 ? STAGES.length : stage) * 2 + (direction === "lower" ? 0 : 1);
}

/**
 * @param {Rank} a
 * @param {Rank} b
 */
function compare(a, b) {
  const at = a.findIndex((part, i) => part !== b[i]);
  return at < 0 ? 0 : a[at] < b[at] ? -1 : 1;
}

/**
 * One panel for each metric; for samples of GPUs one for all GPUs.
 *
 * @param {Metric[]} metrics
 * @returns {Spec[]}
 */
function panelsOf(metrics) {
  const groups = Map.groupBy(metrics, ({ name, source }) =>
    source === "system" ? name.replace(/^gpu_\d+_/, "gpu_") : name,
  );
  return [...groups].map(([key, members]) => ({
    key,
    title: key,
    source: members[0].source,
    metrics: members
      .map(({ name }) => ({ name, label: name.match(/^gpu_\d+/)?.[0].replace("gpu_", "GPU ") ?? name }))
      .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })),
    runs: Math.max(...members.map((one) => one.runs)),
    points: members.reduce((sum, one) => sum + one.points, 0),
  }));
}
