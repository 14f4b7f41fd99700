"""Every program of examples: it does what its first lines say.

What needs ruby or git is left out, and says so, where these are not installed.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

from cluster import DEADLINE_SECONDS, Cluster, executable
from ports import free_ports

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = EXAMPLES / "scripts"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


class ExamplesCase(unittest.TestCase):
    """A cluster whose worker has the scripts of the examples."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        for script in SCRIPTS.iterdir():
            cls.cluster.script(script.name, script.read_text())
        cls.cluster.start_worker()

    def folder(self, name, files):
        """A folder of that name with these texts in it."""
        folder = self.cluster.folder / name
        folder.mkdir()
        for file, text in files.items():
            (folder / file).write_text(text)
        return folder


class SeveralSchedulersTest(unittest.TestCase):
    @needs("etcd")
    def test_one_command_starts_a_cluster_that_survives_its_leader(self):
        with subprocess.Popen(
                [str(EXAMPLES / "ha" / "run.sh"), "--demo"], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, start_new_session=True,
                env={**os.environ, "CLUSTERD": executable(),
                     "BASE_PORT": str(free_ports(6)[0])}) as demo:
            try:
                printed, _ = demo.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                os.killpg(demo.pid, signal.SIGTERM)  # it removes what it has made
                printed, _ = demo.communicate(timeout=60)
        self.assertEqual(0, demo.returncode, printed)
        self.assertIn("line 20 of 20", printed)


class ScriptsTest(ExamplesCase):
    def check(self, path, *args, lines, state="SUCCEEDED", exit_code=0, command="bash"):
        output, job = self.cluster.run(path, *args, command=command)
        self.assertEqual(output.decode().splitlines(), lines)
        self.assertEqual((job["state"], job["end"].get("exit_code")), (state, exit_code))
        return job

    def test_count(self):
        self.check("count.sh", "3", lines=["line 1 of 3", "line 2 of 3", "line 3 of 3"])

    def test_count_with_a_pause_executed_without_an_interpreter(self):
        self.check("count.sh", "2", "0.05", command="", lines=["line 1 of 2", "line 2 of 2"])

    def test_hello(self):
        job_id = self.cluster.start("hello.py", "a b", "c", command="python3")
        self.assertEqual(self.cluster.wait(job_id)["state"], "SUCCEEDED")
        self.assertEqual(self.cluster.output(job_id).decode().splitlines(), [
            f"hello from job {job_id}, attempt 1",
            f"on worker w1, in {self.cluster.scripts}",
            "arguments: ['a b', 'c']"])

    def test_failing(self):
        self.check("failing.sh", lines=["about to fail with exit code 3"], state="FAILED",
                   exit_code=3)

    def test_both_streams(self):
        self.check("both_streams.sh",
                   lines=["out 1", "err 1", "out 2", "err 2", "out 3", "err 3"])

    def test_graceful(self):
        job_id = self.cluster.start("graceful.sh")
        with self.cluster.http.open(f"/v1/jobs/{job_id}/output?follow=true") as answer:
            chunks = answer.chunks()
            output = next(chunks)
            self.assertEqual(self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {}).status, 200)
            output += b"".join(chunks)
        self.assertEqual(output, b"working\nasked to stop: tidying up\n")
        self.assertEqual(self.cluster.wait(job_id)["state"], "STOPPED")

    def test_count_words(self):
        folder = self.folder("text", {"a": "One two\nTWO", "b": "three", "c": "two four"})
        array = self.cluster.start("count_words.py", folder, command="python3",
                                   array={"from": 1, "to": 2})
        self.assertEqual(self.cluster.wait(array)["state"], "SUCCEEDED")
        self.assertEqual(self.cluster.output(f"{array}.1"), b"one 1\ntwo 3\nfour 1\n")
        self.assertEqual(self.cluster.output(f"{array}.2"), b"three 1\n")

    @needs("ruby")
    def test_nightly_report(self):
        folder = self.folder("space", {"small": "1", "large": "12345", "other": "123"})
        self.check("nightly_report.rb", folder, "2", command="",
                   lines=[f"{folder}: 3 files, 9 bytes", "           5  large",
                          "           3  other"])

    @needs("git")
    def test_ci_job(self):
        repository, commit = make_repository(self.cluster.folder / "ci-job", "echo testing; exit 4")
        self.check("ci_job.sh", repository, commit, lines=["testing a change", "testing"],
                   state="FAILED", exit_code=4)

    def test_every_script_is_tested(self):
        tested = pathlib.Path(__file__).read_text()
        for script in SCRIPTS.iterdir():
            self.assertIn(f'"{script.name}"', tested)
            self.assertTrue(os.access(script, os.X_OK), script)


def make_repository(folder, test):
    """A repository with one commit, whose program `ci` is `test`; the commit's name."""
    def git(*args):
        return subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", folder, *args],
            check=True, capture_output=True, text=True, timeout=DEADLINE_SECONDS).stdout.strip()

    folder.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    (folder / "ci").write_text(f"#!/bin/sh\n{test}\n")
    (folder / "ci").chmod(0o755)
    git("add", "ci")
    git("commit", "--quiet", "-m", "a change")
    return folder, git("rev-parse", "HEAD")


class ProgramsTest(ExamplesCase):
    """Those that start jobs."""

    def setUp(self):
        programs = self.cluster.folder / "programs"
        if not programs.exists():
            programs.mkdir()
            (programs / "clusterd").symlink_to(executable())
        self.environment = {**self.cluster.cli_environment(),
                            "PATH": f"{programs}:{os.environ['PATH']}",
                            "PYTHONDONTWRITEBYTECODE": "1",
                            "CLUSTERD_URL": f"http://{self.cluster.http_address}"}

    def start(self, program, *args):
        process = subprocess.Popen([EXAMPLES / program, *map(str, args)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment, bufsize=0)
        self.addCleanup(process.kill)
        return process

    def finish(self, process):
        """What it has printed since, on standard output and on standard error."""
        return [text.decode() for text in process.communicate(timeout=DEADLINE_SECONDS)]

    def run_to_its_end(self, program, *args, code=0):
        process = self.start(program, *args)
        printed, errors = self.finish(process)
        self.assertEqual(process.returncode, code, printed + errors)
        return printed

    def check_that_it_follows_through_a_restart(self, program):
        lines = [f"line {number} of 30\n" for number in range(1, 31)]
        process = self.start(program, "count.sh", 30, 0.1)
        self.assertEqual(process.stdout.readline().decode(), lines[0])

        self.cluster.scheduler.kill()
        self.cluster.start_scheduler()

        printed, errors = self.finish(process)
        self.assertEqual(printed, "".join(lines[1:]), errors)
        self.assertEqual(process.returncode, 0, errors)
        self.assertTrue(errors.endswith("SUCCEEDED\n"), errors)

    def test_the_client_of_curl_follows_through_a_restart(self):
        self.check_that_it_follows_through_a_restart("client.sh")

    def test_the_client_of_python_follows_through_a_restart(self):
        self.check_that_it_follows_through_a_restart("clusterd_client.py")

    def test_clients_end_with_the_code_of_the_job(self):
        for client in ("client.sh", "clusterd_client.py"):
            with self.subTest(client):
                self.assertEqual(self.run_to_its_end(client, "failing.sh", 7, code=7),
                                 "about to fail with exit code 7\n")

    def test_clients_say_what_is_refused(self):
        for client, code in (("client.sh", 64), ("clusterd_client.py", 1)):
            with self.subTest(client):
                process = self.start(client, "../secret.sh")
                _, errors = self.finish(process)
                self.assertEqual(process.returncode, code)
                self.assertIn("scripts folder", errors)

    def test_arguments_of_clients_arrive_as_they_are(self):
        args = ["a b", 'quo"te', "back\\slash", "*"]
        self.cluster.script("arguments.sh", "#!/bin/bash\nprintf '%s\\n' \"$@\"\n")
        for client in ("client.sh", "clusterd_client.py"):
            with self.subTest(client):
                self.assertEqual(self.run_to_its_end(client, "arguments.sh", *args).splitlines(),
                                 args)

    def test_word_count(self):
        folder = self.folder("books", {"a": "b a b", "b": "c", "c": "a b", "d": "", "e": "a d\n"})
        self.assertEqual(self.run_to_its_end("word_count.py", folder, 3).split(),
                         ["3", "a", "3", "b", "1", "c", "1", "d"])

    def test_a_nightly_report_is_started_once_a_day(self):
        first = self.run_to_its_end("nightly_report.sh", self.cluster.folder)
        self.assertRegex(first, rf"\A{UUID}\n\Z")
        self.assertEqual(self.run_to_its_end("nightly_report.sh", self.cluster.folder), first)
        self.cluster.http.post(f"/v1/jobs/{first.strip()}/stop", {})

    def test_a_nightly_schedule_is_set_up_once(self):
        for _ in range(2):
            printed = self.run_to_its_end("nightly_schedule.sh", self.cluster.folder,
                                          "Europe/Berlin")
            self.assertRegex(printed, r"\Anightly-report: next at \d{4}-\S+T02:07:00\+0[12]:00\n\Z")
        schedules = self.cluster.http.get("/v1/schedules").json()["schedules"]
        self.assertEqual([schedule["name"] for schedule in schedules], ["nightly-report"])
        self.assertEqual(self.cluster.http.request(
            "DELETE", "/v1/schedules/nightly-report").status, 200)

    @needs("git")
    def test_a_commit_is_tested_once(self):
        repository, _ = make_repository(self.cluster.folder / "ci-runner", "echo ok; exit 3")
        for _ in range(2):
            printed = self.run_to_its_end("ci_runner.sh", repository, code=3)
            self.assertEqual(printed, "testing a change\nok\n")
        self.assertEqual(len(self.cluster.http.get("/v1/jobs?name=ci").json()["jobs"]), 1)

    @needs("git")
    def test_a_branch_that_is_not_there_is_named(self):
        repository, _ = make_repository(self.cluster.folder / "ci-branch", "true")
        process = self.start("ci_runner.sh", repository, "release")
        _, errors = self.finish(process)
        self.assertEqual((process.returncode, errors),
                         (66, f"ci_runner: {repository} has no branch release\n"))

    def test_every_program_is_tested(self):
        tested = pathlib.Path(__file__).read_text()
        for program in EXAMPLES.iterdir():
            if os.access(program, os.X_OK) and program.is_file():
                # quickstart.sh builds: it is what a release is tried with.
                self.assertTrue(f'"{program.name}"' in tested or program.name == "quickstart.sh",
                                program)


if __name__ == "__main__":
    unittest.main(verbosity=2)
