"""Processes that a measurement needs for a while, and that none of them is left."""
import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from processes import end_of, parent_of, wait_until  # noqa: E402

BENCH = pathlib.Path(__file__).resolve().parent
PROGRAMS = {"true": ["/bin/true"], "script": ["/bin/bash", str(BENCH / "ten_lines.sh")]}
SLOTS = 8  # jobs at one time, of every system
START_SECONDS = 30
STOP_SECONDS = 10
CALL_SECONDS = 300
PR_SET_CHILD_SUBREAPER = 36


class Unavailable(Exception):
    """A system that cannot be measured here; the text says why."""


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def call(command, environment=None, **options):
    """What a command printed; it must succeed."""
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=CALL_SECONDS, env={**os.environ, **(environment or {})},
                          check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n"
                             f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def rate_of(count, work):
    """`count` a second, of what `work()` does."""
    begin = time.monotonic()
    work()
    return count / (time.monotonic() - begin)


def memory_mib(*pids):
    """Resident memory of these processes, each with all it shares."""
    total = 0
    for pid in pids:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return total / 1024


class Daemons:
    """The processes of one system. Each leads a group and a session of its own, so that Ctrl-C
    reaches this program alone, which then stops them in order."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir()
        self.processes = []

    def start(self, name, command, environment=None, cwd=None):
        log = self.folder / f"{name}.log"
        with open(log, "ab") as output:
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, cwd=cwd or self.folder, start_new_session=True,
                env={**os.environ, **(environment or {})})
        self.processes.append((process, log))
        return process

    def wait_until(self, condition, what):
        """Polls until it is true; at once an error where a process has ended."""
        def holds():
            for process, log in self.processes:
                if process.poll() is not None:
                    raise AssertionError(f"{process.args} ended with {process.returncode}:\n"
                                         f"{end_of(log)}")
            return condition()

        return wait_until(holds, what, START_SECONDS)

    def pids(self):
        """Of all processes, with all that they started."""
        roots = {process.pid for process, _ in self.processes}
        return sorted(roots | descendants(roots))

    def stop(self):
        """The last one first."""
        for process, _ in reversed(self.processes):
            end_group(process, signal.SIGTERM)
        self.processes.clear()


def end_group(process, number):
    """Sends this signal to a process and its group, and SIGKILL where it does not go."""
    if process.poll() is None:
        os.killpg(process.pid, number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)


def descendants(roots):
    """Of these processes, all there are now."""
    parents = {int(entry): parent_of(entry) for entry in os.listdir("/proc") if entry.isdigit()}
    found = set()
    level = set(roots)
    while level:
        level = {pid for pid, parent in parents.items() if parent in level} - found
        found |= level
    return found


def adopt_orphans():
    """What loses its parent becomes this process's child, so that end_descendants() finds it."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def end_descendants():
    """Kills whatever was started here and still runs; says what it was."""
    told = set()

    def none_left():
        for pid in descendants({os.getpid()}):
            with contextlib.suppress(OSError):
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                os.kill(pid, signal.SIGKILL)
                if pid not in told and state_of(pid) != "Z":
                    told.add(pid)
                    print(f"ended what was left: {name} ({pid})", file=sys.stderr)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            return False
        return True

    wait_until(none_left, "everything that was started ends", STOP_SECONDS)


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
