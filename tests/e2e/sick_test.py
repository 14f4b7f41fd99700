"""Machines that jobs cannot start on, and jobs that no machine survives."""
import os
import shutil
import signal
import time
import unittest

from cluster import Cluster, wait_until

TIMES = {"worker_timeout": "2s", "lost_after": "2s", "heartbeat_interval": "500ms"}


class QuarantineTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.cluster.script("hello.sh", "echo hello\n")
        self.away = self.cluster.folder / "away"

    def worker(self, name="w1"):
        return self.cluster.http.get(f"/v1/workers/{name}").json()

    def states(self, ids):
        return [self.cluster.job(job_id)["state"] for job_id in ids]

    def test_without_its_scripts_a_worker_fails_no_job_and_serves_again_when_they_are_back(self):
        self.cluster.start_worker(slots=8)
        self.assertEqual(self.cluster.run("hello.sh")[1]["state"], "SUCCEEDED")
        self.cluster.scripts.rename(self.away)
        ids = [self.cluster.start("hello.sh") for _ in range(40)]

        quarantine = wait_until(lambda: self.worker().get("quarantine"), "it is in quarantine", 10)
        self.assertIn("scripts folder", quarantine["reason"])
        self.assertEqual(self.worker()["state"], "ALIVE")
        self.assertIn("ALIVE (quarantined)", self.cluster.cli("cluster", "workers").stdout)
        explanation = self.cluster.cli("job", "explain", ids[-1]).stdout
        self.assertIn("worker w1 is in quarantine: ", explanation)
        self.assertIn("clusterd_workers_quarantined 1",
                      self.cluster.http.get("/metrics").body.decode())
        wait_until(lambda: self.worker()["quarantine"]["probes"] >= 1, "a job is tried", 20)
        self.assertEqual([s for s in self.states(ids) if s not in ("QUEUED", "STARTING")], [])

        directed = self.cluster.http.post("/v1/workers/w1/jobs", {"path": "hello.sh",
                                                                  "command": "bash"})
        self.assertEqual(directed.status, 400, directed.body)  # told at once

        self.away.rename(self.cluster.scripts)
        mended = time.monotonic()
        for job_id in ids:
            self.assertEqual(self.cluster.wait(job_id)["state"], "SUCCEEDED")
        self.assertLess(time.monotonic() - mended, 60)
        self.assertNotIn("quarantine", self.worker())

    def test_an_empty_folder_where_scripts_were_is_one_that_is_not_mounted(self):
        self.cluster.start_worker(slots=2)
        self.cluster.scripts.rename(self.away)
        self.cluster.scripts.mkdir()
        job_id = self.cluster.start("hello.sh")
        wait_until(lambda: self.worker().get("quarantine"), "it is in quarantine", 10)
        self.assertEqual(self.cluster.job(job_id)["state"], "QUEUED")
        self.cluster.scripts.rmdir()
        self.away.rename(self.cluster.scripts)
        resumed = self.cluster.http.post("/v1/workers/w1/resume", {})
        self.assertNotIn("quarantine", resumed.json())
        self.assertEqual(self.cluster.wait(job_id)["state"], "SUCCEEDED")

    def test_jobs_of_a_sick_worker_run_on_the_others(self):
        theirs = self.cluster.folder / "theirs"
        shutil.copytree(self.cluster.scripts, theirs)
        self.cluster.start_worker("sick", slots=16, scripts_dir=str(theirs))
        self.cluster.start_worker("sound", slots=1)
        theirs.rename(self.away)
        ids = [self.cluster.start("hello.sh") for _ in range(20)]
        sound = self.cluster.worker_id("sound")
        for job_id in ids:
            job = self.cluster.wait(job_id)
            self.assertEqual((job["state"], job["worker_id"]), ("SUCCEEDED", sound))
        self.assertIn("quarantine", self.worker("sick"))

    def test_a_runtime_folder_that_is_gone_is_the_workers_fault(self):
        self.cluster.start_worker(slots=2)
        self.assertEqual(self.cluster.run("hello.sh")[1]["state"], "SUCCEEDED")
        fifos = self.cluster.folder / "w1-run"
        fifos.rename(self.away)
        job_id = self.cluster.start("hello.sh")
        quarantine = wait_until(lambda: self.worker().get("quarantine"), "it is in quarantine", 10)
        self.away.rename(fifos)
        job = self.cluster.wait(job_id)
        self.assertEqual(job["state"], "SUCCEEDED", quarantine)
        self.assertTrue(job["attempts"][0]["end"]["worker_at_fault"])

    def test_jobs_that_ask_for_what_is_not_there_make_no_worker_sick(self):
        self.cluster.start_worker(slots=4)
        self.cluster.script("lost.sh", "#!/no/such/interpreter\n")
        bodies = [{"path": "none.sh", "command": "bash"}, {"path": "lost.sh"},
                  {"path": "hello.sh", "command": "perl6"}]
        for body in bodies * 3:
            job = self.cluster.wait(self.cluster.http.post("/v1/jobs", body).json()["job_id"])
            self.assertEqual((job["state"], job["attempt"]), ("FAILED", 1), job)
        self.assertNotIn("quarantine", self.worker())


class LossTest(unittest.TestCase):
    def test_a_job_that_kills_every_worker_it_meets_ends(self):
        with Cluster(TIMES) as cluster:
            cluster.script("kill.sh", "sleep 1000\n")
            cluster.start_worker("w0", slots=1)
            answer = cluster.cli("job", "start", "--max-attempts", "9", "--retry-on", "loss",
                                 "--max-losses", "2", "--backoff", "0.1s", "--command", "bash",
                                 "kill.sh")
            job_id = answer.stdout.strip()
            self.assertEqual(answer.returncode, 0, answer.stderr)
            for attempt in (1, 2):
                name = f"w{attempt - 1}"
                if attempt > 1:
                    cluster.start_worker(name, slots=1)
                wait_until(lambda n=attempt: (cluster.job(job_id)["state"],
                                              cluster.job(job_id)["attempt"]) == ("RUNNING", n),
                           f"attempt {attempt} runs")
                cluster.kill_machine(name)
            job = cluster.wait(job_id)
            self.assertEqual((job["state"], len(job["attempts"])), ("LOST", 2))
            self.assertIn("2 attempts were lost with their workers", job["end"]["message"])
            for pid, _ in cluster.leftovers():
                if pid != cluster.scheduler.pid:
                    os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
