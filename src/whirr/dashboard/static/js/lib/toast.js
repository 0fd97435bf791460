// Short messages at the edge of the page, read out by screen readers.
import { h } from "./dom.js";

const SHOWN_MS = 4000;
const MOST = 4;

/**
 * Say something.
 *
 * @param {string} text
 * @param {{error?: boolean}} [options] error: it stays longer, and is read out at once
 */
export function toast(text, { error = false } = {}) {
  const place = room();
  const note = h("div", { class: error ? "toast error" : "toast", role: error ? "alert" : "status" }, text);
  note.addEventListener("click", () => note.remove());
  place.append(note);
  while (place.children.length > MOST) place.firstElementChild?.remove();
  setTimeout(() => note.remove(), error ? SHOWN_MS * 2.5 : SHOWN_MS);
}

/** The place of the messages; in the open dialog where there is one, which would cover it. */
function room() {
  const dialogs = document.querySelectorAll("dialog[open]");
  const within = dialogs[dialogs.length - 1] ?? document.body;
  const found = document.getElementById("toasts") ?? h("div", { id: "toasts", "aria-live": "polite" });
  if (found.parentNode !== within) within.append(found);
  return found;
}
