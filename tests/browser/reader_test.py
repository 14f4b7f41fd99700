"""A token that is asked for, and what somebody sees who may only read.

What a scheduler with tokens answers (401, the caller's role) is answered in its place here; all else is
the real one's.
"""
import unittest

from dashboard_case import DashboardCase

GOOD = "a-token-of-a-reader"


class ReaderTest(DashboardCase):
    def answer(self, request):
        given = {name.lower(): value for name, value in request["headers"].items()}.get("authorization")
        if given != f"Bearer {GOOD}":
            return 401, {"title": "Unauthorized", "status": 401, "code": "UNAUTHENTICATED",
                         "detail": "a token is needed"}
        if request["url"].endswith("/v1/cluster"):
            cluster = self.cluster.http.get("/v1/cluster").json()
            return 200, {**cluster, "caller": {"name": "watcher", "role": "READER"}}
        return None

    def buttons(self):
        return self.page.evaluate("[...document.querySelectorAll('button, a.button')]"
                                  ".map((e) => e.textContent.trim())")

    def test_sign_in_and_read(self):
        gate = self.gate("reader")
        job_id = self.cluster.start("gated.sh", gate, name="watched")
        self.page.answer_instead("*/v1/*", self.answer)
        self.page.open(f"http://{self.cluster.http_address}/jobs/{job_id}")
        self.page.wait_for_text("This scheduler wants a token.")
        self.page.type("input[name=token]", "wrong")
        self.page.press("Enter")
        self.page.wait_for_text("This token is not accepted.")
        self.page.type("input[name=token]", GOOD)
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

        self.page.click("button", "watcher: sign out")
        self.page.wait_for_text("This scheduler wants a token.")


if __name__ == "__main__":
    unittest.main()
