"""A token that is asked for, and what somebody sees who may only read."""
import subprocess
import tempfile
import unittest

from dashboard_case import Cluster, DashboardCase
from cluster import executable
from http_client import HttpClient


def make_token(file, role, name):
    return subprocess.run([executable(), "token", "create", "--file", file, "--role", role, name],
                          capture_output=True, text=True, check=True).stdout.strip()


class AdminClient(HttpClient):
    def __init__(self, address, token):
        super().__init__(address)
        self.token = token

    def request(self, method, path, body=None, headers=None):
        return super().request(method, path, body,
                               {"Authorization": f"Bearer {self.token}", **(headers or {})})


class TokenCluster(Cluster):
    """Its own calls are an administrator's."""

    def __init__(self, admin, **sections):
        self.admin = admin
        super().__init__(**sections)

    def start_scheduler(self, wrapper=()):
        super().start_scheduler(wrapper)
        self.http = AdminClient(self.http_address, self.admin)


class ReaderTest(DashboardCase):
    @classmethod
    def make_cluster(cls):
        folder = tempfile.TemporaryDirectory(prefix="clusterd-browser-")
        cls.addClassCleanup(folder.cleanup)
        file = f"{folder.name}/tokens"
        cls.reader = make_token(file, "reader", "watcher")
        return TokenCluster(make_token(file, "admin", "root"),
                            http_server={"addr": "127.0.0.1:0", "tokens_file": file})

    def buttons(self):
        return self.page.evaluate("[...document.querySelectorAll('button, a.button')]"
                                  ".map((e) => e.textContent.trim())")

    def test_sign_in_and_read(self):
        gate = self.gate("reader")
        job_id = self.cluster.start("gated.sh", gate, name="watched")
        self.page.open(f"http://{self.cluster.http_address}/jobs/{job_id}")
        self.page.wait_for_text("This scheduler wants a token.")
        self.page.type("input[name=token]", "wrong")
        self.page.press("Enter")
        self.page.wait_for_text("This token is not accepted.")
        self.page.type("input[name=token]", self.reader)
        self.page.press("Enter")

        self.page.wait_for_text("Live")
        self.page.wait_for_text("read only")
        self.page.wait("[...document.querySelectorAll('.log-row')].some((r) => r.textContent === 'begin')",
                       "output comes with the token")
        for word in ("Stop", "Start a job", "Start another…"):
            self.assertNotIn(word, self.buttons())
        gate.write_text("go\n")
        self.wait_for_state("Succeeded")
        for word in ("Retry", "Delete…"):
            self.assertNotIn(word, self.buttons())
        for path, text in (("/workers", "w1"), ("/workers/w1", "count.sh"), ("/", "Running now"),
                           ("/new", "This token may read, and start nothing.")):
            self.page.open(f"http://{self.cluster.http_address}{path}")
            self.page.wait_for_text("read only")  # the tab keeps its token
            self.page.wait_for_text(text)
            for word in ("Drain…", "Start", "Start…", "Start a job"):
                self.assertNotIn(word, self.buttons())

        self.page.evaluate("[...document.querySelectorAll('button')]"
                           ".find((b) => b.textContent.includes('sign out')).click()")
        self.page.wait_for_text("This scheduler wants a token.")


if __name__ == "__main__":
    unittest.main()
