// Which metrics some runs have.

import { getJson } from "../lib/api.js";

/** @typedef {import("./types.js").Metric} Metric */

/** So many ids are asked about at once: an address has no room for thousands. */
const AT_ONCE = 150;

/**
 * @param {string[]} runs
 * @param {AbortSignal} [signal]
 * @returns {Promise<{metrics: Metric[], axes: string[]}>}
 * @throws {import("../lib/api.js").ApiError}
 */
export async function roll(runs, signal) {
  const parts = Array.from({ length: Math.ceil(runs.length / AT_ONCE) }, (_, i) =>
    runs.slice(i * AT_ONCE, (i + 1) * AT_ONCE),
  );
  const answers = await Promise.all(parts.map((part) => getJson("/ui/metrics", { runs: part.join(",") }, signal)));
  /** @type {Map<string, Metric>} */
  const metrics = new Map();
  for (const metric of answers.flatMap((answer) => /** @type {Metric[]} */ (answer.metrics))) {
    const key = `${metric.source} ${metric.name}`;
    const before = metrics.get(key) ?? { ...metric, runs: 0, points: 0 };
    metrics.set(key, { ...before, runs: before.runs + metric.runs, points: before.points + metric.points });
  }
  return { metrics: [...metrics.values()], axes: [...new Set(answers.flatMap((answer) => answer.axes))] };
}
