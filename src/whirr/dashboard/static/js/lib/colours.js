// The ten colours for runs that matter (colour-blind safe in light and dark), and who has which.

/** The names of the style sheet's colours, from 1. */
export const CSS_COLOURS = Array.from({ length: 10 }, (_, index) => `--s${index + 1}`);

/** @type {Map<string, string>} */
const known = new Map();

/** @type {Map<string, number>} */
const given = new Map();

/**
 * What a variable of the style sheet is in the theme in force.
 *
 * @param {string} name such as `--ink`
 * @returns {string}
 */
export function value(name) {
  let found = known.get(name);
  if (found === undefined) {
    found = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    known.set(name, found);
  }
  return found;
}

/**
 * Give each of these a colour; who had one before keeps it while it is free.
 *
 * @param {string[]} ids the first ten get one each, the others none
 * @returns {Map<string, number>} the number of its colour, 1 to 10, by id
 */
export function assign(ids) {
  const found = new Map();
  const free = new Set(CSS_COLOURS.map((_, index) => index + 1));
  const wanted = ids.slice(0, CSS_COLOURS.length);
  for (const id of wanted) {
    const had = given.get(id);
    if (had !== undefined && free.delete(had)) found.set(id, had);
  }
  for (const id of wanted) {
    if (found.has(id)) continue;
    const next = /** @type {number} */ (free.values().next().value);
    free.delete(next);
    found.set(id, next);
    given.set(id, next);
  }
  return found;
}

new MutationObserver(() => {
  known.clear();
}).observe(document.documentElement, { attributeFilter: ["data-theme"] });
