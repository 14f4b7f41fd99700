// Shows rows of a LogSource in an element that scrolls. Only the rows that can be seen are in the
// page, however long the log is.
//
// What is at the top is a row of a segment (`top`), not a distance in pixels: segments that have not
// been seen have a guessed number of rows, and a browser's elements have a greatest height. A short
// scroll moves the top by as many pixels; a jump (the scroll bar, a click into it) goes to the same
// part of the log as of the bar. When scrolling rests, the bar is set to where the top is.
import { PLAIN, parseLine, runElement } from "./ansi.js";

const ROW_PX = 18;
const MOST_PX = 8_000_000; // browsers differ above 16 million
const REST_MS = 150;

export class LogView {
  following = true;

  #scroller;
  #sizer;
  #rows;
  #source;
  #onFollow;
  #top = { segment: 0, row: 0, pixels: 0 };
  #lastScroll = 0;
  #dragging = false;
  #restTimer = 0;
  #drawRequest = 0;
  #shown = new Map(); // offset → {element, end}
  #decoder = new TextDecoder();
  #observer;
  #listeners = new AbortController();

  // `onFollow(following)` when the person's scrolling begins or ends it.
  constructor(scroller, onFollow) {
    this.#scroller = scroller;
    this.#onFollow = onFollow;
    this.#rows = document.createElement("div");
    this.#rows.className = "log-rows";
    this.#sizer = document.createElement("div");
    this.#sizer.className = "log-sizer";
    scroller.replaceChildren(this.#rows, this.#sizer);
    const options = { signal: this.#listeners.signal, passive: true };
    scroller.addEventListener("scroll", () => this.#scrolled(), options);
    scroller.addEventListener("pointerdown", (event) => {
      this.#dragging = event.target === scroller && event.offsetX >= scroller.clientWidth;
    }, options);
    window.addEventListener("pointerup", () => { this.#dragging = false; }, options);
    scroller.addEventListener("keydown", (event) => this.#keyPressed(event),
      { signal: this.#listeners.signal });
    this.#observer = new ResizeObserver(() => this.changed());
    this.#observer.observe(scroller);
  }

  close() {
    this.#listeners.abort();
    this.#observer.disconnect();
    cancelAnimationFrame(this.#drawRequest);
    clearTimeout(this.#restTimer);
  }

  show(source) {
    this.#source = source;
    this.#shown.clear();
    this.#rows.replaceChildren();
    this.#top = { segment: 0, row: 0, pixels: 0 };
    this.changed();
  }

  // There is more or other to show.
  changed() {
    if (!this.#drawRequest) this.#drawRequest = requestAnimationFrame(() => this.#draw());
  }

  toStart() {
    this.#setFollowing(false);
    this.#top = { segment: this.#store.firstSegment, row: 0, pixels: 0 };
    this.#rest();
    this.changed();
  }

  toEnd() {
    this.#setFollowing(true);
    this.changed();
  }

  get #store() { return this.#source.store; }
  get #visibleRows() { return this.#scroller.clientHeight / ROW_PX; }
  get #topRow() {
    return this.#store.rowsBefore(this.#top.segment) + this.#top.row + this.#top.pixels / ROW_PX;
  }
  get #lastTopRow() { return Math.max(0, this.#store.totalRows - this.#visibleRows); }
  get #barLength() { return this.#sizer.offsetHeight - this.#scroller.clientHeight; }

  #setFollowing(following) {
    if (this.following === following) return;
    this.following = following;
    this.#onFollow(following);
  }

  #setTop(row) {
    const wanted = Math.min(Math.max(0, row), this.#lastTopRow);
    const found = this.#store.locate(wanted);
    const whole = Math.floor(found.row);
    this.#top = { segment: found.segment, row: whole, pixels: (found.row - whole) * ROW_PX };
  }

  #scrolled() {
    const now = this.#scroller.scrollTop;
    const moved = now - this.#lastScroll;
    this.#lastScroll = now;
    if (moved === 0 || !this.#source) return;
    const jump = this.#dragging || Math.abs(moved) > 2 * this.#scroller.clientHeight;
    if (jump) this.#setTop((now / Math.max(1, this.#barLength)) * this.#lastTopRow);
    else this.#setTop(this.#topRow + moved / ROW_PX);
    this.#setFollowing(moved > 0 && this.#topRow >= this.#lastTopRow - 0.5);
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      this.#restTimer = 0;
      this.#rest();
    }, REST_MS);
    this.changed();
  }

  #keyPressed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    if (event.key === "Home") this.toStart();
    else this.toEnd();
  }

  // Puts the scroll bar where the top is.
  #rest() {
    if (this.#dragging || !this.#source) return;
    const share = this.#lastTopRow === 0 ? 0 : this.#topRow / this.#lastTopRow;
    const wanted = Math.round(Math.min(1, share) * this.#barLength);
    if (Math.abs(this.#scroller.scrollTop - wanted) > 1) this.#scroller.scrollTop = wanted;
    this.#lastScroll = this.#scroller.scrollTop;
  }

  // The starts of the rows to show, from the top on; undefined: not known yet.
  #wantedRows() {
    const wanted = [];
    const many = Math.ceil(this.#visibleRows) + 1;
    let { segment, row } = this.#top;
    while (wanted.length < many && segment < this.#store.endSegment) {
      const starts = this.#store.rowStarts(segment);
      if (!starts) {
        this.#source.want(segment);
        const left = Math.max(1, Math.round(this.#store.rowsIn(segment)) - row);
        for (let i = 0; i < left && wanted.length < many; i += 1) wanted.push(undefined);
      } else {
        for (; row < starts.length && wanted.length < many; row += 1) wanted.push(starts[row]);
      }
      segment += 1;
      row = 0;
    }
    return wanted;
  }

  // Follows the end, or keeps the top within what there is now.
  #settleTop() {
    const store = this.#store;
    if (this.#top.segment < store.firstSegment) this.#top = { segment: store.firstSegment, row: 0, pixels: 0 };
    if (this.following) {
      store.rowStarts(store.endSegment - 1); // counts it
      this.#setTop(this.#lastTopRow);
      return;
    }
    const starts = store.rowStarts(this.#top.segment);
    if (starts && this.#top.row >= starts.length) this.#setTop(this.#topRow); // was a guess
    if (this.#topRow > this.#lastTopRow) this.#setTop(this.#lastTopRow);
  }

  #draw() {
    this.#drawRequest = 0;
    if (!this.#source) return;
    const height = Math.min(MOST_PX, this.#store.totalRows * ROW_PX);
    this.#sizer.style.height = `${height}px`;
    // A short log takes no more room than it needs.
    this.#scroller.style.maxHeight = `${Math.min(height, 10_000) + 3 * ROW_PX}px`;
    this.#settleTop();
    const wanted = this.#wantedRows();
    // Rows became known in other numbers than guessed: the end is elsewhere.
    if (this.following) this.#settleTop();
    this.#place(this.following ? this.#wantedRows() : wanted);
    if (this.following || this.#restTimer === 0) this.#rest();
  }

  #place(wanted) {
    const shown = new Map();
    let style = PLAIN;
    const elements = wanted.map((offset) => {
      if (offset === undefined) {
        style = PLAIN;
        return this.#blankRow();
      }
      const bytes = this.#store.rowBytes(offset);
      const kept = this.#shown.get(offset);
      const same = kept && kept.size === bytes.length && kept.style === style;
      const row = same ? kept : this.#makeRow(bytes, style);
      shown.set(offset, row);
      style = row.after;
      return row.element;
    });
    this.#shown = shown;
    this.#rows.style.transform = `translateY(${-this.#top.pixels}px)`;
    const old = this.#rows.children;
    if (old.length !== elements.length || elements.some((element, i) => old[i] !== element)) {
      this.#rows.replaceChildren(...elements);
    }
  }

  #makeRow(bytes, style) {
    const element = document.createElement("div");
    element.className = "log-row";
    const line = parseLine(this.#decoder.decode(bytes), style);
    element.append(...line.runs.map(runElement));
    return { element, size: bytes.length, style, after: line.style };
  }

  #blankRow() {
    const element = document.createElement("div");
    element.className = "log-row log-row-unknown";
    element.textContent = "…";
    return element;
  }
}
