/** Finding a place in an ascending column. */

/**
 * The last index whose x is at most `at`; -1 when all are greater.
 *
 * @param {ArrayLike<number>} x ascending
 * @param {number} at
 */
export function indexAt(x, at) {
  let low = 0;
  let high = x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * The index whose x is nearest; -1 in an empty column.
 *
 * @param {ArrayLike<number>} x ascending
 * @param {number} at
 */
export function nearest(x, at) {
  const i = indexAt(x, at);
  if (i < 0) return x.length ? 0 : -1;
  return i + 1 < x.length && x[i + 1] - at < at - x[i] ? i + 1 : i;
}

/**
 * The indices that are needed to draw from one x to another: those within, and one beyond either side.
 *
 * @param {ArrayLike<number>} x ascending
 * @param {number} from
 * @param {number} to
 * @returns {[number, number]} first, end (exclusive)
 */
export function window(x, from, to) {
  const first = indexAt(x, from);
  return [Math.max(0, first), Math.min(x.length, indexAt(x, to) + 2)];
}

/**
 * The indices whose x lies within; the nearest one on either side where there is none.
 *
 * @param {ArrayLike<number>} x ascending
 * @param {number} from
 * @param {number} to
 * @returns {[number, number]} first, end (exclusive)
 */
export function inside(x, from, to) {
  const end = indexAt(x, to) + 1;
  let first = indexAt(x, from);
  if (first < 0 || x[first] < from) first += 1;
  return first < end ? [first, end] : window(x, from, to);
}
