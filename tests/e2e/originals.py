"""The programs of the two earlier systems, as processes of their own (tests/support/original_programs.cc).

The executable is $ORIGINAL_PROGRAMS.
"""
import collections
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from cluster import DEADLINE_SECONDS, Daemon, processes, wait_until

Reply = collections.namedtuple("Reply", "code value")


def programs():
    try:
        return os.environ["ORIGINAL_PROGRAMS"]
    except KeyError:
        raise SystemExit("set ORIGINAL_PROGRAMS to the path of original_programs") from None


class Program:
    """One program; its lines are kept and can be waited for."""

    def __init__(self, folder, *args):
        self.process = subprocess.Popen([programs(), *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        cwd=folder, text=True)
        self.lines = []
        self._condition = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._condition:
                self.lines.append(line.rstrip("\n"))
                self._condition.notify_all()

    def wait_for(self, start, count=1, seconds=DEADLINE_SECONDS):
        """The `count`th line that begins with `start`, without that."""
        def found():
            return [line for line in self.lines if line.startswith(start)]

        deadline = time.monotonic() + seconds
        with self._condition:
            while len(found()) < count:
                left = deadline - time.monotonic()
                if left <= 0 or not self._condition.wait(left):
                    raise AssertionError(f"no {count}. line {start!r} in {self.lines}")
            return found()[count - 1][len(start):].strip()

    @property
    def address(self):
        return self.wait_for("listening")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=DEADLINE_SECONDS)

    def close(self):
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdin.close()
        self.process.stdout.close()


class Calls(Program):
    """Calls of a client that knows the contracts alone. It runs elsewhere: no leftover of a cluster."""

    def __init__(self, _folder, address):
        super().__init__("/", "calls", address)
        self._made = 0

    def call(self, method, **message):
        """The code's name, and the answer or the text of the error."""
        self.process.stdin.write(f"{method} {json.dumps(message)}\n")
        self.process.stdin.flush()
        self._made += 1
        code, _, rest = self.wait_for("", self._made).partition(" ")
        return Reply(code, json.loads(rest) if code == "OK" else rest)

    def check(self, test, method, message, code, text=None):
        """Calls and compares; returns the answer."""
        with test.subTest(method=method, message=message):
            reply = self.call(method, **message)
            test.assertEqual(reply.code, code, reply.value)
            if text is not None:
                test.assertEqual(reply.value, text)
            return reply.value
        return None


class LoneWorker:
    """A worker of ours without a scheduler of ours. Use as a context manager."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-e2e-"))
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()
        self.daemon = None

    def start(self, protocol, addr, compat=None, retention=None, task_addr="", on_stop="stop",
              **jobs):
        scheduler = {"addr": addr, "protocol": protocol}
        if task_addr:
            scheduler["task_addr"] = task_addr
        self.daemon = Daemon(self.folder, "worker", "worker", {
            "grpc_server": {"addr": "127.0.0.1:0"},
            "scheduler": scheduler,
            "worker": {"name": "w1", "on_stop": on_stop},
            "jobs": {"scripts_dir": str(self.scripts), "data_dir": str(self.folder / "data"),
                     "runtime_dir": str(self.folder / "run"), "stop_grace": "5s", **jobs},
            "retention": retention or {}, "compat": compat or {}, "log": {"level": "debug"}})
        return self.daemon

    @property
    def address(self):
        return self.daemon.ports["grpc"]

    def script(self, name, text):
        (self.scripts / name).write_text(text)
        (self.scripts / name).chmod(0o755)

    def running(self, text):
        """Processes that have this in their command line."""
        return [pid for pid, command, _ in processes() if text in command]

    def leftovers(self):
        return [(pid, command) for pid, command, folder in processes()
                if str(self.folder) in command or folder.startswith(str(self.folder))]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if self.daemon is not None and self.daemon.process.poll() is None:
                code, _ = self.daemon.terminate()
                if kind is None and code != 0:
                    raise AssertionError(f"code {code}: {self.daemon.log.read_text()[-3000:]}")
            if kind is None:
                wait_until(lambda: not self.leftovers(), "every process of the worker ends", 15)
        finally:
            for pid, _ in self.leftovers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.folder, ignore_errors=True)
