/** Labels at the ends of lines, moved apart so that none lies on another. */

/** @typedef {{y: number, textY: number}} Placed */

/**
 * Gives each label a `textY` at least `gap` from its neighbours, within the bounds, as near to its line as can be.
 *
 * Labels that touch become one block around the mean of their lines' ends; blocks that touch then merge in turn.
 *
 * @template {Placed} T
 * @param {T[]} labels
 * @param {number} gap
 * @param {number} top
 * @param {number} bottom
 * @returns {T[]} by height
 */
export function spread(labels, gap, top, bottom) {
  const ordered = [...labels].sort((a, b) => a.y - b.y);
  /** @type {{labels: T[], first: number}[]} */
  const blocks = [];
  for (const label of ordered) {
    blocks.push(block([label], gap, top, bottom));
    while (blocks.length > 1 && touching(blocks[blocks.length - 2], blocks[blocks.length - 1], gap)) {
      const [upper, lower] = blocks.splice(-2);
      blocks.push(block([...upper.labels, ...lower.labels], gap, top, bottom));
    }
  }
  for (const { labels: members, first } of blocks) members.forEach((label, i) => (label.textY = first + i * gap));
  return ordered;
}

/**
 * @param {{labels: unknown[], first: number}} upper
 * @param {{first: number}} lower
 * @param {number} gap
 */
const touching = (upper, lower, gap) => upper.first + upper.labels.length * gap > lower.first + 1e-9;

/**
 * @template {Placed} T
 * @param {T[]} labels
 * @param {number} gap
 * @param {number} top
 * @param {number} bottom
 */
function block(labels, gap, top, bottom) {
  const mean = labels.reduce((sum, label) => sum + label.y, 0) / labels.length;
  const height = (labels.length - 1) * gap;
  const first = Math.max(top, Math.min(bottom - height, mean - height / 2));
  return { labels, first };
}

/**
 * Text cut to a width, with an ellipsis in the middle, where names of sweeps differ least.
 *
 * @param {string} text
 * @param {number} width
 * @param {(text: string) => number} measure
 */
export function fit(text, width, measure) {
  if (measure(text) <= width) return text;
  let keep = text.length - 1;
  const cut = () =>
    `${text.slice(0, Math.ceil(keep / 2)).trimEnd()}…${text.slice(text.length - Math.floor(keep / 2)).trimStart()}`;
  while (keep > 1 && measure(cut()) > width) keep -= 1;
  return keep > 1 ? cut() : "";
}
