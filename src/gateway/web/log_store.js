// The bytes of one stream of output, as far as they are needed: any part of a log of any length, in
// bounded memory.
//
// The stream is cut into segments of 64 KiB. Some segments are held, the others are fetched again
// when somebody looks at them. A row is what a line of the view shows: a line, or a part of one that
// is very long. Rows are counted per segment once it has been seen; before that their number is
// guessed from those that have been.
//
// Where a line is longer than ROW_BYTES, it is broken at multiples of ROW_BYTES, so that whoever
// begins to read in its middle finds the same rows.
const SEGMENT_BYTES = 64 << 10;
const ROW_BYTES = 4 << 10;
const MOST_SEGMENTS = 96; // 6 MiB
const NEWLINE = 10;
const GUESSED_ROW_BYTES = 80;

// Sums of a growing list of numbers, each in logarithmic time.
class RunningSums {
  #tree = [0];

  add(index, value) {
    while (this.#tree.length <= index + 1) this.#append();
    for (let i = index + 1; i < this.#tree.length; i += i & -i) this.#tree[i] += value;
  }

  #append() {
    const i = this.#tree.length;
    let sum = 0;
    for (let step = 1; step < (i & -i); step <<= 1) sum += this.#tree[i - step];
    this.#tree.push(sum);
  }

  // Of the first `size` numbers.
  sum(size) {
    let sum = 0;
    for (let i = Math.min(size, this.#tree.length - 1); i > 0; i -= i & -i) sum += this.#tree[i];
    return sum;
  }
}

export class LogStore {
  // Bytes before `base` no longer exist; `length` are known to have been written.
  base = 0;
  length = 0;

  #segments = new Map(); // number → {from, to, bytes}; the least recently used first
  #rows = new Map(); // number → Float64Array of row starts, of held segments
  #counts = new Map(); // number → rows, of every segment that has been seen whole
  #countSums = new RunningSums();
  #seenSums = new RunningSums();

  begin(base, length) {
    this.base = base;
    this.length = Math.max(length, base);
  }

  get firstSegment() { return Math.floor(this.base / SEGMENT_BYTES); }
  get endSegment() { return Math.ceil(this.length / SEGMENT_BYTES); }

  #extent(number) {
    return [Math.max(number * SEGMENT_BYTES, this.base),
      Math.min((number + 1) * SEGMENT_BYTES, this.length)];
  }

  has(number) {
    if (number < this.firstSegment || number >= this.endSegment) return true;
    const held = this.#segments.get(number);
    const [from, to] = this.#extent(number);
    return held !== undefined && held.from <= from && held.to >= to;
  }

  // Offset and size of what has to be fetched, so that the rows of a segment can be told; null:
  // nothing.
  missing(number) {
    const wanted = [number - 1, number, number + 1].filter((n) => !this.has(n));
    if (wanted.length === 0) return null;
    const [from] = this.#extent(wanted[0]);
    const [, to] = this.#extent(wanted.at(-1));
    return { offset: from, size: to - from };
  }

  // Takes in bytes that were written at `offset`. What leaves a gap is dropped.
  put(offset, bytes) {
    let at = 0;
    while (at < bytes.length) {
      const start = offset + at;
      const number = Math.floor(start / SEGMENT_BYTES);
      const size = Math.min(bytes.length - at, (number + 1) * SEGMENT_BYTES - start);
      this.#putPart(number, start, bytes.subarray(at, at + size));
      at += size;
    }
    this.length = Math.max(this.length, offset + bytes.length);
    this.#evict();
  }

  // Live bytes at the end: counts the segments that they complete.
  append(offset, bytes) {
    const before = this.endSegment;
    this.put(offset, bytes);
    for (let number = before - 1; number < this.endSegment - 1; number += 1) {
      if (number >= this.firstSegment) this.rowStarts(number);
    }
  }

  #putPart(number, start, part) {
    let held = this.#segments.get(number);
    if (!held || (start > held.to) || (start + part.length < held.from)) {
      if (held && this.has(number)) return;
      held = { from: start, to: start, bytes: new Uint8Array(SEGMENT_BYTES) };
    }
    held.bytes.set(part, start - number * SEGMENT_BYTES);
    held.from = Math.min(held.from, start);
    held.to = Math.max(held.to, start + part.length);
    this.#segments.delete(number);
    this.#segments.set(number, held);
    this.#rows.delete(number - 1);
    this.#rows.delete(number);
    this.#rows.delete(number + 1);
  }

  #evict() {
    for (const number of this.#segments.keys()) {
      if (this.#segments.size <= MOST_SEGMENTS) return;
      this.#segments.delete(number);
      this.#rows.delete(number);
    }
  }

  // The offset after the first newline in [from, to); -1: there is none.
  #afterNewline(from, to) {
    let at = from;
    while (at < to) {
      const number = Math.floor(at / SEGMENT_BYTES);
      const start = number * SEGMENT_BYTES;
      const held = this.#segments.get(number);
      const end = Math.min(to, start + SEGMENT_BYTES);
      const found = held.bytes.subarray(at - start, end - start).indexOf(NEWLINE);
      if (found >= 0) return at + found + 1;
      at = end;
    }
    return -1;
  }

  // Where the row that starts at `start` ends.
  #rowEnd(start) {
    const most = Math.ceil((start + ROW_BYTES) / ROW_BYTES) * ROW_BYTES;
    const limit = Math.min(most, this.length);
    const end = this.#afterNewline(start, limit);
    return end < 0 ? limit : end;
  }

  // The first row that starts in a segment whose own start is in the middle of the stream.
  #firstRow(number) {
    const start = number * SEGMENT_BYTES;
    if (start <= this.base) return this.base;
    const back = Math.max(start - ROW_BYTES, this.base);
    const held = this.#segments.get(number - 1);
    const first = start - SEGMENT_BYTES;
    const last = held.bytes.subarray(back - first, start - first).lastIndexOf(NEWLINE);
    if (last >= 0) {
      const row = back + last + 1;
      return row === start ? start : this.#rowEnd(row);
    }
    return back === this.base ? this.#rowEnd(this.base) : start;
  }

  // Where the rows of a segment start; null: it has to be fetched first.
  rowStarts(number) {
    if (number < this.firstSegment || number >= this.endSegment) return new Float64Array(0);
    const kept = this.#rows.get(number);
    if (kept) return kept;
    if (this.missing(number)) return null;
    const [, to] = this.#extent(number);
    const starts = [];
    for (let at = this.#firstRow(number); at < to; at = this.#rowEnd(at)) starts.push(at);
    const rows = Float64Array.from(starts);
    this.#rows.set(number, rows);
    this.#count(number, rows.length);
    this.#touch(number);
    return rows;
  }

  #touch(number) {
    for (const n of [number - 1, number + 1, number]) {
      const held = this.#segments.get(n);
      if (!held) continue;
      this.#segments.delete(n);
      this.#segments.set(n, held);
    }
  }

  #count(number, rows) {
    const before = this.#counts.get(number);
    if (before === rows) return;
    this.#counts.set(number, rows);
    this.#countSums.add(number, rows - (before ?? 0));
    if (before === undefined) this.#seenSums.add(number, 1);
  }

  // Rows of a segment that has been seen, else a guess.
  rowsIn(number) {
    return this.#counts.get(number) ?? this.#guess;
  }

  get #guess() {
    const seen = this.#counts.size;
    if (seen === 0) return SEGMENT_BYTES / GUESSED_ROW_BYTES;
    return Math.max(1, this.#countSums.sum(this.endSegment) / seen);
  }

  // Rows before a segment, as far as they are known.
  rowsBefore(number) {
    const seen = this.#seenSums.sum(number);
    return this.#countSums.sum(number) + (number - this.firstSegment - seen) * this.#guess;
  }

  get totalRows() { return Math.ceil(this.rowsBefore(this.endSegment)); }
  get isCounted() { return this.#counts.size >= this.endSegment - this.firstSegment; }

  // The segment in which row `row` is, and which of its rows that is.
  locate(row) {
    let low = this.firstSegment;
    let high = Math.max(low, this.endSegment - 1);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.rowsBefore(middle) <= row) low = middle;
      else high = middle - 1;
    }
    return { segment: low, row: Math.max(0, row - this.rowsBefore(low)) };
  }

  // The bytes of the row that starts at `start`, without its newline.
  rowBytes(start) {
    const end = this.#rowEnd(start);
    const whole = new Uint8Array(end - start);
    let at = start;
    while (at < end) {
      const number = Math.floor(at / SEGMENT_BYTES);
      const first = number * SEGMENT_BYTES;
      const until = Math.min(end, first + SEGMENT_BYTES);
      whole.set(this.#segments.get(number).bytes.subarray(at - first, until - first), at - start);
      at = until;
    }
    return whole.at(-1) === NEWLINE ? whole.subarray(0, -1) : whole;
  }

  get heldBytes() { return this.#segments.size * SEGMENT_BYTES; }
}
