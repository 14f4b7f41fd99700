"""The command line: what it prints where, and what it exits with."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from cluster import Cluster, executable, processes, wait_until
from http_client import HttpClient

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class CliTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("count.sh", 'for i in $(seq "$1"); do echo "line $i of $1"; done\n')
        cls.cluster.script("exit.sh", 'echo to stdout; echo to stderr >&2; exit "$1"\n')
        cls.cluster.script("suicide.sh", "kill -9 $$; sleep 1000\n")
        cls.cluster.script("forever.sh", "echo begun; sleep 1000\n")
        cls.cluster.script("no_interpreter.sh", "#!/no/such/interpreter\n")
        cls.cluster.start_worker(allowed_programs=["/bin/echo"])

    def check(self, result, code, stdout=None):
        self.assertEqual(result.returncode, code, result)
        if stdout is not None:
            self.assertEqual(result.stdout, stdout)
        return result

    def start(self, *args):
        result = self.check(self.cluster.cli("job", "start", *args), 0)
        self.assertRegex(result.stdout, rf"^{UUID}\n$")
        return result.stdout.strip()

    def test_follow_prints_as_the_script_prints(self):
        result = self.cluster.cli("job", "start", "--follow", "--command", "bash", "count.sh", "5")
        self.check(result, 0, "".join(f"line {i} of 5\n" for i in range(1, 6)))

    def test_where_it_waits_it_exits_with_the_jobs_code(self):
        for way in ("--follow", "--wait"):
            for args, code in ((("exit.sh", "37"), 37), (("suicide.sh",), 137),
                               (("exit.sh", "0"), 0)):
                result = self.cluster.cli("job", "start", way, "--command", "bash", *args)
                self.check(result, code)
        self.check(self.cluster.cli("job", "start", "--follow", "no_interpreter.sh"), 126)
        self.check(self.cluster.cli("job", "start", "--follow", "--timeout", "300ms", "--command",
                                    "bash", "forever.sh"), 124, "begun\n")

    def test_follow_of_an_array_prints_its_tasks_lines_behind_their_indexes(self):
        result = self.cluster.cli("job", "start", "--follow", "--array", "0-2", "--command", "bash",
                                  "count.sh", "2")
        self.check(result, 0)
        lines = result.stdout.splitlines()
        for index in range(3):
            own = [line for line in lines if line.startswith(f"[{index}] ")]
            self.assertEqual(len(own), 2, result.stdout)

    def test_follow_goes_on_with_the_next_attempt(self):
        self.cluster.script("attempt.sh", 'echo "attempt $CLUSTERD_ATTEMPT"; exit 4\n')
        retried = self.cluster.cli("job", "start", "--follow", "--max-attempts", "2", "--retry-on",
                                   "failure", "--backoff", "300ms", "--command", "bash",
                                   "attempt.sh")
        self.check(retried, 4, "attempt 1\nattempt 2\n")

    def test_follow_ends_where_the_next_attempt_is_stopped_before_it_starts(self):
        before = set(self.cluster.job_ids())
        self.cluster.script("once.sh", "echo once; exit 4\n")
        process = subprocess.Popen(
            [executable(), "job", "start", "--follow", "--max-attempts", "2", "--retry-on",
             "failure", "--backoff", "1h", "--command", "bash", "once.sh"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.cluster.cli_environment())
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), b"once\n")
        (job_id,) = set(self.cluster.job_ids()) - before
        wait_until(lambda: self.cluster.job(job_id)["attempts"][0].get("end"), "it has failed")
        self.check(self.cluster.cli("job", "stop", job_id), 0)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)

    def test_stopped_job(self):
        job_id = self.start("--command", "bash", "forever.sh")
        self.cluster.wait_for_state(job_id, "RUNNING")
        self.check(self.cluster.cli("job", "stop", job_id), 0)
        self.assertEqual(self.cluster.job(job_id)["state"], "STOPPED")
        self.check(self.cluster.cli("job", "wait", job_id), 130)

    def test_logs(self):
        job_id = self.start("--command", "bash", "--name", "counted", "--env", "A=b", "count.sh",
                            "3")
        self.check(self.cluster.cli("job", "wait", job_id), 0)
        everything = "line 1 of 3\nline 2 of 3\nline 3 of 3\n"
        self.check(self.cluster.cli("job", "logs", job_id), 0, everything)
        self.check(self.cluster.cli("job", "logs", "-f", job_id), 0, everything)
        self.check(self.cluster.cli("job", "logs", "--tail", "1", job_id), 0, "line 3 of 3\n")
        self.check(self.cluster.cli("job", "logs", "--offset", "24", job_id), 0, "line 3 of 3\n")

    def test_jobs_by_other_words_than_their_ids(self):
        job_id = self.start("--command", "bash", "exit.sh", "3")
        self.cluster.wait(job_id)

        self.assertIn(job_id, self.check(self.cluster.cli("job", "query", "last"), 0).stdout)
        self.assertIn(job_id, self.check(self.cluster.cli("job", "query", job_id[:-3]), 0).stdout)
        self.check(self.cluster.cli("job", "query", "00000000-0"), 66)
        another = self.start("--command", "bash", "exit.sh", "0")
        if another[:8] == job_id[:8]:
            self.assertIn("several", self.check(self.cluster.cli("job", "query", job_id[:8]),
                                                64).stderr)
        self.check(self.cluster.cli("job", "query", "all"), 64)
        array = self.start("--array", "1-5", "--command", "bash", "exit.sh", "0")
        self.check(self.cluster.cli("job", "wait", f"{array}.1-5:2"), 0)
        running = [self.start("--command", "bash", "forever.sh") for _ in range(2)]
        stopped = self.check(self.cluster.cli("job", "stop", "all"), 0).stdout
        for job_id in running:
            self.assertIn(job_id, stopped)

    def test_ids_only(self):
        job_id = self.start("--name", "only", "--command", "bash", "exit.sh", "0")
        array = self.start("--array", "1-3", "--command", "bash", "exit.sh", "0")

        self.check(self.cluster.cli("job", "list", "-q", "--name", "only"), 0, job_id + "\n")
        self.check(self.cluster.cli("job", "tasks", "--quiet", array), 0,
                   "".join(f"{array}.{i}\n" for i in range(1, 4)))

    def test_logs_from_now_on(self):
        gate = self.cluster.folder / "logs_gate"
        self.cluster.script("counting.sh", 'echo old; i=0; while [ ! -e "$1" ]; do '
                                           'i=$((i + 1)); echo "new $i"; sleep 0.01; done\n')
        job_id = self.start("--command", "bash", "counting.sh", str(gate))
        wait_until(lambda: b"new 1\n" in self.cluster.output(job_id), "it counts")
        self.check(self.cluster.cli("job", "logs", "--tail", "0", job_id), 0, "")
        process = subprocess.Popen([executable(), "job", "logs", "-f", "--tail", "0", job_id],
                                   stdout=subprocess.PIPE, env=self.cluster.cli_environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        first = process.stdout.readline()
        gate.touch()
        got = first + process.stdout.read()
        self.assertEqual(process.wait(timeout=60), 0)
        everything = self.cluster.output(job_id)
        self.assertTrue(everything.endswith(got), (got, everything))
        self.assertNotIn(b"old\n", got)
        self.assertLess(len(got), len(everything))

    def test_json(self):
        result = self.cluster.cli("job", "start", "--json", "--wait", "--command", "bash",
                                  "exit.sh", "3")
        self.check(result, 3)
        job = json.loads(result.stdout)
        self.assertEqual((job["state"], job["end"]["exit_code"]), ("FAILED", 3))
        queried = json.loads(self.check(
            self.cluster.cli("job", "query", "--json", job["job_id"]), 0).stdout)
        self.assertEqual(queried, self.cluster.job(job["job_id"]))
        listed = json.loads(self.check(self.cluster.cli("job", "list", "--json"), 0).stdout)
        self.assertIn(job["job_id"], json.dumps(listed))

    def test_list_and_query_for_people(self):
        job_id = self.start("--command", "bash", "--name", "by-name", "count.sh", "1")
        self.cluster.wait(job_id)
        listed = self.check(self.cluster.cli("job", "list"), 0).stdout
        line = next(line for line in listed.splitlines() if job_id in line)
        self.assertEqual(line.split()[1:3], ["SUCCEEDED", "w1"])
        self.assertIn("by-name", line)
        lately = self.check(self.cluster.cli("job", "list", "--since", "1h"), 0).stdout
        self.assertIn(job_id, lately)
        long_ago = self.check(self.cluster.cli("job", "list", "--before", "1h"), 0).stdout
        self.assertNotIn(job_id, long_ago)
        queried = self.check(self.cluster.cli("job", "query", job_id), 0).stdout
        self.assertIn("SUCCEEDED", queried)
        self.assertIn(f"w1 ({self.cluster.worker_id()})", queried)

    def test_programs(self):
        result = self.cluster.cli("job", "start", "--follow", "--program", "echo", "a b", "-n")
        self.check(result, 0, "a b -n\n")
        refused = ("--follow", "--program", "cat")
        self.check(self.cluster.cli("job", "start", "--worker", "w1", *refused), 77)
        self.check(self.cluster.cli("job", "start", *refused), 126)  # any worker might allow it

    def test_errors_go_to_stderr_with_their_exit_codes(self):
        for args, code, text in (
                (("job", "start", "--frobnicate", "x"), 64, "frobnicate"),
                (("job", "start", "--worker", "w1", "--command", "bash", "../x.sh"), 64, "path"),
                (("job", "start", "--worker", "w1", "--command", "perl", "count.sh"), 77, "perl"),
                (("job", "start", "--worker", "none", "--command", "bash", "count.sh"), 66, "none"),
                (("job", "query", "none"), 66, "none"),
                (("job", "logs", "none"), 66, "none"),
                (("job", "list", "--worker", "none"), 66, 'worker not found: "none"'),
                (("no-such-command",), 64, "")):
            with self.subTest(args=args):
                result = self.check(self.cluster.cli(*args), code, "")
                self.assertIn(text, result.stderr)

    def test_unreachable_scheduler(self):
        result = subprocess.run(
            [executable(), "job", "list"], capture_output=True, text=True, timeout=60, check=False,
            env={**self.cluster.cli_environment(), "CLUSTERD_ADDR": "127.0.0.1:1"})
        self.check(result, 69, "")
        self.assertIn("127.0.0.1:1", result.stderr)

    def test_interrupt_of_a_follow_leaves_the_job_running(self):
        before = set(self.cluster.job_ids())
        process = subprocess.Popen(
            [executable(), "job", "start", "--follow", "--command", "bash", "forever.sh"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.cluster.cli_environment())
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), b"begun\n")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        (job_id,) = set(self.cluster.job_ids()) - before
        self.assertIn(job_id, said.decode())
        self.assertEqual(self.cluster.job(job_id)["state"], "RUNNING")
        self.check(self.cluster.cli("job", "stop", job_id), 0)

    def test_output_that_cannot_be_written(self):
        for args in (("job", "list"), ("job", "list", "--json"), ("--version",), ("--help",)):
            with self.subTest(args=args), open("/dev/full", "wb") as full:
                result = subprocess.run([executable(), *args], stdout=full, stderr=subprocess.PIPE,
                                        text=True, timeout=60, check=False,
                                        env=self.cluster.cli_environment())
                self.assertEqual(result.returncode, 70, result)
                self.assertIn("standard output: No space left", result.stderr)

    def test_version(self):
        self.assertRegex(self.check(self.cluster.cli("--version"), 0).stdout, r"\d+\.\d+\.\d+")


class CheckTest(unittest.TestCase):
    def check_config(self, mode, text):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(text)
            file.flush()
            return subprocess.run([executable(), mode, "--config", file.name, "--check"],
                                  capture_output=True, text=True, timeout=60, check=False)

    def test_good_configuration(self):
        with tempfile.TemporaryDirectory(prefix="clusterd-e2e-") as folder:
            for mode, text in (("scheduler", '[log]\nlevel = "info"\n'),
                               ("worker", f'[jobs]\nscripts_dir = "{folder}"\n')):
                result = self.check_config(mode, text)
                self.assertEqual((result.returncode, result.stdout), (0, "OK\n"), result)

    def test_check_and_start_agree_on_the_scripts_folder(self):
        with tempfile.TemporaryDirectory(prefix="clusterd-e2e-") as folder:
            scripts = pathlib.Path(folder) / "none" / "yet"
            data = pathlib.Path(folder) / "data"
            config = f'[jobs]\nscripts_dir = "{scripts}"\ndata_dir = "{data}"\n'
            missing = self.check_config("worker", config)
            self.assertEqual((missing.returncode, missing.stdout), (0, "OK\n"), missing)
            self.assertIn(str(scripts), missing.stderr)
            self.assertFalse(scripts.exists())

            scripts.mkdir(parents=True)
            scripts.chmod(0o777)
            refused = self.check_config("worker", config)
            self.assertEqual((refused.returncode, refused.stdout), (77, ""), refused)
            self.assertIn("writable by others", refused.stderr)

    def test_the_start_makes_the_scripts_folder_and_warns_of_one_for_all(self):
        with Cluster() as cluster:
            scripts = cluster.folder / "none" / "yet"
            worker = cluster.start_worker(scripts_dir=str(scripts))
            self.assertTrue(scripts.is_dir())
            self.assertNotIn("writable by", worker.log.read_text())
            worker.terminate()
            scripts.chmod(0o777)
            worker = cluster.start_worker(scripts_dir=str(scripts))
            self.assertIn("writable by others", worker.log.read_text())

    def test_all_errors_at_once_with_line_and_column(self):
        result = self.check_config("scheduler", '[store]\npaht = "x"\n\n[scheduling]\n'
                                                'worker_timeout = 5\n[nonsense]\nx = 1\n')
        self.assertEqual(result.returncode, 64, result)
        for text in ("paht", "2:1", "worker_timeout", "5:", "nonsense"):
            self.assertIn(text, result.stderr)


class DevTest(unittest.TestCase):
    def test_dev_runs_a_job_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory(prefix="clusterd-e2e-") as folder:
            scripts = pathlib.Path(folder) / "scripts"
            scripts.mkdir()
            (scripts / "count.sh").write_text('for i in $(seq "$1"); do echo "$i"; done\n')
            (scripts / "forever.sh").write_text("exec sleep 1000\n")
            process = subprocess.Popen(
                [executable(), "dev", "--scripts", str(scripts), "--http-port", "0",
                 "--grpc-port", "0", "--worker-port", "0"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                env={**os.environ, "TMPDIR": folder})
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.kill)
            ready = re.search(r"http://(\S+), scheduler (\S+),", process.stdout.readline())
            environment = {**os.environ, "HOME": folder, "CLUSTERD_ADDR": ready.group(2)}

            counted = subprocess.run(
                [executable(), "job", "start", "--follow", "--command", "bash", "count.sh", "5"],
                capture_output=True, text=True, timeout=60, env=environment, check=False)
            self.assertEqual((counted.returncode, counted.stdout), (0, "1\n2\n3\n4\n5\n"))
            started = HttpClient(ready.group(1)).post(
                "/v1/jobs", {"path": "forever.sh", "command": "bash"})
            self.assertEqual(started.status, 201)

            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=60), 0)
            self.assertEqual([command for _, command, where in processes()
                              if folder in command or where.startswith(folder)], [])
            self.assertEqual(os.listdir(folder), ["scripts"])


class RestartTest(unittest.TestCase):
    def test_logs_follow_through_a_restart_of_the_scheduler(self):
        with Cluster() as cluster:
            cluster.script("slow.sh", "for i in $(seq 200); do echo $i; sleep 0.01; done\n")
            cluster.start_worker()
            job_id = cluster.start("slow.sh")
            process = subprocess.Popen([executable(), "job", "logs", "-f", job_id],
                                       stdout=subprocess.PIPE, env=cluster.cli_environment())
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.kill)
            first = process.stdout.readline()
            cluster.scheduler.kill()
            cluster.start_scheduler()
            rest = process.stdout.read()
            self.assertEqual(process.wait(timeout=60), 0)
            self.assertEqual((first + rest).split(), [b"%d" % i for i in range(1, 201)])
            wait_until(lambda: "end" in cluster.job(job_id), "the end is known")


if __name__ == "__main__":
    unittest.main(verbosity=2)
