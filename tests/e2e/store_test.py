"""`clusterd store`: archives of a store that is in use, and what is made of them."""
import contextlib
import json
import pathlib
import sqlite3
import unittest

from cluster import Cluster, to_toml, wait_until
from etcd import Etcd

PAGE = 4096  # of SQLite


class StoreTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.cluster.script("echo.sh", 'echo "$1"\n')
        self.config = str(self.cluster.folder / "scheduler.toml")
        self.archive = self.cluster.folder / "archive"

    def store(self, *words):
        return self.cluster.cli("store", *words, "--config", self.config)

    def lose_the_file(self):
        for file in self.cluster.folder.glob("clusterd.db*"):
            file.unlink()

    def test_an_archive_takes_a_cluster_to_etcd_and_back(self):
        cluster = self.cluster
        cluster.start_worker(on_stop="keep")
        done = cluster.wait(cluster.start("echo.sh", "before"))["job_id"]
        waiting = cluster.start("echo.sh", "later", require=["gpu=yes"])

        def move(etcd):
            """With nobody there: out of the one store, into the other."""
            cluster.scheduler.terminate()
            exported = self.store("export", "--force", str(self.archive))
            self.assertEqual(exported.returncode, 0, exported.stderr)
            if etcd is None:
                self.lose_the_file()
            cluster.etcd = etcd
            pathlib.Path(self.config).write_text(to_toml({"store": cluster.store_section()}))
            imported = self.store("import", str(self.archive))
            self.assertEqual(imported.returncode, 0, imported.stderr)
            self.assertEqual(self.store("check").returncode, 0)
            cluster.start_scheduler()
            cluster.wait_for_worker("w1", "ALIVE")
            self.assertEqual(cluster.job(done)["state"], "SUCCEEDED")
            self.assertEqual(cluster.job(waiting)["state"], "QUEUED")
            wait_until(lambda: cluster.http.get(f"/v1/jobs/{done}/output").status == 200,
                       "its output is there")
            self.assertEqual(cluster.output(done), b"before\n")
            self.assertEqual(cluster.run("echo.sh", "after")[0], b"after\n")

        etcd = Etcd(cluster.folder, 1)
        self.addCleanup(etcd.kill)
        move(etcd)
        twice = self.store("import", str(self.archive))
        self.assertEqual(twice.returncode, 70)
        self.assertIn("has keys below /clusterd/ already", twice.stderr)
        move(None)

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
        self.lose_the_file()
        restored = self.store("import", str(self.archive))
        self.assertEqual(restored.returncode, 0, restored.stderr)
        database = self.cluster.folder / "clusterd.db"
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

    def test_what_ran_since_the_copy_is_not_run_again_where_its_end_is_kept(self):
        cluster = self.cluster
        cluster.script("once.sh", f'echo "$1"; echo "$1" >> {cluster.folder}/ran; exit 37\n')
        waiting = [cluster.start("once.sh", number) for number in range(5)]  # there is no worker
        self.assertEqual(self.store("export", str(self.archive)).returncode, 0)
        cluster.start_worker(on_stop="keep")
        for job_id in waiting:
            cluster.wait(job_id)
        for _ in range(3):  # terms of which the copy knows nothing
            cluster.scheduler.kill()
            cluster.start_scheduler()
            cluster.wait_for_worker("w1", "ALIVE")

        cluster.scheduler.terminate()
        self.lose_the_file()
        self.assertEqual(self.store("import", str(self.archive)).returncode, 0)
        cluster.start_scheduler()

        for number, job_id in enumerate(waiting):
            job = cluster.wait(job_id)
            self.assertEqual(job["end"]["exit_code"], 37, job)
            self.assertEqual(cluster.output(job_id), f"{number}\n".encode())
        self.assertEqual(sorted((cluster.folder / "ran").read_text().split()), list("01234"))

    def test_a_damaged_store_is_made_anew_of_what_can_be_read(self):
        cluster = self.cluster
        cluster.start_worker(on_stop="keep")
        jobs = [cluster.start("echo.sh", number) for number in range(200)]
        for job_id in jobs:
            cluster.wait(job_id)
        cluster.scheduler.terminate()
        database = cluster.folder / "clusterd.db"
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = database.read_bytes()
        with_jobs = [at for at in range(0, len(whole), PAGE) if b"echo.sh" in whole[at:at + PAGE]]
        place = with_jobs[len(with_jobs) // 2]
        damaged = whole[:place] + b"x" * PAGE + whole[place + PAGE:]
        database.write_bytes(damaged)

        told = self.store("check")
        self.assertEqual(told.returncode, 70)
        self.assertIn("fault: ", told.stdout)
        repaired = self.store("check", "--repair", "--json")
        self.assertEqual(repaired.returncode, 0, repaired.stderr)
        repair = json.loads(repaired.stdout)["repair"]
        self.assertEqual(pathlib.Path(repair["damaged_file"]).read_bytes(), damaged)
        self.assertEqual(self.store("check").returncode, 0)

        cluster.start_scheduler()
        cluster.wait_for_worker("w1", "ALIVE")
        known = cluster.job_ids()
        self.assertEqual(len(known), repair["counts"]["jobs"])
        self.assertGreater(len(known), 100)
        self.assertEqual(cluster.run("echo.sh", "after")[0], b"after\n")
        in_use = self.store("check", "--repair")
        self.assertEqual(in_use.returncode, 0, "it is sound, and nothing is done to it")

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
