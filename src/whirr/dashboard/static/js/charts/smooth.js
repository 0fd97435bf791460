/** Smoothing of drawn curves. */

/** A weight w is what is left of a point's influence after this part of the x range. */
const UNIT = 1 / 200;

/** @typedef {{weight: number, span: number, values: Float64Array}} Smoothed */

/** @type {WeakMap<ArrayLike<number>, Smoothed>} the last smoothing of each column */
const done = new WeakMap();

/**
 * An exponential moving average that goes by distance in x, not by number of points, without bias at the start.
 *
 * With evenly spaced points it is what TensorBoard draws. Points are what the server down-sampled, so two may lie at
 * nearly one place (the least and the greatest of a stretch): both count alike. NaN stays NaN and is passed over.
 *
 * @param {ArrayLike<number>} x ascending
 * @param {ArrayLike<number>} y
 * @param {number} weight 0 (none) to 0.999
 * @param {number} span of x that the panel shows
 * @returns {ArrayLike<number>}
 */
export function smooth(x, y, weight, span) {
  if (!(weight > 0) || !(span > 0)) return y;
  const before = done.get(y);
  if (before && before.weight === weight && before.span === span) return before.values;
  const values = average(x, y, Math.log(weight) / (span * UNIT));
  done.set(y, { weight, span, values });
  return values;
}

/**
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} y
 * @param {number} rate of decay by x
 */
function average(x, y, rate) {
  const values = new Float64Array(y.length);
  let sum = 0;
  let norm = 0;
  let last = x[0] ?? 0;
  for (let i = 0; i < y.length; i += 1) {
    if (Number.isNaN(y[i])) {
      values[i] = NaN;
      continue;
    }
    const left = Math.exp(rate * (x[i] - last));
    sum = sum * left + y[i];
    norm = norm * left + 1;
    last = x[i];
    values[i] = sum / norm;
  }
  return values;
}
