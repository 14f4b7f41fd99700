"""A hung worker delays nobody else; many starts at once run exactly once each."""
import collections
import resource
import signal
import statistics
import threading
import time
import unittest

from cluster import Cluster, wait_until
from http_client import HttpConnection

CONNECTIONS = 64
STARTS = 1000


class TwoWorkersTest(unittest.TestCase):
    def test_workers_may_be_given_the_same_runtime_dir(self):
        with Cluster() as cluster:
            cluster.script("forever.sh", "echo begun; exec sleep 1000\n")
            runtime_dir = str(cluster.folder / "run")
            for name in ("one", "two"):
                cluster.start_worker(name, runtime_dir=runtime_dir)
            jobs = [cluster.start("forever.sh", worker=name) for name in ("one", "two")]
            for job_id in jobs:
                wait_until(lambda job_id=job_id: cluster.output(job_id) == b"begun\n", "it runs")
            self.assertEqual([len(cluster.launchers(name)) for name in ("one", "two")], [1, 1])


class LimitTest(unittest.TestCase):
    def test_a_worker_raises_its_limit_of_open_files_and_not_that_of_jobs(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with Cluster() as cluster:
            cluster.script("limit.sh", "ulimit -Sn\n")
            resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
            try:
                worker = cluster.start_worker()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            self.assertEqual(resource.prlimit(worker.pid, resource.RLIMIT_NOFILE), (hard, hard))
            self.assertEqual(cluster.run("limit.sh")[0], b"200\n")


class HungWorkerTest(unittest.TestCase):
    def test_a_stopped_worker_delays_no_request_to_another(self):
        with Cluster({"worker_timeout": "120s"}) as cluster:
            cluster.script("echo.sh", "echo done\n")
            hung = cluster.start_worker("hung", slots=10_000)
            cluster.start_worker("free", slots=64)
            on_hung = cluster.start("echo.sh", worker="hung")
            cluster.wait(on_hung)
            usual = self.seconds_of_jobs(cluster)
            hung.suspend()

            stop = threading.Event()
            answers = collections.Counter()
            threads = [threading.Thread(target=self.ask_hung, args=(cluster, stop, answers))
                       for _ in range(16)]
            for thread in threads:
                thread.start()
            readers = [HttpConnection(cluster.http_address) for _ in range(16)]
            for reader in readers:
                reader.send("GET", f"/v1/jobs/{on_hung}/output?follow=true")
            askers = [HttpConnection(cluster.http_address) for _ in range(16)]
            for asker in askers:
                asker.send("GET", "/v1/workers/hung/scripts")
            beside_it = self.seconds_of_jobs(cluster)
            # They hung while it was measured: each thread is in a request, no reader has a byte.
            self.assertTrue(all(thread.is_alive() for thread in threads), answers)
            self.assertFalse(any(reader.has_answer() for reader in readers))
            stop.set()
            for thread in threads:
                thread.join(timeout=60)
            hung.process.send_signal(signal.SIGCONT)

            # Nothing was decided about the hung worker's starts: no verdict is no failure.
            self.assertEqual(set(answers), {(201, "STARTING")}, answers)
            self.assertLess(statistics.median(beside_it), 3 * statistics.median(usual) + 0.1)
            self.assertLess(max(beside_it), 2)
            for connection in readers + askers:
                connection.close()
            for job_id in cluster.job_ids():
                self.assertEqual(cluster.wait(job_id)["state"], "SUCCEEDED")

    @staticmethod
    def seconds_of_jobs(cluster):
        """How long each of some jobs on the free worker takes, start to known end."""
        durations = []
        for _ in range(30):
            start = time.monotonic()
            cluster.wait(cluster.start("echo.sh", worker="free"))
            durations.append(time.monotonic() - start)
        return durations

    @staticmethod
    def ask_hung(cluster, stop, answers):
        while not stop.is_set():
            answer = cluster.http.post("/v1/workers/hung/jobs",
                                       {"path": "echo.sh", "command": "bash"})
            state = answer.json().get("state") if answer.status == 201 else answer.body
            answers[(answer.status, state)] += 1


class ManyStartsTest(unittest.TestCase):
    def test_1000_starts_from_64_connections_run_once_each(self):
        with Cluster() as cluster:
            ran = cluster.folder / "ran"
            cluster.script("mark.sh", 'echo "$CLUSTERD_JOB_ID" >> "$1"\n')
            cluster.start_worker("w1", slots=8)
            cluster.start_worker("w2", slots=8)
            body = {"path": "mark.sh", "command": "bash", "args": [str(ran)]}
            answers, errors = [], []
            left = collections.deque(range(STARTS))
            all_ready = threading.Barrier(CONNECTIONS)

            def start_some():
                try:
                    connection = HttpConnection(cluster.http_address)
                    all_ready.wait(timeout=60)
                    while left:
                        try:
                            left.popleft()
                        except IndexError:
                            break
                        answer = connection.request("POST", "/v1/jobs", body)
                        answers.append((answer.status, answer.json()))
                    connection.close()
                except Exception as error:  # told to the test below
                    errors.append(error)

            threads = [threading.Thread(target=start_some) for _ in range(CONNECTIONS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=120)

            self.assertEqual(errors, [])
            self.assertEqual(len(answers), STARTS)
            self.assertEqual(collections.Counter(status for status, _ in answers), {201: STARTS})
            accepted = [job["job_id"] for _, job in answers]
            for job_id in accepted:
                self.assertEqual(cluster.wait(job_id)["state"], "SUCCEEDED")
            self.assertEqual(sorted(ran.read_text().split()), sorted(accepted))
            self.assertEqual(sorted(cluster.job_ids()), sorted(accepted))
            self.assertEqual(len({job["seq"] for _, job in answers}), STARTS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
