// How single panels look, as the address of the page says it.

/**
 * @typedef {object} Look
 * @property {"s"|"m"|"l"|"w"|null} size small, middle, large, whole width; null: as the board thinks best
 * @property {boolean} pinned stands first
 */

/** @typedef {Map<string, Look>} Looks */

const SIZES = new Set(["s", "m", "l", "w"]);

/**
 * @param {string[]} texts such as "val/loss:lp": a size, and p for pinned
 * @returns {Looks}
 */
export function readLooks(texts) {
  const looks = new Map();
  for (const text of texts) {
    const [, key, flags] = text.match(/^(.*):([smlwp]{1,2})$/s) ?? [];
    if (!key) continue;
    const size = [...flags].find((flag) => SIZES.has(flag)) ?? null;
    looks.set(key, { size, pinned: flags.includes("p") });
  }
  return looks;
}

/**
 * @param {Looks} looks
 * @returns {string[]}
 */
export function writeLooks(looks) {
  return [...looks].flatMap(([key, { size, pinned }]) =>
    size || pinned ? [`${key}:${size ?? ""}${pinned ? "p" : ""}`] : [],
  );
}
