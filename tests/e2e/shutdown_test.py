"""Stop means stopped, and the daemons end when they are told to."""
import os
import signal
import subprocess
import time
import unittest

from cluster import Cluster, executable, processes, wait_until
from http_client import HttpConnection


def running(text):
    return [command for _, command, _ in processes() if text in command]


class StopTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.start_worker()

    def seconds(self, index):
        """A duration of sleep(1) that no other process has."""
        return f"{1000 + index}.{os.getpid():07d}"

    def start_and_stop(self, text, **spec):
        self.cluster.script("tree.sh", text)
        job_id = self.cluster.start("tree.sh", **spec)
        wait_until(lambda: b"ready" in self.cluster.output(job_id), "the script is ready")
        answer = self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {"reason": "enough"})
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json()["stop_requested"]["reason"], "enough")
        return self.cluster.wait(job_id)

    def test_stop_ends_the_whole_tree(self):
        one, two = self.seconds(1), self.seconds(2)
        job = self.start_and_stop(f"sleep {one} & (sleep {two} & wait) & echo ready; wait\n")
        self.assertEqual(running(one) + running(two), [])
        self.assertEqual((job["state"], job["end"]["reason"]), ("STOPPED", "STOP_REQUESTED"))

    def test_stop_ends_what_ignores_the_signal(self):
        one = self.seconds(3)
        start = time.monotonic()
        job = self.start_and_stop(f"trap '' TERM; sleep {one} & echo ready; "
                                  "while :; do sleep 0.1; done\n", stop_grace="0.5s")
        self.assertEqual(running(one), [])
        self.assertEqual((job["state"], job["end"]["signal"]), ("STOPPED", 9))
        self.assertGreaterEqual(time.monotonic() - start, 0.5)

    def test_stop_signal_is_the_one_asked_for(self):
        job = self.start_and_stop("trap 'echo got INT; exit 0' INT; echo ready; "
                                  "while :; do sleep 0.05; done\n", stop_signal="SIGINT")
        self.assertEqual(job["state"], "STOPPED")
        self.assertEqual(self.cluster.output(job["job_id"]), b"ready\ngot INT\n")

    def test_what_a_script_leaves_behind_ends_with_it(self):
        one = self.seconds(4)
        self.cluster.script("leaves.sh", f"sleep {one} & echo left\n")
        output, job = self.cluster.run("leaves.sh", stop_grace="0.5s")
        self.assertEqual((output, job["state"]), (b"left\n", "SUCCEEDED"))
        self.assertEqual(running(one), [])

    def test_stop_twice_is_one_stop(self):
        self.cluster.script("forever.sh", "exec sleep 1000\n")
        job_id = self.cluster.start("forever.sh")
        for _ in range(2):
            self.assertEqual(self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {}).status, 200)
        self.assertEqual(self.cluster.wait(job_id)["state"], "STOPPED")


class DaemonEndTest(unittest.TestCase):
    def check_ends(self, daemon):
        code, seconds = daemon.terminate()
        self.assertEqual(code, 0, daemon.log.read_text(errors="replace")[-2000:])
        self.assertLess(seconds, 2)

    def test_idle_daemons_end_on_sigterm(self):
        with Cluster() as cluster:
            worker = cluster.start_worker()
            self.check_ends(worker)
            wait_until(lambda: not cluster.launchers(), "the launcher ends", 15)
            self.assertEqual(cluster.http.get("/v1/workers").json()["workers"], [])
            self.check_ends(cluster.scheduler)

    def test_daemons_end_on_sigterm_while_a_job_is_followed(self):
        with Cluster() as cluster:
            cluster.script("forever.sh", "echo begun; exec sleep 1000\n")
            worker = cluster.start_worker()
            job_id = cluster.start("forever.sh")
            with cluster.http.open(f"/v1/jobs/{job_id}/output?follow=true") as answer:
                self.assertEqual(next(answer.chunks()), b"begun\n")
                self.check_ends(cluster.scheduler)
            self.check_ends(worker)

    def test_the_scheduler_ends_on_sigterm_while_calls_to_a_worker_hang(self):
        with Cluster({"worker_timeout": "120s"}) as cluster:
            cluster.script("forever.sh", "echo begun; exec sleep 1000\n")
            worker = cluster.start_worker()
            job_id = cluster.start("forever.sh")
            terminal = subprocess.Popen(  # a follower that uses the network's server
                [executable(), "job", "logs", "-f", job_id], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=cluster.cli_environment())
            self.addCleanup(terminal.wait)
            self.addCleanup(terminal.kill)
            self.addCleanup(terminal.stdout.close)
            self.assertEqual(terminal.stdout.readline(), b"begun\n")
            cluster.wait_for_state(job_id, "RUNNING")
            worker.suspend()
            requests = [("GET", "/v1/workers/w1/scripts", None),
                        ("POST", f"/v1/jobs/{job_id}/signal", {"signal": "USR1"}),
                        ("POST", f"/v1/jobs/{job_id}/stop", {}),
                        ("GET", f"/v1/jobs/{job_id}/wait?timeout=60s", None),
                        ("GET", f"/v1/jobs/{job_id}/output?follow=true", None),
                        ("POST", "/v1/workers/w1/jobs", {"path": "forever.sh", "command": "bash"})]
            connections = []
            for method, path, body in requests * 4:
                connection = HttpConnection(cluster.http_address)
                self.addCleanup(connection.close)
                connection.send(method, path, body)
                connections.append((f"{method} {path}", connection))
            # A request of another kind, behind them in the scheduler's queue, is answered.
            self.assertEqual(cluster.http.get("/v1/workers/w1").json()["state"], "ALIVE")
            hanging = [name for name, connection in connections if not connection.has_answer()]
            for name in ("GET /v1/workers/w1/scripts", f"POST /v1/jobs/{job_id}/signal"):
                self.assertEqual(hanging.count(name), 4, hanging)

            self.check_ends(cluster.scheduler)

            worker.process.send_signal(signal.SIGCONT)
            self.check_ends(worker)

    def test_a_worker_that_stops_its_jobs_gets_no_further_one(self):
        with Cluster() as cluster:
            cluster.script("forever.sh", "exec sleep 1000\n")
            worker = cluster.start_worker(slots=1, on_stop="stop")
            first = cluster.start("forever.sh")
            cluster.wait_for_state(first, "RUNNING")
            waiting = [cluster.start("forever.sh") for _ in range(3)]
            code, _ = worker.terminate()
            self.assertEqual(code, 0)
            self.assertEqual(cluster.wait(first)["end"]["reason"], "STOP_REQUESTED")
            self.assertEqual([cluster.job(job_id)["state"] for job_id in waiting], ["QUEUED"] * 3)

    def test_a_worker_without_its_scheduler_ends_on_sigterm(self):
        with Cluster() as cluster:
            worker = cluster.start_worker()
            cluster.scheduler.kill()
            self.check_ends(worker)


if __name__ == "__main__":
    unittest.main(verbosity=2)
