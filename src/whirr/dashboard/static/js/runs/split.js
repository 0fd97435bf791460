/** A bar between two parts of the page that can be dragged, or moved by the arrows; where it stands is remembered. */

const STEP = 24;

/**
 * @typedef {{
 *   bar: HTMLElement, target: HTMLElement, name: string, axis: "x" | "y", sign: 1 | -1, least: number, most: () => number,
 *   initial: number
 * }} About
 */

/**
 * Let a separator set a length of a part: the CSS variable of that name at `target`.
 * @param {About} about `sign` is -1 where the part grows as the bar moves back
 */
export function split(about) {
  const { bar, axis } = about;
  const kept = `whirr-split-${about.name}`;
  const set = (/** @type {number} */ length) => apply(about, length, kept);
  bar.setAttribute("role", "separator");
  bar.setAttribute("aria-orientation", axis === "x" ? "vertical" : "horizontal");
  bar.tabIndex = 0;
  let length = set(recalled(kept) ?? about.initial);
  bar.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    bar.setPointerCapture(event.pointerId);
    const [from, before] = [axis === "x" ? event.clientX : event.clientY, length];
    const move = (/** @type {PointerEvent} */ now) => {
      length = set(before + about.sign * ((axis === "x" ? now.clientX : now.clientY) - from));
    };
    bar.classList.add("dragged");
    bar.addEventListener("pointermove", move);
    bar.addEventListener(
      "lostpointercapture",
      () => (bar.removeEventListener("pointermove", move), bar.classList.remove("dragged")),
      { once: true },
    );
  });
  bar.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    length = set(length + about.sign * by * STEP);
  });
  bar.addEventListener("dblclick", () => (length = set(about.initial)));
}

/**
 * @param {About} about
 * @param {number} wanted
 * @param {string} kept
 */
function apply(about, wanted, kept) {
  const most = Math.max(about.least, about.most());
  const length = Math.round(Math.max(about.least, Math.min(most, wanted)));
  about.target.style.setProperty(`--${about.name}`, `${length}px`);
  about.bar.setAttribute("aria-valuenow", String(length));
  about.bar.setAttribute("aria-valuemin", String(about.least));
  about.bar.setAttribute("aria-valuemax", String(most));
  try {
    if (length === about.initial) localStorage.removeItem(kept);
    else localStorage.setItem(kept, String(length));
  } catch {
    // no storage: it is remembered as long as the page is open
  }
  return length;
}

/** @param {string} kept */
function recalled(kept) {
  try {
    return Number(localStorage.getItem(kept)) || null;
  } catch {
    return null;
  }
}
