// All workers, and what can be done with one.
import { change, get, segment } from "./api.js";
import { ago, bytes, count } from "./format.js";
import { html, useState } from "./html.js";
import { maySteer, useEvents, useNow } from "./live.js";
import { ActButton, Dialog, Empty, Fault, keptAway, Labels, Share, State, useLoad, useThrottled } from "./parts.js";
import { goWith, useRoute } from "./router.js";

const workerPath = (worker, act) => `/v1/workers/${segment(worker.worker_id)}/${act}`;

const DrainDialog = ({ worker, onClose, onDone }) => {
  const [reason, setReason] = useState("");
  const [minutes, setMinutes] = useState("");
  const [fault, setFault] = useState(null);
  const drain = async (event) => {
    event.preventDefault();
    const body = { reason };
    if (minutes) body.deadline = `${Math.round(Number(minutes) * 60)}s`;
    try {
      onDone(await change("POST", workerPath(worker, "drain"), body));
      onClose();
    } catch (error) {
      setFault(error);
    }
  };
  return html`
    <${Dialog} title=${`Drain ${worker.name}`} onClose=${onClose}>
      <p>It gets no new jobs. What runs goes on${worker.jobs ? ` (${count(worker.jobs)} now)` : ""}.</p>
      <form onSubmit=${drain}>
        <label class="field">Reason, for the record
          <input name="reason" value=${reason} autofocus onInput=${(event) => setReason(event.target.value)} /></label>
        <label class="field">Stop what still runs after this many minutes (empty: never)
          <input name="minutes" type="number" min="0" step="any" value=${minutes} onInput=${(event) => setMinutes(event.target.value)} /></label>
        <${Fault} error=${fault} />
        <p class="actions"><button type="button" onClick=${onClose}>Cancel</button>
          <button type="submit" class="primary">Drain</button></p>
      </form>
    <//>`;
};

// Drain or resume, and remove one that is away. `onDone(worker)` with the worker as it is then.
export const WorkerActs = ({ worker, onDone, onFault }) => {
  const [draining, setDraining] = useState(false);
  if (!maySteer()) return null;
  const post = (act) => async () => onDone(await change("POST", workerPath(worker, act)));
  return html`<span class="acts">
    ${worker.draining || worker.quarantine ? html`<${ActButton} act=${post("resume")} onFault=${onFault}>Resume<//>` : null}
    ${worker.draining ? null
      : html`<button type="button" onClick=${() => setDraining(true)} aria-label=${`Drain ${worker.name}`}>Drain…</button>`}
    ${worker.state !== "ALIVE" ? html`<${ActButton} kind="danger" onFault=${onFault} title="Forget this worker"
      act=${async () => onDone(await change("DELETE", `/v1/workers/${segment(worker.worker_id)}`))}>Remove<//>` : null}
    ${draining ? html`<${DrainDialog} worker=${worker} onDone=${onDone} onClose=${() => setDraining(false)} />` : null}
  </span>`;
};

const matches = (worker, text) =>
  !text || [worker.name, worker.state, worker.address, worker.version,
    ...Object.entries(worker.labels ?? {}).map(([key, value]) => `${key}=${value}`)]
    .some((value) => String(value).toLowerCase().includes(text.toLowerCase()));

const Row = ({ worker, now, onDone, onFault }) => html`
  <tr data-worker=${worker.name}>
    <td><${State} of=${worker.state} note=${keptAway(worker)} />
      ${worker.reason || worker.quarantine ? html`<div class="dim small">${worker.reason || worker.quarantine.reason}</div>` : null}</td>
    <td><a href=${`/workers/${encodeURIComponent(worker.name)}`}>${worker.name}</a> <${Labels} of=${worker.labels} /></td>
    <td><${Share} used=${worker.in_use?.slots ?? 0} all=${worker.capacity?.slots ?? 0} /></td>
    <td class="number">${worker.capacity?.cpus ? `${worker.in_use?.cpus ?? 0} of ${worker.capacity.cpus}` : "–"}</td>
    <td class="number">${Number(worker.capacity?.memory_bytes) > 0 ? `${bytes(worker.in_use?.memory_bytes)} of ${bytes(worker.capacity.memory_bytes)}` : "–"}</td>
    <td class="right number">${count(worker.jobs)}</td>
    <td title=${worker.last_seen}>${ago(worker.last_seen, now)}</td>
    <td>${worker.version}</td>
    <td class="right"><${WorkerActs} worker=${worker} onDone=${onDone} onFault=${onFault} /></td>
  </tr>`;

export const WorkersPage = () => {
  const { query: filters } = useRoute();
  const text = filters.get("filter") ?? "";
  const now = useNow();
  const [fault, setFault] = useState(null);
  const { value, error, reload } = useLoad(() => get("/v1/workers"), []);
  const soon = useThrottled(reload, 500);
  useEvents(soon, reload, []);
  const shown = (value?.workers ?? []).filter((worker) => matches(worker, text));
  return html`
    <div class="page-head"><h1>Workers</h1>
      <label class="field inline">Filter
        <input type="search" data-filter value=${text} placeholder="name, state, label" spellcheck="false"
               onInput=${(event) => goWith({ filter: event.target.value }, { replace: true })} /></label>
    </div>
    <${Fault} error=${fault ?? error} retry=${error ? reload : null} />
    ${!value ? null : shown.length === 0
      ? html`<${Empty}>${text ? "No worker fits." : html`No worker yet. Start one with <code>clusterd worker --config worker.toml</code>.`}<//>`
      : html`<div class="table-frame" tabindex="0" role="region" aria-label="Workers">
        <table class="list"><caption class="sr-only">Workers</caption>
          <thead><tr><th scope="col">State</th><th scope="col">Worker</th><th scope="col">Slots</th><th scope="col">Processors</th>
            <th scope="col">Memory</th><th scope="col" class="right">Jobs</th><th scope="col">Heard</th><th scope="col">Version</th>
            <th scope="col" class="right">${maySteer() ? "Acts" : ""}</th></tr></thead>
          <tbody>${shown.map((worker) => html`<${Row} key=${worker.worker_id} worker=${worker} now=${now} onDone=${reload} onFault=${setFault} />`)}</tbody>
        </table></div>`}`;
};
