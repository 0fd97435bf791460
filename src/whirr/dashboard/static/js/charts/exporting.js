// A panel as a file.

import { postBytes } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { font, paint } from "./paint.js";
import { ink } from "./ink.js";
import { layout } from "./scene.js";
import { SvgPen } from "./svgpen.js";

/** @typedef {import("./paint.js").Pen} Pen */
/** @typedef {Parameters<typeof layout>[0]} Content */

const TITLE = 26;
const LEAST_WIDTH = 720;
const LEAST_HEIGHT = 400;
const PIXELS = 2;
/** On sharp screens letters are drawn a little wider than they measure. */
const SLACK = 1.04;

/**
 * @param {string} name
 * @param {string} ending
 */
const fileName = (name, ending) => `${name.replace(/[^\w.-]+/g, "-").replace(/^-+|-+$/g, "") || "chart"}.${ending}`;

/**
 * @param {Blob} blob
 * @param {string} name
 */
function download(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  // After the browser has taken it up.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * The width of texts in the charts' font.
 *
 * @returns {(text: string, bold?: boolean) => number}
 */
export function measuring() {
  const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  return (text, bold = false) => {
    pen.font = font(bold ? 700 : 450);
    return pen.measureText(text).width * SLACK;
  };
}

/**
 * @param {Pen} pen
 * @param {Content} content
 * @param {string} title
 * @param {{width: number, height: number}} size
 */
function paintTitled(pen, content, title, { width, height }) {
  const scene = layout(content, { width, height, top: TITLE }, measuring());
  pen.fillStyle = ink().ink;
  pen.textAlign = "left";
  pen.font = font(600).replace(/\d+px/, "13px");
  pen.fillText(title, 14, 22);
  paint(pen, scene);
}

/** @param {{width: number, height: number}} size */
const large = ({ width, height }) => ({ width: Math.max(LEAST_WIDTH, width), height: Math.max(LEAST_HEIGHT, height) });

/**
 * @param {Content} content
 * @param {string} title
 * @param {{width: number, height: number}} size
 */
export async function savePng(content, title, size) {
  const { width, height } = large(size);
  const canvas = h("canvas", { width: width * PIXELS, height: height * PIXELS });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.scale(PIXELS, PIXELS);
  pen.fillStyle = ink().panel;
  pen.fillRect(0, 0, width, height);
  paintTitled(pen, content, title, { width, height });
  const blob = await /** @type {Promise<Blob|null>} */ (new Promise((done) => canvas.toBlob(done, "image/png")));
  if (blob) download(blob, fileName(title, "png"));
}

/**
 * @param {Content} content
 * @param {string} title
 * @param {{width: number, height: number}} size
 */
export function saveSvg(content, title, size) {
  const { width, height } = large(size);
  const pen = new SvgPen();
  paintTitled(pen, content, title, { width, height });
  download(new Blob([pen.toString(width, height, ink().panel)], { type: "image/svg+xml" }), fileName(title, "svg"));
}

/**
 * All values, not only the drawn ones.
 *
 * @param {unknown} query as for `/ui/curves`
 * @param {string} title
 * @throws {import("../lib/api.js").ApiError}
 */
export async function saveCsv(query, title) {
  const data = await postBytes("/ui/curves.csv", query);
  download(new Blob([data], { type: "text/csv" }), fileName(title, "csv"));
}
