// What every page watches: the cluster's numbers, their recent history, and the stream of events.
//
// One object for the page's life. While the page cannot be seen, the stream is closed, so that
// forgotten tabs take none of the browser's few connections to a server.
import { get, isAbort, Problem, readEvents } from "./api.js";
import { useEffect, useState } from "./html.js";

const POLL_MS = 2_000;
const HIDDEN_POLL_MS = 20_000;
const KEEP_MS = 30 * 60_000;
const HISTORY_KEY = "clusterd-history";
const RETRY_MS = [500, 1_000, 2_000, 4_000, 8_000];

const listeners = new Set(); // of any change of `live`
const eventListeners = new Set();
const staleListeners = new Set(); // events were missed: read anew

export const live = {
  cluster: null,
  connection: "connecting", // "live", "connecting", "offline", "paused"
  samples: [], // {t, running, queued, slots, used, ended: {STATE: n}, epoch}
};

function changed() {
  for (const listener of listeners) listener();
}

function setConnection(connection) {
  if (live.connection === connection) return;
  live.connection = connection;
  changed();
}

const numbers = (map) =>
  Object.fromEntries(Object.entries(map ?? {}).map(([name, value]) => [name, Number(value)]));

function addSample(cluster) {
  const t = Date.now();
  live.samples.push({
    t,
    epoch: cluster.epoch,
    running: Number(cluster.running),
    queued: Number(cluster.queued),
    slots: cluster.capacity?.slots ?? 0,
    used: cluster.in_use?.slots ?? 0,
    ended: numbers(cluster.ended_counts),
  });
  const first = live.samples.findIndex((sample) => sample.t > t - KEEP_MS);
  if (first > 0) live.samples.splice(0, first);
}

function restoreHistory() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(HISTORY_KEY) || "[]");
    live.samples = kept.filter((sample) => sample.t > Date.now() - KEEP_MS);
  } catch {
    live.samples = [];
  }
}

// The cluster's numbers now.
export async function refreshCluster() {
  try {
    live.cluster = await get("/v1/cluster");
    addSample(live.cluster);
    changed();
  } catch (error) {
    if (error instanceof Problem && (error.status === 0 || error.status >= 500)) {
      setConnection("offline");
    }
  }
}

async function poll() {
  for (;;) {
    await refreshCluster();
    await new Promise((resolve) =>
      setTimeout(resolve, document.hidden ? HIDDEN_POLL_MS : POLL_MS));
  }
}

const visible = () =>
  new Promise((resolve) => {
    if (!document.hidden) return resolve();
    const check = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", check);
      resolve();
    };
    document.addEventListener("visibilitychange", check);
  });

const pause = (ms) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    window.addEventListener("online", () => { clearTimeout(timer); resolve(); }, { once: true });
  });

async function watchOnce(state) {
  const controller = new AbortController();
  const hide = () => { if (document.hidden) controller.abort(); };
  document.addEventListener("visibilitychange", hide);
  try {
    await readEvents("/v1/events", {
      lastId: state.lastId,
      signal: controller.signal,
      onOpen: () => {
        const resumed = state.opened;
        state.opened = true;
        state.failures = 0;
        setConnection("live");
        if (resumed) refreshCluster();
        if (!state.lastId) for (const listener of staleListeners) listener();
      },
      onEvent: ({ id, data }) => {
        state.lastId = id;
        const event = JSON.parse(data);
        for (const listener of eventListeners) listener(event);
      },
    });
  } finally {
    document.removeEventListener("visibilitychange", hide);
  }
}

async function watch() {
  const state = { lastId: "", opened: false, failures: 0 };
  for (;;) {
    await visible();
    try {
      await watchOnce(state);
    } catch (error) {
      if (isAbort(error)) { // hidden
        setConnection("paused");
        continue;
      }
      if (error.status === 416) { // too long away: those events are no longer kept
        state.lastId = "";
        continue;
      }
    }
    setConnection(state.failures === 0 ? "connecting" : "offline");
    await pause(RETRY_MS[Math.min(state.failures, RETRY_MS.length - 1)]);
    state.failures += 1;
  }
}

export function startLive() {
  restoreHistory();
  window.addEventListener("pagehide", () =>
    sessionStorage.setItem(HISTORY_KEY, JSON.stringify(live.samples)));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshCluster(); });
  poll();
  watch();
}

// Draws its component again whenever `live` changes.
export function useLive() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const listener = () => redraw((n) => n + 1);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return live;
}

// Calls `onEvent(event)` for each event, and `onStale()` where some were missed.
export function useEvents(onEvent, onStale, dependencies) {
  useEffect(() => {
    eventListeners.add(onEvent);
    if (onStale) staleListeners.add(onStale);
    return () => {
      eventListeners.delete(onEvent);
      staleListeners.delete(onStale);
    };
  }, dependencies);
}

// Redraws each second: for ages and running times.
export function useNow(active = true) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!active) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [active]);
  return now;
}

const role = () => live.cluster?.caller?.role ?? "ADMIN";

// Start, stop, retry and delete jobs.
export const mayChange = () => role() !== "READER";
// Drain, resume and remove workers.
export const maySteer = () => role() === "ADMIN";
