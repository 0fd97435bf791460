// What a view shows stands in its address, so that a link shows the same.

/** @typedef {string | number | boolean | string[]} Value */

/** The query of the address as values, each of the kind of its default. */
export class UrlState {
  /** @param {Record<string, Value>} defaults what a key is when the address does not say it */
  constructor(defaults) {
    this.defaults = defaults;
    /** @type {Set<(changed: Set<string>) => void>} */
    this.listeners = new Set();
    this.values = this.read();
    addEventListener("popstate", () => this.arrive());
  }

  /**
   * @param {string} key
   * @returns {any}
   */
  get(key) {
    return this.values[key];
  }

  /**
   * Change values; listeners are told which changed.
   *
   * @param {Record<string, Value>} changes
   * @param {{push?: boolean}} [options] push: the back button leads to what was before
   */
  set(changes, { push = false } = {}) {
    const changed = Object.keys(changes).filter((key) => !same(changes[key], this.values[key]));
    if (!changed.length) return;
    for (const key of changed) this.values[key] = changes[key];
    const address = this.link(this.values);
    if (push) history.pushState(null, "", address);
    else history.replaceState(history.state, "", address);
    this.tell(new Set(changed));
  }

  /**
   * Take in keys of a part of the page that has its own; a default that is there already stays.
   *
   * @param {Record<string, Value>} defaults
   */
  adopt(defaults) {
    this.defaults = { ...defaults, ...this.defaults };
    this.values = this.read();
  }

  /**
   * Hear of changes, by `set` or by the buttons of the browser.
   *
   * @param {(changed: Set<string>) => void} fn
   * @returns {() => void} hears no more
   */
  on(fn) {
    this.listeners.add(fn);
    return () => this.listeners.delete(fn);
  }

  /**
   * The address that shows these values; keys that belong to somebody else stay.
   *
   * @param {Record<string, Value>} values
   * @returns {string}
   */
  link(values) {
    const query = new URLSearchParams(location.search);
    for (const [key, usual] of Object.entries(this.defaults)) {
      const value = values[key] ?? usual;
      if (same(value, usual)) query.delete(key);
      else query.set(key, write(value));
    }
    // Legible: what an address may hold unescaped is left so.
    const text = query.toString().replace(/%2F/g, "/").replace(/%3A/g, ":").replace(/%2C/g, ",");
    return location.pathname + (text ? `?${text}` : "") + location.hash;
  }

  /** @returns {Record<string, Value>} */
  read() {
    const query = new URLSearchParams(location.search);
    /** @type {Record<string, Value>} */
    const found = {};
    for (const [key, usual] of Object.entries(this.defaults)) {
      const text = query.get(key);
      found[key] = text === null ? usual : parse(text, usual);
    }
    return found;
  }

  arrive() {
    const now = this.read();
    const changed = Object.keys(now).filter((key) => !same(now[key], this.values[key]));
    this.values = now;
    if (changed.length) this.tell(new Set(changed));
  }

  /** @param {Set<string>} changed */
  tell(changed) {
    for (const fn of [...this.listeners]) fn(changed);
  }
}

/**
 * A list is written with commas between its items; a comma or backslash within one has a backslash before it.
 *
 * @param {Value} value
 */
function write(value) {
  if (Array.isArray(value)) return value.map((item) => item.replace(/[\\,]/g, "\\$&")).join(",");
  return typeof value === "boolean" ? (value ? "1" : "0") : String(value);
}

/**
 * @param {string} text
 * @param {Value} usual
 * @returns {Value}
 */
function parse(text, usual) {
  if (Array.isArray(usual)) {
    const items = text.match(/(?:\\.|[^\\,])+/gs) ?? [];
    return items.map((item) => item.replace(/\\(.)/gs, "$1"));
  }
  if (typeof usual === "boolean") return text !== "0" && text !== "false";
  if (typeof usual !== "number") return text;
  const number = Number(text);
  return text.trim() && Number.isFinite(number) ? number : usual;
}

/**
 * @param {Value} a
 * @param {Value} b
 */
function same(a, b) {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
