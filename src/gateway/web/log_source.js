// Brings a job's output into a LogStore: follows its end, and fetches the parts that are looked at.
import { isAbort, openOutput, Problem } from "./api.js";
import { LogStore } from "./log_store.js";

const TAIL_LINES = 400;
const RETRY_MS = [250, 500, 1_000, 2_000, 4_000];

// One attempt's stream. `onChange()`: there is more, or other, to show. `onEnd()`: it is complete.
// Ends with close().
export class LogSource {
  store = new LogStore();
  opened = false; // the first answer has come
  attempt = 0;
  error = null; // a Problem that ended it
  waiting = false; // for its worker, or the scheduler

  #jobId;
  #parameters;
  #onChange;
  #onEnd;
  #closing = new AbortController();
  #fetching = new Map(); // segment → promise

  constructor(jobId, parameters, onChange, onEnd) {
    this.#jobId = jobId;
    this.#parameters = parameters; // stream, attempt
    this.#onChange = onChange;
    this.#onEnd = onEnd;
  }

  close() { this.#closing.abort(); }

  // Reads until the attempt has ended, through anything that passes.
  async run() {
    for (let failures = 0; !this.#closing.signal.aborted;) {
      const before = this.store.length;
      try {
        await this.#follow();
        this.waiting = false;
        this.#onChange();
        this.#onEnd();
        return;
      } catch (error) {
        if (isAbort(error)) return;
        const passing = !(error instanceof Problem) || error.status === 0 || error.status === 503;
        if (!passing) {
          this.error = error;
          this.#onChange();
          return;
        }
        if (this.store.length > before) failures = 0;
        this.waiting = true;
        this.#onChange();
        await new Promise((resolve) =>
          setTimeout(resolve, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]));
        failures += 1;
      }
    }
  }

  async #follow() {
    const where = this.opened ? { offset: this.store.length } : { tail_lines: TAIL_LINES };
    const stream = await openOutput(
      this.#jobId, { ...this.#parameters, follow: true, ...where }, this.#closing.signal);
    this.waiting = false;
    if (!this.opened) {
      this.opened = true;
      this.store.begin(stream.released, stream.offset);
      this.attempt = stream.attempt;
      // From here on the same attempt, whatever else is started.
      if (stream.attempt) this.#parameters = { ...this.#parameters, attempt: stream.attempt };
    }
    this.#onChange();
    let offset = stream.offset;
    for (;;) {
      const { value, done } = await stream.reader.read();
      if (done) return;
      this.store.append(offset, value);
      offset += value.length;
      this.#onChange();
    }
  }

  // Makes the rows of a segment known; at once, or later with onChange().
  want(segment) {
    const missing = this.store.missing(segment);
    if (!missing || this.#fetching.has(segment) || this.error) return;
    const done = this.#fetch(missing)
      .catch((error) => {
        if (!isAbort(error) && error.status !== 0 && error.status !== 503) this.error = error;
        return new Promise((resolve) => setTimeout(resolve, 500));
      })
      .finally(() => {
        this.#fetching.delete(segment);
        this.#onChange();
      });
    this.#fetching.set(segment, done);
  }

  async #fetch({ offset, size }) {
    const signal = this.#closing.signal;
    const parameters = { ...this.#parameters, offset, max_bytes: size };
    const stream = await openOutput(this.#jobId, parameters, signal);
    if (stream.released > this.store.base) this.store.base = stream.released;
    let at = stream.offset;
    for (;;) {
      const { value, done } = await stream.reader.read();
      if (done) return;
      this.store.put(at, value);
      at += value.length;
    }
  }
}
