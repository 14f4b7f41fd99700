// A job's life as a bar: what it waited for, its attempts, its end.
import { clock, duration, isFinal, outcome, time, words } from "./format.js";
import { html, useLayoutEffect, useRef } from "./html.js";

const stateOfEnd = (end) => {
  if (!end) return "RUNNING";
  if (end.reason === "EXITED") return end.exit_code === 0 ? "SUCCEEDED" : "FAILED";
  if (end.reason === "RUN_TIMED_OUT") return "TIMED_OUT";
  if (end.reason === "STOP_REQUESTED") return "STOPPED";
  if (end.reason === "WORKER_LOST" || end.reason === "EXIT_STATUS_UNKNOWN") return "LOST";
  return "FAILED";
};

// Parts {kind, name, from, to} in order, from the job's submission to its end or now.
export function parts(job, now) {
  const found = [];
  let at = time(job.submit_time)?.getTime();
  if (at === undefined) return found;
  const wait = (until, name) => {
    if (until > at) found.push({ kind: "QUEUED", name, from: at, to: until });
  };
  for (const attempt of job.attempts ?? []) {
    const start = time(attempt.start_time)?.getTime();
    const end = time(attempt.end_time)?.getTime();
    if (start === undefined) {
      if (end === undefined) continue;
      wait(end, "Waited");
      at = end;
      continue;
    }
    wait(start, found.length ? "Waited again" : "Waited");
    const to = end ?? Math.max(now, start);
    found.push({
      kind: stateOfEnd(attempt.end),
      name: job.attempts.length > 1 ? `Attempt ${attempt.number}` : "Ran",
      note: attempt.end ? outcome(attempt.end) : "running",
      from: start,
      to,
    });
    at = to;
  }
  if (!isFinal(job.state) && job.state !== "RUNNING") wait(now, job.state === "STARTING" ? "Starting" : "Waits");
  else if (isFinal(job.state) && found.length === 0) wait(time(job.end_time)?.getTime() ?? at, "Waited");
  return found;
}

const Part = ({ part, all }) => {
  const ref = useRef(null);
  const share = Math.max(0.02, (part.to - part.from) / Math.max(1, all));
  useLayoutEffect(() => { ref.current.style.flexGrow = String(Math.round(share * 1000)); }, [share]);
  const text = `${part.name} ${duration(part.to - part.from)}${part.note ? `, ${part.note}` : ""}`;
  return html`<li ref=${ref} class=${`part state-${part.kind}`} title=${text}>
    <span class="part-bar" aria-hidden="true"></span>
    <span class="part-text">${part.name} <b>${duration(part.to - part.from)}</b>${part.note ? html`<span class="dim"> ${part.note}</span>` : null}</span>
  </li>`;
};

export const Timeline = ({ job, now }) => {
  const found = parts(job, now);
  if (found.length === 0) return null;
  const all = found.at(-1).to - found[0].from;
  return html`<section class="timeline" aria-label="What happened when">
    <span class="timeline-end">${clock(new Date(found[0].from))}<span class="dim">submitted</span></span>
    <ol tabindex="0" aria-label="Parts">${found.map((part) => html`<${Part} key=${part.from} part=${part} all=${all} />`)}</ol>
    <span class="timeline-end right">${clock(new Date(found.at(-1).to))}<span class="dim">${isFinal(job.state) ? words(job.state).toLowerCase() : "now"}</span></span>
  </section>`;
};
