"""`clusterd store`: archives of a store that is in use, and what is made of them."""
import json
import pathlib
import unittest

from cluster import Cluster, wait_until


class StoreTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.cluster.script("echo.sh", 'echo "$1"\n')
        self.config = str(self.cluster.folder / "scheduler.toml")
        self.archive = self.cluster.folder / "archive"

    def store(self, *words):
        return self.cluster.cli("store", *words, "--config", self.config)

    def test_a_copy_that_is_made_while_jobs_run_is_restored(self):
        self.cluster.start_worker(on_stop="keep")
        for number in range(20):
            self.cluster.run("echo.sh", number)
        waiting = self.cluster.start("echo.sh", "later", require=["gpu=yes"])
        running = [self.cluster.start("echo.sh", number) for number in range(20)]

        exported = self.store("export", str(self.archive))

        self.assertEqual(exported.returncode, 0, exported.stderr)
        self.assertIn("workers 1", exported.stderr)
        for job_id in running:
            self.cluster.wait(job_id)
        self.cluster.run("echo.sh", "of a later moment")
        checked = self.store("check", "--archive", str(self.archive), "--json")
        self.assertEqual(checked.returncode, 0)
        counted = json.loads(checked.stdout)["counts"]["jobs"]
        self.assertGreaterEqual(counted, 21)

        self.cluster.scheduler.terminate()
        database = self.cluster.folder / "clusterd.db"
        for file in self.cluster.folder.glob("clusterd.db*"):
            file.unlink()
        restored = self.store("import", str(self.archive))
        self.assertEqual(restored.returncode, 0, restored.stderr)
        self.assertEqual(database.stat().st_mode & 0o777, 0o600)
        self.cluster.start_scheduler()

        self.cluster.wait_for_worker("w1", "ALIVE")
        jobs = self.cluster.job_ids()
        self.assertEqual(len(jobs), counted)
        self.assertEqual(self.cluster.job(waiting)["state"], "QUEUED")
        self.assertEqual(self.cluster.run("echo.sh", "after")[0], b"after\n")
        job = next(job for job in map(self.cluster.job, jobs) if job["state"] == "SUCCEEDED")
        wait_until(lambda: self.cluster.http.get(f"/v1/jobs/{job['job_id']}/output").status == 200,
                   "its output is there")
        self.assertEqual(self.store("check").returncode, 0)

    def test_standard_output_takes_an_archive_and_files_are_not_replaced_unasked(self):
        self.assertEqual(self.store("export", str(self.archive)).returncode, 0)
        again = self.store("export", str(self.archive))
        self.assertEqual(again.returncode, 70)
        self.assertIn("--force", again.stderr)
        self.assertEqual(self.store("export", "--force", str(self.archive)).returncode, 0)
        self.assertEqual(self.archive.stat().st_mode & 0o777, 0o600)
        existing = self.store("import", str(self.archive))
        self.assertEqual(existing.returncode, 70)
        self.assertIn("is there already", existing.stderr)

    def test_damage_is_told(self):
        self.assertEqual(self.store("export", str(self.archive)).returncode, 0)
        whole = self.archive.read_bytes()
        self.archive.write_bytes(whole[:-10])
        checked = self.store("check", "--archive", str(self.archive))
        self.assertEqual(checked.returncode, 70)
        self.assertIn("it is cut", checked.stdout)
        other = self.cluster.folder / "other.db"
        imported = self.cluster.cli("store", "import", "--store", str(other), str(self.archive))
        self.assertEqual(imported.returncode, 70)
        self.assertFalse(other.exists())
        self.assertEqual([file for file in pathlib.Path(self.cluster.folder).glob("other*")], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
