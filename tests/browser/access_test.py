"""Who cannot see well, has no mouse, or looks from a phone; and the pictures of the manual.

CLUSTERD_PICTURES=FOLDER keeps the pictures of the five main pages there.
"""
import os
import pathlib
import time
import unittest

from dashboard_case import DashboardCase

AXE = pathlib.Path(__file__).resolve().parent / "third_party/axe-core/axe.min.js"
PHONE = 390
SERIOUS = ("serious", "critical")


class AccessTest(DashboardCase):
    slots = 6

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.start_worker("w2", slots=6, labels={"zone": "b", "gpu": "yes"})
        cls.cluster.script("build.sh", "\n".join([
            r"printf '\033[1mConfiguring\033[0m the project\n'",
            r"for i in $(seq 1 40); do printf '[%2d/40] \033[32mcompiling\033[0m src/module_%02d.cc\n' $i $i; done",
            r"printf '\033[33mwarning:\033[0m module_07.cc:114: unused variable\n'",
            "sleep 600", ""]))
        start = cls.cluster.start
        for n in range(30):
            start("true.sh", name=f"report-{n:02}", labels={"team": "data"})
        cls.failed = start("fail.sh", 3, name="nightly-import", labels={"team": "data"})
        start("count.sh", 600, 1, name="crawl", worker="w2")
        cls.running = start("build.sh", name="build", labels={"branch": "main"}, worker="w1")
        cls.array = start("count.sh", 600, 1, name="render", array={"from": 1, "to": 24, "max_parallel": 6})
        cls.queued = start("count.sh", 5, require=["zone=c"], name="no such zone")
        cls.cluster.wait(cls.failed)

    def paths(self):
        return {
            "overview": "/", "jobs": "/jobs", "job": f"/jobs/{self.running}", "workers": "/workers",
            "start": "/new?worker=w1&path=count.sh", "worker": "/workers/w2", "events": "/events",
            "failed": f"/jobs/{self.failed}", "queued": f"/jobs/{self.queued}",
            "array": f"/jobs/{self.array}",
        }

    def settled(self, path, page):
        self.open(path, page)
        page.wait("!document.body.innerText.includes('Loading') && !document.body.innerText.includes('Reading')")
        time.sleep(0.3)  # drawn, not only there
        return page

    def test_a_checker_finds_nothing_serious(self):
        axe = AXE.read_text()
        for dark in (False, True):
            page = self.new_page(dark=dark)
            for name, path in self.paths().items():
                with self.subTest(page=name, dark=dark):
                    self.settled(path, page)
                    page.evaluate(axe + "; undefined")
                    found = page.evaluate(
                        "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations"
                        ".map(({id, impact, nodes}) => [id, impact, nodes.slice(0, 5).map((n) => n.html + ' ' + n.failureSummary)]))")
                    self.assertEqual([one for one in found if one[1] in SERIOUS], [])

    def test_dialogs_too(self):
        page = self.settled("/workers", self.page)
        page.click("button", "Drain…")
        page.evaluate(AXE.read_text() + "; undefined")
        found = page.evaluate("axe.run(document).then(({violations}) => violations"
                              ".map(({id, impact}) => [id, impact]))")
        self.assertEqual([one for one in found if one[1] in SERIOUS], [])

    def test_a_phone_needs_no_scrolling_sideways(self):
        page = self.new_page(width=PHONE, height=844)
        for name, path in self.paths().items():
            with self.subTest(page=name):
                self.settled(path, page)
                self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), PHONE)

    def test_everything_can_be_reached_with_the_tab_key(self):
        page = self.settled(f"/jobs/{self.running}", self.page)
        seen = []
        for _ in range(60):
            page.press("Tab")
            seen.append(page.evaluate("(document.activeElement.textContent || document.activeElement"
                                      ".getAttribute('aria-label') || '').trim().slice(0, 20)"))
            if "The record as JSON" in seen:
                break
        for name in ("Skip to content", "Jobs", "Stop", "Download"):
            self.assertIn(name, seen)

    def some_minutes(self, page):
        """Lets the charts have something to show."""
        self.settled("/", page)
        for n in range(150):
            self.cluster.start("fail.sh" if n % 11 == 0 else "count.sh", 1 + n % 5, 0.8, name=f"batch-{n % 7}")
            if n % 30 == 0:
                self.cluster.start("count.sh", 30, 1, name="longer", resources={"slots": 2})
            time.sleep(1)

    def test_pictures_of_the_main_pages(self):
        folder = pathlib.Path(os.environ.get("CLUSTERD_PICTURES", self.cluster.folder))
        page = self.new_page(width=1280, height=720)
        if "CLUSTERD_PICTURES" in os.environ:
            self.some_minutes(page)
        for name, path in list(self.paths().items())[:5]:
            self.settled(path, page)
            page.screenshot(folder / f"{name}.png")
            self.assertGreater((folder / f"{name}.png").stat().st_size, 10_000)


if __name__ == "__main__":
    unittest.main()
