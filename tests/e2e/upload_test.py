"""Scripts that come with their jobs: run where that is allowed, and nowhere else."""
import base64
import hashlib
import os
import stat
import unittest

from cluster import Cluster, cluster_that_others_may_pass

SCRIPT = 'echo "$0 got $1"; echo "uploaded $CLUSTERD_TASK_INDEX"\n'


class UploadTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.start_worker("closed")
        cls.cluster.start_worker("open", allow_uploads=True, max_upload="64KiB")
        cls.file = cls.cluster.folder / "mine.sh"
        cls.file.write_text(SCRIPT)

    def run_upload(self, *args, file=None):
        return self.cluster.cli("run", "--upload", *args, str(file or self.file), "here")

    def test_a_script_that_no_worker_has_runs_on_one_that_allows_it(self):
        result = self.run_upload("--quiet", "--command", "bash")
        self.assertEqual((result.returncode, result.stderr), (0, ""), result)
        self.assertRegex(result.stdout, r" got here\nuploaded \n$")
        job = self.cluster.http.get("/v1/jobs?page_size=1").json()["jobs"][0]
        self.assertEqual(job["worker_id"], self.cluster.worker_id("open"))
        self.assertEqual(job["spec"]["path"], "mine.sh")
        digest = hashlib.sha256(SCRIPT.encode()).hexdigest()
        for shown in (job, self.cluster.job(job["job_id"])):
            self.assertEqual(shown["spec"]["script"], {"content": "", "sha256": digest})
        kept = self.cluster.data_folder("open") / "uploads" / digest
        self.assertEqual(kept.read_text(), SCRIPT)
        self.assertEqual(stat.S_IMODE(kept.stat().st_mode), 0o500)

    def test_without_an_interpreter_its_first_line_names_one(self):
        own = self.cluster.folder / "own.sh"
        own.write_text("#!/bin/sh\necho by itself\n")
        result = self.run_upload("--quiet", file=own)
        self.assertEqual((result.returncode, result.stdout), (0, "by itself\n"), result)
        refused = self.run_upload("--worker", "open")
        self.assertEqual((refused.returncode, refused.stdout), (64, ""), refused)
        self.assertIn("#!", refused.stderr)

    def test_arrays_and_retries_have_it_too(self):
        result = self.cluster.cli("job", "start", "--upload", "--wait", "--array", "1-3",
                                  "--command", "bash", str(self.file))
        self.assertEqual(result.returncode, 0, result)
        job_id = result.stdout.strip()
        for index in range(1, 4):
            self.assertIn(b"uploaded %d\n" % index, self.cluster.output(f"{job_id}.{index}"))
        again = self.cluster.folder / "again.sh"
        again.write_text('echo "attempt $CLUSTERD_ATTEMPT"; exit $((2 - CLUSTERD_ATTEMPT))\n')
        failed = self.run_upload("--quiet", "--command", "bash", file=again)
        self.assertEqual((failed.returncode, failed.stdout), (1, "attempt 1\n"), failed)
        self.assertEqual(self.cluster.cli("job", "retry", "last").returncode, 0)
        self.assertEqual(self.cluster.cli("job", "wait", "last").returncode, 0)

    def test_it_survives_a_restart_of_the_scheduler_while_it_is_queued(self):
        queued = self.cluster.cli("job", "start", "--upload", "--start-delay", "2s", "--command",
                                  "bash", str(self.file))
        self.assertEqual(queued.returncode, 0, queued)
        self.cluster.scheduler.kill()
        self.cluster.start_scheduler()
        job = self.cluster.wait(queued.stdout.strip())
        self.assertEqual(job["state"], "SUCCEEDED", job)

    def test_a_worker_that_does_not_allow_it_says_where_the_script_must_lie(self):
        result = self.run_upload("--worker", "closed", "--command", "bash")
        self.assertEqual((result.returncode, result.stdout), (77, ""), result)
        self.assertIn(f"it must lie at {self.cluster.scripts}/mine.sh", result.stderr)
        self.assertIn("allow_uploads", result.stderr)

    def test_no_worker_that_allows_it(self):
        with Cluster() as cluster:
            cluster.start_worker()
            started = cluster.cli("job", "start", "--upload", "--command", "bash", str(self.file))
            self.assertEqual(started.returncode, 0, started)
            self.assertIn("allow_uploads", started.stderr)
            why = cluster.cli("job", "explain", started.stdout.strip())
            self.assertIn("w1  does not run scripts that come with their jobs", why.stdout)
            self.assertEqual(cluster.cli("job", "stop", "last").returncode, 0)

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_another_user_runs_what_it_cannot_reach(self):
        with cluster_that_others_may_pass() as cluster:
            cluster.start_worker(allow_uploads=True, run_as="nobody")
            own = cluster.folder / "who.sh"
            for text, words in (("#!/bin/sh\nid -un\n", ()), ("id -un\n", ("--command", "sh"))):
                with self.subTest(words):
                    own.write_text(text)
                    result = cluster.cli("run", "--upload", "--quiet", *words, str(own))
                    self.assertEqual((result.returncode, result.stdout), (0, "nobody\n"), result)

    def test_bounds_and_digests(self):
        large = self.cluster.folder / "large.sh"
        large.write_text("#" * (64 << 10) + "\n")
        beyond_worker = self.run_upload("--worker", "open", "--command", "bash", file=large)
        self.assertEqual(beyond_worker.returncode, 64, beyond_worker)
        self.assertIn("max_upload of 64KiB", beyond_worker.stderr)
        large.write_text("#" * ((1 << 20) + 1))
        beyond_scheduler = self.run_upload("--command", "bash", file=large)
        self.assertEqual(beyond_scheduler.returncode, 64, beyond_scheduler)
        self.assertIn("max_upload of 1MiB", beyond_scheduler.stderr)
        content = base64.b64encode(SCRIPT.encode()).decode()
        for script, field in (({"content": content, "sha256": "0" * 64}, "script.sha256"),
                              ({"content": ""}, "script.content")):
            answer = self.cluster.http.post(
                "/v1/jobs", {"path": "x.sh", "command": "bash", "script": script})
            self.assertEqual((answer.status, answer.json()["field"]), (400, field))

    def test_bad_usage(self):
        missing = self.run_upload(file="/no/such/file.sh")
        self.assertEqual(missing.returncode, 66, missing)
        self.assertIn("PATH", missing.stderr)
        program = self.cluster.cli("run", "--upload", "--program", "echo")
        self.assertEqual(program.returncode, 64, program)
        self.assertIn("--upload", program.stderr)

    def test_with_digests_only_what_they_name_is_run(self):
        with Cluster() as cluster:
            digests = cluster.folder / "digests"
            digests.write_text(f"{hashlib.sha256(SCRIPT.encode()).hexdigest()}  mine.sh\n")
            cluster.start_worker(allow_uploads=True, digests=str(digests))
            other = cluster.folder / "other.sh"
            other.write_text("echo other\n")
            listed, refused = (cluster.cli("run", "--upload", "--quiet", "--worker", "w1",
                                           "--command", "bash", str(file))
                               for file in (self.file, other))
        self.assertEqual(listed.returncode, 0, listed)
        self.assertEqual((refused.returncode, refused.stdout), (77, ""), refused)
        self.assertIn("SHA-256", refused.stderr)


if __name__ == "__main__":
    unittest.main()
