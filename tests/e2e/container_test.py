"""As the first process of a container, `clusterd worker` is the launcher. Needs root for unshare."""
import os
import pathlib
import signal
import subprocess
import time
import unittest

from cluster import Cluster, Daemon, processes, wait_until

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


class ContainerTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.gate = self.cluster.folder / "gate"
        os.mkfifo(self.gate)
        self.cluster.script("gated.sh", 'echo begun; read -r _ < "$1"; echo done; exit 37\n')

    def start(self, on_stop="keep", alive=True):
        """A worker in a process namespace of its own; `self.first` is process 1 there."""
        sections = {
            "grpc_server": {"addr": "127.0.0.1:0"},
            "scheduler": {"addr": self.cluster.grpc_address},
            "worker": {"name": "w1", "on_stop": on_stop},
            "jobs": {"scripts_dir": str(self.cluster.scripts), "stop_grace": "2s",
                     "data_dir": str(self.cluster.data_folder("w1")),
                     "runtime_dir": str(self.cluster.folder / "w1-run")},
        }
        daemon = Daemon(self.cluster.folder, "w1", "worker", sections, wrapper=UNSHARE)
        self.cluster.workers["w1"] = daemon
        children = pathlib.Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
        (self.first,) = map(int, children.read_text().split())
        self.addCleanup(self.end, daemon, self.first)
        if alive:
            self.cluster.wait_for_worker("w1", "ALIVE")
        return daemon

    @staticmethod
    def end(daemon, first):
        if daemon.process.poll() is None:
            os.kill(first, signal.SIGTERM)
            daemon.process.wait(timeout=60)

    def worker_pid(self):
        """The worker's number as seen from here: the child of process 1 that is a worker."""
        config = str(self.cluster.folder / "w1.toml")
        found = [pid for pid, command, _ in processes()
                 if f" worker --config {config}" in command and "unshare" not in command]
        return found[0] if found else None

    def zombies(self):
        count = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            count += fields[0] == "Z" and int(fields[1]) == self.first
        return count

    def test_the_worker_is_started_again_and_its_jobs_go_on(self):
        self.start()
        job_id = self.cluster.start("gated.sh", self.gate)
        self.cluster.wait_for_state(job_id, "RUNNING")
        for _ in range(3):
            before = self.worker_pid()
            os.kill(before, signal.SIGKILL)
            wait_until(lambda before=before: self.worker_pid() not in (None, before),
                       "another worker")
        self.gate.write_text("go\n")
        job = self.cluster.wait(job_id)
        self.assertEqual(job["end"]["exit_code"], 37, job)
        path = f"/v1/jobs/{job_id}/output"
        wait_until(lambda: self.cluster.http.get(path).status == 200, "the worker is back")
        self.assertEqual(self.cluster.output(job_id), b"begun\ndone\n")

    def test_orphans_are_reaped(self):
        self.start()
        self.cluster.script("orphan.sh", "(setsid sh -c 'sleep 0.2' &) ; exit 0\n")
        for _ in range(5):
            self.assertEqual(self.cluster.run("orphan.sh")[1]["state"], "SUCCEEDED")
        wait_until(lambda: self.zombies() == 0, "no zombie is left")

    def test_sigterm_stops_the_jobs_and_ends_the_container(self):
        daemon = self.start()
        job_id = self.cluster.start("gated.sh", self.gate)
        self.cluster.wait_for_state(job_id, "RUNNING")
        begin = time.monotonic()
        os.kill(self.first, signal.SIGTERM)
        self.assertEqual(daemon.process.wait(timeout=60), 0)
        self.assertLess(time.monotonic() - begin, 10)
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["reason"]), ("STOPPED", "STOP_REQUESTED"), job)

    def test_an_order_to_drain_ends_the_container_when_the_jobs_have_ended(self):
        daemon = self.start()
        job_id = self.cluster.start("gated.sh", self.gate)
        self.cluster.wait_for_state(job_id, "RUNNING")
        os.kill(self.worker_pid(), signal.SIGQUIT)  # as `clusterd worker --drain` does there
        self.cluster.wait_for_worker("w1", "OFFLINE")
        self.assertIsNone(daemon.process.poll())
        self.gate.write_text("go\n")
        self.assertEqual(daemon.process.wait(timeout=60), 0)
        self.assertEqual(self.cluster.wait(job_id)["end"]["exit_code"], 37)

    def test_a_worker_that_cannot_start_ends_the_container(self):
        self.start()
        second = subprocess.run([*UNSHARE, os.environ["CLUSTERD"], "worker", "--config",
                                 str(self.cluster.folder / "w1.toml")],
                                capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(second.returncode, 0)
        self.assertIn("launcher/lock is held by another launcher", second.stderr)

    def test_what_a_container_leaves_behind_is_known_to_the_next(self):
        daemon = self.start()
        job_id = self.cluster.start("gated.sh", self.gate)
        self.cluster.wait_for_state(job_id, "RUNNING")
        os.kill(self.first, signal.SIGKILL)
        daemon.process.wait(timeout=60)
        self.start()
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["reason"]), ("LOST", "EXIT_STATUS_UNKNOWN"))
        path = f"/v1/jobs/{job_id}/output"
        wait_until(lambda: self.cluster.http.get(path).status == 200, "the worker is back")
        self.assertEqual(self.cluster.output(job_id), b"begun\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
