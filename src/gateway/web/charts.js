// Charts of the cluster's last minutes, at most a quarter of an hour, drawn as SVG from samples.
import { clock, count } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";

const SPANS_MIN = [3, 6, 15];
const HEIGHT = 150;
const LEFT = 40;
const BOTTOM = 20;
const TOP = 8;
const BAR_MS = 60_000;

// How far back the charts go: no further than what is known.
function spanOf(samples, now) {
  const known = samples.length === 0 ? 0 : (now - samples[0].t) / 60_000;
  return (SPANS_MIN.find((minutes) => known <= minutes) ?? SPANS_MIN.at(-1)) * 60_000;
}

// A round number that is not below `value`.
function ceiling(value) {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

function useWidth() {
  const ref = useRef(null);
  const [width, setWidth] = useState(480);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

const frame = (width, now, span, most) => {
  const plot = { left: LEFT, right: width - 6, top: TOP, bottom: HEIGHT - BOTTOM };
  return {
    ...plot,
    x: (t) => plot.left + ((t - (now - span)) / span) * (plot.right - plot.left),
    y: (value) => plot.bottom - (value / most) * (plot.bottom - plot.top),
    time: (x) => now - span + ((x - plot.left) / (plot.right - plot.left)) * span,
  };
};

const Axes = ({ plot, now, span, most }) => {
  const thirds = [3, 2, 1, 0].map((third) => (span / 3) * third);
  return html`
    <g class="axes" aria-hidden="true">
      ${[0, most / 2, most].map((value) => html`
        <line x1=${plot.left} x2=${plot.right} y1=${plot.y(value)} y2=${plot.y(value)} />
        <text x=${plot.left - 6} y=${plot.y(value) + 4} text-anchor="end">${count(value)}</text>`)}
      ${thirds.map((before, i) => html`
        <text x=${plot.x(now - before)} y=${HEIGHT - 4} text-anchor=${i === 0 ? "start" : i === 3 ? "end" : "middle"}>
          ${i === 3 ? "now" : `−${before / 60_000} min`}</text>`)}
    </g>`;
};

function linePath(plot, samples, key) {
  return samples.map((sample, i) =>
    `${i === 0 ? "M" : "L"}${plot.x(sample.t).toFixed(1)},${plot.y(sample[key]).toFixed(1)}`).join("");
}

function areaPath(plot, samples, key) {
  if (samples.length === 0) return "";
  const line = linePath(plot, samples, key);
  return `${line}L${plot.x(samples.at(-1).t).toFixed(1)},${plot.bottom}L${plot.x(samples[0].t).toFixed(1)},${plot.bottom}Z`;
}

// What is under the pointer.
const Reading = ({ plot, at, rows, t }) => {
  const right = at > (plot.left + plot.right) / 2;
  const x = right ? at - 8 : at + 8;
  return html`
    <g class="reading" aria-hidden="true">
      <line x1=${at} x2=${at} y1=${plot.top} y2=${plot.bottom} />
      ${[clock(new Date(t)), ...rows].map((text, i) => html`
        <text x=${x} y=${plot.top + 12 + i * 15} text-anchor=${right ? "end" : "start"}>${text}</text>`)}
    </g>`;
};

const Figure = ({ title, legend, summary, most, now, span, draw, reading }) => {
  const [ref, width] = useWidth();
  const [pointer, setPointer] = useState(null);
  const plot = frame(width, now, span, most);
  const move = (event) => {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    setPointer(x >= plot.left && x <= plot.right ? x : null);
  };
  const found = pointer === null ? null : reading(plot.time(pointer));
  return html`
    <figure class="chart" ref=${ref}>
      <figcaption><span>${title}</span>
        <span class="legend">${legend.map(([name, kind]) => html`<span><i class=${`swatch ${kind}`}></i>${name}</span>`)}</span>
      </figcaption>
      <svg width=${width} height=${HEIGHT} viewBox=${`0 0 ${width} ${HEIGHT}`} role="img"
           aria-label=${`${title}: ${summary}`} onPointerMove=${move} onPointerLeave=${() => setPointer(null)}>
        <${Axes} plot=${plot} now=${now} span=${span} most=${most} />
        ${draw(plot)}
        ${found ? html`<${Reading} plot=${plot} at=${plot.x(found.t)} rows=${found.rows} t=${found.t} />` : null}
      </svg>
    </figure>`;
};

const within = (samples, now, span) => samples.filter((sample) => sample.t >= now - span);

const nearest = (samples, t) =>
  samples.reduce((best, sample) =>
    (!best || Math.abs(sample.t - t) < Math.abs(best.t - t) ? sample : best), null);

export const JobsChart = ({ samples, now }) => {
  const span = spanOf(samples, now);
  const seen = within(samples, now, span);
  const most = ceiling(Math.max(1, ...seen.map((sample) => Math.max(sample.running, sample.queued))));
  const last = seen.at(-1);
  return html`<${Figure} title="Running and queued" now=${now} span=${span} most=${most}
    legend=${[["running", "k-running"], ["queued", "k-queued"]]}
    summary=${last ? `${count(last.running)} running, ${count(last.queued)} queued now` : "no data yet"}
    draw=${(plot) => html`
      <path class="area k-running" d=${areaPath(plot, seen, "running")} />
      <path class="line k-running" d=${linePath(plot, seen, "running")} />
      <path class="line k-queued" d=${linePath(plot, seen, "queued")} />`}
    reading=${(t) => {
      const at = nearest(seen, t);
      return at && { t: at.t, rows: [`${count(at.running)} running`, `${count(at.queued)} queued`] };
    }} />`;
};

export const SlotsChart = ({ samples, now }) => {
  const span = spanOf(samples, now);
  const seen = within(samples, now, span);
  const most = ceiling(Math.max(1, ...seen.map((sample) => Math.max(sample.slots, sample.used))));
  const last = seen.at(-1);
  return html`<${Figure} title="Slots used" now=${now} span=${span} most=${most}
    legend=${[["used", "k-used"], ["offered", "k-slots"]]}
    summary=${last ? `${count(last.used)} of ${count(last.slots)} now` : "no data yet"}
    draw=${(plot) => html`
      <path class="area k-used" d=${areaPath(plot, seen, "used")} />
      <path class="line k-used" d=${linePath(plot, seen, "used")} />
      <path class="line k-slots" d=${linePath(plot, seen, "slots")} />`}
    reading=${(t) => {
      const at = nearest(seen, t);
      return at && { t: at.t, rows: [`${count(at.used)} used`, `${count(at.slots)} offered`] };
    }} />`;
};

const sum = (map) => Object.values(map).reduce((all, value) => all + value, 0);

// Ends in each minute, from counters that begin anew with each term of the scheduler.
export function endsPerMinute(samples, now, span = spanOf(samples, now)) {
  const first = Math.floor((now - span) / BAR_MS);
  const bars = Array.from({ length: Math.floor(now / BAR_MS) - first + 1 },
    (_, i) => ({ t: (first + i) * BAR_MS, good: 0, bad: 0 }));
  for (let i = 1; i < samples.length; i += 1) {
    const [before, after] = [samples[i - 1], samples[i]];
    const bar = bars[Math.floor(after.t / BAR_MS) - first];
    if (!bar) continue;
    const same = before.epoch === after.epoch;
    const good = (after.ended.SUCCEEDED ?? 0) - (same ? (before.ended.SUCCEEDED ?? 0) : 0);
    const all = sum(after.ended) - (same ? sum(before.ended) : 0);
    bar.good += good;
    bar.bad += all - good;
  }
  return bars;
}

export const EndsChart = ({ samples, now }) => {
  const span = spanOf(samples, now);
  const bars = endsPerMinute(samples, now, span);
  const most = ceiling(Math.max(1, ...bars.map((bar) => bar.good + bar.bad)));
  const last = bars.at(-2) ?? bars.at(-1);
  return html`<${Figure} title="Finished per minute" now=${now} span=${span} most=${most}
    legend=${[["succeeded", "k-good"], ["other ends", "k-bad"]]}
    summary=${`${count(last.good)} succeeded and ${count(last.bad)} ended otherwise in the last full minute`}
    draw=${(plot) => bars.filter((bar) => bar.good + bar.bad > 0).map((bar) => {
      const left = Math.max(plot.left, plot.x(bar.t)) + 1;
      const width = Math.max(1, Math.min(plot.right, plot.x(bar.t + BAR_MS)) - left - 1);
      const middle = plot.y(bar.good);
      return html`
        <rect class="bar k-good" x=${left} width=${width} y=${middle} height=${plot.bottom - middle} />
        <rect class="bar k-bad" x=${left} width=${width} y=${plot.y(bar.good + bar.bad)}
              height=${middle - plot.y(bar.good + bar.bad)} />`;
    })}
    reading=${(t) => {
      const bar = bars[Math.floor(t / BAR_MS) - Math.floor((now - span) / BAR_MS)];
      return bar && { t: bar.t, rows: [`${count(bar.good)} succeeded`, `${count(bar.bad)} otherwise`] };
    }} />`;
};
