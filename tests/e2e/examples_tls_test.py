"""The files of examples/tls, with the commands that stand in them, make a cluster."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

from cluster import executable, processes, wait_until

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


class TlsTest(unittest.TestCase):
    """Ports are free ones, so that tests can run beside others; all else is as it stands there."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copytree(EXAMPLES, self.folder / "examples")
        lines = (EXAMPLES / "tls" / "scheduler.toml").read_text().splitlines()
        self.commands = [line[1:].strip() for line in lines if line.startswith("#   ")]

    def words(self, start):
        """The one command of the comment that begins so."""
        command, = (line for line in self.commands if line.startswith(start))
        return [executable(), *shlex.split(command)[1:]]

    def change(self, name, ports):
        file = self.folder / "examples" / "tls" / name
        text = file.read_text()
        for port, fresh in ports.items():
            self.assertIn(f"127.0.0.1:{port}", text)
            text = text.replace(f"127.0.0.1:{port}", fresh)
        file.write_text(text)

    def start(self, mode):
        log = open(self.folder / f"{mode}.log", "wb")
        self.addCleanup(log.close)
        ports = self.folder / f"{mode}.ports"
        daemon = subprocess.Popen([*self.words(f"clusterd {mode}"), "--port-file", ports],
                                  cwd=self.folder, stdout=log, stderr=log)
        self.addCleanup(daemon.wait, timeout=60)
        self.addCleanup(daemon.terminate)
        wait_until(lambda: ports.exists() or daemon.poll() is not None, f"{mode} listens")
        self.assertIsNone(daemon.poll(), (self.folder / f"{mode}.log").read_text())
        return dict(line.split("=", 1) for line in ports.read_text().splitlines())

    def test_the_files_and_their_commands_make_a_cluster(self):
        subprocess.run(self.words("clusterd tls init"), cwd=self.folder, check=True,
                       capture_output=True)
        self.change("scheduler.toml", {50000: "127.0.0.1:0", 3000: "127.0.0.1:0"})
        address = self.start("scheduler")["grpc"]
        self.change("worker.toml", {30000: "127.0.0.1:0", 50000: address})
        self.start("worker")
        export, = (line for line in self.commands if line.startswith("export"))
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder),
                       "CLUSTERD_ADDR": address,
                       **dict(re.findall(r"(CLUSTERD_\w+)=(\S+)", export))}

        def run(*words):
            return subprocess.run(words, cwd=self.folder, env=environment, capture_output=True,
                                  text=True, check=False)

        wait_until(lambda: "ALIVE" in run(*self.words("clusterd cluster workers")).stdout,
                   "the worker is there")
        done = run(executable(), "job", "start", "--follow", "--command", "bash", "count.sh", "2")
        self.assertEqual(done.stdout, "line 1 of 2\nline 2 of 2\n", done.stderr)
        del environment["CLUSTERD_CERT"], environment["CLUSTERD_KEY"]
        self.assertNotEqual(run(executable(), "job", "list").returncode, 0)
        self.doCleanups()
        wait_until(lambda: not [one for one in processes() if one[2].startswith(str(self.folder))],
                   "every process ends", 30)


if __name__ == "__main__":
    unittest.main(verbosity=2)
