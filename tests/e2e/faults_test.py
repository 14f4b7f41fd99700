"""Every fault at every place it can be, under light and heavy load: whether a guarantee broke.

What callers were told, what the records say and what the scripts wrote must be one story. The usual
run has some of the faults; with CLUSTERD_LONG=1 all are met, and the table of them is printed.
Needs root, for small disks.
"""
import contextlib
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from cluster import Cluster, wait_until
from faulty_proxy import FaultyProxy
from http_client import CutStream
from load import Load, call

LONG = bool(os.environ.get("CLUSTERD_LONG"))
FAULTY_DISK = os.environ.get("FAULTY_DISK")  # not with sanitizers, which want to be first
FAULT_SECONDS = 2.5
RECOVERY_SECONDS = 20  # within them submits are accepted again
TIMES = {"worker_timeout": "3s", "lost_after": "60s", "heartbeat_interval": "500ms"}
DISK_BYTES = 48 << 20
LINES = "i=0; while [ ! -e \"$1\" ]; do echo \"line $((i += 1))\"; sleep 0.02; done; echo last\n"
# What the machine did to a job, so that it has not run, or not to its end: the record must say so.
EXPLAINED = {"START_FAILED": 0, "OUTPUT_LIMIT": 1}


class Place:
    """A cluster of which each part, and each way between two, can be harmed."""

    def __init__(self, role):
        self.disks = []
        self.switch = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-switch-")) / "faulty"
        folder = None
        if role in ("scheduler", "worker"):
            folder = self.small_disk()
        sections = {}
        if role == "scheduler":
            sections["store"] = {"path": str(folder / "clusterd.db"), "min_free": "4MiB"}
        self.data = folder / "data" if role == "worker" else None
        self.cluster = Cluster(TIMES, **sections)
        self.role = role
        preload = {"LD_PRELOAD": FAULTY_DISK, "FAULTY_DISK_SWITCH": str(self.switch),
                   "FAULTY_DISK_FOLDER": str(folder)} if folder and FAULTY_DISK else {}
        self.wrapper = ["env", *(f"{key}={value}" for key, value in preload.items())]
        cluster = self.cluster
        if role == "scheduler":
            cluster.scheduler.terminate()
            cluster.start_scheduler(self.wrapper)
        self.callers = FaultyProxy(cluster.http_address)
        self.sessions = FaultyProxy(cluster.grpc_address)
        self.orders = FaultyProxy("127.0.0.1:0")
        self.proxies = {"callers": self.callers, "sessions": self.sessions, "orders": self.orders}
        self.start_worker()

    def small_disk(self):
        path = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-disk-"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "clusterd-test",
                        str(path)], check=True)
        self.disks.append(path)
        return path

    def start_worker(self):
        worker = {"name": "w1", "on_stop": "keep"}
        jobs = {"data_dir": str(self.data)} if self.data else {}
        self.cluster.start_worker(
            "w1", slots=8, alive=False, wrapper=self.wrapper if self.data else (),
            sections={"scheduler": {"addr": self.sessions.address}, "worker": worker,
                      "grpc_server": {"addr": "127.0.0.1:0",
                                      "advertise_addr": self.orders.address}}, **jobs)
        self.orders.target = self.cluster.workers["w1"].ports["grpc"]
        self.cluster.wait_for_worker("w1", "ALIVE")

    def pids(self):
        if self.role == "scheduler":
            return [self.cluster.scheduler.pid]
        if self.role == "worker":
            return [self.cluster.workers["w1"].pid]
        return self.cluster.launchers("w1")

    def signal(self, number):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def is_gone(self):
        """Reaps it where it has ended; a launcher's worker starts another one."""
        daemon = {"scheduler": self.cluster.scheduler,
                  "worker": self.cluster.workers["w1"]}.get(self.role)
        return daemon is not None and daemon.process.poll() is not None

    def start_again(self):
        """As a service manager does with what has ended."""
        if self.role == "scheduler" and self.is_gone():
            self.cluster.start_scheduler(self.wrapper)
        elif self.role == "worker" and self.is_gone():
            self.start_worker()
        elif self.role == "launcher":
            self.cluster.launcher()

    def close(self, check):
        self.switch.unlink(missing_ok=True)
        self.signal(signal.SIGCONT)
        try:
            # The launcher keeps what it has for the next worker; there is none.
            self.cluster.workers["w1"].process.terminate()
            self.cluster.workers["w1"].process.wait()
            for pid in self.cluster.launchers("w1"):
                os.kill(pid, signal.SIGKILL)
            if check:
                wait_until(lambda: self.cluster.remove_cgroups("w1"), "no job is left", 15)
            self.cluster.close(check)
        finally:
            for proxy in self.proxies.values():
                proxy.close()
            for disk in self.disks:
                subprocess.run(["umount", "-l", str(disk)], check=True)
                disk.rmdir()
            shutil.rmtree(self.switch.parent, ignore_errors=True)


def kill(place):
    place.signal(signal.SIGKILL)
    if place.role != "launcher":
        wait_until(place.is_gone, "it is dead")
    place.start_again()


def stop(place):
    place.signal(signal.SIGSTOP)
    time.sleep(FAULT_SECONDS)  # that long
    place.signal(signal.SIGCONT)


def terminate(place):
    place.signal(signal.SIGTERM)
    if place.role != "launcher":
        wait_until(place.is_gone, "it has ended")
    place.start_again()


def terminate_again_and_again(place):
    for _ in range(20):
        place.signal(signal.SIGTERM)
        time.sleep(0.01)
    if place.role != "launcher":
        wait_until(place.is_gone, "it has ended")
    place.start_again()


def fill_disk(place):
    ballast = place.disks[0] / "ballast"
    with open(ballast, "wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
            file.flush()
    time.sleep(FAULT_SECONDS)
    ballast.unlink()


def fail_writes(place):
    place.switch.touch()
    time.sleep(FAULT_SECONDS)
    place.switch.unlink()


def make_read_only(place):
    """As the kernel does with a file system in use that is damaged; a remount would be refused."""
    place.switch.write_text("read-only")
    time.sleep(FAULT_SECONDS)
    place.switch.unlink()


def step_clock(seconds):
    def fault(place):
        place.switch.write_text(f"clock {seconds}")
        time.sleep(FAULT_SECONDS)
        place.switch.unlink()

    return fault


def bounded(kind, count):
    """Takes away what is left of a resource, and gives it back."""
    def fault(place):
        before = {}
        for pid in place.pids():
            with contextlib.suppress(ProcessLookupError):
                before[pid] = resource.prlimit(pid, kind)
                resource.prlimit(pid, kind, (count(pid), before[pid][1]))
        time.sleep(FAULT_SECONDS)
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, kind, limits)
        place.start_again()

    return fault


def take_memory(place):
    """It may have no more than it has, while callers send what needs much."""
    bound = bounded(resource.RLIMIT_AS, used_memory)
    ending = threading.Event()

    def send():
        while not ending.is_set():
            body = {"path": "mark.sh", "command": "bash", "args": ["x" * 60_000] * 14}
            with contextlib.suppress(OSError, CutStream):
                call(place.cluster.http_address, "POST", "/v1/jobs", body, seconds=FAULT_SECONDS)
            if place.is_gone():
                return

    senders = [threading.Thread(target=send) for _ in range(20)] if place.role == "scheduler" else []
    for sender in senders:
        sender.start()
    bound(place)
    ending.set()
    for sender in senders:
        sender.join()
    place.start_again()


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd")) + 1


def used_memory(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE") + (1 << 20)


def on_the_way(change):
    def fault(place):
        proxy = place.proxies[place.role]
        change(proxy, True)
        time.sleep(FAULT_SECONDS)
        change(proxy, False)

    return fault


def delay(proxy, begins):
    proxy.delay = 0.2 if begins else 0


def throttle(proxy, begins):
    proxy.bytes_per_second = 2000 if begins else None


def cut(proxy, begins):
    proxy.refusing = begins
    if begins:
        proxy.cut()


def half_close(proxy, begins):
    if begins:
        proxy.half_close()


def hold(proxy, begins):
    """What is sent does not arrive, over new connections either, and nobody is told."""
    proxy.silent = begins
    if begins:
        proxy.release = proxy.hold()
    else:
        proxy.release()


PROCESSES = ("scheduler", "worker", "launcher")
DISKS = ("scheduler", "worker")
WAYS = ("callers", "sessions", "orders")
FAULTS = {
    "SIGKILL": (kill, PROCESSES),
    "SIGSTOP": (stop, PROCESSES),
    "SIGTERM": (terminate, PROCESSES),
    "20 SIGTERM": (terminate_again_and_again, PROCESSES),
    "disk full": (fill_disk, DISKS),
    "EIO": (fail_writes, DISKS if FAULTY_DISK else ()),
    "read-only": (make_read_only, DISKS if FAULTY_DISK else ()),
    "clock +1 h": (step_clock(3600), DISKS if FAULTY_DISK else ()),
    "clock -1 h": (step_clock(-3600), DISKS if FAULTY_DISK else ()),
    "no descriptors": (bounded(resource.RLIMIT_NOFILE, open_files), PROCESSES),
    "no memory": (take_memory, PROCESSES),
    "delay": (on_the_way(delay), WAYS),
    "throttle": (on_the_way(throttle), WAYS),
    "cut": (on_the_way(cut), WAYS),
    "half-close": (on_the_way(half_close), WAYS),
    "silence": (on_the_way(hold), WAYS),
}
USUAL = {("SIGKILL", "scheduler"), ("SIGKILL", "launcher"), ("EIO", "scheduler"), ("cut", "orders"),
         ("silence", "sessions"), ("no descriptors", "worker")}
LOADS = {"light": 1, "heavy": 6}


class FaultsTest(unittest.TestCase):
    def run_cell(self, fault, role, clients):
        """One fault at one place; (jobs, seconds without an accepted submit)."""
        place = Place(role)
        good = False
        try:
            cluster = place.cluster
            cluster.script("lines.sh", LINES)
            gate = cluster.folder / "gate"
            told = cluster.start("lines.sh", gate)
            load = Load(self, cluster, [place.callers.address], clients)
            load.wait_for_submits(4 * clients)
            begin = time.monotonic()
            fault(place)
            gap = load.gap_around(begin, RECOVERY_SECONDS)
            cluster.wait_for_worker("w1", "ALIVE")
            load.wait_for_submits(4 * clients)
            records, runs = load.end()
            self.check_story(records, runs)
            gate.touch()
            self.check_output(cluster, told)
            good = True
            return len(records), gap
        finally:
            place.close(check=good)

    def check_story(self, records, runs):
        for key, job in records.items():
            reason = job["end"]["reason"]
            if reason == "EXITED":
                self.assertEqual(0, job["end"]["exit_code"], job)
                self.assertEqual(1, runs[key], job)
            else:
                self.assertIn(reason, EXPLAINED, job)
                self.assertLessEqual(runs[key], EXPLAINED[reason], job)
                self.assertTrue(job["end"]["message"], job)
        self.assertEqual({}, {key: n for key, n in runs.items() if n > 1})

    def check_output(self, cluster, job_id):
        """A job that has seen all of it: every line is there once, in its order."""
        job = cluster.wait(job_id)
        path = f"/v1/jobs/{job_id}/output"
        wait_until(lambda: call(cluster.http_address, "GET", path).status == 200, "its output", 30)
        lines = cluster.output(job_id).decode().splitlines()
        if job["end"]["reason"] == "OUTPUT_LIMIT":  # its disk was full; what is there is a whole
            self.assertEqual([f"line {i}" for i in range(1, len(lines) + 1)], lines)
            return
        self.assertEqual(("EXITED", 1), (job["end"]["reason"], job["attempt"]), job)
        self.assertEqual([f"line {i}" for i in range(1, len(lines))] + ["last"], lines)

    def test_no_guarantee_breaks(self):
        rows = []
        for name, (fault, roles) in FAULTS.items():
            for role in roles:
                for load, clients in LOADS.items():
                    if not LONG and ((name, role) not in USUAL or load != "heavy"):
                        continue
                    with self.subTest(fault=name, role=role, load=load):
                        row = (name, role, load)
                        try:
                            jobs, gap = self.run_cell(fault, role, clients)
                            rows.append((*row, jobs, f"{gap:.1f}", "none"))
                        except BaseException:
                            rows.append((*row, "", "", "FAILED"))
                            raise
        print("\n| fault | where | load | jobs | longest s without an accepted submit | violations |")
        print("| --- | --- | --- | --- | --- | --- |")
        for row in rows:
            print("| " + " | ".join(map(str, row)) + " |")
        print(f"{len(rows)} faults, {sum(row[3] or 0 for row in rows)} jobs")


if __name__ == "__main__":
    unittest.main()
