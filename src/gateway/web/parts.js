// Small pieces that the pages share.
import { Problem } from "./api.js";
import { bytes, count, shortId, title, when, words } from "./format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { mayChange } from "./live.js";

const MARKS = {
  QUEUED: "◷", STARTING: "◔", RUNNING: "▶", SUCCEEDED: "✓", FAILED: "✕", STOPPED: "■",
  TIMED_OUT: "⌛", LOST: "?", ALIVE: "●", UNREACHABLE: "◌", OFFLINE: "○", LEFT: "–",
};

// A state as a word with a mark and a colour.
export const State = ({ of, note }) => html`
  <span class=${`state state-${of}`}><span class="state-mark" aria-hidden="true">${MARKS[of] ?? ""}</span>${words(of)}${note ? html` <span class="state-note">${note}</span>` : null}</span>`;

// Why a worker that is there gets no jobs.
export const keptAway = (worker) => [worker.draining && "drained", worker.quarantine && "quarantined"].filter(Boolean).join(", ");

export const Labels = ({ of }) => {
  const entries = Object.entries(of ?? {}).sort();
  return html`${entries.map(([key, value]) => html`<span class="label" key=${key}>${key}${value ? html`<span class="label-value">${value}</span>` : null}</span>`)}`;
};

export const JobLink = ({ job }) => html`
  <a href=${`/jobs/${encodeURIComponent(job.job_id)}`}>${title(job)}</a>`;

export const Id = ({ of }) => html`<code class="id" title=${of}>${shortId(of)}</code>`;

export const Time = ({ at }) =>
  at ? html`<time datetime=${at} title=${new Date(at).toLocaleString()}>${when(at)}</time>` : "–";

// How much of something is taken, as a bar with its words.
export const Share = ({ used, all, unit = "", text }) => {
  const share = all > 0 ? Math.min(1, used / all) : 0;
  const name = text ?? (unit === "bytes" ? `${bytes(used)} of ${bytes(all)}` : `${count(used)} of ${count(all)}${unit}`);
  const ref = useRef(null);
  useLayoutEffect(() => { ref.current.style.width = `${share * 100}%`; }, [share]);
  return html`<span class="share"><span class="share-bar" aria-hidden="true"><span ref=${ref} class=${share > 0.9 ? "share-full" : ""}></span></span><span class="share-text">${name}</span></span>`;
};

// What went wrong, in words.
export const Fault = ({ error, retry }) =>
  error
    ? html`<p class="fault" role="alert">
        ${error instanceof Problem || error instanceof Error ? error.message : String(error)}
        ${retry ? html` <button type="button" class="link" onClick=${retry}>Try again</button>` : null}
      </p>`
    : null;

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

// A button whose act takes a moment and may fail; says so beside it.
export const ActButton = ({ act, children, kind = "", title: hint, onFault }) => {
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    onFault?.(null);
    try {
      await act();
    } catch (error) {
      onFault?.(error);
    } finally {
      setBusy(false);
    }
  };
  if (!mayChange()) return null;
  return html`<button type="button" class=${kind} title=${hint} disabled=${busy} onClick=${run}>${children}</button>`;
};

// A modal question. `onClose()` when it is dismissed.
export const Dialog = ({ title: heading, onClose, children }) => {
  const ref = useRef(null);
  useEffect(() => {
    ref.current.showModal();
  }, []);
  return html`
    <dialog ref=${ref} aria-labelledby="dialog-title" onClose=${onClose}
            onClick=${(event) => { if (event.target === ref.current) ref.current.close(); }}>
      <div class="dialog-body">
        <h2 id="dialog-title">${heading}</h2>
        ${children}
      </div>
    </dialog>`;
};

export const CopyButton = ({ text, what }) => {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  if (!navigator.clipboard) return null; // only where the page came by TLS or from this machine
  return html`<button type="button" class="quiet" onClick=${copy} aria-label=${`Copy ${what}`}>${copied ? "Copied" : "Copy"}</button>`;
};

// Loads something when `dependencies` change; {value, error, reload}. What was loaded stays until
// there is something newer.
export function useLoad(load, dependencies) {
  const [result, setResult] = useState({ value: null, error: null });
  const current = useRef(0);
  const reload = () => {
    const mine = ++current.current;
    return load().then(
      (value) => { if (mine === current.current) setResult({ value, error: null }); },
      (error) => { if (mine === current.current) setResult((old) => ({ ...old, error })); });
  };
  useEffect(() => {
    reload();
    return () => { current.current += 1; };
  }, dependencies);
  return { ...result, reload, setValue: (value) => setResult({ value, error: null }) };
}

// Runs `act` at most once in `ms`, and once more after the last call.
export function useThrottled(act, ms) {
  const state = useRef({ timer: 0, last: 0 });
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => () => clearTimeout(state.current.timer), []);
  return () => {
    const now = state.current;
    if (now.timer) return;
    const wait = Math.max(0, now.last + ms - Date.now());
    now.timer = setTimeout(() => {
      now.timer = 0;
      now.last = Date.now();
      latest.current();
    }, wait);
  };
}
