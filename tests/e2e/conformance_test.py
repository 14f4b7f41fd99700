"""What docs/worker-protocol.md asks of a worker, asked of any: conformance_test.py COMMAND [WORD ...].

COMMAND starts the worker under test, again after each kill, with what it needs in its environment:
CLUSTERD_SCHEDULER (host:port), CLUSTERD_DATA_DIR and CLUSTERD_WORKER_NAME; it has 4 slots. It runs
jobs of this form, which $CONFORMANCE_JOB has as JSON (a JobSpec without its arguments; handler
"conformance" where it is not set):

    echo TEXT...     writes the texts, one a line
    fail             ends without success
    tick FILE N      appends "tick <unix time>" to FILE every 50 ms, N times, and writes
                     "tick"; ends sooner where it shall stop
    lines N          writes "line 1" to "line N", a few a millisecond

Without COMMAND the worker of this tree is asked. The scheduler is the real one.
"""
import contextlib
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
import unittest

from cluster import Cluster, executable, to_toml, wait_until

COMMAND = []
JOB = json.loads(os.environ.get("CONFORMANCE_JOB", '{"handler": "conformance"}'))
SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "support" / "conformance.sh"


class WorkerUnderTest:
    """The worker's process, which leads a session: a kill takes what it has started along only
    where that is its own child and does not leave."""

    def __init__(self, cluster, name="conformance"):
        self.cluster = cluster
        self.name = name
        self.log = cluster.folder / f"{name}.log"
        self.process = None

    def start(self, alive=True):
        environment = {**os.environ, "CLUSTERD_SCHEDULER": self.cluster.grpc_address,
                       "CLUSTERD_DATA_DIR": str(self.cluster.data_folder(self.name)),
                       "CLUSTERD_WORKER_NAME": self.name}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                COMMAND or self.own_command(), env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.cluster.folder)
        if alive:
            self.cluster.wait_for_worker(self.name, "ALIVE")

    def own_command(self):
        scripts = self.cluster.scripts
        (scripts / "conformance.sh").write_text(SCRIPT.read_text())
        config = self.cluster.folder / "own.toml"
        config.write_text(to_toml({
            "grpc_server": {"addr": "127.0.0.1:0"},
            "scheduler": {"addr": self.cluster.grpc_address},
            "worker": {"name": self.name, "on_stop": "stop"},
            "capacity": {"slots": 4},
            "jobs": {"scripts_dir": str(scripts),
                     "data_dir": str(self.cluster.data_folder(self.name)),
                     "runtime_dir": str(self.cluster.folder / "own-run")}}))
        return [executable(), "worker", "--config", str(config)]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=20)
        if self.process.poll() is None:
            self.kill()


class ConformanceTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(scheduling={
            "worker_timeout": "3s", "heartbeat_interval": "500ms", "lost_after": "30s"}))
        self.worker = WorkerUnderTest(self.cluster)
        self.worker.start()
        self.addCleanup(self.worker.stop)
        self.files = 0

    def start(self, *args, **spec):
        answer = self.cluster.http.post("/v1/jobs", {**JOB, "args": [str(a) for a in args], **spec})
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()["job_id"]

    def tick(self, times=1000, **spec):
        """A job that runs until it is stopped, and the file that it writes."""
        self.files += 1
        file = self.cluster.folder / f"ticks-{self.files}"
        job_id = self.start("tick", file, times, **spec)
        return job_id, file

    def ticks(self, file):
        if not file.exists():
            return []
        return [float(line.split()[1]) for line in file.read_text().splitlines() if line.count(" ") == 1]

    def wait_for_ticks(self, file, number=1):
        wait_until(lambda: len(self.ticks(file)) >= number, "the job runs")

    def wait_for_worker(self, state):
        self.cluster.wait_for_worker(self.worker.name, state)

    # ---- membership
    def test_it_says_who_it_is_and_keeps_its_id(self):
        first = self.cluster.http.get(f"/v1/workers/{self.worker.name}").json()
        self.assertEqual(first["capacity"]["slots"], 4, first)
        self.worker.kill()
        self.worker.start(alive=False)
        wait_until(lambda: self.cluster.http.get(f"/v1/workers/{self.worker.name}").json()["state"]
                   == "ALIVE", "it is back")
        self.assertEqual(self.cluster.worker_id(self.worker.name), first["worker_id"])
        self.assertEqual(len(self.cluster.http.get("/v1/workers").json()["workers"]), 1)

    def test_it_comes_back_after_the_scheduler_was_away(self):
        self.cluster.scheduler.kill()
        time.sleep(1)
        self.cluster.start_scheduler()
        self.wait_for_worker("ALIVE")
        self.assertEqual(self.cluster.wait(self.start("echo", "again"))["state"], "SUCCEEDED")

    # ---- ends
    def test_ends_are_told_as_they_are(self):
        job = self.cluster.wait(self.start("echo", "one", "two words"))
        self.assertEqual((job["state"], job["end"]["reason"], job["end"]["exit_code"]),
                         ("SUCCEEDED", "EXITED", 0))
        self.assertEqual(self.cluster.output(job["job_id"]), b"one\ntwo words\n")
        job = self.cluster.wait(self.start("fail"))
        self.assertEqual(job["state"], "FAILED")
        self.assertNotEqual(job["end"].get("exit_code"), 0, job)
        self.assertIn("start_time", job)

    def test_what_it_does_not_offer_is_refused(self):
        wrong = {"handler": "no such handler"} if "handler" in JOB else {**JOB, "path": "missing.sh"}
        worker = self.cluster.worker_id(self.worker.name)
        answer = self.cluster.http.post(f"/v1/workers/{worker}/jobs", wrong)
        self.assertIn(answer.status, (400, 403, 404, 409, 412), answer.body)
        self.assertEqual(self.cluster.job_ids(), [])

    def test_a_stop_ends_it(self):
        job_id, file = self.tick(stop_grace="2s")
        self.wait_for_ticks(file)
        self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {})
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["reason"]), ("STOPPED", "STOP_REQUESTED"))
        number = len(self.ticks(file))
        time.sleep(0.3)
        self.assertEqual(len(self.ticks(file)), number, "it went on after its end")

    def test_its_timeout_ends_it(self):
        job_id, file = self.tick(timeout="1s", stop_grace="2s")
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["reason"]), ("TIMED_OUT", "RUN_TIMED_OUT"))
        self.assertLess(self.ticks(file)[-1] - self.ticks(file)[0], 3)

    # ---- output
    def test_output_is_live_and_is_read_from_any_offset(self):
        job_id = self.start("lines", 3000)
        live = self.cluster.output(job_id, follow="true")
        whole = b"".join(b"line %d\n" % n for n in range(1, 3001))
        self.assertEqual(live, whole)
        job = self.cluster.wait(job_id)
        self.assertEqual(job["end"]["outputs"][0]["total_bytes"], str(len(whole)))
        self.assertEqual(self.cluster.output(job_id, offset=20000), whole[20000:])
        self.assertEqual(self.cluster.output(job_id, tail_lines=2), b"line 2999\nline 3000\n")
        beyond = self.cluster.http.get(f"/v1/jobs/{job_id}/output?offset={len(whole) + 1}")
        self.assertEqual(beyond.status, 416, beyond.body)

    def test_bytes_are_there_before_the_end(self):
        job_id, file = self.tick()
        self.wait_for_ticks(file, 3)
        wait_until(lambda: self.cluster.output(job_id).startswith(b"tick\ntick\n"), "output is live")
        self.assertEqual(self.cluster.job(job_id)["state"], "RUNNING")
        self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {})
        self.cluster.wait(job_id)

    def test_output_is_deleted_with_its_job(self):
        job_id = self.start("echo", "secret")
        self.cluster.wait(job_id)
        kept = [path for path in self.cluster.data_folder(self.worker.name).rglob("*")
                if job_id in str(path)]
        self.assertTrue(kept, "its output lies nowhere below the data folder")
        self.assertEqual(self.cluster.http.request("DELETE", f"/v1/jobs/{job_id}").status, 200)
        wait_until(lambda: not any(job_id in str(path) for path in
                                   self.cluster.data_folder(self.worker.name).rglob("*")),
                   "the output is deleted")

    # ---- once, and to the end
    def test_many_jobs_each_begin_once(self):
        file = self.cluster.folder / "once"
        answer = self.cluster.http.post("/v1/jobs", {
            **JOB, "args": ["tick", str(file), "1"], "array": {"from": 1, "to": 200}})
        job = self.cluster.wait(answer.json()["job_id"])
        self.assertEqual(job["state"], "SUCCEEDED", job)
        self.assertEqual(len(self.ticks(file)), 200)

    def test_a_job_lives_through_a_restart_of_the_scheduler(self):
        job_id, file = self.tick(60)
        self.wait_for_ticks(file, 5)
        self.cluster.scheduler.kill()
        self.cluster.start_scheduler()
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["attempt"]), ("SUCCEEDED", 1), job)
        self.assertEqual(len(self.ticks(file)), 60)

    def test_an_end_without_a_scheduler_is_told_later(self):
        job_id, file = self.tick(10)
        self.wait_for_ticks(file)
        self.cluster.scheduler.kill()
        self.wait_for_ticks(file, 10)
        time.sleep(0.5)
        self.cluster.start_scheduler()
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["exit_code"]), ("SUCCEEDED", 0), job)

    def test_an_end_outlives_the_worker_that_saw_it(self):
        job_id, file = self.tick(10)
        self.wait_for_ticks(file)
        self.cluster.scheduler.kill()
        self.wait_for_ticks(file, 10)
        time.sleep(0.5)  # it has ended: nobody can say so from outside
        self.worker.kill()
        self.worker.start(alive=False)
        self.cluster.start_scheduler()
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["exit_code"]), ("SUCCEEDED", 0), job)
        self.assertEqual(len(self.ticks(file)), 10)

    def test_a_killed_worker_does_not_lie(self):
        job_id, file = self.tick(40)
        self.wait_for_ticks(file, 5)
        self.worker.kill()
        self.worker.start(alive=False)
        job = self.cluster.wait(job_id)
        self.assertEqual(job["attempt"], 1, job)
        if job["state"] == "SUCCEEDED":  # its jobs live on without it
            self.assertEqual(len(self.ticks(file)), 40)
        else:
            self.assertEqual((job["state"], job["end"]["reason"]), ("LOST", "EXIT_STATUS_UNKNOWN"))
            self.assertLess(len(self.ticks(file)), 40)
        self.wait_for_worker("ALIVE")
        self.assertEqual(self.cluster.wait(self.start("echo", "on"))["state"], "SUCCEEDED")

    def test_what_was_stopped_in_its_absence_is_stopped_when_it_is_back(self):
        job_id, file = self.tick(200)
        self.wait_for_ticks(file)
        self.worker.process.send_signal(signal.SIGSTOP)
        self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {})
        self.worker.process.send_signal(signal.SIGCONT)
        self.assertEqual(self.cluster.wait(job_id)["state"], "STOPPED")

    def test_a_fenced_job_ends_without_the_scheduler(self):
        job_id, file = self.tick(400, lost_after="4s", retry={"max_attempts": 2, "on": ["LOSS"]})
        self.wait_for_ticks(file)
        self.cluster.scheduler.kill()
        killed = time.time()
        time.sleep(5)
        last = self.ticks(file)[-1]
        self.assertLess(last - killed, 4.0, "it ran on although another may begin now")
        if self.worker.process.poll() is not None:
            self.worker.start(alive=False)
        self.cluster.start_scheduler()
        wait_until(lambda: self.cluster.job(job_id)["attempt"] == 2, "it is tried again")
        self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {})
        self.cluster.wait(job_id)

    def test_a_drained_worker_gets_nothing_new_and_ends_what_it_has(self):
        job_id, file = self.tick(20)
        self.wait_for_ticks(file)
        self.cluster.http.post(f"/v1/workers/{self.worker.name}/drain", {})
        waiting = self.start("echo", "later")
        self.assertEqual(self.cluster.wait(job_id)["state"], "SUCCEEDED")
        self.assertEqual(self.cluster.job(waiting)["state"], "QUEUED")
        self.cluster.http.post(f"/v1/workers/{self.worker.name}/resume", {})
        self.assertEqual(self.cluster.wait(waiting)["state"], "SUCCEEDED")


def take_command():
    """The worker's command, from the command line; without one it is that of this tree."""
    words = sys.argv[1:2]
    if words and not words[0].startswith(("-", "ConformanceTest", "OrdersTest")):
        COMMAND.extend(shlex.split(words[0]))
        del sys.argv[1]
    else:
        JOB.clear()
        JOB.update({"path": "conformance.sh", "command": "bash"})


if __name__ == "__main__":
    take_command()
    unittest.main()
