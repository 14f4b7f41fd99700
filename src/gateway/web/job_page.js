// One job: where it is and why, what it did, what it wrote.
import { change, get, query, segment } from "./api.js";
import {
  ago, bytes, commandLine, count, counted, duration, isFinal, JOB_STATES, milliseconds, outcome, REASONS,
  runtime, title, words,
} from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { Timeline } from "./job_timeline.js";
import { JobTable, Pager, TaskCounts, useLiveList, useWorkerNames } from "./jobs_page.js";
import { mayChange, useEvents, useNow } from "./live.js";
import { OutputPanel } from "./output_panel.js";
import { ActButton, CopyButton, Dialog, Empty, Fault, Labels, State, Time, useLoad, useThrottled } from "./parts.js";
import { go, goWith, useRoute } from "./router.js";

const TASK_PAGE = 50;
const WIDE = ["Folder", "Id", "Requires"];

const Delete = ({ job, onClose }) => {
  const [fault, setFault] = useState(null);
  const act = async () => {
    await change("DELETE", `/v1/jobs/${segment(job.job_id)}`);
    go("/jobs");
  };
  return html`<${Dialog} title="Delete this job?" onClose=${onClose}>
    <p>Its record and its output are deleted. That cannot be undone.</p>
    <${Fault} error=${fault} />
    <p class="actions"><button type="button" onClick=${onClose}>Cancel</button>
      <${ActButton} kind="danger" act=${act} onFault=${setFault}>Delete<//></p>
  <//>`;
};

const Acts = ({ job, onJob, onFault }) => {
  const [deleting, setDeleting] = useState(false);
  if (!mayChange()) return null;
  const path = `/v1/jobs/${segment(job.job_id)}`;
  const post = (act) => async () => onJob(await change("POST", `${path}/${act}`));
  const final = isFinal(job.state);
  return html`<span class="acts">
    ${!final ? html`<${ActButton} kind="danger" act=${post("stop")} onFault=${onFault}>${job.stop_requested ? "Stop again" : "Stop"}<//>` : null}
    ${final && job.state !== "SUCCEEDED" ? html`<${ActButton} act=${post("retry")} onFault=${onFault} title="Start it once more, as a new attempt">Retry<//>` : null}
    <a class="button" href=${`/new${query({ like: job.job_id })}`} title="Open the start form with what this job was asked for">Start another…</a>
    ${final ? html`<button type="button" onClick=${() => setDeleting(true)}>Delete…</button>` : null}
    ${deleting ? html`<${Delete} job=${job} onClose=${() => setDeleting(false)} />` : null}
  </span>`;
};

const Ended = ({ end, state }) => html`
  <section class=${`ended ended-${state}`} aria-label="How it ended">
    <p><strong>${words(state)}: ${outcome(end)}.</strong> ${REASONS[end.reason] ?? ""} ${end.killed ? "It did not end within its grace, and was killed." : ""}</p>
    ${end.message ? html`<p class="ended-message">${end.message}</p>` : null}
  </section>`;

const Numbers = ({ job, now }) => {
  const end = job.end ?? {};
  const facts = [
    ["Run time", runtime(job, now) === null ? null : duration(runtime(job, now))],
    ["Peak memory", end.max_rss_bytes && bytes(end.max_rss_bytes)],
    ["Processor time", end.user_time && `${duration(milliseconds(end.user_time))} user, ${duration(milliseconds(end.system_time))} system`],
    ["Attempt", job.attempt || null],
    ["Submitted", html`<${Time} at=${job.submit_time} />${job.submitted_by ? ` by ${job.submitted_by}` : ""}`],
    ["Started", job.start_time && html`<${Time} at=${job.start_time} />`],
    ["Ended", job.end_time && html`<${Time} at=${job.end_time} />`],
  ];
  return facts.filter(([, value]) => value).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`);
};

const Asked = ({ job, names }) => {
  const { spec } = job;
  const worker = names.get(job.worker_id) ?? job.worker_id;
  const facts = [
    ["Worker", job.worker_id ? html`<a href=${`/workers/${encodeURIComponent(worker)}`}>${worker}</a>` : "any"],
    ["Requires", spec.require?.length && spec.require.join(", ")],
    ["Takes", [counted(spec.resources?.slots || 1, "slot"), spec.resources?.cpus && `${spec.resources.cpus} processors`,
      Number(spec.resources?.memory_bytes) && bytes(spec.resources.memory_bytes)].filter(Boolean).join(", ")],
    ["Priority", spec.priority || null],
    ["Queue", spec.queue],
    ["Timeout", spec.timeout && duration(milliseconds(spec.timeout))],
    ["Retries", spec.retry?.max_attempts > 1 && `up to ${spec.retry.max_attempts} attempts, on ${spec.retry.on.map((on) => words(on).toLowerCase()).join(", ")}`],
    ["Variables", Object.keys(spec.env ?? {}).join(", ")],
    ["Labels", Object.keys(spec.labels ?? {}).length && html`<${Labels} of=${spec.labels} />`],
    ["Own id", job.external_id],
    ["Folder", job.output_path && html`<code class="break">${job.output_path}</code>`],
    ["Id", html`<code class="break">${job.job_id}</code> <${CopyButton} text=${job.job_id} what="id" />`],
  ];
  return facts.filter(([, value]) => value).map(([name, value]) =>
    html`<div key=${name} class=${WIDE.includes(name) ? "wide" : null}><dt>${name}</dt><dd>${value}</dd></div>`);
};

// How far it says that it is. No event tells of it, so it is asked for every two seconds.
const Progress = ({ job, reload, now }) => {
  useEffect(() => { reload(); }, [Math.floor(now / 2_000)]);
  const { done = "0", total = "0", message = "" } = job.progress ?? {};
  if (!job.progress) return null;
  return html`<p class="progress" role="status">
    ${Number(total) > 0 ? html`<progress max=${Number(total)} value=${Number(done)} aria-label="Progress" /> ` : null}
    ${count(done)}${Number(total) > 0 ? ` of ${count(total)}` : ""}${message ? `: ${message}` : ""}</p>`;
};

// Why a job that does not run yet is where it is, asked anew while it waits.
const Explain = ({ job }) => {
  const { value, error, reload } = useLoad(() => get(`/v1/jobs/${segment(job.job_id)}/explain`), [job.job_id, job.state, job.pending_reason]);
  const soon = useThrottled(reload, 2_000);
  useEvents(soon, reload, []);
  if (!value) return html`<${Fault} error=${error} />`;
  return html`<section class="panel explain" aria-label="Why it waits">
    <div class="panel-head"><h2>Why it waits</h2></div>
    <p>${value.summary}${Number(value.jobs_ahead) > 0 ? html` <span class="dim">(${count(value.jobs_ahead)} before it)</span>` : null}</p>
    ${value.workers?.length ? html`<table class="plain"><tbody>
      ${value.workers.map((worker) => html`<tr key=${worker.worker_id}>
        <td>${worker.fits ? html`<span class="yes">could take it</span>` : html`<span class="no">cannot</span>`}</td>
        <td><a href=${`/workers/${encodeURIComponent(worker.name)}`}>${worker.name}</a></td>
        <td class="grow dim">${worker.reasons.join("; ")}</td></tr>`)}
    </tbody></table>` : null}
  </section>`;
};

const Attempts = ({ job, names }) => html`
  <section><h2>Attempts</h2>
    <div class="table-frame" tabindex="0" role="region" aria-label="Attempts"><table class="list">
      <thead><tr><th scope="col">Number</th><th scope="col">Worker</th><th scope="col">Started</th><th scope="col">Ended</th><th scope="col">End</th></tr></thead>
      <tbody>${job.attempts.map((attempt) => html`<tr key=${attempt.number}>
        <td class="number">${attempt.number}</td>
        <td>${names.get(attempt.worker_id) ?? attempt.worker_id}</td>
        <td><${Time} at=${attempt.start_time} /></td><td><${Time} at=${attempt.end_time} /></td>
        <td>${attempt.end ? outcome(attempt.end) : "–"}${attempt.end?.message ? html`<div class="dim small">${attempt.end.message}</div>` : null}
          ${attempt.late_end ? html`<div class="small">in truth: ${outcome(attempt.late_end)}</div>` : null}</td>
      </tr>`)}</tbody></table></div>
  </section>`;

const Tasks = ({ job, names }) => {
  const { query: filters } = useRoute();
  const state = filters.getAll("state");
  const page = filters.get("page");
  const { value, error, reload, setValue } = useLoad(
    () => get(`/v1/jobs/${segment(job.job_id)}/tasks${query({ state, page_token: page, page_size: TASK_PAGE })}`),
    [job.job_id, state.join(), page]);
  const soon = useThrottled(reload, 2_000);
  useLiveList(value, setValue, (task) => { if (task?.job_id.startsWith(`${job.job_id}.`)) soon(); });
  return html`<section>
    <div class="panel-head"><h2>Tasks</h2><${TaskCounts} counts=${job.task_counts} />
      <span class="chips" role="group" aria-label="States">${JOB_STATES.map((one) => html`<button type="button" key=${one} class=${`toggle state-${one}`}
        aria-pressed=${String(state.includes(one))} onClick=${() => goWith({ state: state.includes(one) ? state.filter((s) => s !== one) : [...state, one], page: "" })}>${words(one)}</button>`)}</span></div>
    <${Fault} error=${error} retry=${reload} />
    ${value ? value.jobs.length ? html`<${JobTable} jobs=${value.jobs} caption="Tasks" workerNames=${names} />` : html`<${Empty}>No task is in these states.<//>` : null}
    ${value ? html`<${Pager} token=${page} next=${value.next_page_token} />` : null}
  </section>`;
};

export const JobPage = ({ id }) => {
  const { value: job, error, reload, setValue } = useLoad(() => get(`/v1/jobs/${segment(id)}`), [id]);
  const [gone, setGone] = useState(false);
  const [fault, setFault] = useState(null);
  const names = useWorkerNames();
  const now = useNow(!job || !isFinal(job.state));
  const soon = useThrottled(reload, 500);
  useEvents((event) => {
    if (event.job?.job_id === id) setValue(event.job);
    else if (event.deleted_job_id === id) setGone(true);
    else if (event.job?.job_id.startsWith(`${id}.`)) soon(); // a task: the array's counts
  }, reload, [id]);
  if (!job) return html`<h1>Job</h1><${Fault} error=${error} retry=${reload} />`;
  const hasTasks = Boolean(job.spec.array || job.spec.resources?.every_worker);
  const [array] = id.split(".");
  return html`
    <div class="page-head job-head">
      <h1>${title(job)}</h1>
      <${State} of=${job.state} note=${job.suspended ? "suspended" : ""} />
      ${array !== id ? html`<span>a task of <a href=${`/jobs/${encodeURIComponent(array)}`}>its array</a></span>` : null}
      <${Acts} job=${job} onJob=${setValue} onFault=${setFault} />
    </div>
    <p class="command-line"><code>${commandLine(job.spec)}</code></p>
    ${gone ? html`<p class="notice" role="status">This job has been deleted.</p>` : null}
    <${Fault} error=${fault ?? error} />
    ${job.stop_requested && !isFinal(job.state) ? html`<p class="notice" role="status">A stop was requested ${ago(job.stop_requested.when, now)}${job.stop_requested.who ? ` by ${job.stop_requested.who}` : ""}${job.stop_requested.reason ? `: ${job.stop_requested.reason}` : ""}.</p>` : null}
    ${job.unreachable_since ? html`<p class="notice warn" role="status">Its worker has been silent since <${Time} at=${job.unreachable_since} />. The job goes on there.</p>` : null}
    <${Timeline} job=${job} now=${now} />
    ${job.state === "RUNNING" && job.spec.handler ? html`<${Progress} job=${job} reload=${reload} now=${now} />` : null}
    ${job.end ? html`<${Ended} end=${job.end} state=${job.state} />` : null}
    ${job.state === "QUEUED" ? html`<${Explain} job=${job} />` : null}
    ${hasTasks ? html`<${Tasks} job=${job} names=${names} />` : html`<${OutputPanel} job=${job} onEnd=${reload} />`}
    <section class="panel" aria-label="Details"><dl class="facts"><${Numbers} job=${job} now=${now} /><${Asked} job=${job} names=${names} /></dl></section>
    ${job.attempts?.length > 1 ? html`<${Attempts} job=${job} names=${names} />` : null}
    <details class="json"><summary>The record as JSON</summary><pre tabindex="0">${JSON.stringify(job, null, 2)}</pre></details>`;
};
