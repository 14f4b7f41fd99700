"""The dashboard in a real browser: what a person does with it, from the first look to the end of a job."""
import json
import unittest

from dashboard_case import DashboardCase, wait_until


class OverviewTest(DashboardCase):
    def tile(self, name):
        return self.page.evaluate(
            f"document.querySelector('[data-tile={name}] .tile-value')?.textContent")

    def test_it_updates_by_itself(self):
        self.open("/")
        self.page.wait_for_text("Nothing runs.")
        gate = self.gate("overview")
        job_id = self.cluster.start("gated.sh", gate, 3, name="watched")

        self.page.wait_for_text("watched", 20)
        wait_until(lambda: self.tile("Running") == "1", "the tile shows a running job")
        self.page.wait("document.querySelector('[data-tile=Slots]').textContent.includes('1 of 4')")

        gate.write_text("go\n")
        self.cluster.wait(job_id)
        self.page.wait_for_text("exit code 3", 20)
        wait_until(lambda: self.tile("Running") == "0", "the tile shows none")
        wait_until(lambda: self.tile("Failed") == "1", "the tile shows the failure")
        wait_until(lambda: float(self.tile("Finished")) > 0, "ends of this minute are counted")
        for title in ("Running and queued", "Finished per minute", "Slots used"):
            self.page.wait(f"!!document.querySelector('svg[aria-label^={json.dumps(title)}]')")
        self.page.wait("document.querySelectorAll('.line.k-running[d*=L]').length === 1",
                       "the chart has a line")

    def test_keys_lead_to_the_pages(self):
        self.open("/")
        for key, heading in (("j", "Jobs"), ("w", "Workers"), ("e", "Events")):
            self.page.press("g")
            self.page.press(key)
            self.page.wait(f"document.querySelector('h1').textContent === '{heading}'")
        self.page.press("?")
        self.page.wait("document.querySelector('dialog')?.open")
        self.page.press("Escape")
        self.page.wait("!document.querySelector('dialog')")
        self.page.press("n")
        self.page.wait("document.querySelector('h1').textContent === 'Start a job'")


class JobTest(DashboardCase):
    def test_start_follow_stop(self):
        self.open("/")
        self.page.click("a", "Start a job")
        self.page.wait("[...document.querySelectorAll('#scripts option')].some((o) => o.value === 'count.sh')",
                       "the scripts of the worker's folder are offered")
        self.page.type("#f-path", "count.sh")
        self.page.type("#f-args", "100000 0.05")
        self.page.type("#f-name", "by hand")
        self.assertEqual(self.page.evaluate("document.querySelector('#f-command').value"), "bash")
        self.page.click("button", "Start")

        self.page.wait("document.querySelector('h1').textContent === 'by hand'")
        self.wait_for_state("Running")
        self.page.wait("[...document.querySelectorAll('.log-row')].some((r) => r.textContent === 'line 40 of 100000')",
                       "output comes as it is written")
        self.page.click("button", "Stop")
        self.wait_for_state("Stopped")
        self.page.wait_for_text("stop requested")
        self.page.wait_for_text("complete")
        job_id = self.page.evaluate("location.pathname.split('/').pop()")
        self.assertEqual(self.cluster.job(job_id)["state"], "STOPPED")

    def test_what_is_wrong_is_said_at_its_field(self):
        self.open("/new?worker=w1&path=absent.sh")
        self.page.click("button", "Start")
        self.page.wait("document.activeElement.id === 'f-path' && "
                       "document.activeElement.getAttribute('aria-invalid') === 'true'",
                       "the field of the script is marked and has the focus")
        self.page.type("#f-path", "count.sh")
        self.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        self.page.type("#f-timeout", "soon")
        self.page.click("button", "Start")
        self.page.wait("document.querySelector('#e-timeout')?.textContent.includes('90s')",
                       "a time that is none is refused by the page")

    def test_a_job_that_waits_says_why(self):
        job_id = self.cluster.start("count.sh", 1, require=["zone=b"], name="elsewhere")
        self.open(f"/jobs/{job_id}")
        self.page.wait_for_text("Why it waits")
        self.page.wait_for_text("zone=b")
        self.page.wait_for_text("It has not started.")
        self.page.click("button", "Stop")
        self.wait_for_state("Stopped")

    def test_a_failure_is_explained_and_retried(self):
        job_id = self.cluster.start("fail.sh", 3, name="failing")
        self.cluster.wait(job_id)
        self.open(f"/jobs/{job_id}")
        self.page.wait_for_text("Failed: exit code 3.")
        self.page.wait_for_text("about to fail")
        self.page.click("button", "Retry")
        self.page.wait("document.body.innerText.includes('Attempt 2')", "the second attempt is shown")
        self.cluster.wait(job_id)
        self.page.wait("document.querySelectorAll('.part.state-FAILED').length === 2",
                       "the timeline shows both attempts")

    def test_colours_are_shown(self):
        job_id = self.cluster.start("colours.sh")
        self.open(f"/jobs/{job_id}")
        self.page.wait("document.querySelector('.log-row .ansi-fg-1')?.textContent === 'red'")
        self.assertEqual(self.rows()[0], "red bold plain")
        self.assertEqual(self.page.evaluate("document.querySelector('.ansi-bold').textContent"), "bold")

    def test_streams_kept_apart(self):
        self.cluster.script("both.sh", "echo to-out; echo to-err >&2\n")
        job_id = self.cluster.start("both.sh", output={"mode": "SEPARATE"})
        self.open(f"/jobs/{job_id}")
        self.page.wait("[...document.querySelectorAll('.log-row')].some((r) => r.textContent === 'to-out')")
        self.page.evaluate("(() => { const s = document.querySelector('.output select'); s.value = 'stderr';"
                           " s.dispatchEvent(new Event('change', {bubbles: true})); })()")
        self.page.wait("[...document.querySelectorAll('.log-row')].map((r) => r.textContent).join() === 'to-err'")

    def test_an_array_shows_its_tasks(self):
        job_id = self.cluster.start("true.sh", name="many", array={"from": 1, "to": 120})
        self.cluster.wait(job_id)
        self.open(f"/jobs/{job_id}")
        self.page.wait("document.querySelectorAll('tr[data-job]').length === 50")
        self.page.click("button", "Older")
        self.page.wait("document.querySelectorAll('tr[data-job]').length === 50 && "
                       f"!document.querySelector('tr[data-job=\"{job_id}.1\"]')")
        self.page.click("button", "Older")
        self.page.wait("document.querySelectorAll('tr[data-job]').length === 20")

    def test_a_job_is_deleted_after_a_question(self):
        job_id = self.cluster.start("true.sh", name="short lived")
        self.cluster.wait(job_id)
        self.open(f"/jobs/{job_id}")
        self.page.click("button", "Delete…")
        self.page.click("dialog button.danger", "Delete")
        self.page.wait("location.pathname === '/jobs'")
        wait_until(lambda: self.cluster.http.get(f"/v1/jobs/{job_id}").status == 404, "it is gone")


class ListTest(DashboardCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ids = [cls.cluster.start("fail.sh" if n % 4 == 0 else "true.sh", name="listed",
                                     labels={"number": str(n)}) for n in range(120)]
        for job_id in cls.ids:
            cls.cluster.wait(job_id)

    def listed(self):
        return self.page.evaluate("[...document.querySelectorAll('tr[data-job]')].map((r) => r.dataset.job)")

    def wait_for_list(self, ids):
        wait_until(lambda: self.listed() == ids, f"the list shows {len(ids)} jobs from {ids[0]} on")

    def test_pages_and_back(self):
        newest = self.ids[::-1]
        self.open("/jobs?name=listed")
        self.wait_for_list(newest[:50])
        self.page.click("button", "Older")
        self.wait_for_list(newest[50:100])
        second = self.page.evaluate("location.search")
        self.assertIn("page=", second)
        self.page.press("]")
        self.wait_for_list(newest[100:])
        self.page.press("[")
        self.wait_for_list(newest[50:100])
        self.assertEqual(self.page.evaluate("location.search"), second)
        self.page.click("button", "First")
        self.wait_for_list(newest[:50])

        other = self.open("/jobs" + second, self.new_page())  # the address alone says which page
        other.wait("document.querySelectorAll('tr[data-job]').length === 50")
        self.assertEqual(other.evaluate("document.querySelector('tr[data-job]').dataset.job"), newest[50])

    def test_filters_live_in_the_address(self):
        self.open("/jobs")
        self.page.type("input[name=name]", "listed")
        self.page.press("Enter")
        self.page.click("button", "Failed")
        failed = self.ids[::4][::-1]
        self.wait_for_list(failed)
        self.assertEqual(self.page.evaluate("location.search"), "?name=listed&state=FAILED")
        self.page.type("input[name=label]", "number=8")
        self.page.press("Enter")
        self.wait_for_list([self.ids[8]])
        self.page.evaluate("history.back()")
        self.wait_for_list(failed)
        self.page.command("Page.reload")
        self.page.wait("document.querySelectorAll('tr[data-job]').length === 30")
        self.assertEqual(self.page.evaluate("document.querySelector('button.state-FAILED')"
                                            ".getAttribute('aria-pressed')"), "true")
        self.page.click("button", "Clear")
        self.page.wait("location.search === ''")

    def test_new_jobs_and_ends_show_by_themselves(self):
        self.open("/jobs?label=live")
        self.page.wait_for_text("No job fits these filters.")
        gate = self.gate("list")
        job_id = self.cluster.start("gated.sh", gate, labels={"live": ""})
        row = f"document.querySelector('tr[data-job=\"{job_id}\"] .state')?.textContent.includes"
        self.page.wait(f"{row}('Running')", seconds=20)
        gate.write_text("go\n")
        self.page.wait(f"{row}('Succeeded')", seconds=20)


class WorkersTest(DashboardCase):
    def worker(self):
        return self.cluster.http.get("/v1/workers/w1").json()

    def test_drain_and_resume(self):
        self.open("/workers")
        self.page.click("button", "Drain…")
        self.page.wait("document.activeElement.name === 'reason'")
        self.page.type("dialog input[name=reason]", "new disk")
        self.page.click("dialog button", "Drain")
        row = "document.querySelector('tr[data-worker=w1]').innerText.includes"
        self.page.wait(f"{row}('drained') && {row}('new disk')")
        self.assertTrue(self.worker()["draining"])
        self.assertEqual(self.worker()["reason"], "new disk")

        self.page.click("button", "Resume")
        self.page.wait(f"!{row}('drained')")
        self.assertFalse(self.worker()["draining"])

    def test_a_worker_shows_its_scripts_and_starts_one(self):
        self.open("/workers")
        self.page.click("tr[data-worker] a", "w1")
        self.page.wait("document.querySelector('h1').textContent.includes('w1')")
        self.page.wait_for_text("count.sh")
        self.page.wait_for_text("zone")
        self.page.evaluate("document.querySelector('a[aria-label=\"Start true.sh on w1\"]').click()")
        self.page.wait("document.querySelector('#f-path')?.value === 'true.sh' && "
                       "document.querySelector('#f-worker').value === 'w1'")
        self.page.click("button", "Start")
        self.wait_for_state("Succeeded")


class EventsTest(DashboardCase):
    def test_what_has_happened_and_what_happens(self):
        before = self.cluster.start("true.sh", name="earlier")
        self.cluster.wait(before)
        self.open("/events")
        self.page.wait_for_text("earlier")
        self.page.wait_for_text("w1")
        self.cluster.start("true.sh", name="now it happens")
        self.page.wait_for_text("now it happens")
        self.page.click("button", "Workers")
        self.page.wait("!document.querySelector('.events').innerText.includes('now it happens')")
        self.assertEqual(self.page.evaluate("location.search"), "?kind=worker")


if __name__ == "__main__":
    unittest.main()
