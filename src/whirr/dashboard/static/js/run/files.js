// The files of a run, and logs read in parts while they grow.
import { ask, prefix } from "../lib/api.js";

/** Seconds that the server waits for more of a log. */
const WAIT_S = 25;

/**
 * A path for an address; names that are no UTF-8 come with their bytes as lone surrogates.
 *
 * @param {string} path
 */
export function encodePath(path) {
  return path.split("/").map(encodeName).join("/");
}

/** @param {string} name */
function encodeName(name) {
  let found = "";
  for (const letter of name) {
    const code = letter.codePointAt(0) ?? 0;
    const lone = code >= 0xd800 && code <= 0xdfff;
    if (!lone) found += encodeURIComponent(letter);
    else found += code >= 0xdc80 && code <= 0xdcff ? `%${(code - 0xdc00).toString(16)}` : "%EF%BF%BD";
  }
  return found;
}

/**
 * The address of a file.
 *
 * @param {string} runId
 * @param {string} path below the run's folder
 */
export function fileUrl(runId, path) {
  return `${prefix}/api/v1/runs/${encodeName(runId)}/files/${encodePath(path)}`;
}

/** A log that is not there (yet), or not any more the one that was read. */
export class Gone extends Error {
  /** @param {boolean} replaced another has taken its place */
  constructor(replaced) {
    super(replaced ? "another file has taken its place" : "there is no such file");
    this.replaced = replaced;
  }
}

/** One log, by ranges of bytes. */
export class LogFile {
  /** @param {string} runId @param {string} path */
  constructor(runId, path) {
    this.where = `/ui/run/${encodeURIComponent(runId)}/log`;
    this.path = path;
    /** Bytes that it is known to have. */
    this.size = 0;
    this.tag = "";
  }

  /**
   * How large it is now; forgets which file was read before.
   *
   * @param {AbortSignal} signal
   */
  async look(signal) {
    this.tag = "";
    await this.#part({}, signal);
  }

  /**
   * Bytes from `from` up to before `to`; fewer at the end.
   *
   * @param {number} from
   * @param {number} to
   * @param {AbortSignal} signal
   */
  read(from, to, signal) {
    return this.#part({ start: from, count: to - from }, signal);
  }

  /**
   * What follows `from`; where nothing does, it is waited for, and may still be nothing.
   *
   * @param {number} from
   * @param {number} most bytes
   * @param {AbortSignal} signal
   */
  next(from, most, signal) {
    return this.#part({ start: from, count: most, wait: from >= this.size ? WAIT_S : 0 }, signal);
  }

  /** @param {Record<string, number>} params @param {AbortSignal} signal */
  async #part(params, signal) {
    const query = new URLSearchParams({ path: this.path, tag: this.tag });
    for (const [name, value] of Object.entries(params)) query.set(name, String(value));
    const answer = await ask(`${this.where}?${query}`, { signal, cache: "no-store" });
    const state = answer.headers.get("Whirr-Log");
    if (state !== "there") throw new Gone(state === "replaced");
    this.size = Number(answer.headers.get("Whirr-Size"));
    this.tag = answer.headers.get("Whirr-Tag") ?? "";
    return new Uint8Array(await answer.arrayBuffer());
  }
}
