// Light or dark: as the system is, until somebody chooses.

/** @returns {"light" | "dark"} the theme in force */
export function theme() {
  return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

/** Change to the other theme, and keep that for all pages of this browser. */
export function toggle() {
  const next = theme() === "dark" ? "light" : "dark";
  show(next);
  try {
    localStorage.setItem("whirr-theme", next);
  } catch {
    // No storage: the choice holds for this page.
  }
}

/**
 * Hear of a change of theme, after the style sheet has it.
 *
 * @param {(theme: "light" | "dark") => void} fn
 * @returns {() => void} hears no more
 */
export function onTheme(fn) {
  const hear = () => fn(theme());
  document.addEventListener("whirr-theme", hear);
  return () => document.removeEventListener("whirr-theme", hear);
}

/** @param {string} name */
function show(name) {
  if (document.documentElement.dataset.theme === name) return;
  document.documentElement.dataset.theme = name;
}

// Announced after others who watch the attribute, such as the cache of colours, have seen it.
new MutationObserver(() => {
  queueMicrotask(() => document.dispatchEvent(new Event("whirr-theme")));
}).observe(document.documentElement, { attributeFilter: ["data-theme"] });

addEventListener("storage", (event) => {
  if (event.key === "whirr-theme" && event.newValue) show(event.newValue);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("whirr-theme");
  } catch {
    // No storage: nobody has chosen.
  }
  if (!chosen) show(event.matches ? "dark" : "light");
});
