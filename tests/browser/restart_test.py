"""A scheduler that restarts under an open page."""
import unittest

from dashboard_case import DashboardCase


class RestartTest(DashboardCase):
    def test_the_page_comes_back_by_itself_and_loses_no_line(self):
        job_id = self.cluster.start("count.sh", 400, 0.05, name="across")
        self.open(f"/jobs/{job_id}")
        shown = "[...document.querySelectorAll('.log-row')].map((r) => r.textContent)"
        self.page.wait(f"{shown}.includes('line 30 of 400')")

        self.cluster.scheduler.kill()
        self.page.wait_for_text("The scheduler cannot be reached.")
        self.cluster.start_scheduler()
        self.page.wait_for_text("Live")
        self.page.wait("!document.body.innerText.includes('cannot be reached')")

        self.wait_for_state("Succeeded")
        self.page.wait_for_text("400 lines · complete")
        self.page.wait(f"{shown}.at(-1) === 'line 400 of 400'")
        self.page.click("button", "Start")
        self.page.wait(f"{shown}[0] === 'line 1 of 400'")
        last = self.rows()
        self.assertEqual(last, [f"line {n} of 400" for n in range(1, len(last) + 1)])

        after = self.cluster.start("true.sh", name="after it")
        self.cluster.wait(after)
        self.page.press("g")
        self.page.press("j")
        self.page.wait_for_text("after it")


if __name__ == "__main__":
    unittest.main()
