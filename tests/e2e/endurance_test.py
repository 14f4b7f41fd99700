"""Jobs that run while worker and launcher are killed and upgraded again and again.

The usual form has some jobs and some kills; with CLUSTERD_LONG=1 it is 200 jobs, 100 kills of each
in turn, ten upgrades of both in place, and ten kills of both at once.
"""
import contextlib
import os
import pathlib
import re
import signal
import unittest

from cluster import Cluster, processes, wait_until
from upgrade_test import Installation, upgrade

LONG = bool(os.environ.get("CLUSTERD_LONG"))
JOBS = 200 if LONG else 12
KILLS = 100 if LONG else 6  # of worker and launcher in turn
UPGRADES = 10 if LONG else 2
KILLS_OF_BOTH = 10 if LONG else 2
MEMORY_SLACK = 16 << 20

# "$1": a FIFO into which nobody writes; "$2": the gate; "$3": the exit code or a signal. A third of
# them have a child that outlives them unless it is ended.
SCRIPT = """exec 3<> "$1"
[ $(($3 % 3)) = 0 ] && (setsid sleep 1000 &)
i=0
while [ ! -e "$2" ]; do echo "line $((i += 1))"; read -rt 0.5 -u 3; done
echo "last $i"
exit "$3"
"""


def statistics(pid):
    """(descriptors, threads, resident bytes) of a process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return (len(os.listdir(f"/proc/{pid}/fd")), int(fields["Threads"]),
            int(fields["VmRSS"].split()[0]) * 1024)


def zombies():
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = stat.read_text()
            fields = text.rpartition(")")[2].split()
            if fields[0] == "Z":
                found.append((int(stat.parent.name), int(fields[1])))
    return found


class EnduranceTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(scheduling={"worker_timeout": "60s"}))
        self.installation = self.enterContext(Installation(self.cluster.folder))
        self.nothing = self.cluster.folder / "nothing"
        os.mkfifo(self.nothing)
        self.cluster.script("lines.sh", SCRIPT)
        self.start_worker()
        self.runs = 0

    def start_worker(self):
        self.cluster.start_worker(slots=JOBS + 8, on_stop="keep", alive=False, stop_grace="1s")

    def launcher(self):
        return self.cluster.launcher()

    def kill_worker(self):
        self.cluster.workers["w1"].kill()
        self.start_worker()

    def kill_launcher(self):
        old = self.launcher()
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: [pid for pid in self.cluster.launchers() if pid != old],
                   "another launcher")

    def kill_both(self):
        launcher = self.launcher()
        self.cluster.workers["w1"].kill()
        os.kill(launcher, signal.SIGKILL)
        self.start_worker()
        wait_until(self.cluster.launchers, "another launcher")

    def is_served(self):
        """The worker is there for real: a job can be started, and ends."""
        self.cluster.wait_for_worker("w1", "ALIVE")
        _, job = self.cluster.run("lines.sh", self.nothing, self.cluster.folder, 7)
        self.assertEqual(job["end"].get("exit_code"), 7, job)

    def run_jobs_through(self, ordeal):
        """Starts the jobs, calls `ordeal`, lets them end and checks each of them."""
        self.cluster.wait_for_worker("w1", "ALIVE")
        self.runs += 1
        gate = self.cluster.folder / f"gate{self.runs}"
        jobs = {self.cluster.start("lines.sh", self.nothing, gate, number % 256): number % 256
                for number in range(JOBS)}
        for job_id in jobs:
            self.cluster.wait_for_state(job_id, "RUNNING")
        ordeal()
        gate.touch()
        lines = 0
        for job_id, code in jobs.items():
            job = self.cluster.wait(job_id)
            self.assertEqual((job["end"]["reason"], job["end"].get("exit_code")),
                             ("EXITED", code), job)
            self.assertEqual((job["attempt"], job["end"]["message"]), (1, ""), job)
            path = f"/v1/jobs/{job_id}/output"
            wait_until(lambda path=path: self.cluster.http.get(path).status == 200, "its output")
            output = self.cluster.output(job_id).decode()
            (last,) = map(int, re.findall(r"^last (\d+)$", output, re.MULTILINE))
            self.assertEqual(output, "".join(f"line {i}\n" for i in range(1, last + 1)) +
                             f"last {last}\n")
            lines += last
        self.assertGreaterEqual(lines, JOBS)

    def settled(self):
        """What worker and launcher hold when no job is left."""
        self.is_served()
        wait_until(lambda: not self.strays(), f"no process of a job is left: {self.strays()}")
        return [statistics(self.cluster.workers["w1"].pid), statistics(self.launcher())]

    def strays(self):
        own = {self.cluster.scheduler.pid, self.cluster.workers["w1"].pid, self.launcher()}
        return [(pid, command) for pid, command, _ in processes()
                if pid not in own and (str(self.cluster.folder) in command or
                                       command.startswith("sleep 1000"))]

    def zombies_of_ours(self):
        own = {self.cluster.scheduler.pid, self.cluster.workers["w1"].pid, self.launcher()}
        return [pid for pid, parent in zombies() if parent in own]

    def test_all_of_it(self):
        self.run_jobs_through(lambda: None)  # what is made once is made
        before, groups = self.settled(), sorted(self.cluster.cgroups("w1"))

        self.run_jobs_through(self.kill_in_turn)
        self.run_jobs_through(self.upgrade_both)
        self.run_jobs_through(self.kill_both_often)

        wait_until(lambda: not self.zombies_of_ours(), f"no zombie is left: {self.zombies_of_ours()}")
        after = self.settled()
        for name, (files, threads, memory), then in zip(("worker", "launcher"), before, after):
            # The launcher keeps some cgroups for the next jobs, each with a few descriptors.
            self.assertLessEqual(then[0], files + 6, f"descriptors of the {name}")
            self.assertLessEqual(then[1], threads + 2, f"threads of the {name}")
            if "libasan" not in pathlib.Path(f"/proc/{self.launcher()}/maps").read_text():
                self.assertLess(then[2], memory + MEMORY_SLACK, f"memory of the {name}")
        self.assertEqual(sorted(self.cluster.cgroups("w1")), groups)

    def kill_in_turn(self):
        for number in range(KILLS):
            (self.kill_launcher if number % 2 else self.kill_worker)()
        self.is_served()

    def upgrade_both(self):
        for _ in range(UPGRADES):
            upgrade(self.cluster, self.installation)
        self.is_served()

    def kill_both_often(self):
        for _ in range(KILLS_OF_BOTH):
            self.kill_both()
        self.is_served()


if __name__ == "__main__":
    unittest.main(verbosity=2)
