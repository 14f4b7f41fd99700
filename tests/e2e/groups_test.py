"""Stops and retries of all jobs that match, over HTTP and from the command line."""
import json
import os
import threading
import time
import unittest

from audit_test import AuditCase
from access_test import bearer
from cluster import Cluster
from queue_test import submit_many

MANY = 20_000 if os.environ.get("CLUSTERD_LONG") else 3_000


class GroupsTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.cluster.script("wait.sh", "exec sleep 1000\n")
        self.cluster.script("exit.sh", 'exit "${1:-$CLUSTERD_TASK_INDEX}"\n')

    def cli(self, *words, code=0):
        result = self.cluster.cli(*words)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout

    def post(self, path, body, key=None):
        answer = self.cluster.http.post(path, body, headers={"Idempotency-Key": key} if key else None)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def test_stop_by_label(self):
        self.cluster.start_worker(slots=2)
        data = [self.cluster.start("wait.sh", labels={"team": "data"}) for _ in range(4)]
        array = self.cluster.start("wait.sh", labels={"team": "data"}, array={"from": 0, "to": 9})
        other = self.cluster.start("wait.sh", labels={"team": "web"})
        for job_id in data[:2]:
            self.cluster.wait_for_state(job_id, "RUNNING")
        newest_first = [array, *reversed(data)]
        selection = {"selection": {"label": ["team=data"]}}

        would = self.cli("job", "stop", "--label", "team=data", "--dry-run").splitlines()
        self.assertEqual(would, ["5 jobs would be asked to stop", *newest_first])
        self.assertEqual(self.post("/v1/jobs/stop", {**selection, "dry_run": True}),
                         {"count": "5", "job_ids": newest_first})
        self.assertEqual(self.cluster.job(data[0])["state"], "RUNNING")

        quiet = self.cli("job", "stop", "--label", "team=data", "--state", "running",
                         "--worker", "w1", "--quiet", "--dry-run").split()
        self.assertEqual(quiet, [data[1], data[0]])
        self.assertEqual(self.post("/v1/jobs/stop", {**selection, "reason": "over"}, "k"),
                         {"count": "5", "job_ids": newest_first})
        for job_id in newest_first:
            job = self.cluster.wait(job_id)
            self.assertEqual((job["state"], job["stop_requested"]["reason"]), ("STOPPED", "over"))
        self.assertEqual(self.post("/v1/jobs/stop", {**selection, "reason": "over"}, "k")["count"], "5")
        self.assertEqual(json.loads(self.cli("job", "stop", "--label", "team=data", "--json")),
                         {"count": "0", "job_ids": []})
        self.assertNotEqual(self.cluster.job(other)["state"], "STOPPED")
        self.assertIn("1 job asked to stop", self.cli("job", "stop", "--label", "team=web"))

    def test_retry_of_what_failed_by_label(self):
        self.cluster.start_worker(slots=4)
        labels = {"team": "data"}
        failed = self.cluster.start("exit.sh", 1, labels=labels)
        succeeded = self.cluster.start("exit.sh", 0, labels=labels)
        other = self.cluster.start("exit.sh", 1)
        array = self.cluster.start("exit.sh", labels=labels, array={"from": 0, "to": 3})
        for job_id in (failed, succeeded, other, array):
            self.cluster.wait(job_id)
        self.cluster.script("exit.sh", "exit 0\n")

        self.assertEqual(self.cli("job", "retry", "--failed", "--label", "team=data", "--dry-run",
                                  "-q").split(), [array, failed])
        self.assertEqual(self.cli("job", "retry", "--failed", "--label", "team=data").splitlines(),
                         ["2 jobs retried", array, failed])
        for job_id in (failed, array):
            self.assertEqual(self.cluster.wait(job_id)["state"], "SUCCEEDED")
        tasks = self.cluster.http.get(f"/v1/jobs/{array}/tasks").json()["jobs"]
        self.assertEqual([task["attempt"] for task in tasks], [1, 2, 2, 2])
        self.assertEqual(self.cluster.job(other)["state"], "FAILED")
        self.assertEqual(self.post("/v1/jobs/retry", {"selection": {"label": ["team=data"]}})["count"], "0")

    def test_what_is_not_allowed(self):
        for words in (["job", "stop"], ["job", "stop", "x", "--label", "a"],
                      ["job", "stop", "x", "--dry-run"], ["job", "retry", "--failed"],
                      ["job", "stop", "--state", "running"],
                      ["job", "retry", "--label", "a", "--state", "succeeded"]):
            with self.subTest(words=words):
                self.cli(*words, code=64)
        self.cli("job", "stop", "--worker", "nobody", code=66)
        for path, body in (("stop", {}), ("stop", {"selection": {"state": ["QUEUED"]}}),
                           ("retry", {"selection": {"name": "n", "state": ["RUNNING"]}})):
            with self.subTest(path=path, body=body):
                answer = self.cluster.http.post(f"/v1/jobs/{path}", body)
                self.assertEqual(answer.status, 400, answer.body)
                self.assertTrue(answer.json()["field"].startswith("selection"), answer.body)

    def test_many_jobs_are_stopped_while_the_scheduler_answers_others(self):
        submit_many(self.cluster, {"path": "wait.sh", "command": "bash", "labels": {"team": "data"}},
                    MANY)
        slowest = 0
        begin = time.monotonic()
        done = {}
        thread = threading.Thread(target=lambda: done.update(
            self.cluster.http_client().post("/v1/jobs/stop",
                                            {"selection": {"label": ["team"]}}).json()))
        thread.start()
        while thread.is_alive():
            asked = time.monotonic()
            self.cluster.http.get("/v1/workers")
            slowest = max(slowest, time.monotonic() - asked)
        thread.join()
        print(f"{MANY} jobs stopped in {time.monotonic() - begin:.2f} s, "
              f"slowest answer to others {slowest * 1000:.0f} ms")
        self.assertEqual(done["count"], str(MANY))
        self.assertEqual(len(done["job_ids"]), 1000)
        self.assertLess(slowest, 2)
        counts = self.cluster.http.get("/v1/cluster").json()["job_counts"]
        self.assertEqual((counts.get("QUEUED", "0"), counts["STOPPED"]), ("0", str(MANY)))


class AuditTest(AuditCase):
    def test_who_stopped_what_is_in_the_audit_and_in_the_record(self):
        cluster = self.audited()
        operator = bearer(self.tokens["operator"])
        job_id = cluster.http.post("/v1/jobs", {"path": "hello.sh", "args": ["600"],
                                                "command": "bash", "labels": {"a": "b"}},
                                   operator).json()["job_id"]
        answer = cluster.http.post("/v1/jobs/stop", {"selection": {"label": ["a=b"]}}, operator)
        self.assertEqual(answer.json()["job_ids"], [job_id])
        (begin, end), = self.calls("SchedulerService/StopMatchingJobs")
        self.assertEqual((begin["who"], begin["selection"]), ("client/operator/operator", "label=a=b"))
        self.assertEqual((end["outcome"], end["jobs"]), ("OK", "1"))
        job = cluster.http.get(f"/v1/jobs/{job_id}", operator).json()
        self.assertEqual(job["stop_requested"]["who"], begin["who"])
        refused = cluster.http.post("/v1/jobs/stop", {"selection": {"label": ["a=b"]}},
                                    bearer(self.tokens["reader"]))
        self.assertEqual(refused.status, 403)


if __name__ == "__main__":
    unittest.main()
