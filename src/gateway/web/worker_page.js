// One worker: what it offers, its scripts, its jobs.
import { get, query, segment } from "./api.js";
import { ago, bytes, count } from "./format.js";
import { html, useState } from "./html.js";
import { JobTable } from "./jobs_page.js";
import { mayChange, useEvents, useNow } from "./live.js";
import { CopyButton, Empty, Fault, keptAway, Labels, Share, State, Time, useLoad, useThrottled } from "./parts.js";
import { WorkerActs } from "./workers_page.js";

const SHOWN_JOBS = 20;
const SCRIPT_PAGE = 200;

const Facts = ({ worker, now }) => html`
  <dl class="facts">
    <div><dt>Slots</dt><dd><${Share} used=${worker.in_use?.slots ?? 0} all=${worker.capacity?.slots ?? 0} /></dd></div>
    <div><dt>Processors</dt><dd><${Share} used=${worker.in_use?.cpus ?? 0} all=${worker.capacity?.cpus ?? 0} /></dd></div>
    <div><dt>Memory</dt><dd><${Share} used=${Number(worker.in_use?.memory_bytes ?? 0)} all=${Number(worker.capacity?.memory_bytes ?? 0)} unit="bytes" /></dd></div>
    <div><dt>Jobs on it</dt><dd>${count(worker.jobs)}</dd></div>
    <div><dt>Heard</dt><dd title=${worker.last_seen}>${ago(worker.last_seen, now)}</dd></div>
    <div><dt>Address</dt><dd><code>${worker.address}</code></dd></div>
    <div><dt>Version</dt><dd>${worker.version}</dd></div>
    <div class="wide"><dt>Id</dt><dd><code class="break">${worker.worker_id}</code> <${CopyButton} text=${worker.worker_id} what="id" /></dd></div>
    <div class="wide"><dt>Labels</dt><dd>${Object.keys(worker.labels ?? {}).length ? html`<${Labels} of=${worker.labels} />` : html`<span class="dim">none</span>`}</dd></div>
    ${worker.unenforced_limits?.length ? html`<div><dt>Limits it cannot keep</dt><dd>${worker.unenforced_limits.join(", ")}</dd></div>` : null}
  </dl>`;

const Scripts = ({ worker }) => {
  const [text, setText] = useState("");
  const { value, error, reload } = useLoad(
    () => get(`/v1/workers/${segment(worker.worker_id)}/scripts${query({ page_size: SCRIPT_PAGE })}`),
    [worker.worker_id, worker.state]);
  const shown = (value?.scripts ?? []).filter((script) => script.path.toLowerCase().includes(text.toLowerCase()));
  return html`<section class="panel">
    <div class="panel-head"><h2>Scripts</h2>
      <label class="field inline"><span class="sr-only">Filter scripts</span>
        <input type="search" placeholder="filter" value=${text} onInput=${(event) => setText(event.target.value)} /></label></div>
    <${Fault} error=${error} retry=${reload} />
    ${value && shown.length === 0 ? html`<${Empty}>${text ? "None fits." : "Its scripts folder is empty."}<//>` : null}
    ${shown.length ? html`<div class="scroll-panel" tabindex="0" role="region" aria-label="Scripts"><table class="plain"><tbody>
      ${shown.map((script) => html`<tr key=${script.path}>
        <td class="grow"><code>${script.path}</code></td>
        <td class="right dim">${bytes(script.size_bytes)}</td>
        <td class="dim"><${Time} at=${script.modify_time} /></td>
        <td class="right">${mayChange() ? html`<a href=${`/new${query({ worker: worker.name, path: script.path })}`} aria-label=${`Start ${script.path} on ${worker.name}`}>Start…</a>` : null}</td>
      </tr>`)}
    </tbody></table></div>` : null}
    ${value?.next_page_token ? html`<p class="dim small">The first ${SCRIPT_PAGE} scripts.</p>` : null}
  </section>`;
};

const Jobs = ({ worker }) => {
  const { value, error, reload } = useLoad(
    () => get(`/v1/jobs${query({ worker_id: worker.worker_id, page_size: SHOWN_JOBS })}`), [worker.worker_id]);
  const soon = useThrottled(reload, 1_000);
  useEvents(({ job }) => { if (job?.worker_id === worker.worker_id) soon(); }, reload, [worker.worker_id]);
  const names = new Map([[worker.worker_id, worker.name]]);
  return html`<section>
    <div class="panel-head"><h2>Its jobs</h2><a href=${`/jobs${query({ worker_id: worker.name })}`}>All</a></div>
    <${Fault} error=${error} retry=${reload} />
    ${value ? value.jobs.length ? html`<${JobTable} jobs=${value.jobs} caption=${`Jobs of ${worker.name}`} workerNames=${names} />` : html`<${Empty}>None.<//>` : null}
  </section>`;
};

export const WorkerPage = ({ id }) => {
  const now = useNow();
  const [fault, setFault] = useState(null);
  const { value: worker, error, reload, setValue } = useLoad(() => get(`/v1/workers/${segment(id)}`), [id]);
  useEvents((event) => {
    if (event.worker && (event.worker.worker_id === id || event.worker.name === id)) setValue(event.worker);
    else if (event.job && event.job.worker_id === worker?.worker_id) soon();
  }, reload, [id, worker?.worker_id]);
  const soon = useThrottled(reload, 500);
  if (!worker) return html`<h1>${id}</h1><${Fault} error=${error} retry=${reload} />`;
  return html`
    <div class="page-head">
      <h1><span class="dim">Worker</span> ${worker.name}</h1>
      <${State} of=${worker.state} note=${keptAway(worker)} />
      <${WorkerActs} worker=${worker} onDone=${(fresh) => setValue(fresh)} onFault=${setFault} />
      ${mayChange() ? html`<a class="button" href=${`/new${query({ worker: worker.name })}`}>Start a job on it</a>` : null}
    </div>
    ${worker.reason ? html`<p class="notice">${worker.reason}</p>` : null}
    ${worker.quarantine ? html`<p class="notice">In quarantine since <${Time} at=${worker.quarantine.since} />, because jobs do not start here: ${worker.quarantine.reason}. ${count(worker.quarantine.probes)} tried since.</p>` : null}
    <${Fault} error=${fault ?? error} />
    <div class="columns two">
      <section class="panel"><div class="panel-head"><h2>Now</h2></div><${Facts} worker=${worker} now=${now} /></section>
      <${Scripts} worker=${worker} />
    </div>
    <${Jobs} worker=${worker} />`;
};
