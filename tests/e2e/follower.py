"""Follows a job's output over HTTP to its true end, reconnecting at its offset when cut."""
import threading
import time

from cluster import DEADLINE_SECONDS
from http_client import CutStream, HttpClient


class Follower(threading.Thread):
    """Collects the output of one attempt. `on_line(count)` is called as whole lines arrive."""

    def __init__(self, cluster, job_id, on_line=None):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.job_id = job_id
        self.on_line = on_line
        self.output = bytearray()
        self.reconnects = 0
        self.error = None
        self.start()

    def run(self):
        idle_since = time.monotonic()
        try:
            while True:
                before = len(self.output)
                try:
                    if self._follow_once():
                        return
                except (OSError, CutStream):
                    pass
                if len(self.output) > before:
                    idle_since = time.monotonic()
                if time.monotonic() - idle_since > DEADLINE_SECONDS:
                    raise AssertionError(f"no output within {DEADLINE_SECONDS} s")
                self.reconnects += 1
                time.sleep(0.05)
        except Exception as error:  # told to the test by result()
            self.error = error

    def _follow_once(self):
        """True: the stream came to its proper end, and the job has ended."""
        path = f"/v1/jobs/{self.job_id}/output?follow=true&offset={len(self.output)}"
        with HttpClient(self.cluster.http_address).open(path) as answer:
            if answer.status == 503:
                return False
            if answer.status != 200:
                raise AssertionError(f"{path}: {answer.status} {answer.body}")
            if int(answer.headers["clusterd-output-offset"]) != len(self.output):
                raise AssertionError(f"{path} starts elsewhere: {answer.headers}")
            for chunk in answer.chunks():
                self.output += chunk
                if self.on_line:
                    self.on_line(self.output.count(b"\n"))
            total = int(answer.trailers["clusterd-output-length"])
            if total != len(self.output):
                raise AssertionError(f"got {len(self.output)} bytes of {total}, marked complete")
            return True

    def result(self):
        self.join(timeout=4 * DEADLINE_SECONDS)
        if self.error:
            raise self.error
        if self.is_alive():
            raise AssertionError("the follower did not come to an end")
        return bytes(self.output)
