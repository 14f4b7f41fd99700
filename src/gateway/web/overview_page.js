// The cluster at a glance.
import { get, query } from "./api.js";
import { endsPerMinute, EndsChart, JobsChart, SlotsChart } from "./charts.js";
import { ago, count, duration, outcome, runtime } from "./format.js";
import { html } from "./html.js";
import { useEvents, useLive, useNow } from "./live.js";
import { Empty, Fault, JobLink, keptAway, Share, State, useLoad, useThrottled } from "./parts.js";

const SHOWN = 8;

const Tile = ({ name, value, note, href, kind = "" }) => html`
  <a class=${`tile ${kind}`} href=${href} data-tile=${name}>
    <span class="tile-name">${name}</span>
    <span class="tile-value">${value}</span>
    <span class="tile-note">${note}</span>
  </a>`;

const Tiles = ({ cluster, samples, now }) => {
  const jobs = cluster.job_counts ?? {};
  const workers = cluster.worker_counts ?? {};
  const slots = cluster.capacity?.slots ?? 0;
  const used = cluster.in_use?.slots ?? 0;
  const away = Number(workers.UNREACHABLE ?? 0) + Number(workers.LOST ?? 0);
  const bars = endsPerMinute(samples, now).slice(-2);
  const rate = bars.reduce((all, bar) => all + bar.good + bar.bad, 0) / 2;
  const bad = ["FAILED", "TIMED_OUT", "LOST"].reduce((all, state) => all + Number(jobs[state] ?? 0), 0);
  return html`<div class="tiles">
    <${Tile} name="Running" value=${count(cluster.running)} note="attempts on workers" href="/jobs?state=RUNNING&state=STARTING" kind="tile-running" />
    <${Tile} name="Queued" value=${count(cluster.queued)} note="wait for a worker" href="/jobs?state=QUEUED" kind="tile-queued" />
    <${Tile} name="Finished" value=${rate >= 10 ? count(Math.round(rate)) : rate.toFixed(1)} note="a minute, lately" href="/jobs?state=SUCCEEDED" kind="tile-good" />
    <${Tile} name="Failed" value=${count(bad)} note="failed, timed out or lost, kept" href="/jobs?state=FAILED&state=TIMED_OUT&state=LOST" kind=${bad > 0 ? "tile-bad" : ""} />
    <${Tile} name="Slots" value=${slots > 0 ? `${Math.round((100 * used) / slots)} %` : "–"} note=${`${count(used)} of ${count(slots)} used`} href="/workers" />
    <${Tile} name="Workers" value=${count(workers.ALIVE)} note=${away > 0 ? `alive, ${count(away)} away` : "alive"} href="/workers" kind=${away > 0 ? "tile-bad" : ""} />
  </div>`;
};

const Recent = ({ heading, jobs, note, more, empty }) => html`
  <section class="panel">
    <div class="panel-head"><h2>${heading}</h2><a href=${more}>All</a></div>
    ${jobs.length === 0 ? html`<${Empty}>${empty}<//>` : html`
      <table class="plain"><tbody>
        ${jobs.map((job) => html`<tr key=${job.job_id}>
          <td><${State} of=${job.state} /></td>
          <td class="grow"><${JobLink} job=${job} /></td>
          <td class="right dim">${note(job)}</td>
        </tr>`)}
      </tbody></table>`}
  </section>`;

const WorkerList = ({ workers }) => html`
  <section class="panel">
    <div class="panel-head"><h2>Workers</h2><a href="/workers">All</a></div>
    ${workers.length === 0 ? html`<${Empty}>No worker yet. Start one with <code>clusterd worker</code>.<//>` : html`
      <table class="plain"><tbody>
        ${workers.slice(0, SHOWN).map((worker) => html`<tr key=${worker.worker_id}>
          <td><${State} of=${worker.state} note=${keptAway(worker)} /></td>
          <td class="grow"><a href=${`/workers/${encodeURIComponent(worker.name)}`}>${worker.name}</a></td>
          <td><${Share} used=${worker.in_use?.slots ?? 0} all=${worker.capacity?.slots ?? 0} unit=" slots" /></td>
        </tr>`)}
      </tbody></table>`}
  </section>`;

const load = async () => {
  const [running, bad, workers] = await Promise.all([
    get(`/v1/jobs${query({ state: ["RUNNING", "STARTING"], page_size: SHOWN })}`),
    get(`/v1/jobs${query({ state: ["FAILED", "TIMED_OUT", "LOST"], page_size: SHOWN })}`),
    get("/v1/workers"),
  ]);
  return { running: running.jobs, bad: bad.jobs, workers: workers.workers };
};

export const OverviewPage = () => {
  const { cluster, samples } = useLive();
  const now = useNow();
  const { value, error, reload } = useLoad(load, []);
  const soon = useThrottled(reload, 1_000);
  useEvents(soon, reload, []);
  return html`
    <h1 class="sr-only">Overview</h1>
    ${cluster ? html`<${Tiles} cluster=${cluster} samples=${samples} now=${now} />` : null}
    <div class="charts">
      <${JobsChart} samples=${samples} now=${now} />
      <${EndsChart} samples=${samples} now=${now} />
      <${SlotsChart} samples=${samples} now=${now} />
    </div>
    <${Fault} error=${error} retry=${reload} />
    ${value ? html`<div class="columns">
      <${Recent} heading="Running now" jobs=${value.running} more="/jobs?state=RUNNING&state=STARTING"
        empty="Nothing runs." note=${(job) => (job.start_time ? duration(runtime(job, now)) : "starts")} />
      <${Recent} heading="Latest failures" jobs=${value.bad} more="/jobs?state=FAILED&state=TIMED_OUT&state=LOST"
        empty="None. Good." note=${(job) => `${outcome(job.end)}, ${ago(job.end_time, now)}`} />
      <${WorkerList} workers=${value.workers} />
    </div>` : null}
    ${cluster ? html`<p class="foot dim">clusterd ${cluster.version}, term of office ${cluster.epoch}, since ${ago(cluster.since, now)}</p>` : null}`;
};
