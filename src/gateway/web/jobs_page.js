// The list of jobs: filters in the address, pages by token.
import { get, query } from "./api.js";
import { commandLine, count, duration, JOB_STATES, outcome, runtime, words } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { useEvents, useNow } from "./live.js";
import { Empty, Fault, Id, JobLink, Labels, State, Time, useLoad, useThrottled } from "./parts.js";
import { goWith, useRoute } from "./router.js";

const PAGE_SIZE = 50;
const TEXT_FILTERS = [
  ["name", "Name", "exactly"],
  ["label", "Label", "key=value or key"],
  ["worker_id", "Worker", "name or id"],
  ["queue", "Queue", ""],
];
const SINCE = [["", "any time"], ["900", "15 minutes"], ["3600", "an hour"], ["86400", "a day"], ["604800", "a week"]];

// What the address says, as the list's parameters.
function parametersOf(filters) {
  const since = Number(filters.get("since"));
  return {
    state: filters.getAll("state"),
    name: filters.get("name"),
    label: filters.getAll("label"),
    worker_id: filters.get("worker_id"),
    queue: filters.get("queue"),
    submitted_since: since > 0 ? new Date(Date.now() - since * 1000).toISOString() : "",
    page_token: filters.get("page"),
    page_size: PAGE_SIZE,
  };
}

const TextFilter = ({ name, label, hint, value, first }) => {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const apply = () => { if (text.trim() !== value) goWith({ [name]: text.trim(), page: "" }); };
  return html`<label class="field">${label}
    <input type="search" name=${name} value=${text} placeholder=${hint} data-filter=${first ? "" : null}
           autocomplete="off" spellcheck="false" onInput=${(event) => setText(event.target.value)}
           onBlur=${apply} onChange=${apply}
           onKeyDown=${(event) => { if (event.key === "Enter") apply(); }} /></label>`;
};

const Filters = ({ filters }) => {
  const chosen = filters.getAll("state");
  const toggle = (state) =>
    goWith({ state: chosen.includes(state) ? chosen.filter((one) => one !== state) : [...chosen, state], page: "" });
  const any = ["state", ...TEXT_FILTERS.map(([name]) => name), "since"].some((name) => filters.get(name));
  return html`
    <form class="filters" role="search" aria-label="Filter jobs" onSubmit=${(event) => event.preventDefault()}>
      <div class="chips" role="group" aria-label="States">
        ${JOB_STATES.map((state) => html`<button type="button" key=${state} class=${`toggle state-${state}`}
          aria-pressed=${String(chosen.includes(state))} onClick=${() => toggle(state)}>${words(state)}</button>`)}
      </div>
      <div class="filter-fields">
        ${TEXT_FILTERS.map(([name, label, hint], i) => html`<${TextFilter} key=${name} name=${name} label=${label}
          hint=${hint} value=${filters.get(name) ?? ""} first=${i === 0} />`)}
        <label class="field">Submitted in the last
          <select name="since" value=${filters.get("since") ?? ""} onChange=${(event) => goWith({ since: event.target.value, page: "" })}>
            ${SINCE.map(([value, name]) => html`<option value=${value} selected=${value === (filters.get("since") ?? "")}>${name}</option>`)}
          </select></label>
        ${any ? html`<button type="button" class="quiet" onClick=${() =>
          goWith({ state: "", name: "", label: "", worker_id: "", queue: "", since: "", page: "" })}>Clear</button>` : null}
      </div>
    </form>`;
};

export const TaskCounts = ({ counts }) => {
  const entries = JOB_STATES.filter((state) => Number(counts?.[state] ?? 0) > 0);
  return html`<span class="task-counts">${entries.map((state) => html`<span key=${state} class=${`state-${state}`}
    title=${words(state)}><span class="sr-only">${words(state)} </span>${count(counts[state])}</span>`)}</span>`;
};

export const JobTable = ({ jobs, caption, workerNames }) => {
  const now = useNow(jobs.some((job) => job.state === "RUNNING"));
  return html`
    <div class="table-frame" tabindex="0" role="region" aria-label=${caption}>
      <table class="list jobs">
        <caption class="sr-only">${caption}</caption>
        <thead><tr><th scope="col">State</th><th scope="col">Job</th><th scope="col">Command</th><th scope="col">Worker</th>
          <th scope="col">Submitted</th><th scope="col" class="right">Run time</th><th scope="col">End</th></tr></thead>
        <tbody>
          ${jobs.map((job) => html`<tr key=${job.job_id} data-job=${job.job_id}>
            <td><${State} of=${job.state} note=${job.suspended ? "suspended" : job.stop_requested && !job.end ? "stopping" : ""} /></td>
            <td><${JobLink} job=${job} /> <${Id} of=${job.job_id} /> <${Labels} of=${job.spec?.labels} /></td>
            <td class="command"><code title=${commandLine(job.spec)}>${commandLine(job.spec)}</code></td>
            <td>${job.worker_id ? html`<a href=${`/workers/${encodeURIComponent(workerNames?.get(job.worker_id) ?? job.worker_id)}`}>${workerNames?.get(job.worker_id) ?? job.worker_id.slice(0, 8)}</a>` : html`<span class="dim">${job.task_counts && Object.keys(job.task_counts).length ? "tasks" : "any"}</span>`}</td>
            <td><${Time} at=${job.submit_time} /></td>
            <td class="right number">${job.start_time ? duration(runtime(job, now)) : "–"}</td>
            <td class="end">${Object.keys(job.task_counts ?? {}).length ? html`<${TaskCounts} counts=${job.task_counts} />`
              : job.end ? outcome(job.end) : html`<span class="dim">${job.pending_reason}</span>`}</td>
          </tr>`)}
        </tbody>
      </table>
    </div>`;
};

// Names of workers by id, for lists.
export function useWorkerNames() {
  const { value } = useLoad(() => get("/v1/workers"), []);
  return new Map((value?.workers ?? []).map((worker) => [worker.worker_id, worker.name]));
}

// Puts the newest state of jobs that are shown into the list; tells of jobs that are not in it.
export function useLiveList(value, setValue, onOther) {
  const latest = useRef(value);
  latest.current = value;
  const changes = useRef(new Map());
  const flush = useThrottled(() => {
    const fresh = changes.current;
    changes.current = new Map();
    if (!latest.current) return;
    const jobs = latest.current.jobs.map((job) => fresh.get(job.job_id) ?? job);
    setValue({ ...latest.current, jobs });
  }, 250);
  useEvents(({ job, deleted_job_id: deleted }) => {
    const id = job?.job_id ?? deleted;
    if (!id) return;
    if (!job || !latest.current?.jobs.some((shown) => shown.job_id === id)) return onOther(job);
    changes.current.set(id, job);
    flush();
  }, null, []);
}

export const Pager = ({ token, next, name = "page" }) => {
  const older = () => { if (next) goWith({ [name]: next }); };
  // The page before is the one that led here; an address that was opened by itself has none.
  const newer = () => {
    if (!token) return;
    if (history.length > 1) history.back();
    else goWith({ [name]: "" });
  };
  const keys = useRef();
  keys.current = { older, newer };
  useEffect(() => {
    const pressed = (event) => {
      if (event.target.closest("input, textarea, select, dialog")) return;
      if (event.key === "]") keys.current.older();
      if (event.key === "[") keys.current.newer();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
  if (!token && !next) return null;
  return html`<nav class="pager" aria-label="Pages of the list">
    <button type="button" disabled=${!token} onClick=${() => goWith({ [name]: "" })}>First</button>
    <button type="button" disabled=${!token} onClick=${newer}>‹ Newer</button>
    <button type="button" disabled=${!next} onClick=${older}>Older ›</button>
  </nav>`;
};

export const JobsPage = () => {
  const { query: filters } = useRoute();
  const address = filters.toString();
  const { value, error, reload, setValue } = useLoad(() => get(`/v1/jobs${query(parametersOf(filters))}`), [address]);
  const names = useWorkerNames();
  const onFirstPage = !filters.get("page");
  const soon = useThrottled(reload, 1_000);
  useLiveList(value, setValue, () => { if (!new URLSearchParams(location.search).get("page")) soon(); });
  useEvents(() => {}, reload, []);
  const filtered = address.replace(/(^|&)page=[^&]*/, "") !== "";
  return html`
    <div class="page-head"><h1>Jobs</h1><span class="dim">newest first${onFirstPage ? ", live" : ""}</span></div>
    <${Filters} filters=${filters} />
    <${Fault} error=${error} retry=${reload} />
    ${value ? value.jobs.length === 0
      ? html`<${Empty}>${filtered ? "No job fits these filters." : html`No jobs yet. <a href="/new">Start the first one.</a>`}<//>`
      : html`<${JobTable} jobs=${value.jobs} caption="Jobs" workerNames=${names} />`
      : error ? null : html`<${Empty}>Loading…<//>`}
    ${value ? html`<${Pager} token=${filters.get("page")} next=${value.next_page_token} />` : null}`;
};
