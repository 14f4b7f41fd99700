"""Runs every script of examples/scripts as a job of a small cluster:  examples_test.py CLUSTERD"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

EXECUTABLE = sys.argv.pop(1)
SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "examples" / "scripts"
START_SECONDS = 30
JOB_SECONDS = 60


class Daemon:
    """A scheduler or a worker in a folder, until stop()."""

    def __init__(self, folder, mode, config):
        self.mode = mode
        file = folder / f"{mode}.toml"
        file.write_text(config)
        ports = folder / f"{mode}.ports"
        self.log = folder / f"{mode}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [EXECUTABLE, mode, "--config", file, "--port-file", ports],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.ports = self._wait_for(ports)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _wait_for(self, ports):
        deadline = time.monotonic() + START_SECONDS
        while not ports.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self.mode} did not start:\n{self.log.read_text()}")
            time.sleep(0.02)
        return dict(line.split("=", 1) for line in ports.read_text().splitlines())

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=30)


class ExamplesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="examples"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.scheduler = Daemon(cls.folder, "scheduler", f"""
            [grpc_server]
            addr = "127.0.0.1:0"
            [http_server]
            addr = "127.0.0.1:0"
            [store]
            path = "{cls.folder}/clusterd.db"
            """)
        cls.addClassCleanup(cls.scheduler.stop)
        cls.worker = Daemon(cls.folder, "worker", f"""
            [grpc_server]
            addr = "127.0.0.1:0"
            [scheduler]
            addr = "{cls.scheduler.ports['grpc']}"
            [worker]
            name = "example"
            on_stop = "stop"
            [jobs]
            scripts_dir = "{SCRIPTS}"
            data_dir = "{cls.folder}/data"
            runtime_dir = "{cls.folder}/run"
            """)
        cls.addClassCleanup(cls.worker.stop)

    def call(self, method, path, message=None):
        body = None if message is None else json.dumps(message).encode()
        request = urllib.request.Request(
            f"http://{self.scheduler.ports['http']}/v1{path}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=JOB_SECONDS) as answer:
            return answer.read()

    def start(self, path, *args, command=""):
        spec = {"path": path, "args": list(args), "command": command}
        return json.loads(self.call("POST", "/jobs", spec))["job_id"]

    def end_of(self, job_id):
        job = json.loads(self.call("GET", f"/jobs/{job_id}/wait?timeout={JOB_SECONDS}s"))
        return job["state"], job["end"].get("exit_code")

    def run_script(self, path, *args, command=""):
        job_id = self.start(path, *args, command=command)
        output = self.call("GET", f"/jobs/{job_id}/output?follow=true").decode()
        return output.splitlines(), *self.end_of(job_id)

    def test_count(self):
        lines, state, code = self.run_script("count.sh", "3", command="bash")
        self.assertEqual(lines, ["line 1 of 3", "line 2 of 3", "line 3 of 3"])
        self.assertEqual((state, code), ("SUCCEEDED", 0))

    def test_count_with_pauses(self):
        lines, state, code = self.run_script("count.sh", "3", "0.05")  # executed itself
        self.assertEqual(len(lines), 3)
        self.assertEqual((state, code), ("SUCCEEDED", 0))

    def test_hello(self):
        lines, state, code = self.run_script("hello.py", "a b", "c", command="python3")
        self.assertRegex(lines[0], r"^hello from job [0-9a-f-]{36}, attempt 1$")
        self.assertEqual(lines[1], f"on worker example, in {SCRIPTS}")
        self.assertEqual(lines[2], "arguments: ['a b', 'c']")
        self.assertEqual((state, code), ("SUCCEEDED", 0))

    def test_failing(self):
        lines, state, code = self.run_script("failing.sh", command="bash")
        self.assertEqual(lines, ["about to fail with exit code 3"])
        self.assertEqual((state, code), ("FAILED", 3))

    def test_both_streams(self):
        lines, state, code = self.run_script("both_streams.sh", command="bash")
        self.assertEqual(lines, ["out 1", "err 1", "out 2", "err 2", "out 3", "err 3"])
        self.assertEqual((state, code), ("SUCCEEDED", 0))

    def test_graceful(self):
        job_id = self.start("graceful.sh", command="bash")
        follow = f"http://{self.scheduler.ports['http']}/v1/jobs/{job_id}/output?follow=true"
        with urllib.request.urlopen(follow, timeout=JOB_SECONDS) as output:
            self.assertEqual(output.readline(), b"working\n")
            self.call("POST", f"/jobs/{job_id}/stop", {})
            self.assertEqual(output.read(), b"asked to stop: tidying up\n")
        self.assertEqual(self.end_of(job_id), ("STOPPED", 0))

    def test_every_script_is_tested(self):
        tested = pathlib.Path(__file__).read_text()
        for script in SCRIPTS.iterdir():
            self.assertIn(f'"{script.name}"', tested)
            self.assertTrue(os.access(script, os.X_OK), script)


if __name__ == "__main__":
    unittest.main(verbosity=2)
