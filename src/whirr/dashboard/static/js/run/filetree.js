// The files of a run as a tree: folders fold, a file is chosen by a click.
import { clear, h } from "../lib/dom.js";
import { bytes } from "../lib/format.js";

/** @typedef {import("./types.js").FileFacts} FileFacts */
/** @typedef {{folders: Map<string, Node>, files: FileFacts[], size: number, count: number}} Node */

const FOLDED = new Set(["code", "attempts"]);
const MANY = 60;

export class FileTree {
  /** @param {(path: string) => void} chosen */
  constructor(chosen) {
    this.chosen = chosen;
    this.path = "";
    this.wanted = "";
    /** @type {FileFacts[]} */
    this.files = [];
    /** Folders that somebody opened or closed. @type {Map<string, boolean>} */
    this.opened = new Map();
    this.element = h("div", { class: "ft" });
  }

  /** @param {FileFacts[]} files */
  update(files) {
    if (JSON.stringify(files) === JSON.stringify(this.files) && this.element.childElementCount) return;
    this.files = files;
    this.draw();
  }

  /** @param {string} text */
  search(text) {
    this.wanted = text;
    this.draw();
  }

  /** @param {string} path */
  select(path) {
    this.path = path;
    for (const button of this.element.querySelectorAll("button")) {
      button.setAttribute("aria-current", String(button.dataset.path === path));
    }
  }

  draw() {
    const fits = this.files.filter((file) => file.path.toLowerCase().includes(this.wanted));
    clear(this.element).append(...this.rows(treeOf(fits), ""));
    if (!fits.length) this.element.append(h("p", { class: "soft" }, this.files.length ? "No file is called so." : "There are no files."));
    this.select(this.path);
  }

  /** @param {Node} node @param {string} above @returns {HTMLElement[]} */
  rows(node, above) {
    const folders = [...node.folders].map(([name, inner]) => this.folder(name, inner, above ? `${above}/${name}` : name));
    return [...folders, ...node.files.map((file) => this.file(file))];
  }

  /** @param {string} name @param {Node} node @param {string} path */
  folder(name, node, path) {
    const usual = this.wanted !== "" || this.path.startsWith(`${path}/`) || (!FOLDED.has(path) && node.count <= MANY);
    const open = this.opened.get(path) ?? usual;
    const facts = h("span", { class: "soft sz" }, `${node.count} · ${bytes(node.size)}`);
    const inner = h("div", { class: "in" });
    const made = h("details", { open }, h("summary", null, h("span", { class: "cut" }, `${shown(name)}/`), facts), inner);
    const fill = () => made.open && !inner.childElementCount && inner.append(...this.rows(node, path));
    made.addEventListener("toggle", () => { fill(); if (!this.wanted) this.opened.set(path, made.open); });
    fill();
    return made;
  }

  /** @param {FileFacts} file */
  file(file) {
    const name = shown(file.path.slice(file.path.lastIndexOf("/") + 1));
    const label = [h("span", { class: "cut" }, name), h("span", { class: "soft sz" }, bytes(file.size))];
    const current = String(file.path === this.path);
    return h("button", { type: "button", class: "fl", title: shown(file.path), "aria-current": current, dataset: { path: file.path }, onclick: () => this.chosen(file.path) }, label);
  }
}

/** A name as it can be read: what is invisible in it, or no text, is spelled out. @param {string} name */
export function shown(name) {
  return name.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (letter) => {
    const code = letter.codePointAt(0) ?? 0;
    return code >= 0xdc80 && code <= 0xdcff ? `\\x${(code - 0xdc00).toString(16)}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** @param {FileFacts[]} files @returns {Node} */
function treeOf(files) {
  const top = made();
  for (const file of files) {
    let at = top;
    for (const name of file.path.split("/").slice(0, -1)) {
      const next = at.folders.get(name) ?? made();
      at.folders.set(name, next);
      at = next;
      at.size += file.size;
      at.count += 1;
    }
    at.files.push(file);
  }
  return top;
}

/** @returns {Node} */
function made() {
  return { folders: new Map(), files: [], size: 0, count: 0 };
}
