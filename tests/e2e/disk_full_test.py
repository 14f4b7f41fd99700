"""The scheduler's disk fills under load, and is emptied again. Needs root, for a small tmpfs."""
import concurrent.futures
import contextlib
import pathlib
import shutil
import subprocess
import tempfile
import threading
import unittest

from cluster import Cluster, wait_until
from http_client import HttpClient

SIZE = 24 << 20
LEAST_FREE = 4 << 20


class SmallDisk:
    """A tmpfs that can be filled."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-disk-"))
        self.ballast = self.path / "ballast"

    def __enter__(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "clusterd-test",
                        str(self.path)], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", str(self.path)], check=True)
        self.path.rmdir()

    def fill(self, leave):
        with open(self.ballast, "ab") as file, contextlib.suppress(OSError):
            while shutil.disk_usage(self.path).free > leave:
                file.write(b"\0" * min(65536, shutil.disk_usage(self.path).free - leave))
                file.flush()

    def empty(self):
        self.ballast.unlink()


class DiskFullTest(unittest.TestCase):
    def setUp(self):
        self.disk = self.enterContext(SmallDisk())
        self.cluster = self.enterContext(Cluster(store={
            "path": str(self.disk.path / "clusterd.db"), "min_free": f"{LEAST_FREE >> 20}MiB"}))
        self.cluster.start_worker(slots=4)
        self.cluster.script("gate.sh", 'while [ ! -e "$1" ]; do sleep 0.05; done; exit 5\n')
        self.cluster.script("true.sh", "exit 0\n")
        self.gate = self.cluster.folder / "gate"

    def start(self, *args, **spec):
        return self.cluster.http.post("/v1/jobs", {"path": "true.sh", "command": "bash", **spec})

    def test_submits_are_refused_while_ends_are_recorded(self):
        running = self.cluster.start("gate.sh", self.gate)
        self.cluster.wait_for_state(running, "RUNNING")
        self.disk.fill(LEAST_FREE // 2)
        answer = self.start()
        self.assertEqual((answer.status, answer.json()["code"]), (429, "RESOURCE_EXHAUSTED"))
        self.assertIn("retry-after", answer.headers)
        self.gate.touch()
        self.assertEqual(self.cluster.wait(running)["end"]["exit_code"], 5)
        self.disk.empty()
        self.assertEqual(self.start().status, 201)

    def test_nothing_acknowledged_is_lost_when_not_a_byte_is_left(self):
        running = self.cluster.start("gate.sh", self.gate)
        self.cluster.wait_for_state(running, "RUNNING")
        accepted = []
        stop = threading.Event()

        def submit():
            client = HttpClient(self.cluster.http_address)
            while not stop.is_set():
                answer = client.post("/v1/jobs", {"path": "true.sh", "command": "bash",
                                                  "args": ["x" * 20_000]})
                if answer.status == 201:
                    accepted.append(answer.json()["job_id"])
                elif answer.status not in (429, 503):
                    raise AssertionError(f"{answer.status} {answer.body}")

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            submitters = [pool.submit(submit) for _ in range(4)]
            wait_until(lambda: len(accepted) > 20, "jobs are accepted")
            self.disk.fill(0)
            self.gate.touch()  # its end cannot be written now
            wait_until(lambda: self.start().status in (429, 503), "jobs are refused")
            self.disk.empty()
            stop.set()
            for submitter in submitters:
                submitter.result(timeout=60)
        wait_until(lambda: self.cluster.http.get("/readyz").status == 200, "it is ready again")
        self.assertEqual(self.cluster.wait(running)["end"]["exit_code"], 5)
        for job_id in accepted:
            self.assertEqual(self.cluster.wait(job_id)["state"], "SUCCEEDED")
        self.assertEqual(self.start().status, 201)


if __name__ == "__main__":
    unittest.main(verbosity=2)
