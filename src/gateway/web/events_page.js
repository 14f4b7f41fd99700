// What happens in the cluster, newest first, as it happens.
import { get, isAbort, readEvents } from "./api.js";
import { clock, outcome, title, words } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { useEvents } from "./live.js";
import { Empty, Id, keptAway, State, useThrottled } from "./parts.js";
import { goWith, useRoute } from "./router.js";

const MOST = 500;
const EARLIER = 200;

const kindOf = (event) => (event.worker ? "worker" : "job");

function what(event) {
  const { job, worker, deleted_job_id: deleted } = event;
  if (deleted) return html`job <${Id} of=${deleted} /> was deleted`;
  if (worker) {
    return html`<${State} of=${worker.state} note=${keptAway(worker)} />
      worker <a href=${`/workers/${encodeURIComponent(worker.name)}`}>${worker.name}</a>${worker.reason ? html` <span class="dim">${worker.reason}</span>` : null}`;
  }
  return html`<${State} of=${job.state} />
    <a href=${`/jobs/${encodeURIComponent(job.job_id)}`}>${title(job)}</a> <${Id} of=${job.job_id} />
    <span class="dim">${job.end ? outcome(job.end) : job.stop_requested ? "stop requested" : job.state === "QUEUED" ? job.pending_reason : job.attempt > 1 ? `attempt ${job.attempt}` : ""}</span>`;
}

// The last events before now: the stream from some numbers back, until it has come to the present.
async function earlier(onEvent, signal) {
  const { last_event: last } = await get("/v1/cluster", signal);
  const newest = Number(last ?? 0);
  if (newest === 0) return;
  const done = new AbortController();
  await readEvents(`/v1/events?since=${Math.max(1, newest - EARLIER)}`, {
    signal: AbortSignal.any([signal, done.signal]),
    onOpen: () => {},
    onEvent: ({ data }) => {
      const event = JSON.parse(data);
      onEvent(event);
      if (Number(event.seq) >= newest) done.abort();
    },
  });
}

export const EventsPage = () => {
  const { query: filters } = useRoute();
  const kind = filters.get("kind") ?? "";
  const [paused, setPaused] = useState(false);
  const [shown, setShown] = useState([]);
  const all = useRef(new Map()); // by number
  const show = useThrottled(() => {
    const newest = [...all.current.values()].sort((a, b) => Number(b.seq) - Number(a.seq)).slice(0, MOST);
    all.current = new Map(newest.map((event) => [event.seq, event]));
    setShown(newest);
  }, 250);
  const add = (event) => {
    all.current.set(event.seq, event);
    if (!pausedNow.current) show();
  };
  const pausedNow = useRef(false);
  pausedNow.current = paused;
  useEvents(add, null, []);
  useEffect(() => {
    const controller = new AbortController();
    earlier(add, controller.signal).catch((error) => {
      if (!isAbort(error) && error.status !== 416) console.warn(error);
    });
    return () => controller.abort();
  }, []);
  const rows = shown.filter((event) => !kind || kindOf(event) === kind);
  return html`
    <div class="page-head"><h1>Events</h1>
      <span class="chips" role="group" aria-label="Kinds">${["job", "worker"].map((one) => html`<button type="button" key=${one} class="toggle"
        aria-pressed=${String(kind === one)} onClick=${() => goWith({ kind: kind === one ? "" : one })}>${words(one)}s</button>`)}</span>
      <button type="button" class="toggle" aria-pressed=${String(paused)} onClick=${() => { setPaused(!paused); if (paused) show(); }}>Pause</button>
      <span class="dim">the newest ${MOST}</span>
    </div>
    ${rows.length === 0 ? html`<${Empty}>Nothing has happened yet.<//>` : html`
      <ol class="events" aria-label="Events">
        ${rows.map((event) => html`<li key=${event.seq}>
          <time datetime=${event.time}>${clock(new Date(event.time))}</time>
          <span class="seq">${event.seq}</span><span class="what">${what(event)}</span></li>`)}
      </ol>`}`;
};
