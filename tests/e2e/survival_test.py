"""Jobs outlive the processes of ours that started them: kill -9 of the worker and the launcher."""
import os
import signal
import subprocess
import time
import unittest

from cluster import Cluster, executable, wait_until
from follower import Follower

LINES = 1000
# Nine seconds and a bit, without a process for each pause. "$1": a FIFO into which nobody writes.
SCRIPT = """exec 3<> "$1"
for ((i = 1; i <= 1000; i++)); do echo "line $i"; read -rt 0.009 -u 3; done
: > "$2"
exit 37
"""
WANT = b"".join(b"line %d\n" % i for i in range(1, LINES + 1))
SECONDS_BETWEEN_KILLS = 1


class SurvivalTest(unittest.TestCase):
    def follow_while(self, cluster, kill):
        """Runs the script under two followers and calls `kill` each second until it has ended."""
        cluster.script("numbers.sh", SCRIPT)
        nothing, ended = cluster.folder / "nothing", cluster.folder / "ended"
        os.mkfifo(nothing)
        job_id = cluster.start("numbers.sh", nothing, ended, worker="w1")
        follower = Follower(cluster, job_id)
        terminal = subprocess.Popen([executable(), "job", "logs", "-f", job_id],
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                    env=cluster.cli_environment())
        self.addCleanup(terminal.stdout.close)
        self.addCleanup(terminal.kill)
        wait_until(lambda: follower.output, "the first line")
        lines_at_kills = []
        due = time.monotonic()
        while not ended.exists():
            due = max(due + SECONDS_BETWEEN_KILLS, time.monotonic())
            wait_until(lambda due=due: time.monotonic() >= due or ended.exists(), "a second")
            lines_at_kills.append(follower.output.count(b"\n"))
            kill()

        output = follower.result()
        self.assertEqual(output.split(b"\n"), WANT.split(b"\n"))
        job = cluster.wait(job_id)
        self.assertEqual(job["end"].get("exit_code"), 37, job)
        self.assertEqual((job["state"], job["attempt"]), ("FAILED", 1))
        path = f"/v1/jobs/{job_id}/output"
        wait_until(lambda: cluster.http.get(path).status == 200, "the worker is back")
        self.assertEqual(cluster.output(job_id), WANT)
        self.assertEqual(terminal.communicate(timeout=60)[0], WANT)
        self.assertEqual(terminal.returncode, 0)  # of the logs, not of the job
        self.assertGreaterEqual(len(lines_at_kills), 5)  # 10 where a restart takes no second
        # They were live: what came, came between the kills.
        self.assertGreaterEqual(len(set(lines_at_kills)), 3, lines_at_kills)
        self.assertEqual(follower.reconnects, 0, "one connection saw all of it")

    def test_worker_killed_every_second(self):
        with Cluster() as cluster:
            cluster.start_worker()
            launchers = cluster.launchers()
            self.assertEqual(len(launchers), 1)

            def kill():
                cluster.workers["w1"].kill()
                cluster.start_worker(alive=False)

            self.follow_while(cluster, kill)
            self.assertEqual(cluster.launchers(), launchers)

    def test_launcher_killed_every_second(self):
        with Cluster() as cluster:
            cluster.script("echo.sh", "echo again\n")
            worker = cluster.start_worker()

            def kill():
                old = cluster.launcher()
                os.kill(old, signal.SIGKILL)
                wait_until(lambda: [pid for pid in cluster.launchers() if pid != old],
                           "a new launcher")

            self.follow_while(cluster, kill)
            self.assertIsNone(worker.process.poll(), "the worker is still the first one")
            cluster.wait_for_worker("w1", "ALIVE")
            self.assertEqual(cluster.run("echo.sh")[0], b"again\n")

    def test_launcher_killed_while_many_jobs_start_and_end(self):
        arrays, tasks = 8, 100
        with Cluster() as cluster:
            cluster.script("seven.sh", "echo line; exit 7\n")
            cluster.start_worker(slots=64)
            killed = 0
            for _ in range(arrays):
                job_id = cluster.start("seven.sh", command="sh", array={"from": 1, "to": tasks})
                for begun in (1, 20, 50):
                    wait_until(lambda job_id=job_id, begun=begun: tasks - int(cluster.job(job_id)[
                        "task_counts"].get("QUEUED", 0)) >= begun, f"{begun} tasks have begun")
                    for pid in cluster.launchers():
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
                cluster.wait(job_id)
                page = cluster.http.get(f"/v1/jobs/{job_id}/tasks?page_size={tasks}").json()
                ends = [(task["end"].get("exit_code"), task["attempt"], cluster.output(task["job_id"]))
                        for task in page["jobs"]]
                self.assertEqual(ends, [(7, 1, b"line\n")] * tasks)
            self.assertGreaterEqual(killed, arrays)

    def test_a_job_that_ends_while_its_worker_is_away(self):
        with Cluster() as cluster:
            cluster.script("gated.sh", 'echo begun; read -r _ < "$1"; echo done; exit 37\n')
            gate = cluster.folder / "gate"
            os.mkfifo(gate)
            cluster.start_worker()
            job_id = cluster.start("gated.sh", gate)
            cluster.wait_for_state(job_id, "RUNNING")
            cluster.workers["w1"].kill()
            gate.write_text("go\n")

            cluster.start_worker()

            job = cluster.wait(job_id)
            self.assertEqual((job["state"], job["end"].get("exit_code")), ("FAILED", 37))
            self.assertEqual(cluster.output(job_id), b"begun\ndone\n")

    def test_a_worker_that_stops_in_order_leaves_its_jobs_running(self):
        with Cluster() as cluster:
            cluster.script("gated.sh", 'echo begun; read -r _ < "$1"; echo done; exit 37\n')
            gate = cluster.folder / "gate"
            os.mkfifo(gate)
            worker = cluster.start_worker(on_stop="keep")
            job_id = cluster.start("gated.sh", gate)
            cluster.wait_for_state(job_id, "RUNNING")

            code, seconds = worker.terminate()

            self.assertEqual(code, 0)
            self.assertLess(seconds, 2)
            cluster.wait_for_worker("w1", "OFFLINE")
            self.assertEqual(cluster.job(job_id)["state"], "RUNNING")
            self.assertEqual(cluster.http.get(f"/v1/jobs/{job_id}/output").status, 503)
            refused = cluster.http.post("/v1/workers/w1/jobs",
                                        {"path": "gated.sh", "command": "bash"})
            self.assertEqual(refused.status, 503)
            cluster.start_worker()
            gate.write_text("go\n")
            self.assertEqual(cluster.wait(job_id)["end"].get("exit_code"), 37)
            self.assertEqual(cluster.output(job_id), b"begun\ndone\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
