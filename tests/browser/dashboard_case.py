"""What the browser's tests share: a cluster, a browser, and a page that has nothing to complain of."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from chromium import Browser  # noqa: E402
from cluster import Cluster, wait_until  # noqa: E402,F401

SCRIPTS = {
    "count.sh": 'for i in $(seq 1 "$1"); do echo "line $i of $1"; sleep "${2:-0}"; done\n',
    "gated.sh": 'echo begin; read -r line < "$1"; echo "$line"; exit "${2:-0}"\n',
    "colours.sh": "printf '\\033[31mred\\033[0m \\033[1mbold\\033[0m plain\\n'\n",
    "fail.sh": 'echo "about to fail"; exit "${1:-3}"\n',
    "true.sh": "exit 0\n",
}


class DashboardCase(unittest.TestCase):
    """One cluster with worker `w1` and one browser for all tests of a class; a page for each test."""

    slots = 4

    @classmethod
    def setUpClass(cls):
        cls.enterClassContext(Browser())
        cls.cluster = cls.enterClassContext(cls.make_cluster())
        for name, text in SCRIPTS.items():
            cls.cluster.script(name, text)
        cls.cluster.start_worker(slots=cls.slots, labels={"zone": "a"})

    @classmethod
    def make_cluster(cls):
        return Cluster()

    @classmethod
    def enterClassContext(cls, manager):  # noqa: N802, part of unittest from Python 3.11 on
        value = manager.__enter__()
        cls.addClassCleanup(manager.__exit__, None, None, None)
        if isinstance(value, Browser):
            cls.browser = value
        return value

    def setUp(self):
        self.page = self.new_page()

    def new_page(self, **settings):
        page = self.browser.page(**settings)

        def check():
            complaints, foreign = page.complaints, page.foreign
            page.close()
            self.assertEqual(complaints, [])
            self.assertEqual(foreign, [])

        self.addCleanup(check)
        return page

    def open(self, path, page=None):
        page = page or self.page
        page.open(f"http://{self.cluster.http_address}{path}")
        page.wait_for_text("Live")
        return page

    def gate(self, name):
        """A FIFO that a job of `gated.sh` waits for."""
        path = self.cluster.folder / name
        os.mkfifo(path)
        return path

    def state_shown(self):
        return self.page.evaluate("document.querySelector('.page-head .state')?.textContent.trim()")

    def wait_for_state(self, word):
        self.page.wait("document.querySelector('.page-head .state')?.textContent.includes"
                       f"({word!r})", f"the page shows {word}")

    def rows(self):
        """The lines of output that are in the page."""
        return self.page.evaluate(
            "[...document.querySelectorAll('.log-row')].map((row) => row.textContent)")
