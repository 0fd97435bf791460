// How the charts are drawn, as the address of the page says it.

/** @typedef {import("./types.js").View} View */
/** @typedef {import("../lib/state.js").UrlState} UrlState */

/** What a board keeps in the state of its page, and what that is while the address says nothing. */
export const BOARD_STATE = {
  x: "step",
  smooth: 0,
  raw: true,
  logy: false,
  clip: true,
  mean: false,
  metrics: "",
  zoom: "",
  panels: /** @type {string[]} */ ([]),
};

/** What samples of a machine can be drawn over: they know no steps. */
export const TIMES = ["relative", "time"];

/**
 * @param {UrlState} state
 * @param {boolean} grouped whether the runs have groups; without any there is no mean of one
 * @param {boolean} timed whether only time can be the x axis
 * @returns {View}
 */
export function viewOf(state, grouped, timed) {
  const fits = !timed || TIMES.includes(state.get("x"));
  return {
    x: fits ? state.get("x") : TIMES[0],
    zoom: fits ? readZoom(state.get("zoom")) : null,
    smooth: Math.min(0.99, Math.max(0, state.get("smooth"))),
    raw: state.get("raw"),
    logy: state.get("logy"),
    clip: state.get("clip"),
    mean: grouped && state.get("mean"),
  };
}

/**
 * @param {string} text such as "1000..5000"
 * @returns {[number, number]|null} null: all is shown
 */
export function readZoom(text) {
  const [from, to] = text.split("..").map(Number);
  return text && to > from ? [from, to] : null;
}

/** @param {[number, number]|null} range */
export function writeZoom(range) {
  if (!range) return "";
  // As many digits as tell the ends apart, and some: an address is read by people too.
  const digits = Math.max(0, Math.min(15, 4 - Math.floor(Math.log10(range[1] - range[0]))));
  return range.map((at) => String(Number(at.toFixed(digits)))).join("..");
}
