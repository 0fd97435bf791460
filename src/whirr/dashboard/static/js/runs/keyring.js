/**
 * The keys there are in the runs, fetched once and again when asked after a while.
 * @import {Keys} from "./types.js"
 * @import {Option} from "./picker.js"
 */
import { getJson } from "../lib/api.js";
import { plural } from "../lib/format.js";

const FRESH_MS = 20_000;
const COMPARED = 24;
const FEW = 4;
const SHORT = 30;

/** Knows the keys; gives them as options to pick from. */
export class Keyring {
  #keys = /** @type {Promise<Keys> | null} */ (null);
  #at = 0;

  /** @returns {Promise<Keys>} */
  keys() {
    if (!this.#keys || performance.now() - this.#at > FRESH_MS) {
      this.#at = performance.now();
      this.#keys = getJson("/ui/keys");
      this.#keys.catch(() => (this.#keys = null));
    }
    return this.#keys;
  }

  /**
   * Keys that split runs into groups: what the configurations differ in, then the rest of them, then fields.
   * @returns {Promise<Option[]>}
   */
  async groupable() {
    const keys = await this.keys();
    const few = keys.config.filter((one) => one.values.length > 1).map((one) => configOption(one));
    const rest = keys.config.filter((one) => one.values.length <= 1).map((one) => configOption(one));
    const fields = ["status", "name", "tags", "branch", "commit"].filter((field) => keys.fields.includes(field));
    return [...few, ...fields.map((value) => ({ value, label: value, detail: "of the run" })), ...rest];
  }

  /**
   * All that can stand in a column or be sorted by.
   * @returns {Promise<Option[]>}
   */
  async all() {
    const keys = await this.keys();
    const metrics = keys.metrics.map((one) => ({
      value: one.key,
      label: one.key,
      detail: `metric, ${plural(one.runs, "run")}`,
    }));
    const summary = keys.summary.map((one) => (typeof one === "string" ? one : one.key));
    const config = keys.config.map((one) => configOption(one));
    const found = [
      ...metrics,
      ...config,
      ...summary.map((value) => ({ value, label: value, detail: "summary" })),
      ...keys.fields.map((value) => ({ value, label: value, detail: "of the run" })),
    ];
    return found.filter((one, place) => found.findIndex((other) => other.value === one.value) === place);
  }

  /**
   * Configuration keys in which runs differ, for the charts to say so.
   * @returns {Promise<string[]>}
   */
  async differing() {
    const { config } = await this.keys();
    const differ = config.filter((one) => one.values.length > 1 || (one.lo !== null && one.lo !== one.hi));
    return differ.slice(0, COMPARED).map((one) => one.key);
  }
}

/**
 * @param {Keys["config"][number]} one
 * @returns {Option}
 */
function configOption(one) {
  const values = one.values.slice(0, FEW).map(String).join(", ");
  const some = values && one.values.length <= FEW && values.length < SHORT;
  const detail = one.values.length > 1 ? plural(one.values.length, "value") : `config, ${plural(one.runs, "run")}`;
  return { value: one.key, label: one.key, detail: some ? values : detail };
}
