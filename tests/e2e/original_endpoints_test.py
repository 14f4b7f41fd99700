"""The original system's HTTP endpoints: /start, /stop, /query, /output."""
import json
import unittest

from cluster import Cluster, wait_until


class OriginalEndpointsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("count.sh", "for i in 1 2 3; do echo $i; done\n")
        cls.cluster.script("exit.sh", "exit 5\n")
        cls.cluster.script("forever.sh", "sleep 1000\n")
        cls.cluster.start_worker()
        cls.worker = cls.cluster.worker_id()

    def start(self, path):
        # No Content-Type, another letter case, a key of theirs: the original took all of it.
        answer = self.cluster.http.post("/start", json.dumps(
            {"worker_id": self.worker, "Path": path, "command": "bash", "extra": 1}).encode())
        self.assertEqual(answer.status, 201, answer.body)
        self.assertRegex(answer.body, rb'^\{"job_id":"[0-9a-f-]{36}"\}\n$')
        return answer.json()["job_id"]

    def call(self, path, job_id):
        return self.cluster.http.post(path, {"worker_id": self.worker, "job_id": job_id})

    def query(self, job_id):
        return self.call("/query", job_id).body

    def test_a_job_that_succeeds(self):
        job_id = self.start("count.sh")
        self.assertEqual(self.call("/output", job_id).body, b"1\n2\n3\n")
        self.cluster.wait(job_id)
        self.assertEqual(self.query(job_id), b'{"done":true,"error":false,"error_text":""}\n')

    def test_a_job_that_fails(self):
        job_id = self.start("exit.sh")
        self.cluster.wait(job_id)
        self.assertEqual(self.query(job_id),
                         b'{"done":true,"error":true,"error_text":"exit status 5"}\n')

    def test_a_job_that_is_stopped(self):
        job_id = self.start("forever.sh")
        self.assertEqual(self.query(job_id), b'{"done":false,"error":false,"error_text":""}\n')

        stopped = self.call("/stop", job_id)

        self.assertEqual((stopped.status, stopped.body), (200, b'{"success":true}\n'))
        answer = json.loads(self.query(job_id))  # it waited for the end
        self.assertEqual((answer["done"], answer["error"]), (True, True))
        self.assertRegex(answer["error_text"], r"^signal: ")
        self.assertEqual(self.call("/stop", job_id).body, b'{"success":true}\n')

    def test_refusals(self):
        for path, body, status, text in (
                ("/start", {"worker_id": "none", "path": "count.sh", "command": "bash"}, 404,
                 "worker not found"),
                ("/query", {"worker_id": self.worker, "job_id": "none"}, 404, "job not found"),
                ("/stop", {"worker_id": self.worker, "job_id": "none"}, 404, "job not found"),
                ("/output", {"worker_id": self.worker, "job_id": "none"}, 404, "job not found"),
                ("/start", {"worker_id": self.worker, "path": "../x", "command": "bash"}, 400, ""),
                ("/start", b"{", 400, "")):
            with self.subTest(path=path, body=body):
                answer = self.cluster.http.post(path, body)
                self.assertEqual(answer.status, status, answer.body)
                self.assertEqual(answer.headers["content-type"].split(";")[0], "application/json")
                self.assertTrue(answer.body.endswith(b"\n"))
                self.assertEqual(list(answer.json()), ["error"])
                self.assertIn(text, answer.json()["error"])
        self.assertEqual(self.cluster.http.get("/start").status, 405)

    def test_output_follows_until_the_end(self):
        job_id = self.start("forever.sh")
        wait_until(lambda: self.cluster.job(job_id)["state"] == "RUNNING", "it runs")
        self.call("/stop", job_id)
        self.assertEqual(self.call("/output", job_id).body, b"")


if __name__ == "__main__":
    unittest.main(verbosity=2)
