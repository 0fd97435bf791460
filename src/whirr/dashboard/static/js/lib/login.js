// A browser that follows a link from another site does not send the cookie of a session the first time. Who has one is
// let in by asking again from here.
export {};

const session = new URL(`${document.body.dataset.prefix}/ui/session`, document.baseURI);
const [visit] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));

if (visit?.type === "navigate" && !document.querySelector("[role=alert], [role=status]")) {
  const answer = await fetch(session, { credentials: "same-origin" });
  if (answer.ok && (await answer.json()).role) location.reload();
}
