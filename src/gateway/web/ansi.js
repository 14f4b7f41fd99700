// Terminal escape sequences in a line of output, as runs of text with classes.
const ESCAPE = /\x1b(?:\[([0-9;:?]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])/g;
const UNSEEN = /[\x00-\x08\x0b-\x1f\x7f]/g;

export const PLAIN = Object.freeze({
  bold: false, dim: false, italic: false, underline: false, inverse: false, strike: false,
  fg: "", bg: "",
});

// "3" for a palette entry below 16, "#rrggbb" for all others.
function paletteColour(number) {
  if (number < 16) return String(number);
  if (number > 255) return "";
  const hex = (value) => value.toString(16).padStart(2, "0");
  if (number >= 232) return `#${hex(8 + (number - 232) * 10).repeat(3)}`;
  const level = (step) => hex(step === 0 ? 0 : 55 + step * 40);
  const cube = number - 16;
  return `#${level(Math.floor(cube / 36))}${level(Math.floor(cube / 6) % 6)}${level(cube % 6)}`;
}

// The colour that follows 38 or 48 at `at`, and how many numbers it took.
function extendedColour(codes, at) {
  if (codes[at] === 5) return [paletteColour(codes[at + 1] ?? 256), 2];
  if (codes[at] !== 2) return ["", 1];
  const parts = [1, 2, 3].map((i) => Math.min(255, codes[at + i] || 0));
  return [`#${parts.map((value) => value.toString(16).padStart(2, "0")).join("")}`, 4];
}

const SWITCHES = {
  1: { bold: true }, 2: { dim: true }, 3: { italic: true }, 4: { underline: true },
  7: { inverse: true }, 9: { strike: true }, 21: { bold: false }, 22: { bold: false, dim: false },
  23: { italic: false }, 24: { underline: false }, 27: { inverse: false }, 29: { strike: false },
  39: { fg: "" }, 49: { bg: "" },
};

function applyCodes(style, text) {
  const codes = text.split(/[;:]/).map(Number);
  let next = style;
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i];
    if (code === 0) next = PLAIN;
    else if (SWITCHES[code]) next = { ...next, ...SWITCHES[code] };
    else if (code >= 30 && code <= 37) next = { ...next, fg: String(code - 30) };
    else if (code >= 40 && code <= 47) next = { ...next, bg: String(code - 40) };
    else if (code >= 90 && code <= 97) next = { ...next, fg: String(code - 82) };
    else if (code >= 100 && code <= 107) next = { ...next, bg: String(code - 92) };
    else if (code === 38 || code === 48) {
      const [colour, taken] = extendedColour(codes, i + 1);
      next = { ...next, [code === 38 ? "fg" : "bg"]: colour };
      i += taken;
    }
  }
  return next;
}

// What a terminal would have left of a line in which the cursor went back to its start.
function afterReturns(line) {
  const body = line.endsWith("\r") ? line.slice(0, -1) : line;
  const at = body.lastIndexOf("\r");
  return at < 0 ? body : body.slice(at + 1);
}

// {runs: [{text, style}], style} of one line that begins in `style`.
export function parseLine(line, style = PLAIN) {
  const text = afterReturns(line);
  const runs = [];
  let from = 0;
  let now = style;
  const add = (part) => {
    const seen = part.replace(UNSEEN, "");
    if (seen) runs.push({ text: seen, style: now });
  };
  if (text.includes("\x1b")) {
    for (const match of text.matchAll(ESCAPE)) {
      add(text.slice(from, match.index));
      from = match.index + match[0].length;
      if (match[2] === "m") now = applyCodes(now, match[1]);
    }
  }
  add(text.slice(from));
  return { runs, style: now };
}

// Puts a run on the page.
export function runElement({ text, style }) {
  if (style === PLAIN) return document.createTextNode(text);
  const span = document.createElement("span");
  span.textContent = text;
  for (const name of ["bold", "dim", "italic", "underline", "strike"]) {
    if (style[name]) span.classList.add(`ansi-${name}`);
  }
  const [fg, bg] = style.inverse ? [style.bg || "bg", style.fg || "fg"] : [style.fg, style.bg];
  for (const [kind, colour] of [["fg", fg], ["bg", bg]]) {
    if (colour.startsWith("#")) span.style[kind === "fg" ? "color" : "backgroundColor"] = colour;
    else if (colour) span.classList.add(`ansi-${kind}-${colour}`);
  }
  return span;
}
