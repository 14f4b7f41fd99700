// Calls to the scheduler: JSON, server-sent events and raw output, with the caller's token.
const TOKEN_KEY = "clusterd-token";
const SILENCE_MS = 45_000; // the server says something at least every 15 s

// An answer that is no success; `status` 0: the scheduler could not be reached.
export class Problem extends Error {
  constructor(status, body = {}) {
    super(body.detail || body.title || (status === 0 ? "The scheduler cannot be reached." : `Status ${status}`));
    this.status = status;
    this.code = body.code || "";
    this.field = body.field || "";
  }
}

export const isAbort = (error) => error?.name === "AbortError";

let token = sessionStorage.getItem(TOKEN_KEY) || "";
let signIn = null; // asks the person; set by the page
let asking = null; // the question that is open

export const hasToken = () => token !== "";

// `ask(why)` resolves to a token that the person has entered.
export function onUnauthorized(ask) {
  signIn = ask;
}

export function setToken(value) {
  token = value;
  if (value) sessionStorage.setItem(TOKEN_KEY, value);
  else sessionStorage.removeItem(TOKEN_KEY);
}

// One question at a time, however many requests were refused.
async function askForToken(used) {
  if (token !== used) return; // another request's refusal was quicker
  asking ??= signIn(used ? "This token is not accepted." : "").then((value) => {
    setToken(value);
    asking = null;
  });
  await asking;
}

async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // Not from us: the status has to do.
  }
  return new Problem(response.status, body);
}

// fetch() with the token; asks for one where the scheduler wants it. Anything but success throws.
async function send(path, options = {}) {
  for (;;) {
    const used = token;
    const headers = { ...options.headers };
    if (used) headers.Authorization = `Bearer ${used}`;
    let response;
    try {
      response = await fetch(path, { ...options, headers, cache: "no-store" });
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new Problem(0);
    }
    if (response.ok) return response;
    if (response.status !== 401 || !signIn) throw await problemOf(response);
    await askForToken(used);
  }
}

export const query = (parameters) => {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") search.append(name, one);
    }
  }
  const text = search.toString();
  return text ? `?${text}` : "";
};

export const segment = encodeURIComponent;

export async function get(path, signal) {
  const response = await send(path, { signal });
  return response.json();
}

function requestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A call that changes something. It carries a key, so that it can be repeated where its answer was
// lost on the way.
export async function change(method, path, body) {
  const options = { method, headers: { "Idempotency-Key": requestId() } };
  if (method !== "DELETE") {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body ?? {});
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await send(path, options);
      return await response.json();
    } catch (error) {
      const lost = error instanceof Problem && (error.status === 0 || error.status === 503);
      if (!lost || attempt === 3) throw error;
      await new Promise((resolve) => setTimeout(resolve, 300 * attempt));
    }
  }
}

function parseEvent(text) {
  const event = { id: "", type: "message", data: "" };
  for (const line of text.split("\n")) {
    if (line.startsWith("data: ")) event.data += line.slice(6);
    else if (line.startsWith("id: ")) event.id = line.slice(4);
    else if (line.startsWith("event: ")) event.type = line.slice(7);
  }
  return event;
}

// Server-sent events as they come; `onOpen` when the stream stands. EventSource cannot send a
// token. Ends when the stream does, throws where it breaks.
export async function readEvents(path, { lastId, signal, onOpen, onEvent }) {
  const silence = new AbortController();
  const either = AbortSignal.any([signal, silence.signal]);
  const headers = { Accept: "text/event-stream" };
  if (lastId) headers["Last-Event-ID"] = lastId;
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await send(path, { headers, signal: either });
    onOpen();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const event = parseEvent(part);
        if (event.data) onEvent(event);
      }
    }
  } catch (error) {
    if (isAbort(error) && !signal.aborted) throw new Problem(0);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

export const outputPath = (jobId, parameters) =>
  `/v1/jobs/${segment(jobId)}/output${query(parameters)}`;

// Opens output; the answer's numbers, and a reader of its bytes.
export async function openOutput(jobId, parameters, signal) {
  const response = await send(outputPath(jobId, parameters), { signal });
  const number = (name) => Number(response.headers.get(name) ?? 0);
  return {
    offset: number("Clusterd-Output-Offset"),
    released: number("Clusterd-Output-Released"),
    written: number("Clusterd-Output-Written"),
    attempt: number("Clusterd-Attempt"),
    reader: response.body.getReader(),
    response,
  };
}
