/** A small window at a button: the browser closes it on Escape, on a click elsewhere, and gives the focus back. */
import { clear, h } from "../lib/dom.js";

const MARGIN = 8;
let made = 0;

/** Opened by its button, or by `open()`; filled anew each time. */
export class Pop {
  /**
   * @param {HTMLElement} button
   * @param {string} label what it is for, for who listens
   * @param {(root: HTMLElement, close: () => void) => void} fill
   * @param {HTMLElement} [anchor] what it stands under (default: the button)
   */
  constructor(button, label, fill, anchor = button) {
    this.button = button;
    this.anchor = anchor;
    made += 1;
    this.root = h("div", { class: "pop", id: `pop-${made}`, role: "dialog", "aria-label": label, popover: "auto" });
    button.setAttribute("popovertarget", this.root.id);
    button.setAttribute("aria-haspopup", "dialog");
    button.setAttribute("aria-expanded", "false");
    this.root.addEventListener("beforetoggle", (event) => this.#toggling(/** @type {ToggleEvent} */ (event), fill));
    this.root.addEventListener("toggle", (event) => this.#toggled(/** @type {ToggleEvent} */ (event)));
    button.after(this.root);
  }

  /** Show it, unless it is there. */
  open() {
    if (!this.root.matches(":popover-open")) this.root.showPopover();
  }

  close() {
    if (this.root.matches(":popover-open")) this.root.hidePopover();
  }

  /**
   * @param {ToggleEvent} event
   * @param {(root: HTMLElement, close: () => void) => void} fill
   */
  #toggling(event, fill) {
    if (event.newState === "open") fill(clear(this.root), () => this.close());
  }

  /** @param {ToggleEvent} event */
  #toggled(event) {
    const open = event.newState === "open";
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) return this.#left();
    this.place();
    const first = this.root.querySelector("input") ?? this.root.querySelector("button");
    first?.focus();
  }

  /** Who was within it, and came from nowhere, is nowhere again: no hidden field takes the next key. */
  #left() {
    const { activeElement } = document;
    if (activeElement instanceof HTMLElement && this.root.contains(activeElement)) activeElement.blur();
  }

  /** Put it in its place, within the window. */
  place() {
    const box = this.anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.root;
    const left = Math.max(MARGIN, Math.min(box.left, window.innerWidth - width - MARGIN));
    const below = box.bottom + 5;
    const top =
      below + height > window.innerHeight - MARGIN ? Math.max(MARGIN, window.innerHeight - height - MARGIN) : below;
    this.root.style.left = `${left}px`;
    this.root.style.top = `${top}px`;
  }
}
