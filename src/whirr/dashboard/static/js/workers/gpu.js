// One GPU: how busy it is as a level, its memory as a line, whose it is.
import { h } from "../lib/dom.js";

/** @import {Gpu, Worker} from "../queue/types.js" */

/**
 * @param {Gpu} gpu
 * @param {number} place among those of its worker, from 0
 * @param {Worker} worker
 * @param {(job: number | null) => void} light shows what belongs to a job
 * @returns {HTMLElement}
 */
export function tile(gpu, place, worker, light) {
  const gone = worker.health === "dead";
  const number = gpu.index ?? place;
  const level = h("i", { class: "level" });
  level.style.height = `${Math.round((gpu.busy ?? 0) * 100)}%`;
  const memory = h("i");
  memory.style.width = `${Math.round((gpu.mem ?? 0) * 100)}%`;
  const kind = gone ? "gone" : gpu.job === null ? "idle" : gpu.busy === null ? "unknown" : "busy";
  const words = said(gpu, number, gone);
  return h(
    "li",
    {
      class: `gpu ${kind}`,
      title: words,
      dataset: gpu.job === null ? {} : { job: String(gpu.job) },
      onmouseenter: () => light(gpu.job),
      onmouseleave: () => light(null),
    },
    h("span", { class: "box", "aria-hidden": "true" }, gpu.busy === null ? null : level),
    h("span", { class: "memory", "aria-hidden": "true" }, memory),
    h("span", { class: "label", "aria-hidden": "true" }, label(gpu, gone)),
    h("span", { class: "sr" }, words),
  );
}

/**
 * @param {Gpu} gpu
 * @param {boolean} gone
 */
function label({ busy, job }, gone) {
  if (gone) return "–";
  if (busy !== null) return `${Math.round(busy * 100)} %`;
  return job === null ? "idle" : "busy";
}

/**
 * @param {Gpu} gpu
 * @param {number} number
 * @param {boolean} gone
 */
function said(gpu, number, gone) {
  const parts = [
    `GPU ${number}${gpu.name ? `, ${gpu.name}` : ""}: ${gone ? "its worker is gone" : gpu.job === null ? "free" : `job ${gpu.job}`}`,
    gpu.busy === null ? (gpu.job === null || gone ? "" : "no sample says how busy it is") : `${Math.round(gpu.busy * 100)} % busy`,
    gpu.mem === null ? "" : `${Math.round(gpu.mem * 100)} % of its memory used`,
    gpu.id,
  ];
  return parts.filter(Boolean).join(", ");
}
