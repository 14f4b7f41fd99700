// A job's output: live, with colours, from any place in it.
import { hasToken, isAbort, openOutput, outputPath } from "./api.js";
import { bytes, counted, isFinal } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { LogSource } from "./log_source.js";
import { LogView } from "./log_view.js";
import { Fault } from "./parts.js";

// Saves the whole stream. A link cannot carry a token; then the bytes come through the page.
async function download(jobId, parameters, name) {
  if (!hasToken()) {
    const link = document.createElement("a");
    link.href = outputPath(jobId, parameters);
    link.download = name;
    link.click();
    return;
  }
  const file = await window.showSaveFilePicker?.({ suggestedName: name }).catch((error) => {
    if (isAbort(error)) return null; // the person changed their mind
    throw error;
  });
  if (file === null) return;
  const { response, reader } = await openOutput(jobId, parameters);
  reader.releaseLock();
  if (file) {
    await response.body.pipeTo(await file.createWritable());
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const Choices = ({ name, value, options, onChange }) => html`
  <label class="inline">${name} <select value=${value} onChange=${(event) => onChange(event.target.value)}>
    ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${String(key) === String(value)}>${text}</option>`)}
  </select></label>`;

const Status = ({ source }) => {
  const { store } = source;
  const parts = [];
  if (source.opened) {
    parts.push(`${bytes(store.length)}${store.isCounted && !store.base ? `, ${counted(store.totalRows, "line")}` : ""}`);
  }
  if (store.base > 0) parts.push(`the first ${bytes(store.base)} are no longer kept`);
  if (source.waiting) parts.push("waiting for the worker…");
  else if (source.done) parts.push("complete");
  else if (source.opened) parts.push("live");
  return html`<span class="log-status" role="status">${parts.join(" · ")}</span>`;
};

export const OutputPanel = ({ job, onEnd }) => {
  const separate = job.spec?.output?.mode === "SEPARATE";
  const [stream, setStream] = useState("stdout");
  const [attempt, setAttempt] = useState(0); // 0: the newest
  const [following, setFollowing] = useState(true);
  const [fault, setFault] = useState(null);
  const [, redraw] = useState(0);
  const scroller = useRef(null);
  const view = useRef(null);
  const source = useRef(null);
  const shownAttempt = attempt || job.attempt;

  useEffect(() => {
    view.current = new LogView(scroller.current, setFollowing);
    return () => view.current.close();
  }, []);

  useEffect(() => {
    let shown = 0;
    const parameters = { stream: separate ? stream : "", attempt: attempt || "" };
    const mine = new LogSource(job.job_id, parameters, () => {
      view.current.changed();
      if (shown) return;
      shown = setTimeout(() => { shown = 0; redraw((n) => n + 1); }, 250);
    }, () => {
      mine.done = true;
      redraw((n) => n + 1);
      onEnd();
    });
    source.current = mine;
    view.current.show(mine);
    view.current.toEnd();
    mine.run();
    redraw((n) => n + 1);
    return () => {
      mine.close();
      clearTimeout(shown);
    };
  }, [job.job_id, shownAttempt, attempt, separate, stream]);

  const now = source.current;
  const parameters = { stream: separate ? stream : "", attempt: shownAttempt || "" };
  const file = `${job.spec?.name || job.job_id}${separate ? `.${stream}` : ""}.log`;
  const nothing = now?.done && now.store.length === 0;
  return html`<section class="output" aria-label="Output">
    <div class="panel-head">
      <h2>Output</h2>
      ${separate ? html`<${Choices} name="Stream" value=${stream} onChange=${setStream} options=${[["stdout", "standard output"], ["stderr", "standard error"]]} />` : null}
      ${job.attempts?.length > 1 ? html`<${Choices} name="Attempt" value=${attempt} onChange=${(value) => setAttempt(Number(value))}
        options=${[[0, `${job.attempt} (newest)`], ...job.attempts.slice(0, -1).map(({ number }) => [number, number])]} />` : null}
      ${now ? html`<${Status} source=${now} />` : null}
      <span class="acts">
        <button type="button" onClick=${() => view.current.toStart()}>Start</button>
        <button type="button" onClick=${() => view.current.toEnd()}>End</button>
        <button type="button" class="toggle" aria-pressed=${String(following)}
          onClick=${() => (following ? view.current.toStart() : view.current.toEnd())} hidden=${isFinal(job.state)}>Follow</button>
        <button type="button" onClick=${() => download(job.job_id, parameters, file).catch(setFault)}>Download</button>
      </span>
    </div>
    <${Fault} error=${fault ?? now?.error} />
    <div class="log" ref=${scroller} tabindex="0" role="region" aria-label="Output, lines"></div>
    ${nothing ? html`<p class="log-nothing">It wrote nothing.</p>` : null}
    ${now && !now.opened && !now.error ? html`<p class="log-nothing">${job.attempt === 0 ? "It has not started." : "Reading…"}</p>` : null}
  </section>`;
};
