"""The launcher under valgrind: no invalid access, nothing uninitialised used, nothing leaked.

It takes over jobs that another launcher has started: valgrind makes a fork of the vfork with which
they are started, and what the child says in memory of its parent's would not be seen.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from cluster import Cluster, executable

VALGRIND = shutil.which("valgrind")


@unittest.skipUnless(VALGRIND, "valgrind is not installed (Debian: valgrind)")
class ValgrindTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.logs = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def start_launcher(self, words):
        launcher = subprocess.Popen(
            [VALGRIND, "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite",
             "--errors-for-leak-kinds=definite", "--child-silent-after-fork=yes",
             f"--log-file={self.logs}/log", executable(), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        self.addCleanup(launcher.wait)
        self.addCleanup(launcher.kill)
        return launcher

    def test_whatever_jobs_do(self):
        cluster = self.cluster
        cluster.start_worker(on_stop="keep", slots=32)
        go = cluster.folder / "go"
        waits = f"until [ -e {go} ]; do sleep 0.05; done\n"
        for name, text in {
                "exit.sh": waits + 'exit "$1"\n',
                "kill.sh": waits + 'kill -"$1" $$\n',
                "print.sh": waits + 'head -c "$1" /dev/zero; echo error >&2\n',
                "sleep.sh": "sleep 1000 & sleep 1000\n",
                "deaf.sh": "trap '' TERM; while :; do sleep 0.1; done\n"}.items():
            cluster.script(name, text)
        ended = [cluster.start("exit.sh", code) for code in (0, 1, 37, 255)]
        ended += [cluster.start("kill.sh", number) for number in (6, 9, 15)]
        printed = cluster.start("print.sh", 3_000_000)
        ended += [cluster.start("print.sh", count) for count in (0, 1, 70_000)]
        ended += [cluster.start("print.sh", 3_000_000, output={"max_bytes": 1 << 20}),
                  cluster.start("print.sh", 3_000_000,
                                output={"max_bytes": 1 << 20, "on_limit": "STOP"}),
                  cluster.start("print.sh", 5000, output={"mode": "SEPARATE"}),
                  cluster.start("sleep.sh", timeout="3s"), printed]
        stopped = [cluster.start("sleep.sh"), cluster.start("deaf.sh", stop_grace="0.3s")]
        for job_id in ended + stopped:
            cluster.wait_for_state(job_id, "RUNNING")
        first = cluster.launcher()
        words = pathlib.Path(f"/proc/{first}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
        cluster.workers["w1"].kill()
        os.kill(first, signal.SIGKILL)

        launcher = self.start_launcher(words[1:])
        cluster.start_worker(on_stop="stop", slots=32)
        self.assertIsNone(launcher.poll(), "the worker has taken this one")
        go.touch()
        for name in ("STOP", "CONT"):
            signalled = cluster.cli("job", "signal", stopped[0], name)
            self.assertEqual(signalled.returncode, 0, signalled.stderr)
        # The next worker process finds it with jobs that run.
        cluster.workers["w1"].kill()
        cluster.start_worker(on_stop="stop", slots=32)
        for job_id in stopped:
            self.assertEqual(cluster.cli("job", "stop", job_id).returncode, 0)
        ends = [cluster.wait(job_id)["end"] for job_id in ended + stopped]
        self.assertLessEqual({"RUN_TIMED_OUT", "STOP_REQUESTED", "OUTPUT_LIMIT"},
                             {end["reason"] for end in ends})
        self.assertEqual(len(cluster.output(printed)), 3_000_006)

        self.assertEqual(cluster.workers["w1"].terminate()[0], 0)
        code = launcher.wait(timeout=60)
        told = (self.logs / "log").read_text()
        self.assertEqual(code, 0, told)
        self.assertIn("ERROR SUMMARY: 0 errors", told)


if __name__ == "__main__":
    unittest.main(verbosity=2)
