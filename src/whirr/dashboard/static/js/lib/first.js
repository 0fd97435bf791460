// Runs before anything is drawn, so that no page flashes in the wrong colours; a module would come too late.
(function () {
  var kept = null;
  try {
    kept = localStorage.getItem("whirr-theme");
  } catch (_) {
    // No storage (a private window): the system decides.
  }
  var dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
