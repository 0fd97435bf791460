/**
 * What the tabs of the run in focus show.
 * @import {RunAbout} from "./about.js"
 * @import {Pane} from "./drawer.js"
 */
import { Strips } from "../charts/strips.js";
import { clear, h } from "../lib/dom.js";
import { bytes, plural, stamp } from "../lib/format.js";
import { fileUrl } from "../run/files.js";
import { LogView } from "../run/log.js";
import { Notes, Tags } from "../run/notes.js";
import { flat, GOING } from "./about.js";

const FILES = 300;

/**
 * By key: the title of the tab, what makes it, and whether it waits until the run is known.
 * @type {Record<string, {title: string, waits: boolean, make: (root: HTMLElement, id: string, about: RunAbout | null) => Pane}>}
 */
export const PANES = {
  logs: { title: "Logs", waits: true, make: logs },
  system: { title: "System", waits: false, make: system },
  config: { title: "Config", waits: true, make: config },
  files: { title: "Files", waits: true, make: files },
  notes: { title: "Notes", waits: true, make: notes },
};

/**
 * @param {HTMLElement} root
 * @param {string} id
 * @param {RunAbout | null} about
 */
function logs(root, id, about) {
  const log = h("div", { class: "logbox" });
  const strips = h("div", { class: "sysbox" });
  root.classList.add("two");
  root.append(log, strips);
  const status = about?.run.status ?? "";
  const view = new LogView(log, id, { compact: true, live: GOING.has(status) || status === "queued" });
  const system = new Strips(strips, id);
  return { refresh: () => system.refresh?.(), destroy: () => (view.destroy(), system.destroy?.()) };
}

/**
 * @param {HTMLElement} root
 * @param {string} id
 */
function system(root, id) {
  const box = h("div", { class: "sysbox wide" });
  root.append(box);
  const strips = new Strips(box, id);
  return { refresh: () => strips.refresh?.(), destroy: () => strips.destroy?.() };
}

/**
 * @param {HTMLElement} root
 * @param {string} _id
 * @param {RunAbout | null} about
 * @returns {Pane}
 */
function config(root, _id, about) {
  let drawn = "";
  const draw = (/** @type {RunAbout} */ { run }) => {
    const now = JSON.stringify([run.config, run.summary, run.metrics]);
    if (now === drawn) return;
    drawn = now;
    const last = Object.fromEntries(Object.entries(run.metrics).map(([key, one]) => [key, one.last]));
    clear(root).append(
      h(
        "div",
        { class: "lists" },
        list("Config", flat(run.config)),
        list("Summary", flat(run.summary)),
        list("Last values", flat(last)),
      ),
    );
  };
  draw(/** @type {RunAbout} */ (about));
  return { refresh: draw };
}

/**
 * @param {string} title
 * @param {[string, string][]} lines
 */
function list(title, lines) {
  const known = lines.filter(([key]) => key);
  const rows = known.map(([key, value]) =>
    h("div", null, h("dt", { class: "cut", title: key }, key), h("dd", { class: "cut", title: value }, value)),
  );
  return h(
    "section",
    null,
    h("h3", null, title),
    rows.length ? h("dl", null, ...rows) : h("p", { class: "soft" }, "none"),
  );
}

/**
 * @param {HTMLElement} root
 * @param {string} id
 * @param {RunAbout | null} about
 * @returns {Pane}
 */
function files(root, id, about) {
  let drawn = "";
  const draw = (/** @type {RunAbout} */ now) => {
    const found = now.files;
    if (JSON.stringify(found) === drawn) return;
    drawn = JSON.stringify(found);
    const rows = found.slice(0, FILES).map((file) => fileRow(id, file));
    const rest = now.file_count - rows.length;
    const more = rest > 0 ? [h("p", { class: "soft" }, `and ${plural(rest, "more file")}: see its page`)] : [];
    clear(root).append(h("ul", { class: "files" }, ...rows), ...more);
    if (!rows.length) root.append(h("p", { class: "soft" }, "It has no files."));
  };
  draw(/** @type {RunAbout} */ (about));
  return { refresh: draw };
}

/**
 * @param {string} id
 * @param {RunAbout["files"][number]} file
 */
function fileRow(id, file) {
  const link = h(
    "a",
    { class: "mono cut", href: fileUrl(id, file.path), download: "", title: `Download ${file.path}` },
    file.path,
  );
  return h(
    "li",
    null,
    link,
    h("span", { class: "num" }, bytes(file.size)),
    h("span", { class: "num soft" }, stamp(file.modified)),
  );
}

/**
 * @param {HTMLElement} root
 * @param {string} id
 * @param {RunAbout | null} about
 * @returns {Pane}
 */
function notes(root, id, about) {
  const [text, tags] = [new Notes(id), new Tags(id)];
  const head = h("div", { class: "line" }, h("h3", null, "Notes"), text.edit);
  root.classList.add("notes");
  root.append(
    h("section", null, head, text.element),
    h("section", null, h("div", { class: "line" }, h("h3", null, "Tags")), tags.element),
  );
  const refresh = (/** @type {RunAbout} */ now) => (text.update(now.notes), tags.update(now.tags));
  refresh(/** @type {RunAbout} */ (about));
  return { refresh, destroy: () => void text.leave() };
}
