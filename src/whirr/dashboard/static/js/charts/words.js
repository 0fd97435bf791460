// What a panel says about itself.

import { number, plural } from "../lib/format.js";
import { compact, elapsed } from "./ticks.js";

/** @typedef {import("./panel.js").Panel} Panel */
/** @typedef {import("./types.js").Series} Series */

const LOWER = /(^|[/_.-])(loss|nll|perplexity|ppl|error|err|mse|rmse|mae|wer|cer|fid|regret)([/_.-]|$)/i;
/** Pixels of width from which a panel says everything. */
const ROOMY = 420;
const HIGHER =
  /(^|[/_.-])(acc|accuracy|auc|auroc|f1|bleu|rouge|iou|miou|map|precision|recall|reward|return|psnr|ssim|score|top1|top5)([/_.@-]|$)/i;

/**
 * Which values of a metric are good, as far as its name says.
 *
 * @param {string} metric
 * @returns {"lower"|"higher"|null}
 */
export function better(metric) {
  if (LOWER.test(metric)) return "lower";
  return HIGHER.test(metric) ? "higher" : null;
}

/** @param {number} count as in "1.3 M points" */
const large = (count) => compact(count).replace(/(?=[kMG]$)/, " ");

/**
 * The texts of a panel.
 *
 * @param {Panel} panel
 * @returns {{hint: string, note: string, more: string, label: string}} more: all that `note` has no room for
 */
export function about({ spec, scene, curves, host, width }) {
  const series = [...curves.values()].filter((one) => one.total);
  const { mean } = host.view;
  const direction = spec.metrics.length === 1 ? better(spec.title) : null;
  const hint = mean ? "mean ± s.d." : direction ? `${direction} is better` : "";
  const points = series.reduce((sum, one) => sum + one.total, 0);
  const drawn = series.reduce((sum, one) => sum + one.y.length, 0);
  const nonfinite = series.reduce((sum, one) => sum + one.nonfiniteTotal, 0);
  const facts = [
    series.length > 1 ? plural(series.length, spec.metrics.length === 1 ? "run" : "curve") : "",
    reach(series, host.view),
    drawn < points ? `drawn from ${large(points)} points` : "",
  ];
  const trouble = [scene?.note, nonfinite ? `${large(nonfinite)} not finite` : ""];
  const more = [...trouble, ...facts, scene?.starts].filter(Boolean).join(" · ");
  // A narrow panel says only what is out of the ordinary.
  const note = (width < ROOMY ? trouble : [...trouble, ...facts]).filter(Boolean).join(" · ");
  return { hint: width < ROOMY && note ? "" : hint, note, more, label: spoken(spec.title, more, series) };
}

/**
 * @param {Series[]} series
 * @param {import("./types.js").View} view
 */
function reach(series, view) {
  if (!series.length || view.zoom) return "";
  const last = Math.max(...series.map((one) => one.last));
  if (view.x === "step") return `to step ${number(last)}`;
  return view.x === "relative" ? elapsed(last) : "";
}

/**
 * @param {string} title
 * @param {string} facts
 * @param {Series[]} series
 */
function spoken(title, facts, series) {
  const ends = series.flatMap((one) => (one.lastY === null ? [] : [one.lastY]));
  const range = ends.length
    ? `last values from ${number(Math.min(...ends), 4)} to ${number(Math.max(...ends), 4)}`
    : "";
  return [`Chart of ${title}`, facts, range, "arrow keys read the values"].filter(Boolean).join(", ");
}
