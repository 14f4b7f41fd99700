"""The commands of README's five minutes, as they are there: they print what README shows.

README's ports and the worker's name are those of another machine, and so are its ids; a `…` stands
for anything. Commands run in the order in which they are shown.
"""
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from cluster import executable, processes, wait_until
from http_client import HttpClient

ROOT = pathlib.Path(__file__).resolve().parents[2]
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
DEADLINE_SECONDS = 60


def commands_of(section):
    """(command, output shown below it) of each `$ ` line in a section of README."""
    readme = (ROOT / "README.md").read_text()
    text = readme.split(f"\n## {section}\n")[1].split("\n## ")[0]
    shown = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                command, _, _ = line[2:].partition("    #")
                shown.append((command.strip(), []))
            else:
                shown[-1][1].append(line)
    return [(command, "\n".join(lines)) for command, lines in shown]


def pattern_of(shown):
    """A pattern for what README shows: ids are any id, shortened ones too; `…` is anything."""
    parts = re.split(rf"({UUID}|[0-9a-f]{{8}}-…|…)", shown)
    return "".join(re.escape(part) if index % 2 == 0 else
                   ".*" if part == "…" else UUID for index, part in enumerate(parts))


class ReadmeTest(unittest.TestCase):
    """One `clusterd dev`; the commands of one reader, one after the other."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="clusterd-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "clusterd").symlink_to(executable())
        self.ids = {}  # README's to ours
        self.job = ""
        self.followers = []

    def start_dev(self, command):
        """Starts README's own command, on free ports; returns the process."""
        self.assertRegex(command, r"^build/release/clusterd dev\b")
        command = command.replace("build/release/clusterd", executable())
        dev = subprocess.Popen(
            [*command.split(), "--http-port", "0", "--grpc-port", "0", "--worker-port", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.folder)})
        self.addCleanup(dev.stdout.close)
        self.addCleanup(dev.kill)
        ready = re.search(r"http://(\S+), scheduler (\S+),", dev.stdout.readline())
        self.http, grpc = ready.groups()
        self.environment = {"PATH": f"{self.folder}:{os.environ['PATH']}", "CLUSTERD_ADDR": grpc,
                            "HOME": str(self.folder)}
        (worker,) = HttpClient(self.http).get("/v1/workers").json()["workers"]
        self.worker = worker["name"]
        return dev

    def here(self, command):
        """The command with this machine's addresses, names and ids."""
        command = command.replace("localhost:3000", self.http).replace("web-1", self.worker)
        return re.sub(UUID, lambda found: self.ids[found[0]], command)

    def bash(self, command):
        process = subprocess.Popen(["bash", "-c", self.here(command)], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True,
                                   env={**self.environment, "JOB": self.job})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def check(self, command, shown):
        """Runs one command to its end; what it prints is what README shows."""
        if " logs -f " in command:  # of a job that ends when a later command stops it
            self.followers.append(self.bash(command))
            self.assertEqual(self.followers[-1].stdout.readline(), "line 1 of 600\n")
            return
        printed, _ = self.bash(command).communicate(timeout=DEADLINE_SECONDS)
        if shown:
            self.assertRegex(printed.rstrip("\n"),
                             re.compile(rf"\A{pattern_of(shown)}\Z", re.DOTALL))
            shown_ids, printed_ids = re.findall(UUID, shown), re.findall(UUID, printed)
            self.ids.update(zip(shown_ids, printed_ids))
        if "/v1/jobs -d" in command and '"job_id"' in printed:
            self.job = re.search(UUID, printed)[0]  # what a reader puts into $JOB

    def test_five_minutes(self):
        (dev_command, _), *commands = commands_of("Five minutes")
        self.assertGreater(len(commands), 10)
        dev = self.start_dev(dev_command)

        for command, shown in commands:
            with self.subTest(command=command):
                self.check(command, shown)

        self.assertEqual(len(self.followers), 1)
        for follower in self.followers:
            follower.communicate(timeout=DEADLINE_SECONDS)
        client = HttpClient(self.http)
        jobs = client.get("/v1/jobs").json()["jobs"]
        for job in jobs:
            end = client.get(f"/v1/jobs/{job['job_id']}/wait?timeout=30s").json()["end"]
            self.assertIn(end["reason"], ("EXITED", "STOP_REQUESTED"), job)
        self.assertEqual(len(jobs), 5)
        dev.send_signal(signal.SIGINT)
        self.assertEqual(dev.wait(timeout=DEADLINE_SECONDS), 0)
        wait_until(lambda: not [pid for pid, command, where in processes()
                                if str(self.folder) in command + where], "everything has ended")


if __name__ == "__main__":
    unittest.main(verbosity=2)
