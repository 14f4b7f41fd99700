"""Upgrades in place: worker and launcher become another executable while their jobs run."""
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

from cluster import Cluster, executable, wait_until

LINES = 400
SCRIPT = """exec 3<> "$1"
for ((i = 1; i <= 400; i++)); do echo "line $i"; read -rt 0.009 -u 3; done
exit 37
"""
GATED = 'echo begun; read -r _ < "$1"; echo done; exit 37\n'


class Installation:
    """A copy of the program that can be replaced, as an upgrade of its package does."""

    def __init__(self, folder):
        self.path = folder / "bin" / "clusterd"
        self.path.parent.mkdir()
        self.origin = executable()
        self.replace()

    def __enter__(self):
        os.environ["CLUSTERD"] = str(self.path)
        return self

    def __exit__(self, *_):
        os.environ["CLUSTERD"] = self.origin

    def replace(self, content=None):
        fresh = self.path.with_suffix(".new")
        if content is None:
            shutil.copy(self.origin, fresh)
        else:
            fresh.write_text(content)
            fresh.chmod(0o755)
        os.replace(fresh, self.path)

    def is_run_by(self, pid):
        try:
            return os.path.samefile(f"/proc/{pid}/exe", self.path)
        except FileNotFoundError:
            return False


def upgrade(cluster, installation, name="w1"):
    """Replaces the executable and has worker and launcher become it, in place."""
    worker = cluster.workers[name]
    # In the midst of an execve a process has no command line.
    launcher = cluster.launcher(name)
    installation.replace()
    worker.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: installation.is_run_by(worker.pid), "the worker is the new executable")
    wait_until(lambda: installation.is_run_by(launcher), "the launcher is the new executable")


class UpgradeTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.installation = self.enterContext(Installation(self.cluster.folder))
        self.nothing = self.cluster.folder / "nothing"
        os.mkfifo(self.nothing)

    def test_jobs_go_on_over_upgrades_of_both(self):
        self.cluster.script("numbers.sh", SCRIPT)
        worker = self.cluster.start_worker(on_stop="keep")
        launchers = self.cluster.launchers()
        job_id = self.cluster.start("numbers.sh", self.nothing, worker="w1")
        for _ in range(3):
            upgrade(self.cluster, self.installation)
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["exit_code"]), ("FAILED", 37), job)
        self.assertIn("max_rss_bytes", job["end"], "the launcher is still its parent")
        want = b"".join(b"line %d\n" % i for i in range(1, LINES + 1))
        wait_until(lambda: self.cluster.http.get(f"/v1/jobs/{job_id}/output").status == 200,
                   "the worker is back")
        self.assertEqual(self.cluster.output(job_id), want)
        self.assertIsNone(worker.process.poll(), "it is still the same process")
        wait_until(lambda: self.cluster.launchers() == launchers, "it is still the same launcher")

    def test_a_new_worker_process_brings_its_launcher_along(self):
        self.cluster.script("gated.sh", GATED)
        gate = self.cluster.folder / "gate"
        os.mkfifo(gate)
        worker = self.cluster.start_worker(on_stop="keep")
        launcher = self.cluster.launcher()
        job_id = self.cluster.start("gated.sh", gate)
        self.cluster.wait_for_state(job_id, "RUNNING")
        self.assertEqual(worker.terminate()[0], 0)
        self.installation.replace()
        self.assertFalse(self.installation.is_run_by(launcher))

        self.cluster.start_worker(on_stop="keep")

        wait_until(lambda: self.installation.is_run_by(launcher), "the launcher is upgraded")
        gate.write_text("go\n")
        self.assertEqual(self.cluster.wait(job_id)["end"]["exit_code"], 37)
        self.assertEqual(self.cluster.output(job_id), b"begun\ndone\n")

    def test_what_cannot_replace_the_worker_does_not(self):
        self.cluster.script("echo.sh", "echo here\n")
        worker = self.cluster.start_worker()
        self.installation.replace("#!/bin/sh\nexit 3\n")
        worker.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: "exited with code 3" in worker.log.read_text(), "it is refused")
        self.assertEqual(self.cluster.run("echo.sh")[0], b"here\n")

        self.installation.replace()
        config = pathlib.Path(self.cluster.folder / "w1.toml")
        text = config.read_text()
        config.write_text(text + "[nonsense]\n")
        worker.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: "nonsense" in worker.log.read_text(), "so is a wrong configuration")
        self.assertEqual(self.cluster.run("echo.sh")[0], b"here\n")
        config.write_text(text)

    def test_a_changed_configuration_is_read_anew(self):
        self.cluster.script("echo.sh", "echo here\n")
        worker = self.cluster.start_worker(slots=1)
        config = pathlib.Path(self.cluster.folder / "w1.toml")
        config.write_text(config.read_text().replace("slots = 1", "slots = 3"))
        worker.process.send_signal(signal.SIGUSR2)

        def slots():
            (seen,) = self.cluster.http.get("/v1/workers").json()["workers"]
            return seen["state"] == "ALIVE" and seen["capacity"]["slots"] == 3

        wait_until(slots, "the worker has three slots")
        self.assertEqual(self.cluster.run("echo.sh")[0], b"here\n")


class SecondWorkerTest(unittest.TestCase):
    def test_a_second_worker_on_the_same_folder_is_refused(self):
        with Cluster() as cluster:
            worker = cluster.start_worker()
            config = cluster.folder / "second.toml"
            config.write_text((cluster.folder / "w1.toml").read_text())
            second = subprocess.run([executable(), "worker", "--config", str(config)],
                                    capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(second.returncode, 70)
            self.assertIn(f"data_dir {cluster.data_folder('w1')} is in use by another worker "
                          "process", second.stderr)
            self.assertIsNone(worker.process.poll())


if __name__ == "__main__":
    unittest.main(verbosity=2)
