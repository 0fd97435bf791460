// How far one column goes up with another, whatever the shape of the curve between them.

const LEAST = 4;

/**
 * Spearman's rank correlation of the pairs in which both are numbers.
 *
 * @param {(number|null)[]} a
 * @param {(number|null)[]} b
 * @returns {number|null} −1 to 1; null: fewer than four pairs, or one column does not vary
 */
export function spearman(a, b) {
  const both = a.flatMap((value, i) =>
    isNumber(value) && isNumber(b[i]) ? [[value, /** @type {number} */ (b[i])]] : [],
  );
  if (both.length < LEAST) return null;
  return pearson(
    ranks(both.map(([value]) => /** @type {number} */ (value))),
    ranks(both.map(([, value]) => /** @type {number} */ (value))),
  );
}

/** @param {unknown} value @returns {value is number} */
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/**
 * Ranks from 0; equal values share the mean of theirs.
 *
 * @param {number[]} values
 */
export function ranks(values) {
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]);
  const found = new Array(values.length);
  for (let from = 0; from < order.length;) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1]] === values[order[from]]) to += 1;
    for (let i = from; i <= to; i += 1) found[order[i]] = (from + to) / 2;
    from = to + 1;
  }
  return found;
}

/**
 * @param {number[]} a
 * @param {number[]} b
 */
function pearson(a, b) {
  const mean = (/** @type {number[]} */ values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((value, i) => {
    ab += (value - ma) * (b[i] - mb);
    aa += (value - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  });
  return aa && bb ? ab / Math.sqrt(aa * bb) : null;
}
