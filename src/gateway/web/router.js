// Which page is shown: its path and the filters in its query, by the browser's own history.
import { useEffect, useState } from "./html.js";

const listeners = new Set();

export const route = () => ({
  path: location.pathname,
  query: new URLSearchParams(location.search),
});

function tell() {
  for (const listener of listeners) listener();
}

export function go(path, { replace = false } = {}) {
  if (path === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  tell();
}

// The same page with other filters; empty ones are left out.
export function goWith(changes, options) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const one of [value].flat()) if (one) query.append(name, one);
  }
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ""), options);
}

// Links of our own pages change the page without loading anything.
function clicked(event) {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.("a[href]");
  if (!link || link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
  if (link.pathname.startsWith("/v1/") || link.pathname.includes(".")) return;
  if (link.hash && link.pathname === location.pathname) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

export function startRouter() {
  window.addEventListener("popstate", tell);
  document.addEventListener("click", clicked);
}

export function useRoute() {
  const [now, setNow] = useState(route);
  useEffect(() => {
    const listener = () => setNow(route());
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return now;
}
