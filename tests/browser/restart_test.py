"""A scheduler that restarts under an open page."""
import unittest

from dashboard_case import DashboardCase

LINES = 400
HALVES = """for i in $(seq 1 200); do echo "line $i"; done
read -r _ < "$1"
for i in $(seq 201 400); do echo "line $i"; sleep 0.02; done
"""


class RestartTest(DashboardCase):
    def test_the_page_comes_back_by_itself_and_loses_no_line(self):
        self.cluster.script("halves.sh", HALVES)
        gate = self.gate("restart")
        job_id = self.cluster.start("halves.sh", gate, name="across")
        self.open(f"/jobs/{job_id}")
        shown = "[...document.querySelectorAll('.log-row')].map((r) => r.textContent)"
        self.page.wait(f"{shown}.at(-1) === 'line 200'")

        self.cluster.scheduler.kill()
        self.page.wait_for_text("The scheduler cannot be reached.")
        gate.write_text("go\n")
        self.cluster.start_scheduler()
        self.page.wait_for_text("Live")
        self.page.wait("!document.body.innerText.includes('cannot be reached')")

        self.wait_for_state("Succeeded")
        self.page.wait_for_text(f"{LINES} lines · complete")
        self.page.wait(f"{shown}.at(-1) === 'line {LINES}'")
        self.page.click("button", "Start")
        self.page.wait(f"{shown}[0] === 'line 1'")
        rows = self.rows()
        self.assertEqual(rows, [f"line {n}" for n in range(1, len(rows) + 1)])

        after = self.cluster.start("true.sh", name="after it")
        self.cluster.wait(after)
        self.page.press("g")
        self.page.press("j")
        self.page.wait_for_text("after it")


if __name__ == "__main__":
    unittest.main()
