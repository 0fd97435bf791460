// A unified diff in colour: a fold for each file, in which lines are made when it is opened.
import { clear, h } from "../lib/dom.js";
import { plural } from "../lib/format.js";

/** @typedef {{name: string, note: string, lines: string[], added: number, removed: number}} FileDiff */

const OPEN_LINES = 400;
const MOST_LINES = 20000;

/**
 * The files of a diff.
 *
 * @param {string} text
 * @returns {FileDiff[]}
 */
export function parseDiff(text) {
  /** @type {FileDiff[]} */
  const files = [];
  let inHunk = false;
  for (const line of text.split("\n")) {
    const next = line.startsWith("diff ") || (!files.length && line.startsWith("--- "));
    if (next) {
      files.push({ name: nameOf(line), note: "", lines: [], added: 0, removed: 0 });
      inHunk = false;
      if (line.startsWith("diff ")) continue;
    }
    const file = files.at(-1);
    if (file) inHunk = take(file, line, inHunk);
  }
  return files;
}

/** @param {FileDiff} file @param {string} line @param {boolean} inHunk @returns {boolean} whether a hunk has begun */
function take(file, line, inHunk) {
  if (line.startsWith("@@")) {
    file.lines.push(line);
    return true;
  }
  if (!inHunk) {
    about(file, line);
    return false;
  }
  if (line.startsWith("+")) file.added += 1;
  else if (line.startsWith("-")) file.removed += 1;
  file.lines.push(line);
  return true;
}

/** Lines between the name of a file and its first hunk. @param {FileDiff} file @param {string} line */
function about(file, line) {
  const named = /^(?:\+\+\+ b\/|rename to )(.+?)\t?$/.exec(line);
  if (named) file.name = named[1];
  if (line.startsWith("rename from ")) file.note = `renamed from ${line.slice(12)}`;
  else if (line.startsWith("new file")) file.note = "new";
  else if (line.startsWith("deleted file")) file.note = "deleted";
  else if (line.startsWith("GIT binary patch") || line.startsWith("Binary files")) file.note = `${file.note} binary`.trim();
}

/** @param {string} line such as `diff --git a/x b/x` */
function nameOf(line) {
  return /^diff --git "?a\/.+?"? "?b\/(.+?)"?$/.exec(line)?.[1] ?? line.replace(/^(diff --git|---) (a\/)?/, "");
}

/**
 * @param {string} text a unified diff
 * @returns {HTMLElement}
 */
export function diffView(text) {
  const files = parseDiff(text);
  if (!files.length) return h("p", { class: "soft" }, "There is no difference.");
  const added = files.reduce((sum, file) => sum + file.added, 0);
  const removed = files.reduce((sum, file) => sum + file.removed, 0);
  const head = h("div", { class: "df-sum" }, `${plural(files.length, "file")} `, counts(added, removed));
  let left = OPEN_LINES;
  const folds = files.map((file) => {
    left -= file.lines.length;
    return fold(file, left > 0);
  });
  return h("div", { class: "df" }, head, folds);
}

/** @param {number} added @param {number} removed */
function counts(added, removed) {
  return h("span", { class: "df-n" }, h("span", { class: "df-p" }, `+${added}`), " ", h("span", { class: "df-m" }, `−${removed}`));
}

/** @param {FileDiff} file @param {boolean} open */
function fold(file, open) {
  const name = h("summary", null, h("span", { class: "mono" }, file.name), " ", counts(file.added, file.removed), file.note && h("span", { class: "soft" }, ` ${file.note}`));
  const body = h("div", { class: "df-body mono", tabindex: "0", role: "region", "aria-label": `Changes of ${file.name}` });
  const made = h("details", { class: "df-file", open }, name, body);
  const fill = () => {
    if (made.open && !body.childElementCount) clear(body).append(...file.lines.slice(0, MOST_LINES).map(lineNode));
  };
  made.addEventListener("toggle", fill);
  fill();
  return made;
}

/** @param {string} line */
function lineNode(line) {
  const kind = line.startsWith("@@") ? "df-at" : line.startsWith("+") ? "df-p" : line.startsWith("-") ? "df-m" : "";
  return h("div", { class: kind }, line || " ");
}
