"""Programs that use the libraries: handlers as jobs, and clients in C++.

$LIBRARY_WORKER and $LIBRARY_CLIENT are tests/support/library_worker.cc and library_client.cc.
"""
import os
import subprocess
import threading
import time
import unittest

from cluster import Cluster, wait_until


class LibraryCase(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(scheduling={
            "worker_timeout": "3s", "heartbeat_interval": "500ms"}))
        self.process = None
        self.addCleanup(self.stop_worker)

    def start_worker(self, alive=True, **environment):
        with open(self.cluster.folder / "program.log", "ab") as log:
            self.process = subprocess.Popen(
                [os.environ["LIBRARY_WORKER"]], stdout=log, stderr=log, cwd=self.cluster.folder,
                env={**os.environ, "CLUSTERD_SCHEDULER": self.cluster.grpc_address,
                     "CLUSTERD_DATA_DIR": str(self.cluster.data_folder("program")),
                     "CLUSTERD_WORKER_NAME": "program",
                     # With AddressSanitizer a crash is left to the program itself.
                     "ASAN_OPTIONS": "handle_segv=0:use_sigaltstack=0", **environment})
        if alive:
            self.cluster.wait_for_worker("program", "ALIVE")

    def log(self):
        return (self.cluster.folder / "program.log").read_text()

    def stop_worker(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self, handler, *args, **spec):
        answer = self.cluster.http.post(
            "/v1/jobs", {"handler": handler, "args": [str(arg) for arg in args], **spec})
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()["job_id"]

    def client(self, *words, **more):
        return subprocess.run([os.environ["LIBRARY_CLIENT"], *words], capture_output=True, text=True,
                              timeout=120, check=False,
                              env={**os.environ, "CLUSTERD_ADDR": self.cluster.grpc_address}, **more)


class HandlerTest(LibraryCase):
    def test_a_handler_that_throws_has_failed_and_the_program_lives(self):
        self.start_worker()
        job = self.cluster.wait(self.start("throw", "known"))
        self.assertEqual((job["state"], job["end"]["exit_code"], job["end"]["message"]),
                         ("FAILED", 1, "exception: thrown"))
        job = self.cluster.wait(self.start("throw", "unknown"))
        self.assertEqual((job["state"], job["end"]["message"]),
                         ("FAILED", "exception of an unknown type"))
        self.assertIsNone(self.process.poll())

    def test_arguments_input_and_task_reach_the_handler(self):
        self.start_worker()
        job_id = self.start("input", stdin="aGVsbG8K", array={"from": 4, "to": 5})
        self.cluster.wait(job_id)
        self.assertEqual(self.cluster.output(f"{job_id}.5"), b"hello\ntask 5 of 2\n")

    def test_the_oldest_output_is_released_and_a_limit_can_stop(self):
        self.start_worker()
        job_id = self.start("flood", 1_000_000, output={"max_bytes": "100000"})
        job = self.cluster.wait(job_id)
        self.assertEqual(job["state"], "SUCCEEDED")
        stream = job["end"]["outputs"][0]
        self.assertEqual(stream["total_bytes"], "1000000")
        kept = int(stream["total_bytes"]) - int(stream["first_kept"])
        self.assertTrue(100_000 <= kept < 120_000, stream)
        whole = b"".join(b"%d" % (n % 10) * 1000 for n in range(1000))
        self.assertEqual(self.cluster.output(job_id), whole[int(stream["first_kept"]):])
        job = self.cluster.wait(self.start("flood", 1_000_000, output={
            "max_bytes": "100000", "on_limit": "STOP"}))
        self.assertEqual((job["state"], job["end"]["reason"]), ("FAILED", "OUTPUT_LIMIT"))
        self.assertEqual(self.cluster.output(job["job_id"]), whole[:100_000])

    def test_progress_is_shown_while_it_runs_and_with_the_end(self):
        self.start_worker()
        go = self.cluster.folder / "go"
        job_id = self.start("progress", go)
        wait_until(lambda: self.cluster.job(job_id).get("progress", {}).get("done") == "42", "42")
        self.assertEqual(self.cluster.job(job_id)["progress"],
                         {"done": "42", "total": "100", "message": "counting"})
        listed = self.cluster.http.get("/v1/jobs").json()["jobs"][0]
        self.assertEqual(listed["progress"]["done"], "42")
        shown = self.cluster.cli("job", "query", job_id).stdout
        self.assertRegex(shown, r"progress +42 of 100: counting")
        self.assertRegex(self.cluster.cli("job", "list").stdout, r"RUNNING 42/100")
        go.touch()
        job = self.cluster.wait(job_id)
        self.assertEqual(job["progress"], {"done": "100", "total": "100", "message": "counted"})

    def test_progress_is_told_again_to_a_scheduler_that_was_restarted(self):
        self.start_worker()
        go = self.cluster.folder / "go"
        job_id = self.start("progress", go)
        wait_until(lambda: self.cluster.job(job_id).get("progress", {}).get("done") == "42", "42")
        self.cluster.scheduler.kill()
        self.cluster.start_scheduler()
        wait_until(lambda: self.cluster.job(job_id).get("progress", {}).get("done") == "42", "again")
        go.touch()
        self.cluster.wait(job_id)

    def test_no_more_of_a_handler_run_than_it_says(self):
        self.start_worker()
        job_id = self.start("limited", array={"from": 1, "to": 20})
        job = self.cluster.wait(job_id)
        self.assertEqual(job["state"], "SUCCEEDED", job)
        outputs = {self.cluster.output(f"{job_id}.{n}") for n in range(1, 21)}
        self.assertIn(b"2\n", outputs, "two could have run at a time")
        offered = self.cluster.http.get("/v1/workers/program").json()["handlers"]
        self.assertIn({"name": "limited", "max_concurrent": 2, "running": 0},
                      [{"running": 0, **handler} for handler in offered])

    def test_a_line_for_a_busy_handler_leaves_the_worker_to_others(self):
        self.start_worker()
        busy = [self.start("stuck", 1) for _ in range(2)]
        waiting = self.start("limited", array={"from": 1, "to": 40})
        done = self.cluster.wait(self.start("conformance", "echo", "meanwhile"))
        self.assertEqual(done["state"], "SUCCEEDED")
        self.assertNotIn(self.cluster.job(waiting)["state"], ("SUCCEEDED", "FAILED"))
        for job_id in [*busy, waiting]:
            self.cluster.wait(job_id)

    def test_scripts_and_handlers_go_where_they_can_run(self):
        self.start_worker()
        self.cluster.script("hello.sh", "echo script\n")
        script = self.cluster.start("hello.sh")
        reason = self.cluster.http.get(f"/v1/jobs/{script}/explain").json()
        self.assertEqual(reason["workers"][0]["reasons"],
                         ["is a program that runs its own handlers only"])
        self.cluster.start_worker("w1")
        self.assertEqual(self.cluster.wait(script)["state"], "SUCCEEDED")
        nowhere = self.start("nothing of the kind")
        reason = self.cluster.http.get(f"/v1/jobs/{nowhere}/explain").json()
        self.assertEqual(reason["summary"],
                         "no worker that takes jobs offers handler nothing of the kind")
        for worker in reason["workers"]:
            self.assertEqual(worker["reasons"], ["does not offer handler nothing of the kind"])
        refused = self.cluster.http.post("/v1/workers/w1/jobs", {"handler": "input"})
        self.assertEqual((refused.status, refused.json()["field"]), (400, "handler"), refused.body)

    def test_what_only_processes_have_is_refused(self):
        for spec, field in (({"path": "a.sh"}, "handler"), ({"run_as": "nobody"}, "run_as"),
                            ({"limits": {"pids": 5}}, "limits"), ({"cwd": "x"}, "cwd")):
            answer = self.cluster.http.post("/v1/jobs", {"handler": "input", **spec})
            self.assertEqual((answer.status, answer.json()["field"]), (400, field), answer.body)

    def test_the_command_line_starts_handlers(self):
        self.start_worker()
        run = self.cluster.cli("run", "-q", "--stdin", "-", "--handler", "input", stdin="from here\n")
        self.assertEqual((run.returncode, run.stdout), (0, "from here\ntask 0 of 0\n"), run)
        run = self.cluster.cli("run", "-q", "--handler=conformance", "echo", "--flag")
        self.assertEqual((run.returncode, run.stdout), (0, "--flag\n"), run)
        failed = self.cluster.cli("run", "-q", "--handler", "throw", "known")
        self.assertEqual(failed.returncode, 1, failed)
        self.assertIn("handler conformance echo --flag", self.cluster.cli("job", "list").stdout)

    def test_a_handler_that_does_not_return_can_end_the_process(self):
        self.start_worker(CLUSTERD_ENDS_STUCK="1")
        job_id = self.start("stuck", 60_000)
        self.cluster.wait_for_state(job_id, "RUNNING")
        self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {})
        self.assertEqual(self.process.wait(timeout=20), 70)
        self.start_worker(alive=False)
        job = self.cluster.wait(job_id)
        self.assertEqual(job["end"]["reason"], "EXIT_STATUS_UNKNOWN", job)

    def test_a_handler_that_crashes_has_failed_and_says_how(self):
        for how, signal in (("fault", "SEGV"), ("abort", "ABRT"), ("stack", "SEGV")):
            with self.subTest(how=how):
                self.start_worker()
                beside = self.start("stuck", 60_000)
                self.cluster.wait_for_state(beside, "RUNNING")
                crashed = self.start("crash", how)
                self.assertLess(self.process.wait(timeout=20), 0)
                self.start_worker(alive=False)
                job = self.cluster.wait(crashed)
                self.assertEqual((job["state"], job["end"]["reason"]), ("FAILED", "SIGNALED"), job)
                self.assertEqual(job["end"]["message"], f"the handler crashed: SIG{signal}")
                job = self.cluster.wait(beside)
                self.assertEqual((job["state"], job["end"]["reason"]),
                                 ("LOST", "EXIT_STATUS_UNKNOWN"), job)
                self.stop_worker()

    def test_what_crashes_on_a_thread_of_its_own_is_not_known(self):
        self.start_worker()
        job_id = self.start("crash", "terminate")
        self.assertLess(self.process.wait(timeout=20), 0)
        self.start_worker(alive=False)
        self.assertEqual(self.cluster.wait(job_id)["end"]["reason"], "EXIT_STATUS_UNKNOWN")

    def test_sigterm_waits_for_the_jobs_and_leaves(self):
        self.start_worker()
        job_id = self.start("conformance", "tick", self.cluster.folder / "ticks", 20)
        self.cluster.wait_for_state(job_id, "RUNNING")
        self.process.terminate()
        self.assertEqual(self.process.wait(timeout=30), 0, self.log())
        self.assertEqual(self.cluster.job(job_id)["state"], "SUCCEEDED")
        worker = self.cluster.http.get("/v1/workers/program")
        self.assertIn(worker.json().get("state", "LEFT"), ("LEFT", "OFFLINE"))

    def test_a_second_sigterm_stops_the_jobs(self):
        self.start_worker()
        job_id = self.start("conformance", "tick", self.cluster.folder / "ticks", 2000)
        self.cluster.wait_for_state(job_id, "RUNNING")
        self.process.terminate()
        wait_until(lambda: "waiting for the jobs" in self.log(), "it drains")
        self.process.terminate()
        self.assertEqual(self.process.wait(timeout=30), 0, self.log())
        self.assertEqual(self.cluster.job(job_id)["state"], "STOPPED")


class ClientTest(LibraryCase):
    def test_many_calls_with_callbacks_from_many_threads(self):
        self.start_worker()
        result = self.client("many", "400")
        self.assertEqual((result.returncode, result.stdout), (0, "400 succeeded\n"), result.stderr)

    def test_calls_go_on_over_a_restart_and_make_no_second_job(self):
        self.start_worker()
        started = []
        thread = threading.Thread(target=lambda: started.append(self.client("many", "300")))
        thread.start()
        wait_until(lambda: len(self.cluster.job_ids()) >= 20, "some have been started")
        self.cluster.scheduler.kill()
        self.cluster.start_scheduler()
        thread.join()
        self.assertEqual((started[0].returncode, started[0].stdout), (0, "300 succeeded\n"),
                         started[0].stderr)
        self.assertEqual(len(self.cluster.job_ids()), 300)

    def test_an_address_that_does_not_answer_is_left_for_the_next(self):
        self.start_worker()
        both = subprocess.run(
            [os.environ["LIBRARY_CLIENT"], "start", "conformance", "echo", "x"], capture_output=True,
            text=True, timeout=60, check=False,
            env={**os.environ, "CLUSTERD_ADDR": f"127.0.0.1:1,{self.cluster.grpc_address}"})
        self.assertEqual(both.returncode, 0, both)
        self.assertEqual(self.cluster.wait(both.stdout.strip())["state"], "SUCCEEDED")

    def test_output_is_followed_over_a_restart_byte_for_byte(self):
        self.start_worker()
        job_id = self.start("conformance", "tick", self.cluster.folder / "ticks", 60)
        results = []
        thread = threading.Thread(target=lambda: results.append(self.client("follow", job_id)))
        thread.start()
        wait_until(lambda: len(self.cluster.output(job_id)) > 20, "it runs")
        self.cluster.scheduler.kill()
        time.sleep(0.5)
        self.cluster.start_scheduler()
        thread.join()
        self.assertEqual((results[0].returncode, results[0].stdout), (0, "tick\n" * 60),
                         results[0].stderr)

    def test_waits_have_deadlines_and_can_be_cancelled(self):
        self.start_worker()
        job_id = self.start("conformance", "tick", self.cluster.folder / "ticks", 10_000)
        start = time.monotonic()
        self.assertEqual(self.client("wait", job_id, "700").stdout, "DEADLINE_EXCEEDED\n")
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(self.client("cancel", job_id).stdout, "CANCELLED\n2 cancelled\n")
        self.assertEqual(self.client("wait", "no-such-job", "5000").stdout, "NOT_FOUND\n")
        self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {})
        self.assertEqual(self.client("wait", job_id, "20000").stdout, "STOPPED\n")

    def test_events_come_as_they_happen(self):
        """From some moment on, so that jobs are run until it has seen enough of them."""
        states = ["QUEUED", "STARTING", "RUNNING", "SUCCEEDED"]
        self.start_worker()
        with subprocess.Popen([os.environ["LIBRARY_CLIENT"], "watch", "9"], stdout=subprocess.PIPE,
                              text=True, env={**os.environ,
                                              "CLUSTERD_ADDR": self.cluster.grpc_address}) as watch:
            def has_seen_enough():
                self.cluster.wait(self.start("conformance", "echo", "x"))
                return watch.poll() is not None

            try:
                wait_until(has_seen_enough, "nine events")
            finally:
                watch.kill()
            self.assertEqual(watch.returncode, 0)
            seen = watch.stdout.read().split()
        self.assertEqual(len(seen), 9)
        for before, after in zip(seen, seen[1:]):
            follows = states.index(after) > states.index(before) or before == "SUCCEEDED"
            self.assertTrue(follows, seen)

    def test_faulty_options_are_named(self):
        def made(**environment):
            return subprocess.run([os.environ["LIBRARY_CLIENT"], "watch", "1"], capture_output=True,
                                  text=True, timeout=60, check=False, env={**os.environ, **environment})

        for variables, words in (({"CLUSTERD_ADDR": "nonsense"}, "addresses: "),
                                 ({"CLUSTERD_ADDR": "192.0.2.1:5", "CLUSTERD_TOKEN": "t"}, "token: "),
                                 ({"CLUSTERD_CERT": "a"}, "crt_file: ")):
            result = made(**variables)
            self.assertEqual(result.returncode, 64, result)
            self.assertIn(words, result.stderr)


if __name__ == "__main__":
    unittest.main()
