// What is in a file, shown as far as a page can: text, JSON, tables, images, differences; never run.
import { h } from "../lib/dom.js";
import { bytes } from "../lib/format.js";
import { diffView } from "./diff.js";
import { fileUrl } from "./files.js";
import { LogView } from "./log.js";
import { configTree } from "./tree.js";

/** @typedef {import("./types.js").FileFacts} FileFacts */
/** @typedef {{element: HTMLElement, destroy?: () => void}} Shown */

const TEXT_LIMIT = 1 << 18;
const JSON_LIMIT = 2 << 20;
const IMAGE_LIMIT = 32 << 20;
const PROBE = 1 << 13;
const ROWS = 500;
const COLUMNS = 100;

/** @type {Record<string, string>} */
const IMAGES = {
  png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", svg: "image/svg+xml", bmp: "image/bmp", avif: "image/avif",
};

/**
 * @param {string} runId
 * @param {FileFacts} file
 * @param {boolean} live the run goes on, and the file may grow
 * @param {AbortSignal} signal
 * @returns {Promise<Shown>}
 */
export async function preview(runId, file, live, signal) {
  const ending = file.path.toLowerCase().split(".").pop() ?? "";
  if (!file.size) return words("The file is empty.");
  if (file.kind === "image") return image(runId, file, ending, signal);
  if (/^(log|out|err)$/.test(ending) || (file.kind !== "other" && file.size > JSON_LIMIT)) return log(runId, file, live);
  if (file.kind === "json" && ending === "json" && file.size <= JSON_LIMIT) return json(await read(runId, file, JSON_LIMIT, signal));
  if (/^(patch|diff)$/.test(ending)) return { element: diffView(await read(runId, file, JSON_LIMIT, signal)) };
  if (file.kind === "csv") return table(await read(runId, file, TEXT_LIMIT, signal), ending === "tsv" ? "\t" : ",", file);
  if (file.kind === "other" && !(await isText(runId, file, signal))) return words(`This is no text: ${bytes(file.size)}. Download it to look into it.`);
  if (file.size > TEXT_LIMIT) return log(runId, file, live);
  return text(await read(runId, file, TEXT_LIMIT, signal));
}

/** @param {string} runId @param {FileFacts} file @param {number} most @param {AbortSignal} signal */
async function part(runId, file, most, signal) {
  const answer = await fetch(fileUrl(runId, file.path), { headers: { Range: `bytes=0-${most - 1}` }, signal });
  if (!answer.ok) throw new Error(answer.status === 404 ? "The file is not there any more." : `The server answered ${answer.status}.`);
  return answer;
}

/** @param {string} runId @param {FileFacts} file @param {number} most @param {AbortSignal} signal */
async function read(runId, file, most, signal) {
  return (await part(runId, file, most, signal)).text();
}

/** @param {string} runId @param {FileFacts} file @param {AbortSignal} signal */
async function isText(runId, file, signal) {
  const data = new Uint8Array(await (await part(runId, file, PROBE, signal)).arrayBuffer());
  if (data.includes(0)) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(data.subarray(0, Math.max(data.length - 4, 0)), { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** @param {string} said @returns {Shown} */
function words(said) {
  return { element: h("p", { class: "soft pv-words" }, said) };
}

/** @param {string} content @returns {Shown} */
function text(content) {
  return { element: h("pre", { class: "pv-text mono", tabindex: "0", "aria-label": "Content" }, content) };
}

/** @param {string} runId @param {FileFacts} file @param {boolean} live @returns {Shown} */
function log(runId, file, live) {
  const element = h("div", { class: "pv-log" });
  const view = new LogView(element, runId, { path: file.path, live });
  return { element, destroy: () => view.destroy() };
}

/** @param {string} content @returns {Shown} */
function json(content) {
  let found;
  try {
    found = JSON.parse(content);
  } catch {
    return text(content);
  }
  if (typeof found !== "object" || found === null || Array.isArray(found)) return text(JSON.stringify(found, null, 2));
  const { body, tools } = configTree(found, "document");
  return { element: h("div", { class: "pv-json" }, h("div", { class: "pv-tools" }, tools), body) };
}

/** @param {string} runId @param {FileFacts} file @param {string} ending @param {AbortSignal} signal @returns {Promise<Shown>} */
async function image(runId, file, ending, signal) {
  if (file.size > IMAGE_LIMIT) return words(`An image of ${bytes(file.size)} is too large to show.`);
  const data = await (await part(runId, file, IMAGE_LIMIT, signal)).arrayBuffer();
  const url = URL.createObjectURL(new Blob([data], { type: IMAGES[ending] ?? "image/png" }));
  const shown = h("img", { class: "pv-img", src: url, alt: file.path });
  const size = h("p", { class: "soft" });
  shown.addEventListener("load", () => { size.textContent = `${shown.naturalWidth} × ${shown.naturalHeight}`; });
  shown.addEventListener("error", () => { size.textContent = "The browser cannot show this image."; });
  return { element: h("div", { class: "pv-image" }, shown, size), destroy: () => URL.revokeObjectURL(url) };
}

/** @param {string} content @param {string} separator @param {FileFacts} file @returns {Shown} */
function table(content, separator, file) {
  const [head = [], ...rows] = cells(content, separator, ROWS + 2);
  if (file.size > TEXT_LIMIT) rows.pop(); // it may be cut
  const shown = rows.slice(0, ROWS);
  const numeric = head.map((_, column) => shown.every((row) => !row[column] || Number.isFinite(Number(row[column]))));
  const cell = (/** @type {string} */ value, /** @type {number} */ column) => h("td", { class: numeric[column] ? "num" : "" }, value);
  const body = h("tbody", null, shown.map((row) => h("tr", null, row.slice(0, COLUMNS).map(cell))));
  const heads = head.slice(0, COLUMNS).map((name, column) => h("th", { scope: "col", class: numeric[column] ? "num" : "" }, name));
  const more = rows.length > ROWS || file.size > TEXT_LIMIT ? h("p", { class: "soft pv-words" }, `The first ${shown.length} rows; download the file for all.`) : null;
  const box = h("div", { class: "tw pv-table", tabindex: "0", role: "region", "aria-label": "Content" }, h("table", null, h("thead", null, h("tr", null, heads)), body));
  return { element: h("div", { class: "pv-csv" }, box, more) };
}

/**
 * The rows of a table in text, with quotes as RFC 4180 has them.
 *
 * @param {string} content
 * @param {string} separator
 * @param {number} most rows
 * @returns {string[][]}
 */
export function cells(content, separator, most) {
  /** @type {string[][]} */
  const rows = [];
  let row = [""];
  let quoted = false;
  for (let place = 0; place < content.length && rows.length < most; place++) {
    const letter = content[place];
    const last = row.length - 1;
    if (quoted && letter === '"' && content[place + 1] === '"') row[last] += content[++place];
    else if (letter === '"' && (quoted || row[last] === "")) quoted = !quoted;
    else if (quoted) row[last] += letter;
    else if (letter === separator) row.push("");
    else if (letter === "\n") { rows.push(row); row = [""]; }
    else if (letter !== "\r") row[last] += letter;
  }
  if (rows.length < most && (row.length > 1 || row[0])) rows.push(row);
  return rows;
}
