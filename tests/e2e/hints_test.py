"""Errors of the command line say what to try next, to people and on standard error alone."""
import os
import pathlib
import subprocess
import unittest

from cluster import Cluster, executable


class HintsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        (cls.cluster.scripts / "tools").mkdir()
        cls.cluster.script("tools/hello.sh", "echo hello\n")
        cls.cluster.start_worker()

    def check(self, args, code, said, stdout=None):
        result = self.cluster.cli(*args)
        self.assertEqual(result.returncode, code, result)
        for text in said:
            self.assertIn(text, result.stderr)
        if stdout is not None:
            self.assertRegex(result.stdout, stdout)
        return result

    def start(self, *args):
        return self.cluster.cli("job", "start", *args)

    def test_a_job_that_no_worker_can_take(self):
        hint = "no worker has label gpu=yes: `clusterd cluster workers --label`"
        wanted = ("--require", "gpu=yes", "--command", "bash", "tools/hello.sh")
        started = self.check(("job", "start", *wanted), 0, [hint], r"^[0-9a-f-]{36}\n$")
        self.check(("job", "explain", started.stdout.strip()), 0, [hint], "QUEUED")
        self.check(("run", "--detach", *wanted), 0, [hint], r"^[0-9a-f-]{36}\n$")
        self.check(("job", "start", "--slots", "1000", "--command", "bash", "tools/hello.sh"), 0,
                   ["no worker has 1000 slots, the largest has"])
        for args in (("job", "start", "--json", *wanted),
                     ("job", "explain", "--json", started.stdout.strip())):
            quiet = self.check(args, 0, [])
            self.assertEqual(quiet.stderr, "", args)
        self.check(("cluster", "workers", "--label"), 0, [], "LABEL")
        self.check(("cluster", "workers", "--label", "gpu=yes"), 0, [], r"^NAME[^\n]*\n$")
        self.check(("cluster", "workers", "--label", "!gpu"), 0, [], r"\nw1 ")
        self.check(("cluster", "workers", "--label", "=="), 64, ["--label"], "^$")

    def test_a_job_that_only_waits_for_room_has_no_hint(self):
        self.cluster.script("forever.sh", "sleep 1000\n")
        ids = []
        for _ in range(2):
            result = self.start("--slots", "8", "--command", "bash", "forever.sh")
            self.assertEqual((result.returncode, result.stderr), (0, ""), result)
            ids.append(result.stdout.strip())
        self.assertEqual(self.cluster.job(ids[1])["state"], "QUEUED")
        self.assertEqual(self.cluster.cli("job", "explain", ids[1]).stderr, "")
        self.assertEqual(self.cluster.cli("job", "stop", *ids).returncode, 0)

    def test_a_script_that_is_not_there(self):
        folder = str(self.cluster.folder / "scripts")
        self.check(("job", "start", "--worker", "w1", "--command", "bash", "none.sh"), 64,
                   ["none.sh", "does not exist below the scripts folder, " + folder,
                    "`clusterd cluster scripts w1`"], "^$")
        self.check(("run", "--command", "bash", "none.sh"), 126,
                   [folder, "`clusterd cluster scripts "])
        self.check(("cluster", "scripts", "w1"), 0, [], r"(?m)^tools/hello\.sh +\d+ ")
        self.check(("cluster", "scripts", "-q", "w1"), 0, [], r"(?m)^tools/hello\.sh$")
        self.check(("cluster", "scripts", "--json", "w1"), 0, [], r'"path":"tools/hello.sh"')
        self.check(("cluster", "scripts", "none"), 66, ["worker not found"], "^$")

    def test_things_that_are_not_known_or_not_allowed(self):
        self.check(("job", "query", "none"), 66, ["none", "`clusterd job list`"], "^$")
        self.check(("job", "query", "01234567"), 66, ["01234567", "`clusterd job list`"], "^$")
        self.check(("job", "start", "--worker", "none", "x.sh"), 66,
                   ["none", "`clusterd cluster workers`"], "^$")
        self.check(("job", "start", "--worker", "w1", "--command", "perl", "tools/hello.sh"), 77,
                   ["perl", "allowed_commands"], "^$")
        self.check(("job", "list", "--stat", "RUNNING"), 64,
                   ["--stat", "see `clusterd job list --help`"], "^$")

    def test_no_scheduler(self):
        home = pathlib.Path(self.cluster.folder) / "home"
        settings = home / ".config" / "clusterd"
        settings.mkdir(parents=True)
        plain = {name: value for name, value in os.environ.items()
                 if not name.startswith("CLUSTERD_")}
        for environment, args, source in (
                ({"CLUSTERD_ADDR": "127.0.0.1:1"}, (), "(from CLUSTERD_ADDR)"),
                ({}, ("--addr", "127.0.0.1:1"), "(from --addr)"),
                ({"HOME": str(home)}, (), f"(from {settings}/client.toml)")):
            (settings / "client.toml").write_text('addr = "127.0.0.1:1"\n')
            with self.subTest(source=source):
                result = subprocess.run(
                    [executable(), "job", "list", *args], capture_output=True, text=True,
                    timeout=60, check=False, env={**plain, "HOME": "/none", **environment})
                self.assertEqual((result.returncode, result.stdout), (69, ""), result)
                self.assertIn("scheduler 127.0.0.1:1 " + source, result.stderr)
                self.assertIn("`clusterd dev`", result.stderr)

    def test_a_role_that_may_not(self):
        tokens = str(self.cluster.folder / "tokens")
        made = self.cluster.cli("token", "create", "--file", tokens, "--role", "reader", "ann")
        self.assertEqual(made.returncode, 0, made)
        with Cluster(http_server={"addr": "127.0.0.1:0", "tokens_file": tokens}) as guarded:
            for args, said in (
                    (("--token", made.stdout.strip()),
                     ["client/reader/ann", "it takes the role operator or admin",
                      "`clusterd token create --role ROLE`"]),
                    (("--token", "clusterd_wrong"), ["--token or CLUSTERD_TOKEN"])):
                result = guarded.cli("job", "start", *args, "--command", "bash", "x.sh")
                self.assertEqual((result.returncode, result.stdout), (77, ""), result)
                for text in said:
                    self.assertIn(text, result.stderr)


if __name__ == "__main__":
    unittest.main()
