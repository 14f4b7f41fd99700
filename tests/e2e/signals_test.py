"""Signals to jobs, suspension, and what restarts leave of both."""
import os
import signal
import time
import unittest

from cluster import Cluster, wait_until

# Prints each of these signals that it gets.
PRINTER = """import os, signal, sys, time
def tell(number, frame):
    print(os.getpid(), signal.Signals(number).name, flush=True)
for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGRTMIN + 1):
    signal.signal(number, tell)
child = os.fork() if len(sys.argv) > 1 else 0
print("ready", os.getpid(), flush=True)
while True:
    time.sleep(0.02)
"""
COUNTER = "i=0; while :; do echo $((i++)); sleep 0.02; done\n"


class SignalsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("printer.py", PRINTER)
        cls.cluster.script("count.sh", COUNTER)
        cls.cluster.start_worker()

    def lines(self, job_id):
        return self.cluster.output(job_id).decode().splitlines()

    def send(self, job_id, name, **body):
        answer = self.cluster.http.post(f"/v1/jobs/{job_id}/signal", {"signal": name, **body})
        self.assertEqual(answer.status, 200, answer.body)

    def start_printer(self, *args):
        job_id = self.cluster.start("printer.py", *args, command="python3")
        wait_until(lambda: len(self.lines(job_id)) == (2 if args else 1), "it is ready")
        return job_id

    def stop(self, job_id):
        self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {})
        return self.cluster.wait(job_id)

    def test_by_name_and_by_number_and_to_the_whole_tree(self):
        job_id = self.start_printer("child")
        for name, seen in (("USR1", "SIGUSR1"), ("SIGUSR2", "SIGUSR2"), ("hup", "SIGHUP"),
                           (str(int(signal.SIGUSR1)), "SIGUSR1")):
            before = self.lines(job_id)
            self.send(job_id, name)
            wait_until(lambda known=before: len(self.lines(job_id)) == len(known) + 2,
                       f"both processes tell of {name}")
            new = [line.split() for line in self.lines(job_id)[len(before):]]
            self.assertEqual({word for _, word in new}, {seen})
            self.assertEqual(len({pid for pid, _ in new}), 2)
        self.stop(job_id)

    def test_to_the_main_process_alone(self):
        job_id = self.start_printer("child")
        self.send(job_id, "USR1", main_process_only=True)
        self.send(job_id, "USR2")
        wait_until(lambda: len(self.lines(job_id)) == 5, "three signals have been told of")
        told = [line.split()[1] for line in self.lines(job_id)[2:]]
        self.assertEqual(sorted(told), ["SIGUSR1", "SIGUSR2", "SIGUSR2"])
        self.stop(job_id)

    def test_one_that_ends_it(self):
        job_id = self.start_printer()
        done = self.cluster.cli("job", "signal", job_id, "KILL")
        self.assertEqual(done.returncode, 0, done.stderr)
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["reason"], job["end"]["signal"]),
                         ("FAILED", "SIGNALED", 9))

    def test_what_is_refused(self):
        job_id = self.start_printer()
        for bad in ("NONE", "", "0", "65", "-9", "SIGSIGTERM"):
            answer = self.cluster.http.post(f"/v1/jobs/{job_id}/signal", {"signal": bad})
            self.assertEqual((answer.status, answer.json()["field"]), (400, "signal"), bad)
        self.stop(job_id)
        answer = self.cluster.http.post(f"/v1/jobs/{job_id}/signal", {"signal": "USR1"})
        self.assertEqual(answer.status, 409, answer.body)
        answer = self.cluster.http.post(f"/v1/jobs/{job_id}x/signal", {"signal": "USR1"})
        self.assertEqual(answer.status, 404, answer.body)

    def suspend(self, job_id):
        self.send(job_id, "STOP")
        wait_until(lambda: self.cluster.job(job_id)["suspended"], "it shows as suspended")
        time.sleep(0.1)  # what it had written is on its way
        return self.lines(job_id)

    def check_goes_on(self, job_id, seen):
        wait_until(lambda: len(self.lines(job_id)) > len(seen), "it goes on")
        self.assertFalse(self.cluster.job(job_id)["suspended"])
        lines = self.lines(job_id)
        self.assertEqual(lines, [str(number) for number in range(len(lines))])

    def test_a_suspended_job_stands_still_until_it_is_resumed(self):
        job_id = self.cluster.start("count.sh")
        wait_until(lambda: self.lines(job_id), "it counts")
        seen = self.suspend(job_id)
        time.sleep(0.3)
        self.assertEqual(self.lines(job_id), seen)
        self.assertEqual(self.cluster.job(job_id)["state"], "RUNNING")
        done = self.cluster.cli("job", "signal", job_id, "CONT")
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_until(lambda: not self.cluster.job(job_id)["suspended"], "it shows as resumed")
        self.check_goes_on(job_id, seen)
        self.stop(job_id)

    def test_the_clock_of_the_timeout_stands_still_meanwhile(self):
        begin = time.monotonic()
        job_id = self.cluster.start("count.sh", timeout="1.5s")
        wait_until(lambda: self.lines(job_id), "it counts")
        self.suspend(job_id)
        time.sleep(2.5)
        self.assertEqual(self.cluster.job(job_id)["state"], "RUNNING")
        self.send(job_id, "CONT")
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["reason"]), ("TIMED_OUT", "RUN_TIMED_OUT"))
        self.assertGreater(time.monotonic() - begin, 2.5 + 1.4)

    def test_a_suspended_job_can_be_stopped(self):
        job_id = self.cluster.start("count.sh")
        wait_until(lambda: self.lines(job_id), "it counts")
        self.suspend(job_id)
        job = self.stop(job_id)
        self.assertEqual((job["state"], job["end"]["signal"]), ("STOPPED", 15))
        self.assertFalse(job["end"]["killed"])

    def test_what_was_repeated_is_sent_once(self):
        job_id = self.start_printer()
        for _ in range(3):
            answer = self.cluster.http.post(f"/v1/jobs/{job_id}/signal", {"signal": "USR1"},
                                            headers={"Idempotency-Key": "once"})
            self.assertEqual(answer.status, 200, answer.body)
        self.send(job_id, "USR2")
        wait_until(lambda: "SIGUSR2" in self.lines(job_id)[-1], "the last one is told of")
        self.assertEqual([line.split()[1] for line in self.lines(job_id)[1:]],
                         ["SIGUSR1", "SIGUSR2"])
        self.stop(job_id)


class SignalsThroughRestartsTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.cluster.script("count.sh", COUNTER)
        self.cluster.start_worker(on_stop="keep")

    def tearDown(self):
        for job_id in self.cluster.job_ids():
            self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {})
            self.cluster.wait(job_id)

    def lines(self, job_id):
        return self.cluster.output(job_id).decode().splitlines()

    def send(self, job_id, name):
        answer = self.cluster.http.post(f"/v1/jobs/{job_id}/signal", {"signal": name})
        self.assertEqual(answer.status, 200, answer.body)

    def kill_launcher(self):
        pids = self.cluster.launchers()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.cluster.launchers() not in ([], pids), "another launcher is there")

    def restart_worker(self):
        self.cluster.workers["w1"].kill()
        self.cluster.start_worker(on_stop="keep")

    def restart_scheduler(self):
        self.cluster.scheduler.kill()
        self.cluster.start_scheduler()
        self.cluster.wait_for_worker("w1", "ALIVE")

    def restart_both(self):
        self.cluster.workers["w1"].kill()
        for pid in self.cluster.launchers():
            os.kill(pid, signal.SIGKILL)
        self.cluster.start_worker(on_stop="keep")

    def test_a_suspended_job_stays_so_and_its_clock_stands_still(self):
        for restart in (self.restart_worker, self.kill_launcher, self.restart_both,
                        self.restart_scheduler):
            with self.subTest(restart.__name__):
                job_id = self.cluster.start("count.sh", timeout="3s")
                wait_until(lambda job=job_id: self.lines(job), "it counts")
                self.send(job_id, "STOP")
                wait_until(lambda job=job_id: self.cluster.job(job)["suspended"], "suspended")
                time.sleep(0.1)  # what it had written is on its way
                seen = self.lines(job_id)
                restart()
                time.sleep(3.2)
                job = self.cluster.job(job_id)
                self.assertEqual((job["state"], job["suspended"]), ("RUNNING", True), job)
                self.assertEqual(self.lines(job_id), seen)
                self.send(job_id, "CONT")
                wait_until(lambda job=job_id, known=seen: len(self.lines(job)) > len(known),
                           "it goes on")
                job = self.cluster.wait(job_id)
                self.assertEqual(job["state"], "TIMED_OUT", job)
                lines = self.lines(job_id)
                self.assertEqual(lines, [str(number) for number in range(len(lines))])

    def test_resumed_after_a_restart_shows_everywhere(self):
        job_id = self.cluster.start("count.sh")
        wait_until(lambda: self.lines(job_id), "it counts")
        self.send(job_id, "STOP")
        wait_until(lambda: self.cluster.job(job_id)["suspended"], "suspended")
        self.restart_both()
        self.assertTrue(self.cluster.job(job_id)["suspended"])
        self.send(job_id, "CONT")
        wait_until(lambda: not self.cluster.job(job_id)["suspended"], "resumed")
        self.restart_worker()
        self.assertFalse(self.cluster.job(job_id)["suspended"])


if __name__ == "__main__":
    unittest.main()
