"""A worker of ours with schedulers of the two earlier systems."""
import os
import signal
import threading
import time
import unittest

from cluster import wait_until
from originals import Calls, LoneWorker, Program

WORKER = "jobscheduler.Worker/"
WORK = "worker.v1.WorkerService/"


class OriginalSchedulerCase(unittest.TestCase):
    def setUp(self):
        self.worker = self.enterContext(LoneWorker())

    def program(self, *args):
        program = Program(self.worker.folder, *args)
        self.addCleanup(program.close)
        return program

    def calls_to(self, address):
        calls = Calls(self.worker.folder, address)
        self.addCleanup(calls.close)
        return calls


class JobschedulerTest(OriginalSchedulerCase):
    def start(self, address="127.0.0.1:0", **options):
        """That scheduler, and our worker as its member."""
        self.scheduler = self.program("jobscheduler-scheduler", address)
        self.worker.start("jobscheduler", self.scheduler.address, **options)
        registered = self.scheduler.wait_for("register ")
        self.assertEqual(registered, f"worker-1 {self.worker.address}")
        self.calls = self.calls_to(self.worker.address)

    def start_job(self, command, path):
        reply = self.calls.call(WORKER + "StartJob", command=command, path=path)
        self.assertEqual(reply.code, "OK", reply.value)
        return reply.value["jobID"]

    def query(self, job_id):
        return self.calls.check(self, WORKER + "QueryJob", {"jobID": job_id}, "OK")

    def wait_for_end(self, job_id):
        return wait_until(lambda: (answer := self.query(job_id))["done"] and answer, "it ends")

    def test_its_calls_are_answered_as_by_its_own_worker(self):
        self.worker.script("count.sh", "echo out; echo err >&2\n")
        self.worker.script("three.sh", "exit 3\n")
        self.worker.script("killed.sh", "kill -KILL $$\n")
        self.start(allowed_programs=["echo"])
        for command, path, error in (("bash", "count.sh", ""), ("sh", "three.sh", "exit status 3"),
                                     ("bash", "killed.sh", "signal: killed"), ("echo", "", "")):
            job_id = self.start_job(command, path)
            self.assertEqual(self.wait_for_end(job_id),
                             {"done": True, "error": error != "", "errorText": error})
            self.calls.check(self, WORKER + "StopJob", {"jobID": job_id}, "OK", {})
        for method, message, text in (
                ("QueryJob", {"jobID": "none"}, "job not found"),
                ("StopJob", {"jobID": "none"}, "job not found"),
                ("StartJob", {"command": "bash", "path": "none.sh"}, None),
                ("StartJob", {"command": "no-such", "path": "count.sh"}, None),
                ("StartJob", {}, None)):
            self.calls.check(self, WORKER + method, message, "UNKNOWN", text)

    def test_stderr_is_kept(self):
        self.worker.script("both.sh", "echo out; echo err >&2\n")
        self.start()
        job_id = self.start_job("bash", "both.sh")
        self.wait_for_end(job_id)
        kept = b"".join(file.read_bytes() for file in
                        (self.worker.folder / "data" / "output" / job_id / "1").iterdir())
        self.assertIn(b"out\nerr\n", kept)

    def test_a_stop_ends_the_whole_tree_before_it_is_answered(self):
        mark = f"987{int(time.time()) % 100000}"
        self.worker.script("tree.sh", f"sleep {mark} & sh -c 'sleep {mark}; true' & wait\n")
        self.start()
        job_id = self.start_job("bash", "tree.sh")
        wait_until(lambda: len(self.worker.running(f"sleep {mark}")) >= 2, "the tree runs")
        self.assertEqual(self.query(job_id), {"done": False, "error": False, "errorText": ""})

        self.calls.check(self, WORKER + "StopJob", {"jobID": job_id}, "OK", {})

        self.assertEqual(self.worker.running(f"sleep {mark}"), [])
        self.assertEqual(self.query(job_id),
                         {"done": True, "error": True, "errorText": "signal: terminated"})

    def test_it_registers_again_with_a_scheduler_that_was_restarted(self):
        self.start()
        address = self.scheduler.address
        self.scheduler.close()
        again = self.program("jobscheduler-scheduler", address)
        self.assertEqual(again.wait_for("register "), f"worker-1 {self.worker.address}")
        self.assertEqual(self.worker.daemon.terminate()[0], 0)
        self.assertEqual(again.wait_for("deregister ", len(
            [line for line in again.lines if line.startswith("deregister ")])), "worker-1")

    def test_it_deregisters_at_its_end(self):
        self.start()
        self.assertEqual(self.worker.daemon.terminate()[0], 0)
        self.assertEqual(self.scheduler.wait_for("deregister "), "worker-1")

    def test_jobs_outlive_a_restart_of_the_worker_and_can_be_queried(self):
        self.worker.script("wait.sh", "while [ ! -e go ]; do sleep 0.05; done; exit 5\n")
        self.worker.script("quick.sh", "exit 4\n")
        self.start(on_stop="keep")
        ended = self.start_job("bash", "quick.sh")
        self.wait_for_end(ended)
        job_id = self.start_job("bash", "wait.sh")
        self.worker.daemon.kill()
        self.worker.start("jobscheduler", self.scheduler.address)
        self.calls = self.calls_to(self.worker.address)
        wait_until(lambda: self.calls.call(WORKER + "QueryJob", jobID=job_id).code == "OK",
                   "the job is known again")
        (self.worker.scripts / "go").touch()
        self.assertEqual(self.wait_for_end(job_id)["errorText"], "exit status 5")
        self.assertEqual(self.wait_for_end(ended)["errorText"], "exit status 4")

    def test_a_start_is_answered_when_the_job_outlives_the_worker(self):
        """Nobody would order it again."""
        self.worker.script("quick.sh", "exit 4\n")
        self.start(on_stop="keep")
        data = str(self.worker.folder / "data")
        launcher, = [pid for pid in self.worker.running(data) if pid != self.worker.daemon.pid]
        ended = self.start_job("bash", "quick.sh")
        self.wait_for_end(ended)
        answered = []
        os.kill(launcher, signal.SIGSTOP)
        call = threading.Thread(
            target=lambda: answered.append(self.start_job("bash", "quick.sh")), daemon=True)
        call.start()
        call.join(0.5)
        self.assertEqual(answered, [])
        os.kill(launcher, signal.SIGCONT)
        call.join(30)
        self.assertEqual(self.wait_for_end(answered[0])["errorText"], "exit status 4")

    def test_jobs_that_ended_are_not_kept_for_ever(self):
        self.worker.script("quick.sh", "true\n")
        self.start(retention={"max_age": "1s"})
        job_id = self.start_job("bash", "quick.sh")
        self.wait_for_end(job_id)
        wait_until(lambda: self.calls.call(WORKER + "QueryJob", jobID=job_id) ==
                   ("UNKNOWN", "job not found"), "it is forgotten")

    def test_a_worker_of_another_protocol_takes_no_such_orders(self):
        self.start()
        for method, message in ((WORK + "StartWork", {"id": "t", "payload": "x"}),
                                (WORK + "StopWork", {"id": "t"})):
            self.calls.check(self, method, message, "FAILED_PRECONDITION")


class GoWorkTest(OriginalSchedulerCase):
    def start(self, **options):
        self.scheduler = self.program("go-work-scheduler", "127.0.0.1:0", "127.0.0.1:0")
        self.leader, self.tasks = (self.scheduler.wait_for("listening", n) for n in (1, 2))
        self.worker.start("go-work", self.leader, task_addr=self.tasks, **options)
        self.assertEqual(self.scheduler.wait_for("join "), f"w1 {self.worker.address}")
        self.assertEqual(self.scheduler.wait_for("heartbeat "), "w1 HEARTBEAT_STATUS_IDLE")
        self.calls = self.calls_to(self.worker.address)

    def test_its_calls_are_answered_as_by_its_own_worker(self):
        self.worker.script("count.sh", "#!/bin/sh\nfor i in $(seq $1); do echo $i; done\n")
        self.worker.script("fail.sh", "#!/bin/sh\nexit 3\n")
        self.worker.script("forever.sh", "#!/bin/sh\nsleep 1000\n")
        self.start()
        for method, message, code, text in (
                ("StartWork", {}, "INVALID_ARGUMENT", "Id required"),
                ("StartWork", {"id": "t"}, "INVALID_ARGUMENT", "Payload required"),
                ("StartWork", {"payload": "p"}, "INVALID_ARGUMENT", "Id required"),
                ("StopWork", {}, "INVALID_ARGUMENT", "Id required"),
                ("StopWork", {"id": "none"}, "OK", {"success": True}),
                ("StartWork", {"id": "t", "payload": "none.sh"}, "INVALID_ARGUMENT", None),
                ("StartWork", {"id": "t", "payload": "'x"}, "INVALID_ARGUMENT", None),
                ("StartWork", {"id": "a/b c.é", "payload": "count.sh 3"}, "OK",
                 {"success": True})):
            self.calls.check(self, WORK + method, message, code, text)
        self.assertEqual(self.scheduler.wait_for("complete "), "a/b c.é")
        self.calls.check(self, WORK + "StartWork", {"id": "f", "payload": "fail.sh"}, "OK")
        self.assertEqual(self.scheduler.wait_for("complete ", 2), "f error exit status 3")
        self.calls.check(self, WORK + "StartWork", {"id": "l", "payload": "forever.sh"}, "OK")
        self.calls.check(self, WORK + "StartWork", {"id": "m", "payload": "count.sh 1"},
                         "ALREADY_EXISTS", "Already working")
        self.scheduler.wait_for("heartbeat w1 HEARTBEAT_STATUS_BUSY")
        # Once it has stopped, and not before, there is room for the next.
        self.calls.check(self, WORK + "StopWork", {"id": "l"}, "OK", {"success": True})
        self.calls.check(self, WORK + "StartWork", {"id": "m", "payload": "count.sh 1"}, "OK")
        self.assertEqual(self.scheduler.wait_for("complete ", 4), "m")
        # The same id may come again.
        self.calls.check(self, WORK + "StartWork", {"id": "m", "payload": "fail.sh"}, "OK")
        self.assertEqual(self.scheduler.wait_for("complete ", 5), "m error exit status 3")
        for method in ("StartJob", "QueryJob", "StopJob"):
            reply = self.calls.call(WORKER + method, **({} if method == "StartJob" else
                                                       {"jobID": "none"}))
            self.assertIn(reply.code, ("FAILED_PRECONDITION", "UNKNOWN"))

    def test_never_two_at_a_time(self):
        self.worker.script("forever.sh", "#!/bin/sh\nsleep 1000\n")
        self.start()
        replies = []

        def ask(name):
            calls = Calls(self.worker.folder, self.worker.address)
            replies.append(calls.call(WORK + "StartWork", id=name, payload="forever.sh").code)
            calls.close()

        threads = [threading.Thread(target=ask, args=(f"t{i}",)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(replies), ["ALREADY_EXISTS"] * 5 + ["OK"])

    def test_it_joins_again_where_the_leader_was_restarted(self):
        self.start()
        self.scheduler.close()
        again = self.program("go-work-scheduler", self.leader, self.tasks)
        self.assertEqual(again.wait_for("join ", seconds=40), f"w1 {self.worker.address}")

    def test_an_end_is_told_until_it_is_heard(self):
        self.worker.script("wait.sh", "#!/bin/sh\nwhile [ ! -e go ]; do sleep 0.05; done\n")
        self.start(on_stop="keep")
        self.calls.check(self, WORK + "StartWork", {"id": "t", "payload": "wait.sh"}, "OK")
        self.scheduler.close()
        (self.worker.scripts / "go").touch()
        wait_until(lambda: not self.worker.running("wait.sh"), "the work is done")
        self.worker.daemon.kill()
        again = self.program("go-work-scheduler", self.leader, self.tasks)
        self.worker.start("go-work", self.leader, task_addr=self.tasks)
        self.assertEqual(again.wait_for("complete "), "t")

    def test_it_leaves_at_its_end(self):
        self.start()
        self.assertEqual(self.worker.daemon.terminate()[0], 0)
        self.assertEqual(self.scheduler.wait_for("leave "), "w1")

    def test_a_payload_goes_to_the_task_script(self):
        self.worker.script("task.sh", '#!/bin/sh\necho "$#: $1" > said\n')
        self.start(compat={"task_script": "task.sh"})
        self.calls.check(self, WORK + "StartWork", {"id": "t", "payload": "do some 'work"}, "OK")
        self.scheduler.wait_for("complete ")
        self.assertEqual((self.worker.scripts / "said").read_text(), "1: do some 'work\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
