// The form that starts a job.
import { change, get, query, segment } from "./api.js";
import { words } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { EMPTY_FORM, FormFault, formOf, interpreterOf, specOf } from "./job_form.js";
import { mayChange } from "./live.js";
import { Empty, Fault, useLoad } from "./parts.js";
import { go, useRoute } from "./router.js";

const SCRIPT_SOURCES = 8; // workers that are asked for their scripts, where any may run the job
const RETRY_ON = ["FAILURE", "TIMEOUT", "LOSS", "START_FAILURE"];

// The scripts of the chosen worker, or of those that any job may go to.
async function scriptsOf(workers, chosen) {
  const asked = chosen ? workers.filter((worker) => worker.name === chosen)
    : workers.filter((worker) => worker.state === "ALIVE").slice(0, SCRIPT_SOURCES);
  const pages = await Promise.allSettled(asked.map((worker) =>
    get(`/v1/workers/${segment(worker.worker_id)}/scripts${query({ page_size: 1000 })}`)));
  const paths = pages.flatMap((page) => page.value?.scripts?.map((script) => script.path) ?? []);
  return [...new Set(paths)].sort();
}

// One field of the form with what the scheduler said of it.
const Field = ({ name, label, hint, fault, children }) => html`
  <div class=${`field ${fault ? "field-bad" : ""}`}>
    <label for=${`f-${name}`}>${label}</label>
    ${children}
    ${hint ? html`<span class="hint" id=${`h-${name}`}>${hint}</span>` : null}
    ${fault ? html`<span class="field-fault" id=${`e-${name}`} role="alert">${fault}</span>` : null}
  </div>`;

const described = (name, hint, fault) =>
  [hint && `h-${name}`, fault && `e-${name}`].filter(Boolean).join(" ") || null;

const handlersOf = (workers) =>
  [...new Set(workers.flatMap((worker) => (worker.handlers ?? []).map(({ name }) => name)))].sort();

// What the form's fields are to the scheduler.
const fieldNames = (form) => ({
  worker: "worker_id", path: "path", program: "command", handler: "handler", command: form.kind === "script" ? "command" : "",
  queueTimeout: "queue_timeout", stopGrace: "stop_grace", slots: "resources.slots", cpus: "resources.cpus",
  memory: "resources.memory_bytes", arrayFrom: "array.from", arrayTo: "array.to", arrayParallel: "array.max_parallel",
  attempts: "retry.max_attempts", separate: "output.mode", startAt: "start_at",
});

const covers = (name, field) =>
  field === name || field.startsWith(`${name}.`) || field.startsWith(`${name}[`) || field.startsWith(`spec.${name}`);

function Inputs({ form, set, faults, scripts, workers }) {
  const names = fieldNames(form);
  const faultOf = (name) => (faults?.field && covers(names[name] ?? name, faults.field) ? faults.message : "");
  const field = (name, label, hint, draw) => {
    const fault = faultOf(name);
    return html`<${Field} name=${name} label=${label} hint=${hint} fault=${fault}>
      ${draw({ id: `f-${name}`, name, value: form[name], "aria-describedby": described(name, hint, fault),
        "aria-invalid": fault ? "true" : null, onInput: (event) => set({ [name]: event.target.value }) })}<//>`;
  };
  const input = (name, label, hint, more = {}) =>
    field(name, label, hint, (common) => html`<input autocomplete="off" spellcheck="false" ...${common} ...${more} />`);
  const area = (name, label, hint, rows = 2) =>
    field(name, label, hint, (common) => html`<textarea rows=${rows} spellcheck="false" ...${common}></textarea>`);
  return html`
    <fieldset class="form-grid">
      <legend>What</legend>
      ${field("worker", "Worker", "", (common) => html`<select ...${common}>
        <option value="" selected=${form.worker === ""}>any that fits</option>
        ${workers.map((worker) => html`<option key=${worker.name} value=${worker.name} selected=${form.worker === worker.name}>${worker.name}${worker.state === "ALIVE" ? "" : ` (${words(worker.state).toLowerCase()})`}</option>`)}
      </select>`)}
      <div class="field" role="radiogroup" aria-label="Kind"><span class="label-text">Runs</span><span class="radios">
        ${[["script", "a script"], ["program", "a program"], ["handler", "a handler"]].map(([kind, name]) => html`<label key=${kind}><input type="radio" name="kind" checked=${form.kind === kind} onChange=${() => set({ kind })} /> ${name}</label>`)}</span></div>
      ${form.kind === "script" ? html`
        ${input("path", "Script", "below the worker's scripts folder", { list: "scripts", required: true,
          onChange: (event) => { if (!form.command) set({ command: interpreterOf(event.target.value) }); } })}
        <datalist id="scripts">${scripts.map((path) => html`<option key=${path} value=${path} />`)}</datalist>
        ${input("command", "Interpreter", "one of the worker's allowed_commands; empty: the file itself is executed")}`
      : form.kind === "handler" ? html`
        ${input("handler", "Handler", "a function of a program that is a worker", { list: "handlers", required: true })}
        <datalist id="handlers">${handlersOf(workers).map((name) => html`<option key=${name} value=${name} />`)}</datalist>`
      : input("program", "Program", "one of the worker's allowed_programs", { required: true })}
      ${input("args", "Arguments", "split at spaces; quotes as in a shell, but no shell sees them")}
      ${input("name", "Name", "for people and lists")}
    </fieldset>
    <details open=${Boolean(form.env || form.timeout || form.cwd || form.stdin)}><summary>Surroundings and bounds</summary>
      <div class="form-grid">
        ${area("env", "Variables", "NAME=VALUE, one a line")}
        ${area("stdin", "Standard input", "text; empty: none")}
        ${input("cwd", "Working folder", "below the scripts folder")}
        ${input("timeout", "Timeout", "90s, 10m, 1h30m")}
        ${input("stopGrace", "Grace of a stop", "between its signal and KILL")}
        <div class="field"><span class="label-text">Output</span><label><input type="checkbox" name="separate" checked=${form.separate}
          onChange=${(event) => set({ separate: event.target.checked })} /> keep standard error apart</label></div>
      </div></details>
    <details open=${Boolean(form.slots || form.cpus || form.memory || form.require || form.priority || form.labels)}><summary>Place in the queue</summary>
      <div class="form-grid">
        ${input("slots", "Slots", "1 where empty", { inputmode: "numeric" })}
        ${input("cpus", "Processors", "", { inputmode: "decimal" })}
        ${input("memory", "Memory", "512MiB, 2GiB")}
        ${input("priority", "Priority", "−1000 to 1000, higher first", { inputmode: "numeric" })}
        ${area("require", "Requires of the worker", "zone=a, gpu, !spot; one a line")}
        ${area("labels", "Labels of the job", "key=value, one a line")}
        ${input("queue", "Queue", "")}
        ${input("queueTimeout", "Longest wait", "90s, 10m")}
        ${input("startAt", "Not before", "", { type: "datetime-local" })}
      </div></details>
    <details open=${Boolean(form.arrayTo || form.attempts)}><summary>Many tasks, and retries</summary>
      <div class="form-grid">
        ${input("arrayFrom", "First index", "", { inputmode: "numeric" })}
        ${input("arrayTo", "Last index", "a task for each; CLUSTERD_TASK_INDEX tells it which", { inputmode: "numeric" })}
        ${input("arrayParallel", "At the same time", "at most; empty: no bound", { inputmode: "numeric" })}
        ${input("attempts", "Attempts in all", "1 where empty", { inputmode: "numeric" })}
        <div class="field" role="group" aria-label="Retry after"><span class="label-text">Retry after</span><span class="radios">
          ${RETRY_ON.map((on) => html`<label key=${on}><input type="checkbox" checked=${form.retryOn.includes(on)}
            onChange=${(event) => set({ retryOn: event.target.checked ? [...form.retryOn, on] : form.retryOn.filter((one) => one !== on) })} /> ${words(on).toLowerCase()}</label>`)}</span></div>
      </div></details>`;
}

async function prefilled(filters) {
  const like = filters.get("like");
  const { workers } = await get("/v1/workers");
  if (!like) {
    const path = filters.get("path") ?? "";
    return { workers, form: { ...EMPTY_FORM, worker: filters.get("worker") ?? "", path, command: interpreterOf(path) } };
  }
  const job = await get(`/v1/jobs/${segment(like)}`);
  const named = workers.find((worker) => [worker.worker_id, worker.name].includes(job.spec.worker_id));
  return { workers, form: formOf(job.spec, named?.name ?? job.spec.worker_id), hidden: Object.keys(job.spec.env ?? {}) };
}

const Form = ({ start }) => {
  const [form, setForm] = useState(start.form);
  const [scripts, setScripts] = useState([]);
  const [faults, setFaults] = useState(null);
  const [busy, setBusy] = useState(false);
  const ref = useRef(null);
  useEffect(() => {
    let current = true;
    scriptsOf(start.workers, form.worker).then((paths) => { if (current) setScripts(paths); });
    return () => { current = false; };
  }, [form.worker]);
  useEffect(() => { ref.current.querySelector("[aria-invalid]")?.focus(); }, [faults]);
  const set = (changes) => setForm((now) => ({ ...now, ...changes }));
  let preview = "";
  try {
    preview = JSON.stringify(specOf(form), null, 2);
  } catch (error) {
    preview = error.message;
  }
  const submit = async (event) => {
    event.preventDefault();
    setFaults(null);
    setBusy(true);
    try {
      const job = await change("POST", "/v1/jobs", specOf(form));
      go(`/jobs/${encodeURIComponent(job.job_id)}`);
    } catch (error) {
      setFaults(error);
      setBusy(false);
    }
  };
  return html`<form class="job-form" ref=${ref} onSubmit=${submit} novalidate>
    ${start.hidden?.length ? html`<p class="notice">The values of ${start.hidden.join(", ")} are not shown to anybody; enter them again.</p>` : null}
    <${Inputs} form=${form} set=${set} faults=${faults} scripts=${scripts} workers=${start.workers} />
    <${Fault} error=${faults && (!(faults instanceof FormFault) || !faults.field) ? faults : null} />
    <p class="actions"><button type="submit" class="primary" disabled=${busy}>Start</button></p>
    <details class="json"><summary>The same as a request</summary>
      <pre tabindex="0">${`curl ${location.origin}/v1/jobs -d '${preview.replaceAll("'", "'\\''")}'`}</pre></details>
  </form>`;
};

export const NewJobPage = () => {
  const { query: filters } = useRoute();
  const { value, error, reload } = useLoad(() => prefilled(filters), [filters.toString()]);
  return html`<h1>Start a job</h1>
    <${Fault} error=${error} retry=${reload} />
    ${!mayChange() ? html`<${Empty}>This token may read, and start nothing.<//>`
      : value ? html`<${Form} key=${filters.toString()} start=${value} />` : null}`;
};
