// Requests to the server that this page came from.

/** The path under which the server lies, without a slash at its end; the page says it relative to itself, so that a
 *  proxy may put it under any other path. */
export const prefix = new URL(document.body.dataset.prefix || ".", document.baseURI).pathname.replace(/\/+$/, "");

/** What the server answered when it did not do what was asked. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, code?: string, hint?: string | null, at?: [number, number] | null}} [about]
   */
  constructor(message, { status = 0, code = "error", hint = null, at = null } = {}) {
    super(message);
    this.name = "ApiError";
    /** The status of the answer; 0: there was none. */
    this.status = status;
    this.code = code;
    this.hint = hint;
    /** Which part of a filter was not understood: from, to. */
    this.at = at;
  }
}

/**
 * @param {string} path such as `/ui/runs`
 * @param {Record<string, string | number | boolean | null | undefined>} [params] those without a value are left out
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 * @throws {ApiError} it was refused, or nobody answered
 */
export async function getJson(path, params, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params ?? {})) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return (await ask(path + (text ? `?${text}` : ""), { signal })).json();
}

/**
 * @param {string} path
 * @param {unknown} body
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 * @throws {ApiError} it was refused, or nobody answered
 */
export async function postJson(path, body, signal) {
  return (await post(path, body, signal)).json();
}

/**
 * @param {string} path
 * @param {unknown} body
 * @param {AbortSignal} [signal]
 * @returns {Promise<ArrayBuffer>}
 * @throws {ApiError} it was refused, or nobody answered
 */
export async function postBytes(path, body, signal) {
  return (await post(path, body, signal)).arrayBuffer();
}

/**
 * The answer to any request.
 *
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} one that is good
 * @throws {ApiError} it was refused, or nobody answered
 */
export async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(prefix + path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("the server does not answer", { code: "unreachable", hint: "is it still running?" });
  }
  if (answer.status === 401) leave();
  if (!answer.ok) throw await errorOf(answer);
  return answer;
}

/**
 * Go to the login page, which comes back to this address; not while something is being written here, of which those say
 * who hear `beforeunload`.
 *
 * @throws {ApiError} something is
 */
function leave() {
  if (!dispatchEvent(new Event("beforeunload", { cancelable: true }))) {
    const hint = "sign in in another tab, then try again";
    throw new ApiError("your session has ended", { status: 401, code: "unauthenticated", hint });
  }
  const next = location.pathname.slice(prefix.length) + location.search;
  location.replace(`${prefix}/login?${new URLSearchParams({ ended: "1", next })}`);
}

/**
 * @param {string} path
 * @param {unknown} body
 * @param {AbortSignal} [signal]
 */
function post(path, body, signal) {
  // The header is one that no form of a foreign page can send.
  const headers = { "Content-Type": "application/json", "X-Whirr": "page" };
  return ask(path, { method: "POST", body: JSON.stringify(body), headers, signal });
}

/**
 * @param {Response} answer
 * @returns {Promise<ApiError>}
 */
async function errorOf(answer) {
  const { status } = answer;
  try {
    const { message, code, hint, at } = (await answer.json()).error;
    return new ApiError(message, { status, code, hint, at });
  } catch {
    return new ApiError(`the server answered ${status}`, { status });
  }
}
