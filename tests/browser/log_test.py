"""A log with a million lines: any place of it at once, in little memory."""
import time
import unittest

from dashboard_case import DashboardCase, wait_until

LINES = 1_000_000
MEMORY_BYTES = 300 << 20
STEPS = 80


class MillionLinesTest(DashboardCase):
    def first_row(self):
        return (self.rows() or [""])[0]

    def number(self, row):
        """Which line a row is; none for one that is still being fetched."""
        return int(row.split()[1]) if row.startswith("line ") else -LINES

    def numbers(self):
        return [self.number(row) for row in self.rows()]

    def jump(self, share):
        self.page.evaluate("(() => { const log = document.querySelector('.log');"
                           f" log.scrollTop = log.scrollHeight * {share}; }})()")

    def test_it_scrolls_and_stays_small(self):
        self.cluster.script("million.sh", 'exec seq -f "line %.0f and some words to make it as long as lines are" '
                                          f'1 {LINES}\n')
        job_id = self.cluster.start("million.sh")
        self.cluster.wait(job_id)
        self.open(f"/jobs/{job_id}")
        end = f"line {LINES} "
        wait_until(lambda: self.rows() and self.rows()[-1].startswith(end), "it begins at its end")
        self.assertLess(len(self.rows()), 100)

        self.page.evaluate("document.querySelector('.log').focus()")
        self.page.press("Home")
        wait_until(lambda: self.first_row().startswith("line 1 "), "Home leads to its start")
        for _ in range(10):
            self.page.wheel(".log", 400)
            time.sleep(0.02)
        wait_until(lambda: 100 < self.number(self.first_row()) < 300, "the wheel moves by lines")

        most = 0
        for step in range(1, STEPS):
            share = (step * 37 % STEPS) / STEPS
            self.jump(share)

            def shown(share=share):
                rows = self.numbers()
                near = rows and abs(rows[0] / LINES - share) < 0.02
                return near and rows == list(range(rows[0], rows[0] + len(rows)))

            wait_until(shown, f"{share:.0%} of the log are shown, without a gap")
            most = max(most, self.page.memory_bytes())

        self.page.press("End")
        wait_until(lambda: self.rows()[-1].startswith(end), "End leads to its end")
        most = max(most, self.page.memory_bytes())
        print(f"tab: {most >> 20} MiB at most after {STEPS} jumps in {LINES} lines")
        self.assertLess(most, MEMORY_BYTES)

    def test_it_is_followed_while_it_grows(self):
        self.cluster.script("growing.sh", f'seq -f "line %.0f of many" 1 {LINES}; read -r _ < "$1"; echo last\n')
        gate = self.gate("growing")
        job_id = self.cluster.start("growing.sh", gate)
        self.open(f"/jobs/{job_id}")
        wait_until(lambda: self.rows() and self.rows()[-1] == f"line {LINES} of many", "the end is shown")
        self.page.wheel(".log", -2000)
        wait_until(lambda: self.rows()[-1] != f"line {LINES} of many", "scrolling up ends the following")
        seen = self.rows()
        gate.write_text("go\n")
        self.wait_for_state("Succeeded")
        self.assertEqual(self.rows(), seen)
        self.page.click("button", "End")
        wait_until(lambda: self.rows()[-1] == "last", "the end is shown again")
        self.assertLess(self.page.memory_bytes(), MEMORY_BYTES)


if __name__ == "__main__":
    unittest.main()
