"""Workers of the two earlier systems, as processes of their own, with our scheduler."""
import os
import pathlib
import signal
import time
import unittest

from cluster import Cluster, processes, wait_until
from originals import Calls, Program

LEADER = "cluster.v1.LeaderService/"
TASKS = "scheduler.v1.SchedulerService/"
QUICK = {"worker_timeout": "1500ms", "lost_after": "4s", "heartbeat_interval": "200ms"}


class OriginalWorkerCase(unittest.TestCase):
    def cluster_with(self, scheduling=None, **sections):
        cluster = self.enterContext(Cluster(scheduling, **sections))
        self.calls = Calls(cluster.folder, cluster.grpc_address)
        self.addCleanup(self.calls.close)
        return cluster

    def program(self, cluster, *args):
        program = Program(cluster.folder, *args)
        self.addCleanup(program.close)
        return program

    def jobscheduler_worker(self, cluster, address="127.0.0.1:0", alive=True):
        """The program and the id that it was given."""
        program = self.program(cluster, "jobscheduler-worker", address, cluster.grpc_address)
        worker_id = program.wait_for("registered")
        if alive:
            self.wait_for_worker(cluster, worker_id, "ALIVE")
        return program, worker_id

    def go_work_worker(self, cluster, name="W1", heartbeat_ms=100, alive=True):
        program = self.program(cluster, "go-work-worker", "127.0.0.1:0", name,
                               cluster.grpc_address, cluster.grpc_address, str(heartbeat_ms))
        program.wait_for("joined")
        if alive:
            self.wait_for_worker(cluster, name, "ALIVE")
        return program

    @staticmethod
    def worker(cluster, worker_id):
        return cluster.http.get(f"/v1/workers/{worker_id}").json()

    def wait_for_worker(self, cluster, worker_id, state):
        wait_until(lambda: self.worker(cluster, worker_id)["state"] == state,
                   f"worker {worker_id} is {state}")

    @staticmethod
    def original(cluster, endpoint, **request):
        return cluster.http.post(endpoint, request)

    def schedule(self, task_id, payload):
        self.calls.check(self, TASKS + "ScheduleTask",
                         {"task": {"id": task_id, "payload": payload}}, "OK", {})

    def task_status(self, task_id):
        tasks = self.calls.call(TASKS + "GetTasks").value["tasks"]
        status = next(task["status"] for task in tasks if task["id"] == task_id)
        return status.removeprefix("TASK_STATUS_")

    def wait_for_task(self, task_id, status):
        wait_until(lambda: self.task_status(task_id) == status, f"task {task_id} is {status}")

    @staticmethod
    def job_of(cluster, task_id):
        return cluster.http.get(f"/v1/jobs?external_id={task_id}").json()["jobs"][0]


class JobschedulerWorkerTest(OriginalWorkerCase):
    def test_its_whole_life(self):
        cluster = self.cluster_with(QUICK)
        script = pathlib.Path(cluster.script("three.sh", "exit 3\n"))
        program, worker_id = self.jobscheduler_worker(cluster)
        shown = self.worker(cluster, worker_id)
        self.assertEqual((shown["protocol"], shown["address"], shown["labels"]),
                         ("JOBSCHEDULER", program.address, {"protocol": "jobscheduler"}))

        # Directed by its clients, with a path that no worker of ours would run.
        started = self.original(cluster, "/start", worker_id=worker_id, command="sh",
                                path=str(cluster.scripts / script))
        self.assertEqual(started.status, 201, started.body)
        job_id = started.json()["job_id"]
        self.assertEqual(cluster.wait(job_id)["end"]["exit_code"], 3)
        self.assertEqual(
            self.original(cluster, "/query", worker_id=worker_id, job_id=job_id).body,
            b'{"done":true,"error":true,"error_text":"exit status 3"}\n')

        # Queued, and stopped.
        queued = cluster.http.post("/v1/jobs", {"command": "sleep", "path": "1000"})
        job_id = queued.json()["job_id"]
        cluster.wait_for_state(job_id, "RUNNING")
        attempt = cluster.job(job_id)["attempts"][0]
        self.assertTrue(attempt["remote_id"].startswith("theirs-"))
        self.assertEqual(self.original(cluster, "/stop", worker_id=worker_id, job_id=job_id).body,
                         b'{"success":true}\n')
        job = cluster.job(job_id)
        self.assertEqual((job["state"], job["end"]["signal"]), ("STOPPED", 9))

        # Refused by the worker, in its words.
        refused = self.original(cluster, "/start", worker_id=worker_id, command="no-such-program",
                                path="")
        self.assertEqual((refused.status, refused.json()["error"]), (
            400, 'exec: "no-such-program": executable file not found in $PATH'))

        program.terminate()
        program.wait_for("deregistered")
        self.assertEqual(self.original(cluster, "/start", worker_id=worker_id, command="sh",
                                       path="x").body, b'{"error":"worker not found"}\n')

    def test_what_it_cannot_do_is_refused_at_submit(self):
        cluster = self.cluster_with(QUICK)
        _, worker_id = self.jobscheduler_worker(cluster)
        for field, more in (("env", {"env": {"A": "b"}}), ("args", {"args": ["1"]}),
                            ("timeout", {"timeout": "1s"}), ("limits", {"limits": {"pids": 5}}),
                            ("output", {"output": {"mode": "SEPARATE"}}), ("cwd", {"cwd": "x"}),
                            ("stdin", {"stdin": "eA=="})):
            answer = cluster.http.post(f"/v1/workers/{worker_id}/jobs",
                                       {"command": "sh", "path": "a.sh", **more})
            self.assertEqual((answer.status, answer.json()["field"]), (400, field))
            self.assertIn("its protocol is jobscheduler", answer.json()["detail"])
        self.assertEqual(cluster.job_ids(), [])
        job_id = cluster.http.post(f"/v1/workers/{worker_id}/jobs",
                                   {"command": "sleep", "path": "1000"}).json()["job_id"]
        cluster.wait_for_state(job_id, "RUNNING")
        output = cluster.http.get(f"/v1/jobs/{job_id}/output")
        self.assertEqual((output.status, output.json()["code"]), (501, "UNIMPLEMENTED"))
        signalled = cluster.http.post(f"/v1/jobs/{job_id}/signal", {"signal": "USR1"})
        self.assertEqual((signalled.status, signalled.json()["code"]), (501, "UNIMPLEMENTED"))
        cluster.http.post(f"/v1/jobs/{job_id}/stop", {})
        self.assertEqual(cluster.wait(job_id)["state"], "STOPPED")

    def test_a_killed_worker_goes_and_its_id_never_answers_for_another(self):
        cluster = self.cluster_with(QUICK)
        program, first = self.jobscheduler_worker(cluster)
        address = program.address
        job_id = self.original(cluster, "/start", worker_id=first, command="sleep",
                               path="1000").json()["job_id"]
        cluster.wait_for_state(job_id, "RUNNING")
        program.close()
        self.wait_for_worker(cluster, first, "UNREACHABLE")

        _, second = self.jobscheduler_worker(cluster, address)

        self.assertNotEqual(first, second)
        self.assertEqual(self.worker(cluster, second)["address"], address)
        lost = cluster.wait(job_id)
        self.assertEqual((lost["state"], lost["end"]["reason"]), ("LOST", "WORKER_LOST"))
        answer = self.original(cluster, "/start", worker_id=first, command="true", path="")
        self.assertEqual((answer.status, answer.body), (404, b'{"error":"worker not found"}\n'))
        self._kill_orphans("sleep 1000", cluster)

    def test_an_address_that_does_not_answer_is_lost(self):
        cluster = self.cluster_with(QUICK)
        program, worker_id = self.jobscheduler_worker(cluster)
        program.close()
        self.wait_for_worker(cluster, worker_id, "LOST")
        answer = self.original(cluster, "/start", worker_id=worker_id, command="true", path="")
        self.assertEqual(answer.status, 503, answer.body)
        self.assertEqual(cluster.http.request("DELETE", f"/v1/workers/{worker_id}").status, 200)

    def test_a_worker_that_hangs_delays_nobody(self):
        cluster = self.cluster_with({**QUICK, "start_wait": "500ms"})
        cluster.script("quick.sh", "true\n")
        cluster.start_worker()
        program, hung = self.jobscheduler_worker(cluster)
        os.kill(program.process.pid, signal.SIGSTOP)
        begin = time.monotonic()
        answer = self.original(cluster, "/start", worker_id=hung, command="true", path="")
        self.assertIn(answer.status, (201, 503))
        self.assertLess(time.monotonic() - begin, 2)  # start_wait, and room for a busy machine
        for _ in range(5):
            begin = time.monotonic()
            job_id = cluster.start("quick.sh", worker="w1")
            self.assertEqual(cluster.wait(job_id)["state"], "SUCCEEDED")
            self.assertLess(time.monotonic() - begin, 2)
        self.wait_for_worker(cluster, hung, "UNREACHABLE")
        os.kill(program.process.pid, signal.SIGCONT)
        self.wait_for_worker(cluster, hung, "ALIVE")

    def test_many_jobs_one_connection(self):
        cluster = self.cluster_with(QUICK)
        program, worker_id = self.jobscheduler_worker(cluster)
        port = int(program.address.rsplit(":", 1)[1])
        for _ in range(20):
            job_id = self.original(cluster, "/start", worker_id=worker_id, command="true",
                                   path="").json()["job_id"]
            self.assertEqual(cluster.wait(job_id)["state"], "SUCCEEDED")
        # Rows of /proc/net/tcp*: local address, remote address, state; TIME_WAIT would show more.
        remote = [row.split()[2] for table in ("tcp", "tcp6") for row in
                  pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        self.assertEqual(len([end for end in remote if int(end.split(":")[1], 16) == port]), 1)

    def test_a_restart_of_the_scheduler_keeps_worker_and_job(self):
        cluster = self.cluster_with(QUICK)
        _, worker_id = self.jobscheduler_worker(cluster)
        job_id = self.original(cluster, "/start", worker_id=worker_id, command="sleep",
                               path="1000").json()["job_id"]
        cluster.wait_for_state(job_id, "RUNNING")
        cluster.scheduler.kill()
        cluster.start_scheduler()
        self.wait_for_worker(cluster, worker_id, "ALIVE")
        self.assertEqual(cluster.job(job_id)["state"], "RUNNING")
        stopped = self.original(cluster, "/stop", worker_id=worker_id, job_id=job_id)
        self.assertEqual(stopped.body, b'{"success":true}\n')
        self.assertEqual(cluster.job(job_id)["state"], "STOPPED")
        self.assertEqual(len(cluster.job(job_id)["attempts"]), 1)

    @staticmethod
    def _kill_orphans(command, cluster):
        for pid, line, folder in processes():
            if line.strip() == command and folder == str(cluster.folder):
                os.kill(pid, signal.SIGKILL)


class GoWorkWorkerTest(OriginalWorkerCase):
    def test_its_whole_life(self):
        cluster = self.cluster_with(QUICK)
        program = self.go_work_worker(cluster)
        shown = self.worker(cluster, "W1")
        self.assertEqual((shown["protocol"], shown["capacity"]["slots"]), ("GO_WORK", 1))

        self.schedule("t1", "sleep 300")
        program.wait_for("start t1 sleep 300")
        self.wait_for_task("t1", "RUNNING")
        self.wait_for_task("t1", "COMPLETED")
        # It never puts down what it has finished, so it is asked to before the next.
        self.schedule("t2", "fail it is broken")
        self.wait_for_task("t2", "ERROR")
        end = self.job_of(cluster, "t2")["end"]
        self.assertEqual((end["reason"], end["message"]), ("EXITED", "it is broken"))
        self.assertNotIn("exit_code", end)

        # Directed, by an ordinary request: it gets the command line.
        job_id = cluster.http.post("/v1/workers/W1/jobs",
                                   {"path": "count.sh", "command": "bash", "args": ["5", "a b"]}
                                   ).json()["job_id"]
        program.wait_for(f"start {job_id} bash count.sh 5 'a b'")
        self.assertEqual(cluster.wait(job_id)["state"], "SUCCEEDED")

        program.terminate()
        self.assertIn("left", program.lines)
        members = self.calls.call(LEADER + "Members").value["members"]
        self.assertEqual(members, [])

    def test_a_cancel_stops_the_work_and_is_final(self):
        cluster = self.cluster_with(QUICK)
        program = self.go_work_worker(cluster)
        self.schedule("t1", "sleep 700")
        self.schedule("t2", "sleep 1")
        program.wait_for("start t1")
        self.wait_for_task("t1", "RUNNING")
        self.calls.check(self, TASKS + "CancelTask", {"id": "t1"}, "OK", {})
        self.assertEqual(self.task_status("t1"), "CANCELLED")
        program.wait_for("stop t1")
        self.wait_for_task("t2", "COMPLETED")
        # That worker goes on all the same and says in the end that it is done: too late.
        self.assertEqual(program.wait_for("completed t1"), "OK")
        self.assertEqual(self.task_status("t1"), "CANCELLED")
        self.assertEqual(self.job_of(cluster, "t1")["state"], "STOPPED")

    def test_tasks_follow_one_another_at_once_and_never_two_at_a_time(self):
        cluster = self.cluster_with(QUICK)
        program = self.go_work_worker(cluster)
        begin = time.monotonic()
        for number in range(10):
            self.schedule(f"t{number}", "sleep 20")
        for number in range(10):
            self.wait_for_task(f"t{number}", "COMPLETED")
        self.assertLess(time.monotonic() - begin, 20)  # the original's tick alone is 30 s a task
        running = set()
        for line in program.lines:
            verb, _, rest = line.partition(" ")
            if verb == "start":
                running.add(rest.split()[0])
                self.assertEqual(len(running), 1, program.lines)
            if verb == "completed":
                running.discard(rest.split()[0])

    def test_a_task_on_a_worker_that_leaves_does_not_stay_running(self):
        cluster = self.cluster_with(QUICK)
        program = self.go_work_worker(cluster)
        self.schedule("t1", "sleep 60000")
        self.wait_for_task("t1", "RUNNING")
        program.terminate()
        self.wait_for_task("t1", "ERROR")
        self.assertEqual(self.job_of(cluster, "t1")["state"], "LOST")

    def test_a_worker_that_was_killed_goes_and_its_task_is_lost(self):
        cluster = self.cluster_with(QUICK)
        program = self.go_work_worker(cluster)
        self.schedule("t1", "sleep 60000")
        self.wait_for_task("t1", "RUNNING")
        program.close()
        self.wait_for_worker(cluster, "W1", "UNREACHABLE")
        self.wait_for_task("t1", "ERROR")
        self.wait_for_worker(cluster, "W1", "LOST")

    def test_a_restart_of_the_scheduler_loses_nothing(self):
        cluster = self.cluster_with(QUICK)
        program = self.go_work_worker(cluster)
        self.schedule("t1", "sleep 4000")
        self.schedule("t2", "sleep 1")
        program.wait_for("start t1")
        self.wait_for_task("t1", "RUNNING")
        cluster.scheduler.kill()
        cluster.start_scheduler()
        self.calls = Calls(cluster.folder, cluster.grpc_address)
        self.addCleanup(self.calls.close)
        self.assertEqual(self.task_status("t1"), "RUNNING")
        self.assertEqual(program.wait_for("completed t1"), "OK")
        self.assertEqual(self.task_status("t1"), "COMPLETED")
        self.wait_for_task("t2", "COMPLETED")

    def test_payloads_go_to_it_and_other_jobs_to_workers_of_ours(self):
        cluster = self.cluster_with(QUICK)
        cluster.script("a.sh", "true\n")
        program = self.go_work_worker(cluster)
        cluster.start_worker()
        self.schedule("t1", "do some work")
        job_id = cluster.start("a.sh")
        program.wait_for("start t1 do some work")
        self.assertEqual(cluster.wait(job_id)["attempts"][0]["worker_id"], cluster.worker_id("w1"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
