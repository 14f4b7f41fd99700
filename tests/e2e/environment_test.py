"""What a job finds: variables, its scratch folder, standard input, mask, user, descriptors."""
import base64
import os
import pathlib
import pwd
import unittest

from cluster import Cluster, Daemon, cluster_that_others_may_pass, wait_until

TRACE_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IS_ROOT = os.geteuid() == 0
OTHER_USER = "nobody"


def variables(output):
    """What `env -0` printed."""
    return dict(entry.split("=", 1) for entry in output.decode().split("\0") if entry)


class EnvironmentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("env.sh", "#!/bin/sh\nexec env -0\n")
        cls.cluster.script("cat.sh", "#!/bin/sh\nexec cat\n")
        os.environ["CLUSTERD_TEST_SECRET"] = "not for jobs"
        os.environ["PASSED_ONE"] = "one"
        os.environ["PASSED_TWO"] = "two"
        os.environ["TZ"] = "Europe/Berlin"
        try:
            cls.cluster.start_worker(pass_env=["PASSED_*", "TZ"],
                                     env={"LANG": "C", "SITE": "north"})
        finally:
            for name in ("CLUSTERD_TEST_SECRET", "PASSED_ONE", "PASSED_TWO", "TZ"):
                del os.environ[name]

    def environment(self, **spec):
        output, job = self.cluster.run("env.sh", command="", **spec)
        self.assertEqual(job["state"], "SUCCEEDED", job)
        return variables(output), job

    def test_it_is_clean_and_says_who_the_job_is(self):
        found, job = self.environment(env={"OWN": "1"})
        found.pop("PWD", None)  # of the shell, as the next
        found.pop("OLDPWD", None)
        self.assertEqual(set(found), {
            "PATH", "HOME", "LANG", "TZ", "TMPDIR", "PASSED_ONE", "PASSED_TWO", "SITE", "OWN",
            "CLUSTERD_JOB_ID", "CLUSTERD_ATTEMPT", "CLUSTERD_WORKER_ID", "CLUSTERD_WORKER_NAME",
            "CLUSTERD_SCRATCH"})
        self.assertEqual(found["PATH"],
                         "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        self.assertEqual((found["LANG"], found["TZ"], found["SITE"]),
                         ("C", "Europe/Berlin", "north"))
        self.assertEqual((found["PASSED_ONE"], found["PASSED_TWO"]), ("one", "two"))
        self.assertEqual(found["CLUSTERD_JOB_ID"], job["job_id"])
        self.assertEqual(found["CLUSTERD_WORKER_NAME"], "w1")
        self.assertEqual(found["TMPDIR"], found["CLUSTERD_SCRATCH"])

    def test_the_jobs_own_variables_win(self):
        found, _ = self.environment(env={"LANG": "C.UTF-8", "SITE": "south", "TMPDIR": "/var/tmp"})
        self.assertEqual((found["LANG"], found["SITE"], found["TMPDIR"]),
                         ("C.UTF-8", "south", "/var/tmp"))

    def test_the_trace_context_of_the_request_reaches_every_attempt(self):
        self.cluster.script("twice.sh", 'echo "$CLUSTERD_ATTEMPT $TRACEPARENT"; exit 1\n')
        answer = self.cluster.http.post(
            "/v1/jobs", {"path": "twice.sh", "command": "bash",
                         "retry": {"max_attempts": 2, "on": ["FAILURE"], "backoff": "0.01s"}},
            headers={"traceparent": TRACE_PARENT})
        job = self.cluster.wait(answer.json()["job_id"])
        self.assertEqual(job["trace_parent"], TRACE_PARENT)
        for attempt in ("1", "2"):
            self.assertEqual(self.cluster.output(job["job_id"], attempt=attempt),
                             f"{attempt} {TRACE_PARENT}\n".encode())

    def test_the_tasks_of_an_array_have_the_trace_context_of_their_request(self):
        self.cluster.script("trace.sh", 'echo "$TRACEPARENT"\n')
        answer = self.cluster.http.post(
            "/v1/jobs", {"path": "trace.sh", "command": "bash", "array": {"from": 1, "to": 2}},
            headers={"traceparent": TRACE_PARENT})
        job_id = answer.json()["job_id"]
        self.cluster.wait(job_id)
        for index in (1, 2):
            self.assertEqual(self.cluster.output(f"{job_id}.{index}"), f"{TRACE_PARENT}\n".encode())

    def test_the_trace_context_survives_the_scheduler(self):
        self.cluster.script("late.sh", 'echo "$TRACEPARENT"\n')
        answer = self.cluster.http.post(
            "/v1/jobs", {"path": "late.sh", "command": "bash", "start_delay": "1s"},
            headers={"traceparent": TRACE_PARENT})
        self.cluster.scheduler.kill()
        self.cluster.start_scheduler()
        self.cluster.wait_for_worker("w1", "ALIVE")
        self.cluster.wait(answer.json()["job_id"])
        self.assertEqual(self.cluster.output(answer.json()["job_id"]),
                         f"{TRACE_PARENT}\n".encode())

    def test_a_malformed_trace_context_is_left_out(self):
        for bad in ("garbage", TRACE_PARENT.upper(), TRACE_PARENT + "-x", "$(id)"):
            answer = self.cluster.http.post("/v1/jobs", {"path": "env.sh"},
                                            headers={"traceparent": bad})
            job = self.cluster.wait(answer.json()["job_id"])
            self.assertEqual(job["trace_parent"], "")
            self.assertNotIn("TRACEPARENT", variables(self.cluster.output(job["job_id"])))

    def test_standard_input_from_the_request_and_from_a_file(self):
        (self.cluster.scripts / "input.txt").write_text("from a file\n")
        full = os.urandom(64 << 10)
        output, _ = self.cluster.run("cat.sh", stdin=base64.b64encode(full).decode())
        self.assertEqual(output, full)
        output, _ = self.cluster.run("cat.sh", stdin_file="input.txt")
        self.assertEqual(output, b"from a file\n")
        output, _ = self.cluster.run("cat.sh")
        self.assertEqual(output, b"")

    def test_standard_input_that_is_refused(self):
        (self.cluster.scripts / "secret.txt").symlink_to("/etc/hostname")
        (self.cluster.scripts / "open.txt").write_text("x")
        (self.cluster.scripts / "open.txt").chmod(0o666)
        os.mkfifo(self.cluster.scripts / "fifo", 0o600)
        too_long = base64.b64encode(b"x" * ((64 << 10) + 1)).decode()
        for spec, status, field in (
                ({"stdin_file": "secret.txt"}, 400, "stdin_file"),
                ({"stdin_file": "../x"}, 400, "stdin_file"),
                ({"stdin_file": "/etc/hostname"}, 400, "stdin_file"),
                ({"stdin_file": "none"}, 400, "stdin_file"),
                ({"stdin_file": "fifo"}, 400, "stdin_file"),
                ({"stdin_file": "open.txt"}, 403, "stdin_file"),
                ({"stdin_file": "cat.sh", "stdin": "eA=="}, 400, "stdin_file"),
                ({"stdin": too_long}, 400, "stdin")):
            with self.subTest(spec=str(spec)[:60]):
                answer = self.cluster.http.post("/v1/workers/w1/jobs", {"path": "cat.sh", **spec})
                self.assertEqual(answer.status, status, answer.body)
                self.assertEqual(answer.json()["field"], field)

    def test_the_mask(self):
        self.cluster.script("umask.sh", "umask\n")
        for mask, seen in (("027", b"0027\n"), ("7", b"0007\n"), ("0", b"0000\n")):
            output, _ = self.cluster.run("umask.sh", umask=mask)
            self.assertEqual(output, seen)
        for bad in ("8", "1777", "rwx", "-1", "00000", " 22"):
            answer = self.cluster.http.post("/v1/jobs", {"path": "umask.sh", "umask": bad})
            self.assertEqual((answer.status, answer.json()["field"]), (400, "umask"), bad)

    def test_nothing_but_the_standard_descriptors_is_open(self):
        self.cluster.script("descriptors.py", "import os\n"
                            "seen = os.listdir('/proc/self/fd')\n"
                            "print(*sorted(int(n) for n in seen if os.path.exists(\n"
                            "    f'/proc/self/fd/{n}')))\n")
        output, _ = self.cluster.run("descriptors.py", command="python3")
        self.assertEqual(output, b"0 1 2\n")

    def test_no_new_privileges(self):
        self.cluster.script("status.sh", "grep NoNewPrivs /proc/self/status\n")
        output, _ = self.cluster.run("status.sh")
        self.assertEqual(output.split(), [b"NoNewPrivs:", b"1"])

    def test_the_command_line_has_an_option_for_each(self):
        (self.cluster.scripts / "words.txt").write_text("words\n")
        self.cluster.script("all.sh", 'cat; umask; touch "$TMPDIR/left"; echo "$TMPDIR"\n')
        done = self.cluster.cli("job", "start", "--follow", "--command", "bash", "--umask", "077",
                                "--stdin-file", "words.txt", "--keep-scratch", "all.sh")
        self.assertEqual(done.returncode, 0, done.stderr)
        words, mask, scratch = done.stdout.splitlines()
        self.assertEqual((words, mask), ("words", "0077"))
        self.assertTrue((pathlib.Path(scratch) / "left").exists())
        done = self.cluster.cli("job", "start", "--command", "bash", "--worker", "w1", "--run-as",
                                "root", "all.sh")
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("allowed_users", done.stderr)

    def test_without_the_setting_nobody_else_may_be_asked_for(self):
        for user in ("root", "0", OTHER_USER, "no-such-user"):
            answer = self.cluster.http.post("/v1/workers/w1/jobs",
                                            {"path": "env.sh", "run_as": user})
            self.assertEqual((answer.status, answer.json()["field"]), (403, "run_as"), user)
            self.assertIn("none are allowed", answer.json()["detail"])

    def test_that_jobs_run_as_the_workers_own_user_is_warned_about(self):
        log = self.cluster.workers["w1"].log.read_text()
        self.assertIn("set jobs.run_as", log)
        self.assertIn("root" if IS_ROOT else f"({os.geteuid()})", log)


@unittest.skipUnless(IS_ROOT, "only root can start jobs as other users")
class RunAsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(cluster_that_others_may_pass())
        cls.cluster.script("who.sh", "#!/bin/bash\nid -u; id -g; id -G; umask\n")
        cls.cluster.script("env.sh", "#!/bin/sh\nexec env -0\n")
        cls.cluster.start_worker(run_as=OTHER_USER,
                                 allowed_users=["daemon", "root", "no-such-user"])
        cls.user = pwd.getpwnam(OTHER_USER)

    def test_jobs_run_as_the_user_of_the_worker(self):
        output, job = self.cluster.run("who.sh")
        uid, gid, groups, _ = output.decode().splitlines()
        self.assertEqual((int(uid), int(gid)), (self.user.pw_uid, self.user.pw_gid), job)
        self.assertEqual({int(group) for group in groups.split()},
                         set(os.getgrouplist(OTHER_USER, self.user.pw_gid)))
        self.assertNotIn("set jobs.run_as", self.cluster.workers["w1"].log.read_text())

    def test_its_environment_is_that_users(self):
        output, _ = self.cluster.run("env.sh", command="")
        found = variables(output)
        self.assertEqual((found["USER"], found["LOGNAME"], found["HOME"]),
                         (OTHER_USER, OTHER_USER, self.user.pw_dir))

    def test_a_job_may_ask_for_another_of_the_list(self):
        for name in ("daemon", "root", OTHER_USER):
            output, job = self.cluster.run("who.sh", run_as=name)
            self.assertEqual(int(output.split()[0]), pwd.getpwnam(name).pw_uid, job)

    def test_a_user_who_is_not_there_or_not_allowed(self):
        for name, status, words in (("no-such-user", 409, "this machine has no user"),
                                    ("bin", 403, "allowed_users: daemon, root, no-such-user"),
                                    ("0", 403, "allowed_users")):
            answer = self.cluster.http.post("/v1/workers/w1/jobs",
                                            {"path": "env.sh", "run_as": name})
            self.assertEqual((answer.status, answer.json()["field"]), (status, "run_as"), name)
            self.assertIn(words, answer.json()["detail"])
        self.assertIn("no-such-user", self.cluster.workers["w1"].log.read_text())

    def test_it_holds_no_right_of_the_worker(self):
        self.cluster.script("rights.sh", "grep -E '^(Uid|Gid|Cap|NoNewPrivs)' /proc/self/status\n")
        output, _ = self.cluster.run("rights.sh")
        rights = dict(line.split(":", 1) for line in output.decode().splitlines())
        self.assertEqual(rights["Uid"].split(), [str(self.user.pw_uid)] * 4)
        self.assertEqual(rights["Gid"].split(), [str(self.user.pw_gid)] * 4)
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(int(rights[name], 16), 0, name)
        self.assertEqual(rights["NoNewPrivs"].strip(), "1")

    def test_output_input_and_scratch_are_its_own(self):
        self.cluster.script("own.sh", 'echo one > /dev/stdout; echo two > /dev/stderr\n'
                            'cat /dev/stdin; stat -c "%a %U" "$CLUSTERD_SCRATCH"\n'
                            'echo x > "$TMPDIR/file" && cat "$TMPDIR/file"\n'
                            'stat -L -c "%a %U" /dev/stdout\n')
        output, job = self.cluster.run("own.sh", stdin=base64.b64encode(b"in\n").decode())
        self.assertEqual(output.decode().splitlines(),
                         ["one", "two", "in", f"700 {OTHER_USER}", "x", f"600 {OTHER_USER}"], job)
        scratch = self.cluster.data_folder("w1") / "scratch" / "run"
        wait_until(lambda: not list(scratch.iterdir()), "its scratch folder is gone")

    def test_the_workers_own_files_are_closed_to_it(self):
        data = self.cluster.data_folder("w1")
        self.cluster.script("look.sh", 'for f in "$@"; do cat "$f" && echo "read $f"; done; true\n')
        files = [data / "identity.pb", data / "worker.lock", data / "launcher" / "journal",
                 data / "output", self.cluster.folder / "w1-run"]
        output, job = self.cluster.run("look.sh", *files)
        self.assertNotIn(b"read ", output)
        self.assertEqual(output.count(b"Permission denied"), len(files), output)

    def test_stop_signal_and_restarts_reach_it(self):
        self.cluster.script("wait.sh", "trap 'echo got it; exit 7' USR1; echo ready\n"
                            "while :; do sleep 0.05; done\n")
        job_id = self.cluster.start("wait.sh")
        wait_until(lambda: self.cluster.output(job_id) == b"ready\n", "it is ready")
        killed = set(self.cluster.launchers())
        for pid in killed:
            os.kill(pid, 9)
        wait_until(lambda: set(self.cluster.launchers()) - killed, "another launcher is there")
        signal = {"signal": "USR1", "main_process_only": True}
        wait_until(lambda: self.cluster.http.post(f"/v1/jobs/{job_id}/signal", signal).status == 200,
                   "the signal reaches it through the new launcher")
        job = self.cluster.wait(job_id)
        self.assertEqual((job["end"]["exit_code"], self.cluster.output(job_id)),
                         (7, b"ready\ngot it\n"), job)

    def check_start_failed(self, job, *words):
        self.assertEqual((job["state"], job["end"]["reason"]), ("FAILED", "START_FAILED"), job)
        for word in words:
            self.assertIn(word, job["end"]["message"])

    def test_what_the_user_may_not_read_is_told(self):
        self.cluster.script("private.sh", "#!/bin/bash\necho ran\n")
        (self.cluster.scripts / "private.sh").chmod(0o700)
        private = self.cluster.scripts / "private"
        private.mkdir(mode=0o700)
        (private / "inner.sh").write_text("echo ran\n")
        (self.cluster.scripts / "private.txt").write_text("secret\n")
        (self.cluster.scripts / "private.txt").chmod(0o600)
        _, job = self.cluster.run("private.sh")
        self.check_start_failed(job, "private.sh", OTHER_USER, "permission denied")
        _, job = self.cluster.run("private.sh", command="")
        self.check_start_failed(job, "private.sh", OTHER_USER, "permission denied")
        _, job = self.cluster.run("private/inner.sh")
        self.check_start_failed(job, "inner.sh", OTHER_USER, "permission denied")
        _, job = self.cluster.run("who.sh", cwd="private")
        self.check_start_failed(job, "working folder", OTHER_USER, "permission denied")
        _, job = self.cluster.run("who.sh", stdin_file="private.txt")
        self.check_start_failed(job, "private.txt", OTHER_USER, "permission denied")


@unittest.skipUnless(IS_ROOT, "only root can start jobs as other users")
class WorkerWithoutRightsTest(unittest.TestCase):
    """A worker of a usual user cannot change to another, and says so."""

    def test_it_refuses(self):
        with cluster_that_others_may_pass() as cluster:
            cluster.script("who.sh", "id -u\n")
            user = pwd.getpwnam(OTHER_USER)
            for folder in (cluster.folder, cluster.scripts):
                os.chown(folder, user.pw_uid, user.pw_gid)
            os.chown(cluster.scripts / "who.sh", user.pw_uid, user.pw_gid)
            sections = {
                "grpc_server": {"addr": "127.0.0.1:0"},
                "scheduler": {"addr": cluster.grpc_address},
                "worker": {"name": "w1", "on_stop": "stop"},
                "jobs": {"scripts_dir": str(cluster.scripts), "allowed_users": ["daemon"],
                         "data_dir": str(cluster.data_folder("w1"))},
            }
            cluster.workers["w1"] = Daemon(
                cluster.folder, "w1", "worker", sections,
                ("setpriv", "--reuid", OTHER_USER, "--regid", str(user.pw_gid), "--clear-groups"))
            cluster.wait_for_worker("w1", "ALIVE")
            output, job = cluster.run("who.sh")
            self.assertEqual(int(output), user.pw_uid, job)
            answer = cluster.http.post("/v1/workers/w1/jobs",
                                       {"path": "who.sh", "command": "bash", "run_as": "daemon"})
            self.assertEqual((answer.status, answer.json()["field"]), (409, "run_as"))
            self.assertIn("neither as root", answer.json()["detail"])
            output, job = cluster.run("who.sh", run_as=OTHER_USER)
            self.assertEqual(int(output), user.pw_uid, job)


if __name__ == "__main__":
    unittest.main()
