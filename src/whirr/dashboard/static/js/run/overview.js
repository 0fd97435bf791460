// The overview of a run: how it ended, what it came to, what it was given, where and from which code it ran.
import { prefix } from "../lib/api.js";
import { clear, h } from "../lib/dom.js";
import { bytes, duration, plural, stamp } from "../lib/format.js";
import { diffView } from "./diff.js";
import { fileUrl } from "./files.js";
import { Notes, Tags } from "./notes.js";
import { environmentCard, gitCard, packagesCard, resourcesCard } from "./provenance.js";
import { Results } from "./results.js";
import { configTree } from "./tree.js";
import { card, copyable, facts, wordsOf } from "./ui.js";

/** @typedef {import("./types.js").About} About */

const PATCH = "uncommitted.patch";
const DIFF_LIMIT = 4 << 20;

export class Overview {
  /**
   * @param {string} runId
   * @param {import("../lib/state.js").UrlState} state
   */
  constructor(runId, state) {
    this.runId = runId;
    this.state = state;
    this.notes = new Notes(runId);
    this.tags = new Tags(runId);
    this.results = new Results((metric) => state.set({ tab: "charts", metrics: metric }, { push: true }));
    this.alerts = h("div", { class: "al" });
    this.facts = h("div", null);
    this.config = h("div", null);
    this.code = h("div", null);
    this.diff = h("div", { class: "wide" });
    this.resources = h("div", null);
    this.environment = h("div", null);
    this.packages = h("div", { class: "wide" });
    const left = h("div", { class: "col" }, card("Results", { side: this.results.search }, this.results.element), this.config);
    const notes = card("Notes and tags", { side: this.notes.edit }, this.tags.element, this.notes.element);
    const right = h("div", { class: "col" }, notes, this.facts, this.resources, this.code, this.environment);
    this.element = h("div", { class: "ov" }, this.alerts, left, right, this.diff, this.packages);
    /** @type {Map<HTMLElement, string>} */
    this.drawn = new Map();
  }

  /** @param {About} about */
  update(about) {
    const { run } = about;
    this.notes.update(about.notes);
    this.tags.update(about.tags);
    this.results.update(run);
    this.redraw(this.alerts, [about.ending, run.problems, run.dropped_records, about.code_changes], () => this.alertsOf(about));
    this.redraw(this.facts, [run.started_at, run.finished_at, about.last_seen_at, run.duration_seconds, run.path, run.job], () => factsCard(about));
    this.redraw(this.config, [run.config], () => configCard(run.config));
    this.redraw(this.code, [about.git], () => about.git && gitCard(about.git, () => void this.showDiff()));
    this.redraw(this.resources, [run.system], () => resourcesCard(run.system));
    this.redraw(this.environment, [run.environment], () => run.environment && environmentCard(run.environment));
    this.redraw(this.packages, [about.packages?.length], () => about.packages && packagesCard(about.packages));
  }

  /**
   * Draw a part anew where what it shows has changed: what is folded or searched in it stays otherwise.
   *
   * @param {HTMLElement} place
   * @param {unknown} shown
   * @param {() => import("../lib/dom.js").Child | import("../lib/dom.js").Child[]} draw
   */
  redraw(place, shown, draw) {
    const text = JSON.stringify(shown);
    if (this.drawn.get(place) === text) return;
    this.drawn.set(place, text);
    const made = [draw()].flat();
    clear(place).append(...made.filter((node) => node instanceof Node));
    place.hidden = !place.childNodes.length;
  }

  /** @param {About} about */
  alertsOf({ run, ending, code_changes: changes }) {
    const found = [];
    if (ending.text && (ending.detail || run.status !== "cancelled")) found.push(this.endingAlert(run.status, ending, run.cause?.traceback ?? ""));
    if (run.problems.length || run.dropped_records) {
      const lost = run.dropped_records ? [`${plural(run.dropped_records, "record")} could not be written and were dropped`] : [];
      found.push(h("div", { class: "alert" }, h("b", null, "Damaged files"), [...run.problems, ...lost].map((line) => h("p", null, line))));
    }
    if (changes) found.push(changesAlert(changes));
    return found;
  }

  /** @param {string} status @param {About["ending"]} ending @param {string} traceback */
  endingAlert(status, { word, text, detail }, traceback) {
    const toLog = h("button", { class: "btn", type: "button", onclick: () => this.state.set({ tab: "logs" }, { push: true }) }, "Open the log");
    const head = h("div", { class: "al-head" }, h("p", null, h("b", null, `${word}: `), text), toLog);
    const box = h("div", { class: status === "failed" ? "alert" : "alert quiet" }, head);
    if (!detail) return box;
    const trace = h("pre", { class: "term", tabindex: "0", "aria-label": "End of the traceback" }, detail.text);
    box.append(trace);
    const more = detail.lines - detail.text.split("\n").length;
    if (more > 0) {
      const all = h("button", { class: "btn", type: "button" }, `Show all ${detail.lines} lines`);
      all.addEventListener("click", () => { trace.textContent = traceback; all.remove(); });
      box.append(all);
    }
    return box;
  }

  async showDiff() {
    const body = h("div", null, h("p", { class: "soft" }, "Reading…"));
    const load = h("a", { class: "btn", href: fileUrl(this.runId, PATCH), download: "" }, "Download");
    clear(this.diff).append(card("Uncommitted changes", { note: "as they were when it started", side: load }, body));
    this.diff.scrollIntoView({ block: "start", behavior: "smooth" });
    try {
      const answer = await fetch(fileUrl(this.runId, PATCH), { headers: { Range: `bytes=0-${DIFF_LIMIT - 1}` } });
      clear(body).append(diffView(await answer.text()));
      const total = Number((answer.headers.get("Content-Range") ?? "").split("/")[1]);
      if (total > DIFF_LIMIT) body.append(h("p", { class: "soft" }, `Only the first ${bytes(DIFF_LIMIT)} of ${bytes(total)} are shown.`));
    } catch (error) {
      clear(body).append(h("p", { class: "wrong" }, wordsOf(error)));
    }
  }
}

/** @param {Record<string, any>} changes */
function changesAlert({ names, count, unknown, note, damaged }) {
  const title = count ? "The code had changed between submission and start" : "Whether the code had changed is not known";
  const lines = names.slice(0, 12).map((/** @type {string[]} */ [letter, name]) => h("li", null, h("span", { class: "mono" }, `${letter}  ${name}`)));
  const more = count > 12 ? h("p", null, `and ${count - 12} more`) : null;
  const why = [unknown, note, damaged].filter(Boolean).map((text) => h("p", null, text));
  return h("div", { class: "alert quiet" }, h("b", null, title), h("ul", null, lines), more, why);
}

/** @param {About} about */
function factsCard({ run, last_seen_at: seen, job }) {
  const environment = run.environment ?? {};
  const command = environment.command ?? run.job?.command;
  const words = Array.isArray(command) ? command.map(shellWord).join(" ") : "";
  return card("About", {}, facts([
    ["Started", run.started_at && h("span", { title: run.started_at }, stamp(run.started_at))],
    ["Ended", run.finished_at && h("span", { title: run.finished_at }, stamp(run.finished_at))],
    ["Last seen", !run.finished_at && seen && run.status !== "running" && h("span", { title: seen }, stamp(seen))],
    ["Ran", run.duration_seconds !== null && duration(run.duration_seconds)],
    ["Command", words && copyable(words, "the command")],
    ["Folder", copyable(run.path, "the folder")],
    ["Worked in", environment.cwd ?? run.job?.workdir ?? ""],
    ["Host", [environment.user, environment.host ?? run.job?.host].filter(Boolean).join("@")],
    ["Python", [environment.implementation, environment.python].filter(Boolean).join(" ")],
    ["Worker", run.job?.worker],
    ["Submitted", run.job?.submitted_at && `${stamp(run.job.submitted_at)}${run.job.submitted_by ? ` by ${run.job.submitted_by}` : ""}`],
    ["Job", job && h("a", { href: `${prefix}/queue` }, `${job.job_id}, ${job.status}`)],
  ]));
}

/** @param {unknown} word */
function shellWord(word) {
  const text = String(word);
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {Record<string, any>} config */
function configCard(config) {
  if (!Object.keys(config).length) return card("Config", {}, h("p", { class: "soft" }, "It was given none."));
  const { body, count, tools } = configTree(config, "config");
  return card("Config", { note: plural(count, "value"), side: tools }, body);
}
