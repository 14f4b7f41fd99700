// What the start form holds, as text, and the JobSpec that it means.
import { milliseconds, quoted, splitWords } from "./format.js";

export const EMPTY_FORM = {
  worker: "", kind: "script", path: "", program: "", handler: "", command: "", args: "", name: "", env: "", cwd: "",
  stdin: "", timeout: "", queueTimeout: "", stopGrace: "", priority: "", queue: "", labels: "", require: "",
  slots: "", cpus: "", memory: "", arrayFrom: "", arrayTo: "", arrayParallel: "", attempts: "",
  retryOn: ["FAILURE"], separate: false, startAt: "",
};

// A field of the form that cannot be understood; named as the scheduler would.
export class FormFault extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

const UNITS = { ms: 0.001, s: 1, m: 60, min: 60, h: 3600, d: 86400 };
const SIZES = { "": 1, b: 1, k: 1 << 10, kib: 1 << 10, m: 1 << 20, mib: 1 << 20, g: 1 << 30, gib: 1 << 30, t: 2 ** 40, tib: 2 ** 40 };

// "90", "90s", "1h30m" as the JSON of a Duration.
export function durationOf(field, text) {
  const trimmed = text.trim().toLowerCase();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return `${trimmed}s`;
  let seconds = 0;
  const rest = trimmed.replace(/(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d)\s*/g, (_, number, unit) => {
    seconds += Number(number) * UNITS[unit];
    return "";
  });
  if (rest || !trimmed) throw new FormFault(field, `“${text}” is no time: say 90s, 10m or 1h30m`);
  return `${Number(seconds.toFixed(3))}s`;
}

export function sizeOf(field, text) {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(text.trim().toLowerCase());
  const factor = match && SIZES[match[2]];
  if (!factor) throw new FormFault(field, `“${text}” is no size: say 512MiB or 2GiB`);
  return String(Math.round(Number(match[1]) * factor));
}

function numberOf(field, text, whole = true) {
  const value = Number(text);
  if (!Number.isFinite(value) || (whole && !Number.isInteger(value))) {
    throw new FormFault(field, `“${text}” is no ${whole ? "whole " : ""}number`);
  }
  return value;
}

function pairsOf(field, text) {
  const pairs = {};
  for (const line of text.split("\n").filter((one) => one.trim())) {
    const at = line.indexOf("=");
    if (at < 1 && field === "env") throw new FormFault(field, `“${line}”: a line is NAME=VALUE`);
    pairs[(at < 0 ? line : line.slice(0, at)).trim()] = at < 0 ? "" : line.slice(at + 1);
  }
  return pairs;
}

function wordsOf(text) {
  try {
    return splitWords(text);
  } catch (error) {
    throw new FormFault("args", error.message);
  }
}

function base64(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function addArray(form, spec) {
  if (form.arrayTo === "" && form.arrayFrom === "") return;
  spec.array = { from: numberOf("array.from", form.arrayFrom || "1"), to: numberOf("array.to", form.arrayTo) };
  if (form.arrayTo === "") throw new FormFault("array.to", "an array needs its last index");
  if (form.arrayParallel) spec.array.max_parallel = numberOf("array.max_parallel", form.arrayParallel);
}

function addResources(form, spec) {
  const resources = {};
  if (form.slots) resources.slots = numberOf("resources.slots", form.slots);
  if (form.cpus) resources.cpus = numberOf("resources.cpus", form.cpus, false);
  if (form.memory) resources.memory_bytes = sizeOf("resources.memory_bytes", form.memory);
  if (Object.keys(resources).length) spec.resources = resources;
}

function addTimes(form, spec) {
  if (form.timeout) spec.timeout = durationOf("timeout", form.timeout);
  if (form.queueTimeout) spec.queue_timeout = durationOf("queue_timeout", form.queueTimeout);
  if (form.stopGrace) spec.stop_grace = durationOf("stop_grace", form.stopGrace);
  if (form.startAt) spec.start_at = new Date(form.startAt).toISOString();
}

// The JobSpec as JSON. Throws a FormFault.
export function specOf(form) {
  const spec = form.kind === "program" ? { command: form.program.trim() }
    : form.kind === "handler" ? { handler: form.handler.trim() } : { path: form.path.trim() };
  if (form.kind === "script" && form.command.trim()) spec.command = form.command.trim();
  if (form.kind === "script" && !spec.path) throw new FormFault("path", "which script?");
  if (form.kind === "program" && !spec.command) throw new FormFault("command", "which program?");
  if (form.kind === "handler" && !spec.handler) throw new FormFault("handler", "which handler?");
  if (form.worker) spec.worker_id = form.worker;
  for (const name of ["name", "cwd", "queue"]) if (form[name].trim()) spec[name] = form[name].trim();
  const args = wordsOf(form.args);
  if (args.length) spec.args = args;
  for (const name of ["env", "labels"]) {
    const pairs = pairsOf(name, form[name]);
    if (Object.keys(pairs).length) spec[name] = pairs;
  }
  const require = form.require.split("\n").map((line) => line.trim()).filter(Boolean);
  if (require.length) spec.require = require;
  if (form.stdin) spec.stdin = base64(form.stdin);
  if (form.priority) spec.priority = numberOf("priority", form.priority);
  if (form.separate) spec.output = { mode: "SEPARATE" };
  if (form.attempts) {
    spec.retry = { max_attempts: numberOf("retry.max_attempts", form.attempts), on: form.retryOn };
  }
  addArray(form, spec);
  addResources(form, spec);
  addTimes(form, spec);
  return spec;
}

const lines = (map) => Object.entries(map ?? {}).map(([name, value]) => `${name}=${value}`).join("\n");
const text = (value) => (value ? String(value) : "");
const seconds = (value) => (value ? `${milliseconds(value) / 1000}s` : "");

// The form that means a JobSpec; `worker` by the name that the form uses.
export function formOf(spec, worker) {
  const isProgram = !spec.path && !spec.handler;
  return {
    ...EMPTY_FORM,
    worker: worker ?? "",
    kind: spec.handler ? "handler" : isProgram ? "program" : "script",
    handler: spec.handler ?? "",
    path: spec.path ?? "",
    program: isProgram ? (spec.command ?? "") : "",
    command: isProgram ? "" : (spec.command ?? ""),
    args: (spec.args ?? []).map(quoted).join(" "),
    name: spec.name ?? "",
    env: lines(spec.env),
    cwd: spec.cwd ?? "",
    stdin: "",
    timeout: seconds(spec.timeout),
    queueTimeout: seconds(spec.queue_timeout),
    stopGrace: seconds(spec.stop_grace),
    priority: text(spec.priority),
    queue: spec.queue ?? "",
    labels: lines(spec.labels),
    require: (spec.require ?? []).join("\n"),
    slots: text(spec.resources?.slots),
    cpus: text(spec.resources?.cpus),
    memory: Number(spec.resources?.memory_bytes) ? String(spec.resources.memory_bytes) : "",
    arrayFrom: text(spec.array?.from),
    arrayTo: text(spec.array?.to),
    arrayParallel: text(spec.array?.max_parallel),
    attempts: spec.retry?.max_attempts > 1 ? String(spec.retry.max_attempts) : "",
    retryOn: spec.retry?.on?.length ? spec.retry.on : ["FAILURE"],
    separate: spec.output?.mode === "SEPARATE",
    startAt: "",
  };
}

const INTERPRETERS = { sh: "bash", bash: "bash", py: "python3", rb: "ruby", pl: "perl", js: "node" };

// What usually runs a script of this name; empty: the file itself is executed.
export const interpreterOf = (path) => INTERPRETERS[path.split(".").at(-1)] ?? "";
