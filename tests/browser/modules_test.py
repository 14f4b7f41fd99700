"""The dashboard's modules by themselves, in the browser that they are written for."""
import json
import unittest

from dashboard_case import DashboardCase

# Rows of a text by the rule that log_store.js promises, worked out without segments.
STORE_TEST = """
(async (base) => {
  const { LogStore } = await import(base + "log_store.js");
  const ROW = 4096;
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
  const reference = (text, from) => {
    const rows = [];
    for (let at = from; at < text.length;) {
      rows.push(at);
      const most = Math.min(text.length, Math.ceil((at + ROW) / ROW) * ROW);
      const newline = text.indexOf("\\n", at);
      at = newline < 0 ? most : Math.min(most, newline + 1);
    }
    return rows;
  };
  const faults = [];
  for (let round = 0; round < 30; round += 1) {
    let text = "";
    const long = random() < 0.5;
    const size = 100_000 + random() * 400_000;
    while (text.length < size) {
      text += "x".repeat(Math.floor(random() * (long && random() < 0.01 ? 200_000 : 120))) + "\\n";
    }
    if (random() < 0.5) text += "no newline at the end";
    const bytes = new TextEncoder().encode(text);
    const from = random() < 0.3 ? Math.floor(random() * 90_000) : 0;
    const rows = reference(text, from);
    const store = new LogStore();
    store.begin(from, bytes.length);
    const numbers = Array.from({ length: store.endSegment - store.firstSegment }, (_, i) => i + store.firstSegment);
    const found = new Map();
    for (const number of numbers.sort(() => random() - 0.5)) {
      for (let part; (part = store.missing(number));) store.put(part.offset, bytes.subarray(part.offset, part.offset + part.size));
      found.set(number, [...store.rowStarts(number)]);
    }
    const all = [...found.keys()].sort((a, b) => a - b).flatMap((number) => found.get(number));
    if (JSON.stringify(all) !== JSON.stringify(rows)) faults.push(`rows of round ${round}`);
    if (store.totalRows !== rows.length) faults.push(`total of round ${round}`);
    const live = new LogStore();
    live.begin(from, from);
    for (let at = from; at < bytes.length;) {
      const piece = Math.min(bytes.length - at, 1 + Math.floor(random() * 30_000));
      live.append(at, bytes.subarray(at, at + piece));
      at += piece;
    }
    let counted = 0;
    for (let n = live.firstSegment; n < live.endSegment; n += 1) counted += live.rowStarts(n).length;
    if (counted !== rows.length) faults.push(`live rows of round ${round}`);
  }
  const large = new LogStore();
  large.begin(0, 0);
  const line = new TextEncoder().encode("0123456789".repeat(9) + "\\n");
  const piece = new Uint8Array(line.length * 1000);
  for (let i = 0; i < 1000; i += 1) piece.set(line, i * line.length);
  for (let i = 0; i < 500; i += 1) large.append(i * piece.length, piece);
  large.rowStarts(large.endSegment - 1);
  if (large.totalRows !== 500_000) faults.push(`rows of a large log: ${large.totalRows}`);
  if (large.heldBytes > 8 << 20) faults.push(`it holds ${large.heldBytes} bytes`);
  return faults;
})
"""

CASES = {
    "format.js": [
        ("m.splitWords(`a  'b c' \"d \\\\\" e\" f\\\\ g ''`)", ["a", "b c", 'd " e', "f g", ""]),
        ("(() => { try { m.splitWords(\"a 'b\"); } catch (e) { return e.message; } })()", "unclosed '"),
        ("m.splitWords(m.commandLine({command: 'x', args: ['a b', \"it's\", '']}))", ["x", "a b", "it's"]),
        ("[0, 999, 4200, 65000, 7800000, 187200000].map(m.duration)",
         ["0 ms", "999 ms", "4.2 s", "1 min 5 s", "2 h 10 min", "2 d 4 h"]),
        ("[0, 1023, 1536, 10485760].map(m.bytes)", ["0 B", "1023 B", "1.5 KiB", "10 MiB"]),
        ("m.outcome({reason: 'EXITED', exit_code: 0})", "exit code 0"),
        ("m.outcome({reason: 'SIGNALED', signal: 9})", "signaled, SIGKILL"),
        ("m.outcome({reason: 'EXIT_STATUS_UNKNOWN'})", "exit status unknown"),
        ("m.words('TIMED_OUT')", "Timed out"),
    ],
    "job_form.js": [
        ("['90', '90s', '1h30m', '1.5m'].map((t) => m.durationOf('timeout', t))",
         ["90s", "90s", "5400s", "90s"]),
        ("['1', '512MiB', '2g'].map((t) => m.sizeOf('memory', t))", ["1", "536870912", "2147483648"]),
        ("m.specOf({...m.EMPTY_FORM, path: 'a.sh', command: 'bash', args: \"1 'two words'\", env: 'A=1=2\\nB=', "
         "timeout: '1m', slots: '2', arrayTo: '9', attempts: '3', stdin: 'ü'})",
         {"path": "a.sh", "command": "bash", "args": ["1", "two words"], "env": {"A": "1=2", "B": ""},
          "stdin": "w7w=", "retry": {"max_attempts": 3, "on": ["FAILURE"]}, "array": {"from": 1, "to": 9},
          "resources": {"slots": 2}, "timeout": "60s"}),
        ("m.specOf(m.formOf({path: 'x.py', args: ['a b'], labels: {k: 'v'}, timeout: '90s', priority: -5}, ''))",
         {"path": "x.py", "args": ["a b"], "labels": {"k": "v"}, "priority": -5, "timeout": "90s"}),
        ("(() => { try { m.specOf({...m.EMPTY_FORM, path: 'x', cpus: 'many'}); } catch (e) { return e.field; } })()",
         "resources.cpus"),
    ],
    "ansi.js": [
        ("m.parseLine('a\\x1b[31mb\\x1b[0mc').runs.map((r) => [r.text, r.style.fg])",
         [["a", ""], ["b", "1"], ["c", ""]]),
        ("m.parseLine('10%\\r50%\\r100%').runs.map((r) => r.text)", ["100%"]),
        ("m.parseLine('\\x1b[38;2;1;2;3mx\\x1b[48;5;196my').runs.map((r) => [r.style.fg, r.style.bg])",
         [["#010203", ""], ["#010203", "#ff0000"]]),
        ("m.parseLine('\\x1b]0;title\\x07\\x1b[2Kshown\\x07').runs.map((r) => r.text)", ["shown"]),
        ("m.parseLine('x', m.parseLine('\\x1b[1m').style).runs[0].style.bold", True),
    ],
    "charts.js": [
        ("m.endsPerMinute([{t: 600000, epoch: '1', ended: {SUCCEEDED: 5}}, "
         "{t: 602000, epoch: '1', ended: {SUCCEEDED: 7, FAILED: 1}}, {t: 604000, epoch: '2', ended: {FAILED: 2}}], 610000)"
         ".at(-1)", {"t": 600000, "good": 2, "bad": 3}),
    ],
}


class ModulesTest(DashboardCase):
    def base(self):
        self.open("/")
        return self.page.evaluate("document.querySelector('script').src.replace('main.js', '')")

    def test_values_for_people_and_back(self):
        base = self.base()
        for module, cases in CASES.items():
            for expression, expected in cases:
                with self.subTest(module=module, expression=expression):
                    self.assertEqual(self.page.evaluate(
                        f"import({json.dumps(base + module)}).then((m) => {expression})"), expected)

    def test_rows_of_a_log_are_the_same_from_every_side(self):
        self.assertEqual(self.page.evaluate(f"{STORE_TEST.strip()}({json.dumps(self.base())})"), [])


if __name__ == "__main__":
    unittest.main()
