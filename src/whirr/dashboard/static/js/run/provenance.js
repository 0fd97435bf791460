// From which code, with which packages, on which machine a run ran, and what it used of it.
import { clear, h } from "../lib/dom.js";
import { memory, plural } from "../lib/format.js";
import { card, copyable, facts, listOf, plainValue, searchField } from "./ui.js";

/** @param {Record<string, any>} git @param {() => void} showDiff */
export function gitCard(git, showDiff) {
  const commit = git.commit ? String(git.commit) : "";
  const state = git.dirty === true ? h("span", { class: "warn" }, "uncommitted changes") : git.dirty === false ? "clean" : "not known whether clean";
  const untracked = git.untracked?.count ? plural(git.untracked.count, "untracked file") : "";
  const left = listOf(git.patch?.left_out).slice(0, 20).map((one) => h("li", null, h("span", { class: "mono" }, one?.file), ` ${one?.why ?? ""}`));
  const button = git.diff ? h("button", { class: "btn", type: "button", onclick: showDiff }, "Show the changes") : null;
  const list = facts([
    ["Commit", commit ? copyable(commit, "the commit", commit.slice(0, 10)) : "none yet"],
    ["Branch", git.branch ?? "none (detached)"],
    ["State", state],
    ["Untracked", untracked],
    ["Remote", git.remote_url ? copyable(String(git.remote_url), "the remote") : ""],
    ["No patch", !git.diff && git.dirty && git.patch?.why],
    ["Note", git.note],
  ]);
  const omitted = left.length ? h("details", { class: "more" }, h("summary", null, `${plural(left.length, "file")} not in the patch`), h("ul", null, left)) : null;
  return card("Git", { side: button }, list, omitted);
}

/** @param {Record<string, any>} environment */
export function environmentCard(environment) {
  const shown = new Set(["command", "cwd", "python", "implementation", "user", "host", "cuda_devices"]);
  const gpus = listOf(environment.cuda_devices?.gpus);
  /** @type {[string, import("../lib/dom.js").Child][]} */
  const rows = [
    ["GPUs", gpus.length ? h("ul", null, gpus.map((gpu) => h("li", null, `${gpu?.index}: ${gpu?.name}, ${memory(gpu?.memory_total_bytes)}`))) : ""],
    ["GPU driver", environment.cuda_devices?.driver],
    ["CPUs", environment.cpu_count && `${environment.cpus_usable ?? environment.cpu_count} of ${environment.cpu_count}`],
    ["Memory", memory(environment.memory_total_bytes)],
    ["System", environment.platform],
    ["whirr", environment.whirr],
  ];
  for (const name of ["cpu_count", "cpus_usable", "memory_total_bytes", "platform", "whirr"]) shown.add(name);
  const more = Object.entries(environment).filter(([key, value]) => !shown.has(key) && value !== null && plainValue(value) !== "{}");
  const further = facts(more.map(([key, value]) => [key, h("span", { class: "mono" }, plainValue(value))]));
  return card("Environment", {}, facts(rows), more.length ? h("details", { class: "more" }, h("summary", null, plural(more.length, "more fact")), further) : null);
}

/** @param {[string, string][]} packages */
export function packagesCard(packages) {
  const list = h("ul", { class: "pk" });
  const draw = (/** @type {string} */ wanted) => {
    const fits = packages.filter(([name]) => name.toLowerCase().includes(wanted));
    clear(list).append(...fits.map(([name, version]) => h("li", null, h("span", { class: "mono cut" }, name), h("span", { class: "mono soft cut", title: version }, version))));
    if (!fits.length) list.append(h("li", { class: "soft" }, "None is called so."));
  };
  draw("");
  return card("Packages", { note: plural(packages.length, "package"), side: searchField("Search the packages", draw) }, list);
}

/** @param {Record<string, any>} system */
export function resourcesCard(system) {
  if (!system.samples) return null;
  const mb = 2 ** 20;
  const meters = [
    meter("CPU, mean", system.mean_cpu_percent, "of the machine"),
    meter("Memory, peak", system.peak_memory_percent, "of the machine"),
    ...Object.entries(system.gpus ?? {}).map(([gpu, use]) => meter(`GPU ${gpu}, mean`, use.mean_utilization, use.peak_memory_mb === null ? "" : `peak ${memory(use.peak_memory_mb * mb)}`)),
  ];
  const own = system.peak_process_memory_mb ? facts([["Own memory, peak", memory(system.peak_process_memory_mb * mb)]]) : null;
  return card("Resources", { note: plural(system.samples, "sample") }, h("div", { class: "mt" }, meters), own);
}

/** @param {string} label @param {number|null} percent @param {string} more */
function meter(label, percent, more) {
  if (percent === null || percent === undefined) return null;
  const bar = h("i", null);
  bar.style.width = `${Math.min(Math.max(percent, 0), 100)}%`;
  const figure = h("span", { class: "mt-n" }, `${Math.round(percent)} %`, more && h("span", { class: "soft" }, ` ${more}`));
  return h("div", null, h("span", null, label), h("span", { class: "mt-bar", "aria-hidden": "true" }, bar), figure);
}
