// The page around all pages: navigation, the connection's state, sign-in, keys.
import { hasToken, onUnauthorized, setToken } from "./api.js";
import { EventsPage } from "./events_page.js";
import { html, render, useEffect, useRef, useState } from "./html.js";
import { JobPage } from "./job_page.js";
import { JobsPage } from "./jobs_page.js";
import { live, mayChange, startLive, useLive } from "./live.js";
import { NewJobPage } from "./new_job_page.js";
import { OverviewPage } from "./overview_page.js";
import { Dialog, Empty } from "./parts.js";
import { go, startRouter, useRoute } from "./router.js";
import { WorkerPage } from "./worker_page.js";
import { WorkersPage } from "./workers_page.js";

const PAGES = [
  ["/", "Overview", "o"],
  ["/jobs", "Jobs", "j"],
  ["/workers", "Workers", "w"],
  ["/events", "Events", "e"],
];
const THEME_KEY = "clusterd-theme";
const THEMES = ["auto", "light", "dark"];

function pageOf(path) {
  const [, section, id, ...rest] = path.split("/").map(decodeURIComponent);
  if (rest.length > 0) return null;
  if (path === "/") return ["Overview", html`<${OverviewPage} />`];
  if (section === "jobs" && id) return ["Job", html`<${JobPage} id=${id} key=${id} />`];
  if (section === "jobs") return ["Jobs", html`<${JobsPage} />`];
  if (section === "workers" && id) return ["Worker", html`<${WorkerPage} id=${id} key=${id} />`];
  if (section === "workers") return ["Workers", html`<${WorkersPage} />`];
  if (section === "events" && !id) return ["Events", html`<${EventsPage} />`];
  if (section === "new" && !id) return ["Start a job", html`<${NewJobPage} />`];
  return null;
}

const CONNECTION = {
  live: "Live",
  connecting: "Connecting…",
  offline: "No connection to the scheduler; trying again",
  paused: "Paused",
};

const Connection = () => {
  const { connection } = useLive();
  return html`<span class=${`connection connection-${connection}`} role="status">${CONNECTION[connection]}</span>`;
};

const Theme = () => {
  const [theme, setTheme] = useState(localStorage.getItem(THEME_KEY) || "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(THEME_KEY, theme);
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  return html`<button type="button" class="quiet" onClick=${() => setTheme(next)}
    title=${`Colours: ${theme}; click for ${next}`} aria-label=${`Colours: ${theme}. Change to ${next}`}>
    ${{ auto: "◐", light: "☀", dark: "☾" }[theme]}</button>`;
};

const Who = () => {
  const { cluster } = useLive();
  const caller = cluster?.caller;
  if (!caller) return null;
  return html`
    ${caller.role === "READER" ? html`<span class="chip" title="This token may read, and change nothing">read only</span>` : null}
    ${hasToken() ? html`<button type="button" class="quiet" onClick=${() => { setToken(""); location.reload(); }}>
      ${caller.name ? `${caller.name}: sign out` : "Sign out"}</button>` : null}`;
};

const Header = ({ path, onKeys }) => html`
  <header class="top">
    <a class="skip" href="#content">Skip to content</a>
    <a class="brand" href="/"><svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true"><path d="M1 3h14v3H1zM1 7h9v3H1zM1 11h12v3H1z" /></svg>clusterd</a>
    <nav aria-label="Pages">
      ${PAGES.map(([to, name]) => {
        const current = to === "/" ? path === "/" : path.startsWith(to);
        return html`<a key=${to} href=${to} aria-current=${current ? "page" : null}>${name}</a>`;
      })}
    </nav>
    <div class="top-right">
      <${Connection} />
      <${Who} />
      <button type="button" class="quiet wide-only" onClick=${onKeys} aria-label="Keyboard shortcuts" title="Keyboard shortcuts">?</button>
      <${Theme} />
      ${mayChange() ? html`<a class="button primary" href="/new">Start a job</a>` : null}
    </div>
  </header>`;

const Keys = ({ onClose }) => html`
  <${Dialog} title="Keyboard shortcuts" onClose=${onClose}>
    <dl class="keys">
      ${[...PAGES.map(([, name, key]) => [`g ${key}`, name]), ["n", "Start a job"], ["/", "Go to the filter"],
        ["[  ]", "Newer and older page of jobs"], ["Home End", "Start and end of the output, in it"], ["?", "This list"]]
        .map(([key, what]) => html`<div><dt>${key.split(" ").filter(Boolean).map((k) => html`<kbd>${k}</kbd>`)}</dt><dd>${what}</dd></div>`)}
    </dl>
    <form method="dialog"><button>Close</button></form>
  <//>`;

const SignIn = ({ why, onToken }) => {
  const [value, setValue] = useState("");
  const ref = useRef(null);
  useEffect(() => { ref.current.showModal(); }, []);
  const submit = (event) => {
    event.preventDefault();
    if (value.trim()) onToken(value.trim());
  };
  return html`
    <dialog ref=${ref} aria-labelledby="sign-in-title" onCancel=${(event) => event.preventDefault()}>
      <form class="dialog-body" onSubmit=${submit}>
        <h2 id="sign-in-title">Sign in</h2>
        <p>This scheduler wants a token. It stays in this tab until that is closed.</p>
        ${why ? html`<p class="fault" role="alert">${why}</p>` : null}
        <label class="field">Token
          <input type="password" name="token" autocomplete="off" autofocus value=${value}
                 onInput=${(event) => setValue(event.target.value)} /></label>
        <p class="actions"><button type="submit" class="primary">Sign in</button></p>
      </form>
    </dialog>`;
};

function useKeys(showKeys) {
  useEffect(() => {
    let prefix = false;
    const pressed = (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.target.closest("input, textarea, select, dialog")) return;
      const page = prefix && PAGES.find(([, , key]) => key === event.key);
      prefix = event.key === "g" && !prefix;
      if (page) go(page[0]);
      else if (event.key === "n" && mayChange()) go("/new");
      else if (event.key === "?") showKeys();
      else if (event.key === "/") {
        const filter = document.querySelector("[data-filter]");
        if (!filter) return;
        filter.focus();
      } else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}

const App = () => {
  const { path } = useRoute();
  const [keys, setKeys] = useState(false);
  const [question, setQuestion] = useState(null);
  const content = useRef(null);
  const first = useRef(true);
  useLive(); // the role may change what is shown
  useKeys(() => setKeys(true));
  useEffect(() => {
    onUnauthorized((why) => new Promise((resolve) => setQuestion({ why, resolve })));
    startLive();
  }, []);
  const [name, page] = pageOf(path) ?? ["Not found", html`<h1>Not found</h1><${Empty}>There is no page here.<//>`];
  useEffect(() => {
    document.title = `${name} · clusterd`;
    if (!first.current) content.current.focus({ preventScroll: true });
    if (!first.current) window.scrollTo(0, 0);
    first.current = false;
  }, [path]);
  return html`
    <${Header} path=${path} onKeys=${() => setKeys(true)} />
    ${live.connection === "offline" ? html`<p class="banner" role="alert">The scheduler cannot be reached. What is shown may be old; jobs go on.</p>` : null}
    <main id="content" tabindex="-1" ref=${content}>${page}</main>
    ${keys ? html`<${Keys} onClose=${() => setKeys(false)} />` : null}
    ${question ? html`<${SignIn} key=${question.why} why=${question.why}
      onToken=${(value) => { setQuestion(null); question.resolve(value); }} />` : null}`;
};

startRouter();
render(html`<${App} />`, document.getElementById("app"));
