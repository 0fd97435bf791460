// Which metrics somebody has looked at more closely in this browser.

const KEY = "whirr-watched";
const MOST = 100;

/** @returns {Map<string, number>} how often, by panel */
export function watched() {
  try {
    return new Map(JSON.parse(localStorage.getItem(KEY) ?? "[]"));
  } catch {
    return new Map();
  }
}

/** @param {string} key of the panel that was pinned or enlarged */
export function watch(key) {
  const counts = watched();
  counts.set(key, (counts.get(key) ?? 0) + 1);
  try {
    localStorage.setItem(KEY, JSON.stringify([...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST)));
  } catch {
    // No storage: the order stays as it is.
  }
}
