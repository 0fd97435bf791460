// A shared worker: one connection for all tabs of this browser, which may hold only six to a server.
import { Stream } from "./stream.js";

/** @import {News} from "./stream.js" */

/** @type {Set<MessagePort>} */
const ports = new Set();

/** What a tab that comes later has to know: the state and the counts. @type {Map<string, News>} */
const latest = new Map();

/** @type {Stream | null} */
let stream = null;

/** @param {News} news */
function tell(news) {
  if (["state", "hello", "counts"].includes(news.kind)) latest.set(news.kind, news);
  for (const port of ports) port.postMessage(news);
}

/**
 * @param {MessagePort} port
 * @param {string} url
 */
function join(port, url) {
  ports.add(port);
  for (const news of latest.values()) port.postMessage(news);
  stream ??= new Stream(url, tell);
  stream.open();
}

/** @param {MessagePort} port */
function leave(port) {
  ports.delete(port);
  if (!ports.size) stream?.close();
}

self.addEventListener("connect", (event) => {
  const port = /** @type {MessageEvent} */ (event).ports[0];
  port.onmessage = ({ data }) => {
    if (data.join) join(port, data.join);
    else if (data.reopen) stream?.reopen();
    else leave(port);
  };
  port.addEventListener("close", () => leave(port));
  port.start();
});
