// Keyboard shortcuts, and the list of them behind `?`.
import { open } from "./dialog.js";
import { h } from "./dom.js";

/** @typedef {{keys: string, fn: (event: KeyboardEvent) => unknown, text: string}} Shortcut */

/** @type {Map<string, Shortcut>} */
const shortcuts = new Map();

const isMac = /Mac|iP(hone|ad)/.test(navigator.platform);

/**
 * Do something at a key. Keys without ctrl or alt do nothing while somebody writes or a dialog is open.
 *
 * @param {string} keys such as `ctrl+k` (on a Mac the command key does too), `/`, `j`, `shift+enter`, `escape`
 * @param {(event: KeyboardEvent) => unknown} fn gives false where the key was not meant for it
 * @param {string} text what it does, for the list
 * @returns {() => void} takes it away
 */
export function shortcut(keys, fn, text) {
  shortcuts.set(keys, { keys, fn, text });
  return () => {
    if (shortcuts.get(keys)?.fn === fn) shortcuts.delete(keys);
  };
}

/**
 * Keys as people read them.
 *
 * @param {string} keys
 * @returns {string}
 */
export function words(keys) {
  const names = keys.split("+").map((key) => NAMES[key] ?? (key.length === 1 ? key : key[0].toUpperCase() + key.slice(1)));
  return isMac ? names.join("").replace("Ctrl", "⌘") : names.map((name) => (name.length === 1 && names.length > 1 ? name.toUpperCase() : name)).join(" ");
}

/** @type {Record<string, string>} */
const NAMES = { arrowup: "↑", arrowdown: "↓", arrowleft: "←", arrowright: "→", escape: "Esc" };

/** Show all shortcuts. */
export function help() {
  const rows = [...shortcuts.values()].flatMap(({ keys, text }) => [
    h("dt", null, h("span", { class: "kbd" }, words(keys))),
    h("dd", null, text),
  ]);
  const close = h("button", { class: "btn", type: "button", onclick: () => box.close() }, "Close");
  const list = h("dl", { class: "keys" }, rows);
  const box = h("dialog", { "aria-label": "Keyboard shortcuts" }, h("h2", null, "Keyboard"), list, h("div", { class: "act" }, close));
  open(box);
  close.focus();
}

/** @param {KeyboardEvent} event */
function named(event) {
  const key = event.key.toLowerCase();
  const held = [event.ctrlKey || event.metaKey ? "ctrl" : "", event.altKey ? "alt" : ""].filter(Boolean);
  // Shift is part of a character such as `?`, and a key of its own beside a name such as `enter`.
  if (event.shiftKey && (key.length > 1 || /[a-z]/.test(key))) held.push("shift");
  return [...held, key].join("+");
}

/** @param {KeyboardEvent} event */
function writes(event) {
  const [node] = event.composedPath();
  return node instanceof HTMLElement && (node.isContentEditable || node.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=range], [type=button])"));
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const keys = named(event);
  const found = shortcuts.get(keys);
  if (!found) return;
  if (!/^(ctrl|alt)\+/.test(keys) && (writes(event) || document.querySelector("dialog[open]"))) return;
  if (found.fn(event) === false) return;
  event.preventDefault();
});

shortcut("?", help, "Show this list");
