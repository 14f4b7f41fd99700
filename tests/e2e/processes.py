"""Processes of the machine, and waiting for what they do."""
import contextlib
import os
import pathlib
import time

DEADLINE_SECONDS = 60
POLL_SECONDS = 0.02


def executable():
    try:
        return os.environ["CLUSTERD"]
    except KeyError:
        raise SystemExit("set CLUSTERD to the path of the clusterd executable") from None


def wait_until(condition, what, seconds=DEADLINE_SECONDS):
    """Polls until `condition()` is true and returns what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(POLL_SECONDS)


def end_of(log):
    """What tells of a failure: a sanitizer's whole report, else the last lines."""
    text = log.read_text(errors="replace")
    report = text.find("==ERROR: ")
    return text[report:report + 20000] if report >= 0 else text[-4000:]


def is_sanitized(pid):
    """Whether a process is slowed down, and swollen, by a sanitizer."""
    return "libasan" in pathlib.Path(f"/proc/{pid}/maps").read_text()


def peak_memory_bytes(pid):
    """VmHWM of a process; None where a sanitizer makes the number meaningless."""
    if is_sanitized(pid):
        return None
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no VmHWM")


def processes():
    """(pid, command line, working folder) of every process that is not a zombie."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):  # it has gone, or its folder is too deep to be named
            command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
            folder = os.readlink(f"/proc/{entry}/cwd")
            if command:
                yield int(entry), command.replace(b"\0", b" ").decode(errors="replace"), folder


def parent_of(pid):
    """Its parent's process id; None where it has gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None
