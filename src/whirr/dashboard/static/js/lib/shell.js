// What is on every page: theme, link, command field, the live dot, the counts in the tabs.
import { byId } from "./dom.js";
import { shortcut, words } from "./keys.js";
import { live } from "./live.js";
import { toggle } from "./theme.js";
import { toast } from "./toast.js";

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    toast("The link to this view is copied");
  } catch {
    toast("This browser lets no page copy: take the link from the address line", { error: true });
  }
}

async function palette() {
  const { open } = await import("../palette.js");
  open();
}

if (document.getElementById("live")) {
  byId("theme").addEventListener("click", toggle);
  byId("copy-link").addEventListener("click", copyLink);
  byId("palette-open").addEventListener("click", palette);
  byId("palette-key").textContent = words("ctrl+k");
  shortcut("ctrl+k", palette, "Jump to a run, a metric or a command");
  live.start();
}
