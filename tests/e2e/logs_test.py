"""Logs: text and JSON lines with the ids of what they are about, levels that change while the daemon
runs, the journal's marks, and the trace of the request that submitted a job."""
import json
import pathlib
import signal
import unittest

from cluster import Cluster, to_toml, wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE_PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
# Becomes the journal's stream for what is run: that is what JOURNAL_STREAM means.
AS_IN_THE_JOURNAL = ("sh", "-c", 'JOURNAL_STREAM="$(stat -L -c %d:%i /proc/$$/fd/2)" exec "$@"', "sh")


def json_lines(log):
    """The lines of a file, each a JSON object; a key that is there twice is an error."""
    def once(pairs):
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            raise AssertionError(f"a key is there twice: {pairs}")
        return dict(pairs)

    return [json.loads(line, object_pairs_hook=once)
            for line in pathlib.Path(log).read_text().splitlines()]


class JsonCluster(Cluster):
    def worker_sections(self, name):
        return {"log": {"level": "debug", "format": "json"}}


class JsonTest(unittest.TestCase):
    def setUp(self):
        self.cluster = JsonCluster(log={"level": "debug", "format": "json"})
        self.addCleanup(self.cluster.close)
        self.cluster.script("exit.sh", 'echo "$TRACEPARENT"; exit 3\n')
        self.cluster.start_worker()

    def submit(self, trace_parent):
        answer = self.cluster.http.request("POST", "/v1/jobs",
                                           {"path": "exit.sh", "command": "bash"},
                                           {"traceparent": trace_parent} if trace_parent else {})
        self.assertEqual(answer.status, 201)
        job_id = answer.json()["job_id"]
        self.cluster.wait(job_id)
        return job_id

    def lines_about(self, daemon, job_id):
        return {line["message"]: line for line in json_lines(daemon.log)
                if line.get("job_id") == job_id}

    def wait_for_lines(self, daemon, job_id, messages):
        """Each message has one line about the job; whoever waited for its end may come before it."""
        wait_until(lambda: set(self.lines_about(daemon, job_id)) >= set(messages),
                   f"{daemon.name} has written {messages}")
        return self.lines_about(daemon, job_id)

    def test_ids_and_trace_are_on_every_line_about_a_job(self):
        job_id = self.submit(TRACE_PARENT)
        self.assertEqual(self.cluster.output(job_id).decode().strip(), TRACE_PARENT)
        worker_id = self.cluster.worker_id()
        scheduler = self.wait_for_lines(self.cluster.scheduler, job_id,
                                        ("job accepted", "attempt ordered", "job ended"))
        worker = self.wait_for_lines(self.cluster.workers["w1"], job_id,
                                     ("attempt ordered", "attempt ended"))
        for line in (*scheduler.values(), *worker.values()):
            with self.subTest(line=line):
                self.assertEqual(line["trace_id"], TRACE)
                self.assertEqual(line["level"], "debug")
                self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
                if line["message"] != "job accepted":
                    self.assertEqual(line["attempt"], 1)
                    self.assertEqual(line["worker_id"], worker_id)
                    self.assertGreater(line["session"], 0)
        self.assertEqual(scheduler["job ended"]["state"], "FAILED")
        for end in (scheduler["job ended"], worker["attempt ended"]):
            self.assertEqual((end["reason"], end["exit_code"]), ("EXITED", 3))

    def test_a_trace_outlives_the_worker(self):
        self.cluster.script("wait.sh", f"while [ ! -e {self.cluster.folder}/go ]; do sleep 0.05; done\n")
        answer = self.cluster.http.request("POST", "/v1/jobs",
                                           {"path": "wait.sh", "command": "bash"},
                                           {"traceparent": TRACE_PARENT})
        job_id = answer.json()["job_id"]
        self.cluster.wait_for_state(job_id, "RUNNING")
        self.cluster.workers["w1"].kill()
        self.cluster.scheduler.terminate()
        self.cluster.start_scheduler()
        worker = self.cluster.start_worker()
        (self.cluster.folder / "go").touch()
        self.cluster.wait(job_id)
        end = self.wait_for_lines(worker, job_id, ("attempt ended",))["attempt ended"]
        self.assertEqual(end["trace_id"], TRACE)
        end = self.wait_for_lines(self.cluster.scheduler, job_id, ("job ended",))["job ended"]
        self.assertEqual(end["trace_id"], TRACE)

    def test_a_malformed_trace_is_ignored(self):
        for bad in (None, "", "x", TRACE_PARENT.upper(), TRACE_PARENT + "-more",
                    f"00-{'0' * 32}-00f067aa0ba902b7-01"):
            with self.subTest(traceparent=bad):
                job_id = self.submit(bad)
                self.assertEqual(self.cluster.output(job_id), b"\n")
                for daemon, last in ((self.cluster.scheduler, "job ended"),
                                     (self.cluster.workers["w1"], "attempt ended")):
                    for line in self.wait_for_lines(daemon, job_id, (last,)).values():
                        self.assertNotIn("trace_id", line)

    def test_the_launcher_follows_the_worker(self):
        log = self.cluster.data_folder("w1") / "launcher/launcher.log"
        self.cluster.workers["w1"].terminate()
        self.cluster.start_worker(archive_commands=["false"])
        job_id = self.cluster.start("exit.sh", output={"archive_command": "false"})
        self.cluster.wait(job_id)
        lines = [line for line in json_lines(log) if line.get("job_id") == job_id]
        self.assertEqual([(line["component"], line["attempt"]) for line in lines], [("launcher", 1)])


class LevelTest(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(log={"level": "info"})
        self.addCleanup(self.cluster.close)
        self.cluster.script("exit.sh", "echo out\n")

    def set_level(self, daemon, level, log_format="text"):
        file = daemon.folder / f"{daemon.name}.toml"
        before, _, after = file.read_text().partition("[log]\n")
        rest = after.partition("[")[1:]
        file.write_text(before + to_toml({"log": {"level": level, "format": log_format}})
                        + "".join(rest))
        daemon.process.send_signal(signal.SIGHUP)

    def run_job(self):
        job_id = self.cluster.start("exit.sh")
        self.cluster.wait(job_id)
        return job_id

    def test_sighup_reads_the_level_again(self):
        worker = self.cluster.start_worker(sections={"log": {"level": "info"}})
        for daemon, last in ((self.cluster.scheduler, "job ended"), (worker, "attempt ended")):
            with self.subTest(daemon=daemon.name):
                self.assertNotIn(self.run_job(), daemon.log.read_text())
                self.set_level(daemon, "debug", "json")
                wait_until(lambda: "log_level=debug before=info" in daemon.log.read_text(),
                           "the level is set")
                job_id = self.run_job()
                # The format stays as it was at the start.
                wait_until(lambda: f"debug {daemon.name.replace('w1', 'worker')}: {last} job_id={job_id}"
                           in daemon.log.read_text(), "the job's end is written")

    def test_a_faulty_file_changes_nothing(self):
        self.cluster.start_worker()
        scheduler = self.cluster.scheduler
        self.set_level(scheduler, "loud")
        wait_until(lambda: "the log level stays" in scheduler.log.read_text(), "the fault is told")
        self.assertIn("log.level", scheduler.log.read_text())
        self.assertNotIn(self.run_job(), scheduler.log.read_text())

    def test_the_launcher_is_told(self):
        worker = self.cluster.start_worker(archive_commands=["false"])
        log = self.cluster.data_folder("w1") / "launcher/launcher.log"
        archived = {"output": {"archive_command": "false"}}
        self.cluster.wait(self.cluster.start("exit.sh", **archived))
        self.assertEqual(log.read_text().count("archive command"), 1)
        self.set_level(worker, "error")
        wait_until(lambda: self.quiet(log, archived), "the launcher's warnings are not written")

    def quiet(self, log, archived):
        before = log.read_text().count("archive command")
        self.cluster.wait(self.cluster.start("exit.sh", **archived))
        return log.read_text().count("archive command") == before


class JournalTest(unittest.TestCase):
    def test_marks_instead_of_time_and_level(self):
        cluster = Cluster()
        self.addCleanup(cluster.close)
        cluster.scheduler.terminate()
        cluster.scheduler.log.unlink()
        cluster.start_scheduler(wrapper=AS_IN_THE_JOURNAL)
        wait_until(lambda: "<6>scheduler: listening grpc=" in cluster.scheduler.log.read_text(),
                   "it says that it listens")
        for line in cluster.scheduler.log.read_text().splitlines():
            self.assertRegex(line, r"^<[3467]>scheduler: ")

    def test_a_stream_of_another_is_not_the_journal(self):
        cluster = Cluster()
        self.addCleanup(cluster.close)
        cluster.scheduler.terminate()
        cluster.scheduler.log.unlink()
        cluster.start_scheduler(wrapper=("env", "JOURNAL_STREAM=1:1"))
        wait_until(lambda: "listening" in cluster.scheduler.log.read_text(), "it says that it listens")
        for line in cluster.scheduler.log.read_text().splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT")


if __name__ == "__main__":
    unittest.main()
