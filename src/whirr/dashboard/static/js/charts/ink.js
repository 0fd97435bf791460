// The colours and the font of the page, for what is drawn on a canvas.

import { CSS_COLOURS, value } from "../lib/colours.js";
import { onTheme } from "../lib/theme.js";

/**
 * @typedef {object} Ink
 * @property {string} ink
 * @property {string} ink2
 * @property {string} ink3
 * @property {string} grid
 * @property {string} panel
 * @property {string} context
 * @property {string} fail
 * @property {string} run
 * @property {string} wait
 * @property {string} focus
 * @property {string[]} series of colours 1 to 10
 * @property {string} family of fonts
 */

/** @type {Ink|null} */
let current = null;
onTheme(() => (current = null));

/** The colours of the theme as it is now. */
export function ink() {
  current ??= {
    ink: value("--ink"),
    ink2: value("--ink2"),
    ink3: value("--ink3"),
    grid: value("--grid"),
    panel: value("--panel"),
    context: value("--ctx"),
    fail: value("--fail"),
    run: value("--run"),
    wait: value("--wait"),
    focus: value("--focus"),
    series: CSS_COLOURS.map(value),
    family: getComputedStyle(document.body).fontFamily,
  };
  return current;
}

/**
 * The colour of a line; grey for context.
 *
 * @param {number|null} colour 1 to 10
 */
export const lineColour = (colour) => (colour ? ink().series[(colour - 1) % CSS_COLOURS.length] : ink().context);
