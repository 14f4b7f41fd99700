"""201 means durable: kill -9 of the scheduler, and the order of its system calls."""
import os
import re
import shutil
import subprocess
import unittest

from cluster import Cluster, to_toml

GATED = 'echo begun; while [ ! -e "$1" ]; do sleep 0.02; done; exit 7\n'


class KilledSchedulerTest(unittest.TestCase):
    def test_a_job_is_known_after_a_kill_right_after_201(self):
        with Cluster() as cluster:
            cluster.script("gated.sh", GATED)
            cluster.start_worker(slots=16)
            gate = cluster.folder / "gate"
            jobs = []
            for round_number in range(5):
                worker = "w1" if round_number % 2 else ""
                jobs.append(cluster.start("gated.sh", gate, worker=worker))
                cluster.scheduler.kill()
                cluster.start_scheduler()
                for job_id in jobs:
                    self.assertNotIn("end", cluster.job(job_id))
            gate.write_text("")

            for job_id in jobs:
                job = cluster.wait(job_id)
                self.assertEqual((job["state"], job["end"].get("exit_code")), ("FAILED", 7))
                self.assertEqual(job["attempt"], 1)
            cluster.wait_for_worker("w1", "ALIVE")
            for job_id in jobs:
                self.assertEqual(cluster.output(job_id), b"begun\n")
            self.assertEqual(sorted(cluster.job_ids()), sorted(jobs))

    def test_a_job_that_ends_while_the_scheduler_is_away(self):
        with Cluster() as cluster:
            cluster.script("gated.sh", GATED)
            cluster.start_worker()
            gate = cluster.folder / "gate"
            job_id = cluster.start("gated.sh", gate)
            cluster.wait_for_state(job_id, "RUNNING")
            cluster.scheduler.kill()
            gate.write_text("")
            cluster.start_scheduler()
            self.assertEqual(cluster.wait(job_id)["end"].get("exit_code"), 7)

    def test_a_second_scheduler_cannot_use_the_same_store(self):
        with Cluster() as cluster:
            config = cluster.folder / "second.toml"
            config.write_text(to_toml({"grpc_server": {"addr": "127.0.0.1:0"},
                                       "http_server": {"addr": "127.0.0.1:0"},
                                       "store": {"path": str(cluster.folder / "clusterd.db")}}))
            second = subprocess.run([os.environ["CLUSTERD"], "scheduler", "--config", str(config)],
                                    capture_output=True, text=True, timeout=60, check=False)
            self.assertNotEqual(second.returncode, 0)
            self.assertIn("another scheduler", second.stderr)
            self.assertEqual(cluster.http.get("/readyz").status, 200)


def strace_works():
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True,
                          check=False).returncode == 0


class SystemCallsTest(unittest.TestCase):
    CALLS = "pwrite64,fdatasync,fsync,sendmsg,sendto,write,writev"

    @unittest.skipUnless(strace_works(), "strace is not there or may not trace")
    def test_each_201_comes_after_an_fdatasync_of_its_record(self):
        with Cluster() as cluster:
            cluster.script("echo.sh", "echo done\n")
            cluster.start_worker()
            code, _ = cluster.scheduler.terminate()
            self.assertEqual(code, 0)
            trace = cluster.folder / "trace"
            # -D: the process that we start is the scheduler, so that signals reach it.
            # A leak check traces too, and cannot while strace does.
            cluster.start_scheduler(["env", "ASAN_OPTIONS=detect_leaks=0", "strace", "-D", "-f", "-y",
                                     "-s", "5000", "-o", str(trace), "-e", f"trace={self.CALLS}"])
            cluster.wait_for_worker("w1", "ALIVE")
            jobs = [cluster.start("echo.sh", worker=worker)
                    for worker in ("w1", "", "w1", "", "w1")]
            for job_id in jobs:
                cluster.wait(job_id)

            events = self.completed_calls(trace.read_text(errors="replace"))
            for job_id in jobs:
                self.check_order(events, job_id)

    @staticmethod
    def completed_calls(text):
        """(call, argument text) in the order in which the calls returned; 201s as they began."""
        pending, events = {}, []
        for line in text.splitlines():
            thread, rest = line.split(None, 1)
            unfinished = re.match(r"(\w+)\((.*) <unfinished \.\.\.>$", rest)
            resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)$", rest)
            whole = re.match(r"(\w+)\((.*)$", rest)
            if unfinished:
                call, arguments = unfinished.groups()
                if "HTTP/1.1 201" in arguments:
                    events.append((call, arguments))
                else:
                    pending[thread] = (call, arguments)
            elif resumed and thread in pending:
                call, arguments = pending.pop(thread)
                events.append((call, arguments + resumed.group(2)))
            elif whole:
                events.append(whole.groups())
        return events

    def check_order(self, events, job_id):
        answer = next(index for index, (_, arguments) in enumerate(events)
                      if "HTTP/1.1 201" in arguments and job_id in arguments)
        records = [index for index, (call, arguments) in enumerate(events[:answer])
                   if call == "pwrite64" and "clusterd.db-wal" in arguments and job_id in arguments]
        self.assertTrue(records, f"the record of {job_id} was not written before its 201")
        synced = [index for index, (call, arguments) in enumerate(events[:answer])
                  if call in ("fdatasync", "fsync") and "clusterd.db-wal" in arguments
                  and arguments.rstrip().endswith("= 0") and index > records[0]]
        self.assertTrue(synced, f"no fdatasync between the record of {job_id} and its 201")


if __name__ == "__main__":
    unittest.main(verbosity=2)
