// Values as people read them.
export const FINAL_STATES = ["SUCCEEDED", "FAILED", "STOPPED", "TIMED_OUT", "LOST"];
export const JOB_STATES = ["QUEUED", "STARTING", "RUNNING", ...FINAL_STATES];
export const isFinal = (state) => FINAL_STATES.includes(state);

// "TIMED_OUT" as "Timed out".
export function words(name) {
  const text = String(name ?? "").toLowerCase().replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const WHOLE = new Intl.NumberFormat("en");

export const count = (value) => WHOLE.format(Number(value ?? 0));

// "1 line", "2 lines".
export const counted = (value, word) => `${count(value)} ${word}${Number(value) === 1 ? "" : "s"}`;

export function bytes(value) {
  let size = Number(value ?? 0);
  if (size < 1024) return `${size} B`;
  for (const unit of ["KiB", "MiB", "GiB", "TiB"]) {
    size /= 1024;
    if (size < 1024 || unit === "TiB") return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
  }
  return "";
}

// Milliseconds as "340 ms", "4.2 s", "3 min 5 s", "2 h 10 min", "3 d 4 h".
export function duration(milliseconds) {
  const ms = Math.max(0, milliseconds);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const pair = (value, unit, rest, small) => (rest ? `${value} ${unit} ${rest} ${small}` : `${value} ${unit}`);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return pair(Math.floor(seconds / 60), "min", seconds % 60, "s");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return pair(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.floor(minutes / 60);
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

// A google.protobuf.Duration as JSON has it ("1.5s"), in milliseconds.
export const milliseconds = (text) => Number.parseFloat(text || "0") * 1000;

export const time = (text) => (text ? new Date(text) : null);

export function clock(date) {
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

// The time today, the date and the time before.
export function when(text, now = new Date()) {
  const date = time(text);
  if (!date) return "–";
  if (date.toDateString() === now.toDateString()) return clock(date);
  const day = date.toLocaleDateString([], { month: "short", day: "numeric" });
  const year = date.getFullYear() === now.getFullYear() ? "" : ` ${date.getFullYear()}`;
  return `${day}${year} ${clock(date)}`;
}

export function ago(text, now = Date.now()) {
  const date = time(text);
  if (!date) return "–";
  const ms = now - date.getTime();
  if (ms < 1000) return "now";
  if (ms < 60_000) return `${Math.floor(ms / 1000)} s ago`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ago`;
  return `${Math.floor(ms / 86_400_000)} d ago`;
}

// How long it ran, or has been running; null before its start.
export function runtime(job, now = Date.now()) {
  const start = time(job.start_time);
  if (!start) return null;
  const end = time(job.end_time);
  return (end ? end.getTime() : now) - start.getTime();
}

const BARE_WORD = /^[\w@%+=:,./-]+$/;
export const quoted = (word) =>
  BARE_WORD.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

// The command as a shell would be given it; no shell sees it.
export function commandLine(spec) {
  if (spec.handler) return ["handler", spec.handler, ...(spec.args ?? [])].map(quoted).join(" ");
  return [spec.command, spec.path, ...(spec.args ?? [])].filter(Boolean).map(quoted).join(" ");
}

export const shortId = (id) => {
  const [job, index] = String(id).split(".");
  const short = job.length > 13 ? `…${job.slice(-8)}` : job;
  return index === undefined ? short : `${short}.${index}`;
};

export const title = (job) => job.spec?.name || job.spec?.path || job.spec?.command || job.spec?.handler || shortId(job.job_id);

const SIGNALS = {
  1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL",
  10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 24: "XCPU", 25: "XFSZ",
};
export const signalName = (number) => (SIGNALS[number] ? `SIG${SIGNALS[number]}` : `signal ${number}`);

// How it ended, in a few words.
export function outcome(end) {
  if (!end) return "";
  if (end.reason === "EXITED") return `exit code ${end.exit_code ?? "unknown"}`;
  if (end.signal !== undefined && end.reason !== "STOP_REQUESTED") {
    return `${words(end.reason).toLowerCase()}, ${signalName(end.signal)}`;
  }
  return words(end.reason).toLowerCase();
}

// What holds for a job's end in one sentence, for people who do not know the words.
export const REASONS = {
  SIGNALED: "A signal that was not ours ended it.",
  OUT_OF_MEMORY: "The kernel ended it for memory.",
  START_FAILED: "The command could not be started.",
  OUTPUT_LIMIT: "It wrote more than it may.",
  DEPENDENCY_FAILED: "A job that it waited for did not end as needed.",
  QUEUE_TIMED_OUT: "It found no room in time.",
  RUN_TIMED_OUT: "It ran longer than its timeout.",
  STOP_REQUESTED: "It was stopped on request.",
  CANCELLED_BEFORE_START: "It was stopped before it started.",
  WORKER_LOST: "Its worker was silent for too long, or restarted.",
  EXIT_STATUS_UNKNOWN: "It ended, and nobody saw how.",
};

// Words of a line of arguments, with quotes and backslashes as a shell reads them. Throws where a
// quote is left open.
export function splitWords(line) {
  const found = [];
  const token = /\s+|'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])|([^\s'"\\]+)|(['"\\])/gy;
  let word = null;
  for (const [text, single, double, escaped, bare, open] of line.matchAll(token)) {
    if (open) throw new Error(`unclosed ${open}`);
    const part = single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? escaped ?? bare;
    if (part !== undefined) word = (word ?? "") + part;
    else if (/^\s/.test(text)) {
      if (word !== null) found.push(word);
      word = null;
    }
  }
  if (word !== null) found.push(word);
  return found;
}
