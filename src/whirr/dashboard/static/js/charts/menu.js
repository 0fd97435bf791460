// What can be done with a panel.

import { h } from "../lib/dom.js";
import { toast } from "../lib/toast.js";
import { saveCsv, savePng, saveSvg } from "./exporting.js";
import { showTable } from "./table.js";

/** @typedef {import("./panel.js").Panel} Panel */
/** @typedef {import("./panels.js").Look} Look */

/** @typedef {{text: string, act: () => unknown, on?: boolean, rule?: boolean}} Item */

/** @type {[string, Look["size"]][]} */
const SIZES = [
  ["Small", "s"],
  ["Middle", "m"],
  ["Large", "l"],
  ["Whole width", "w"],
];

/**
 * Opens the menu below its button; Escape, a choice or a click elsewhere closes it.
 *
 * @param {Panel} panel
 * @param {HTMLElement} button
 */
export function menu(panel, button) {
  const box = h("div", { class: "chart-menu", popover: "auto", role: "menu", "aria-label": panel.spec.title });
  box.append(...items(panel).map((item) => entry(item, box)));
  box.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "closed") box.remove();
  });
  box.addEventListener("keydown", (event) => step(box, event));
  panel.el.append(box);
  box.showPopover();
  const rect = button.getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(rect.right, innerWidth - 8) - box.offsetWidth)}px`;
  box.style.top = `${Math.max(8, Math.min(rect.bottom + 4, innerHeight - box.offsetHeight - 8))}px`;
  /** @type {HTMLElement|null} */ (box.firstElementChild)?.focus();
}

/**
 * @param {Item} item
 * @param {HTMLElement} box
 */
function entry({ text, act, on, rule }, box) {
  const chosen = async () => {
    box.hidePopover();
    try {
      await act();
    } catch (error) {
      toast(/** @type {Error} */ (error).message, { error: true });
    }
  };
  const role = on === undefined ? "menuitem" : "menuitemradio";
  return h(
    "button",
    {
      type: "button",
      role,
      "aria-checked": on === undefined ? null : String(on),
      class: rule ? "rule" : "",
      tabindex: -1,
      onclick: chosen,
    },
    text,
  );
}

/**
 * @param {HTMLElement} box
 * @param {KeyboardEvent} event
 */
function step(box, event) {
  const all = /** @type {HTMLElement[]} */ ([...box.children]);
  const now = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const next = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: -1 }[event.key];
  event.stopPropagation();
  if (next === undefined) return;
  event.preventDefault();
  all.at(next % all.length)?.focus();
}

/**
 * @param {Panel} panel
 * @returns {Item[]}
 */
function items(panel) {
  const { host, spec } = panel;
  const look = host.look(spec.key);
  const size = { width: panel.width, height: panel.height };
  return [
    ...SIZES.map(([text, value]) => ({
      text,
      on: look.size === value,
      act: () => host.setLook(spec.key, { size: look.size === value ? null : value }),
    })),
    {
      text: look.pinned ? "Unpin" : "Pin as first",
      act: () => host.setLook(spec.key, { pinned: !look.pinned }),
      rule: true,
    },
    { text: "Full screen", act: () => panel.el.requestFullscreen() },
    { text: "Show as table", act: () => showTable(panel) },
    { text: "Save as PNG", act: () => savePng(panel.content(), spec.title, size), rule: true },
    { text: "Save as SVG", act: () => saveSvg(panel.content(), spec.title, size) },
    ...spec.metrics.map(({ name, label }) => ({
      text: spec.metrics.length === 1 ? "Save all values as CSV" : `Save ${label} as CSV`,
      act: () => saveCsv({ ...panel.query(name), runs: host.runs.map((run) => run.id) }, name),
    })),
    ...(host.view.zoom ? [{ text: "Show all of it", act: () => host.zoom(null), rule: true }] : []),
  ];
}
