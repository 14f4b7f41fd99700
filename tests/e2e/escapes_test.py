"""Ways out of the scripts folder, and variables that change what runs: none leads anywhere.

CLUSTERD_LONG=1 races for ten seconds each instead of two.
"""
import contextlib
import hashlib
import os
import subprocess
import sys
import time
import unittest

from cluster import DEADLINE_SECONDS, Cluster

RACE_SECONDS = 10 if os.environ.get("CLUSTERD_LONG") else 2
GOOD = "echo good\n"

# Exchanges what is at a path as fast as it can, until it is killed.
RACERS = {
    # A link that leads inside, then outside.
    "link": """
while True:
    for target in (inside, outside):
        os.symlink(target, path + ".new")
        os.replace(path + ".new", path)
""",
    # A file, then a link that leads outside.
    "file": """
text = open(inside).read()
while True:
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)
    os.symlink(outside, path + ".new")
    os.replace(path + ".new", path)
""",
    # A folder, then a link that leads outside.
    "folder": """
while True:
    os.rename(path, path + ".old")
    os.symlink(outside, path)
    os.unlink(path)
    os.rename(path + ".old", path)
""",
    # The content of one file.
    "content": """
good, evil = open(inside).read(), open(outside).read()
while True:
    for text in (good, evil):
        with open(path + ".new", "w") as file:
            file.write(text)
        os.replace(path + ".new", path)
    for text in (good, evil):
        with open(path, "w") as file:
            file.write(text)
""",
}


class Fixture(unittest.TestCase):
    """A cluster with an evil script outside its scripts folder; where it runs it leaves a mark."""

    jobs = {}

    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.outside = self.cluster.folder / "outside"
        self.outside.mkdir()
        self.mark = self.cluster.folder / "evil-ran"
        self.evil = self.outside / "job.sh"
        self.evil.write_text(f"touch {self.mark}; echo evil\n")
        self.evil.chmod(0o755)
        self.cluster.script("good.sh", GOOD)
        self.prepare()
        self.cluster.start_worker(slots=64, **{name: value.format(folder=self.cluster.folder)
                                               if isinstance(value, str) else value
                                               for name, value in self.jobs.items()})

    def prepare(self):
        pass

    def tearDown(self):
        self.assertFalse(self.mark.exists(), "a script that is not allowed has run")

    def post(self, body, worker="/workers/w1"):
        return self.cluster.http.post(f"/v1{worker}/jobs", body)

    def check_refused(self, body, field, statuses=(400, 403)):
        answer = self.post(body)
        self.assertIn(answer.status, statuses, (body, answer.body))
        self.assertEqual(answer.json()["field"], field, answer.body)
        return answer.json()["detail"]


class EscapesTest(Fixture):
    def link(self, name, target):
        (self.cluster.scripts / name).symlink_to(target)

    def test_paths_that_lead_outside(self):
        self.link("relative", "../outside")
        self.link("absolute", self.outside)
        self.link("file", self.evil)
        self.link("root", "/")
        self.link("proc", "/proc/self/root")
        self.link("cwd", "/proc/self/cwd")
        self.link("descriptor", "/proc/self/fd/0")
        self.link("twice", "relative/../relative")
        where = str(self.outside).lstrip("/")
        for path in (str(self.evil), "../outside/job.sh", "x/../../outside/job.sh",
                     "./../outside/job.sh",
                     "relative/job.sh", "absolute/job.sh", "file", f"root/{where}/job.sh",
                     f"proc/{where}/job.sh", f"cwd/{where}/job.sh", "descriptor", "twice/job.sh",
                     "/proc/self/root" + str(self.evil), "//" + where + "/job.sh", "..", ".", "",
                     "good.sh/../../outside/job.sh", "none/../good.sh/../../outside/job.sh"):
            with self.subTest(path=path):
                self.check_refused({"path": path, "command": "bash"}, "path" if path else "command")
                self.check_refused({"path": path}, "path")

    def test_folders_and_input_that_lead_outside(self):
        self.link("absolute", self.outside)
        self.link("proc", "/proc/self/root")
        for path in (str(self.outside), "..", "../outside", "absolute", "proc", "absolute/..",
                     "/proc/self/root"):
            with self.subTest(path=path):
                self.check_refused({"path": "good.sh", "command": "bash", "cwd": path}, "cwd")
                self.check_refused({"path": "good.sh", "command": "bash",
                                    "stdin_file": path + "/job.sh"}, "stdin_file")

    def test_paths_that_are_no_paths(self):
        for path in ("good.sh\0", "\0", "good.sh\0/../../outside/job.sh", "x" * 300, "x/" * 3000,
                     "x" * 100_000):
            with self.subTest(path=path[:40]):
                self.check_refused({"path": path, "command": "bash"}, "path")
        for raw in (b'{"path": "good\xff.sh", "command": "bash"}',
                    b'{"path": "good.sh\xc0\xae\xc0\xae/", "command": "bash"}',
                    b'{"path": "\\ud800.sh", "command": "bash"}'):
            answer = self.cluster.http.post("/v1/workers/w1/jobs", raw)
            self.assertEqual(answer.status, 400, answer.body)
        done = self.cluster.cli("job", "start", "--command", "bash", os.fsdecode(b"good\xff.sh"))
        self.assertEqual(done.returncode, 64, done.stderr)

    def test_what_others_may_write_is_named(self):
        folder = self.cluster.scripts / "shared"
        folder.mkdir()
        (folder / "inner").mkdir()
        for name in ("a.sh", "inner/b.sh"):
            (folder / name).write_text(f"touch {self.mark}\n")
        self.link("to-shared", "shared/inner")
        for mode, who in ((0o777, "others"), (0o775, "its group"), (0o1777, "others")):
            folder.chmod(mode)
            for path in ("shared/a.sh", "shared/inner/b.sh", "to-shared/b.sh"):
                detail = self.check_refused({"path": path, "command": "bash"}, "path", (403,))
                self.assertIn(f'"shared" is writable by {who}', detail)
        folder.chmod(0o755)
        (folder / "a.sh").chmod(0o666)
        detail = self.check_refused({"path": "shared/a.sh", "command": "bash"}, "path", (403,))
        self.assertIn('"shared/a.sh" is writable by others', detail)
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            detail = self.check_refused({"path": "shared/inner/b.sh", "command": "bash"}, "path",
                                        (403,))
            self.assertIn('"shared" belongs to user 65534', detail)
        self.cluster.scripts.chmod(0o777)
        detail = self.check_refused({"path": "good.sh", "command": "bash"}, "path", (403,))
        self.assertIn("the scripts folder", detail)
        self.cluster.scripts.chmod(0o755)

    def test_programs_and_interpreters_that_are_not_allowed(self):
        for command in ("perl", "/bin/../bin/bash", "../../bin/bash", "bash -c", "bash\0", "env"):
            with self.subTest(command=command):
                self.check_refused({"path": "good.sh", "command": command}, "command")
                self.check_refused({"command": command}, "command")

    def test_names_and_arguments_that_look_like_options_are_none(self):
        self.cluster.script("-c", GOOD)
        output, _ = self.cluster.run("-c", f"touch {self.mark}")
        self.assertEqual(output, b"good\n")
        output, _ = self.cluster.run("good.sh", "-c", f"touch {self.mark}")
        self.assertEqual(output, b"good\n")

    def test_variables_that_change_what_runs(self):
        library = self.outside / "sitecustomize.py"
        library.write_text(f"open({str(self.mark)!r}, 'w')\n")
        self.cluster.script("good.py", "print('good')\n")
        evil = str(self.evil)
        for name, value in {
                "BASH_ENV": evil, "ENV": evil, "LD_PRELOAD": evil, "LD_LIBRARY_PATH": "/tmp",
                "LD_AUDIT": evil, "BASH_FUNC_echo%%": f"() {{ touch {self.mark}; }}",
                "BASH_FUNC_echo()": f"() {{ touch {self.mark}; }}", "PS4": f"$(touch {self.mark})",
                "SHELLOPTS": "xtrace", "BASHOPTS": "extdebug", "IFS": "o",
                "PYTHONPATH": str(self.outside),
                "PYTHONSTARTUP": evil, "PYTHONHOME": "/tmp", "PYTHONINSPECT": "1",
                "GCONV_PATH": "/tmp", "GLIBC_TUNABLES": "x", "PERL5OPT": "-Mx", "PERLLIB": "/tmp",
                "RUBYOPT": "-rx", "NODE_OPTIONS": f"--require={evil}", "PATH": str(self.outside),
                "HOME": str(self.outside), "ZDOTDIR": str(self.outside),
                "CLUSTERD_JOB_ID": "x"}.items():
            with self.subTest(name=name):
                for path, command in (("good.sh", "bash"), ("good.py", "python3")):
                    detail = self.check_refused(
                        {"path": path, "command": command, "env": {name: value}}, "env", (403,))
                    self.assertIn(f'"{name}"', detail)
                    self.assertNotIn(evil, detail)
        for name in ("", "A=B", "A\0B"):
            self.check_refused({"path": "good.sh", "command": "bash", "env": {name: "x"}}, "env")
        # For any worker, where nobody looked before it was accepted, too.
        answer = self.post({"path": "good.sh", "command": "bash", "env": {"BASH_ENV": evil}}, "")
        job = self.cluster.wait(answer.json()["job_id"])
        self.assertEqual((job["state"], job["end"]["reason"]), ("FAILED", "START_FAILED"))
        self.assertIn('"BASH_ENV"', job["end"]["message"])


class RaceFixture(Fixture):
    """Starts jobs as fast as it can while something exchanges what they name."""

    @contextlib.contextmanager
    def racer(self, kind, path, inside, outside):
        code = (f"import os\npath, inside, outside = {str(path)!r}, {str(inside)!r}, "
                f"{str(outside)!r}\n" + RACERS[kind])
        process = subprocess.Popen([sys.executable, "-c", code], cwd="/")
        try:
            yield
            self.assertIsNone(process.poll(), "the racer has ended by itself")
        finally:
            process.kill()
            process.wait()

    def race(self, kind, path, inside, outside, name):
        ran, refused = 0, 0
        with self.racer(kind, path, inside, outside):
            begin = time.monotonic()
            # Longer where the machine is so busy that only one side of the race was seen by then.
            while (time.monotonic() < begin + RACE_SECONDS
                   or (not (ran and refused) and time.monotonic() < begin + DEADLINE_SECONDS)):
                accepted = []
                for _ in range(20):
                    answer = self.post({"path": name, "command": "bash"})
                    if answer.status == 201:
                        accepted.append(answer.json()["job_id"])
                    else:
                        self.assertIn(answer.status, (400, 403, 409), answer.body)
                        refused += 1
                    self.assertFalse(self.mark.exists(), "a script that is not allowed has run")
                for job in map(self.cluster.wait, accepted):
                    if job["end"]["reason"] == "START_FAILED":
                        refused += 1
                        continue
                    self.assertEqual(self.cluster.output(job["job_id"]), b"good\n", job)
                    ran += 1
        print(f"{type(self).__name__} {kind}: {ran} ran, {refused} were refused", file=sys.stderr)
        # Both sides of the race were seen, or it was none.
        self.assertGreater(ran, 0)
        self.assertGreater(refused, 0)


class RaceTest(RaceFixture):
    def test_a_link_that_is_exchanged(self):
        self.race("link", self.cluster.scripts / "link.sh", "good.sh", self.evil, "link.sh")

    def test_a_link_to_a_folder_that_is_exchanged(self):
        inside = self.cluster.scripts / "release"
        inside.mkdir()
        (inside / "job.sh").write_text(GOOD)
        self.race("link", self.cluster.scripts / "current", "release", self.outside,
                  "current/job.sh")


class SealedRaceTest(RaceFixture):
    """What runs is a copy of what was looked at, so that even the file itself may be exchanged."""

    jobs = {"seal_scripts": True}

    def test_a_file_that_is_exchanged_for_a_link(self):
        self.race("file", self.cluster.scripts / "job.sh", self.cluster.scripts / "good.sh",
                  self.evil, "job.sh")

    def test_a_folder_that_is_exchanged_for_a_link(self):
        inside = self.cluster.scripts / "inside"
        inside.mkdir()
        (inside / "job.sh").write_text(GOOD)
        self.race("folder", inside, "", self.outside, "inside/job.sh")


class DigestsTest(RaceFixture):
    jobs = {"digests": "{folder}/digests"}

    def prepare(self):
        self.cluster.script("job.sh", GOOD)
        self.cluster.script("name.sh", 'echo "$0" "$@"; ls /proc/self/fd\n')
        self.cluster.script("direct.sh", "#!/bin/bash\necho direct\n")
        self.cluster.script("new.sh", "echo new\n")
        self.digests = self.cluster.folder / "digests"
        self.write("job.sh", "name.sh", "direct.sh")

    def write(self, *names):
        self.digests.write_text("".join(
            f"{hashlib.sha256((self.cluster.scripts / name).read_bytes()).hexdigest()}  {name}\n"
            for name in names))

    def test_content_that_is_exchanged(self):
        self.race("content", self.cluster.scripts / "job.sh", self.cluster.scripts / "good.sh",
                  self.evil, "job.sh")

    def test_only_what_the_file_names_runs_and_changes_take_effect(self):
        detail = self.check_refused({"path": "new.sh", "command": "bash"}, "path", (403,))
        self.assertIn("SHA-256", detail)
        self.write("job.sh", "new.sh")
        output, _ = self.cluster.run("new.sh")
        self.assertEqual(output, b"new\n")
        self.cluster.script("job.sh", GOOD + f"touch {self.mark}\n")
        self.check_refused({"path": "job.sh", "command": "bash"}, "path", (403,))
        self.digests.write_text("nonsense\n")
        detail = self.check_refused({"path": "new.sh", "command": "bash"}, "jobs.digests", (409,))
        self.assertIn("line 1", detail)

    def test_the_copy_is_all_that_a_job_gets_beside_the_standard_descriptors(self):
        output, job = self.cluster.run("name.sh", "a b", "c")
        name, *descriptors = output.decode().splitlines()
        self.assertEqual(name, "/proc/self/fd/3 a b c")
        # The last is of ls itself.
        self.assertEqual([int(number) for number in descriptors][:-1], [0, 1, 2, 3], job)

    def test_scripts_that_are_executed_run_as_copies_too(self):
        output, job = self.cluster.run("direct.sh", command="")
        self.assertEqual((output, job["state"]), (b"direct\n", "SUCCEEDED"))


if __name__ == "__main__":
    unittest.main()
