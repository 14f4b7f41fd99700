"""Every script of examples/scripts, run as a job: it does what its first lines say."""
import os
import pathlib
import unittest

from cluster import Cluster

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "examples" / "scripts"


class ExamplesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        for script in SCRIPTS.iterdir():
            cls.cluster.script(script.name, script.read_text())
        cls.cluster.start_worker()

    def check(self, path, *args, lines, state="SUCCEEDED", exit_code=0, command="bash"):
        output, job = self.cluster.run(path, *args, command=command)
        self.assertEqual(output.decode().splitlines(), lines)
        self.assertEqual((job["state"], job["end"].get("exit_code")), (state, exit_code))
        return job

    def test_count(self):
        self.check("count.sh", "3", lines=["line 1 of 3", "line 2 of 3", "line 3 of 3"])

    def test_count_with_a_pause_executed_without_an_interpreter(self):
        self.check("count.sh", "2", "0.05", command="", lines=["line 1 of 2", "line 2 of 2"])

    def test_hello(self):
        job_id = self.cluster.start("hello.py", "a b", "c", command="python3")
        self.assertEqual(self.cluster.wait(job_id)["state"], "SUCCEEDED")
        self.assertEqual(self.cluster.output(job_id).decode().splitlines(), [
            f"hello from job {job_id}, attempt 1",
            f"on worker w1, in {self.cluster.scripts}",
            "arguments: ['a b', 'c']"])

    def test_failing(self):
        self.check("failing.sh", lines=["about to fail with exit code 3"], state="FAILED",
                   exit_code=3)

    def test_both_streams(self):
        self.check("both_streams.sh",
                   lines=["out 1", "err 1", "out 2", "err 2", "out 3", "err 3"])

    def test_graceful(self):
        job_id = self.cluster.start("graceful.sh")
        with self.cluster.http.open(f"/v1/jobs/{job_id}/output?follow=true") as answer:
            chunks = answer.chunks()
            output = next(chunks)
            self.assertEqual(self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {}).status, 200)
            output += b"".join(chunks)
        self.assertEqual(output, b"working\nasked to stop: tidying up\n")
        self.assertEqual(self.cluster.wait(job_id)["state"], "STOPPED")

    def test_every_script_is_tested(self):
        tested = pathlib.Path(__file__).read_text()
        for script in SCRIPTS.iterdir():
            self.assertIn(f'"{script.name}"', tested)
            self.assertTrue(os.access(script, os.X_OK), script)


if __name__ == "__main__":
    unittest.main(verbosity=2)
