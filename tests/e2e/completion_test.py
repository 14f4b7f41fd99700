"""Shell completion in real shells, with ids of a live cluster; and the manual's pages."""
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from cluster import Cluster, executable

# The words of $@ are what bash would have in COMP_WORDS, the last of them under the cursor.
BASH = r"""
source <("$CLUSTERD" completion bash)
COMP_WORDS=(clusterd "$@")
COMP_CWORD=$#
COMP_LINE=
COMP_POINT=0
clusterd() { :; }
_clusterd
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"""


def shell_check(shell, *args):
    """Runs a shell, or skips the test where it is not installed."""
    if shutil.which(shell) is None:
        raise unittest.SkipTest(f"{shell} is not installed")
    return subprocess.run([shell, *args], capture_output=True, text=True, timeout=60, check=False)


class CompletionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("hello.sh", "echo hello\n")
        cls.cluster.start_worker("w1")
        cls.cluster.start_worker("w2")
        cls.job_id = cls.cluster.start("hello.sh")
        cls.cluster.wait(cls.job_id)
        # The scripts call the program by the name that was typed.
        cls.path = cls.cluster.folder / "bin"
        cls.path.mkdir()
        (cls.path / "clusterd").symlink_to(os.path.abspath(executable()))

    def environment(self):
        plain = self.cluster.cli_environment()
        return {**plain, "PATH": f"{self.path}:{plain['PATH']}", "CLUSTERD": executable()}

    def bash(self, *words, script=BASH, **environment):
        result = subprocess.run(
            ["bash", "--norc", "-c", script.replace("clusterd() { :; }\n", ""), "bash", *words],
            capture_output=True, text=True, timeout=60, check=False, cwd=self.cluster.folder,
            env={**self.environment(), **environment})
        self.assertEqual((result.returncode, result.stderr), (0, ""), result)
        return result.stdout.splitlines()

    def test_commands_options_and_values(self):
        self.assertEqual(self.bash("jo"), ["job"])
        self.assertEqual(sorted(self.bash("job", "st")), ["start", "stop"])
        self.assertIn("--max-attempts", self.bash("job", "start", "--max"))
        self.assertEqual(self.bash("job", "logs", "--stream", "m"), ["merged"])
        # As bash takes "--stream=m" apart: what follows the sign is replaced.
        self.assertEqual(self.bash("job", "logs", "--stream", "=", "m"), ["merged"])
        self.assertEqual(sorted(self.bash("job", "logs", "--stream", "=")),
                         ["merged", "stderr", "stdout"])
        self.assertEqual(self.bash("no-such-command", "x"), [])

    def test_files(self):
        (self.cluster.folder / "my settings.toml").write_text("")
        self.assertEqual(self.bash("worker", "--config", "my"), ["my settings.toml"])
        self.assertEqual(self.bash("dev", "--scripts", "scri"), ["scripts"])

    def test_ids_from_the_live_cluster(self):
        self.assertEqual(self.bash("job", "query", self.job_id[:9]), [self.job_id])
        self.assertIn(self.job_id, self.bash("job", "logs", "-f", ""))
        self.assertEqual(sorted(self.bash("cluster", "drain", "")), ["w1", "w2"])
        self.assertEqual(self.bash("job", "list", "--worker", "=", "w2"), ["w2"])
        self.assertEqual(self.bash("job", "start", "--worker", "w1", "he"), ["hello.sh"])
        host, port = self.cluster.grpc_address.split(":")
        # The line's own address, which bash takes apart at its colon.
        self.assertEqual(self.bash("cluster", "drain", "--addr", host, ":", port, "w1",
                                   CLUSTERD_ADDR="127.0.0.1:1"), ["w1"])

    def test_without_a_scheduler_it_is_silent_and_soon_back(self):
        deaf = socket.socket()  # takes connections and says nothing
        self.addCleanup(deaf.close)
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        for address in ("127.0.0.1:1", f"127.0.0.1:{deaf.getsockname()[1]}"):
            begin = time.monotonic()
            result = subprocess.run(
                [executable(), "__complete", "job", "stop", "l"], capture_output=True, text=True,
                timeout=60, check=False, env={**self.environment(), "CLUSTERD_ADDR": address})
            took = time.monotonic() - begin
            self.assertEqual((result.returncode, result.stdout, result.stderr),
                             (0, "last\tthe newest job\n", ""))
            self.assertLess(took, 5)  # a second, and what a busy machine adds

    def test_zsh_takes_the_script(self):
        script = self.cluster.folder / "_clusterd"
        script.write_text(self.cluster.cli("completion", "zsh").stdout)
        checked = shell_check("zsh", "-f", "-n", str(script))
        self.assertEqual((checked.returncode, checked.stderr), (0, ""), checked)
        defined = shell_check("zsh", "-f", "-c",
                              f"autoload -U compinit; compinit -u -D; source {script}; "
                              "print $_comps[clusterd]")
        self.assertEqual((defined.stdout, defined.stderr), ("_clusterd\n", ""), defined)

    def test_fish_completes_with_the_script(self):
        script = self.cluster.folder / "clusterd.fish"
        script.write_text(self.cluster.cli("completion", "fish").stdout)
        checked = shell_check("fish", "--no-execute", str(script))
        self.assertEqual((checked.returncode, checked.stderr), (0, ""), checked)
        for line, wanted in (("clusterd job sta", "start"), ("clusterd cluster drain w2", "w2"),
                             (f"clusterd job query {self.job_id[:10]}", self.job_id)):
            result = subprocess.run(
                ["fish", "--no-config", "-c",
                 f"source {shlex.quote(str(script))}; complete -C {shlex.quote(line)}"],
                capture_output=True, text=True, timeout=60, check=False, env=self.environment())
            self.assertEqual(result.stdout.split("\t")[0].strip(), wanted, result)

    def test_a_shell_that_is_not_known(self):
        result = self.cluster.cli("completion", "csh")
        self.assertEqual((result.returncode, result.stdout), (64, ""))
        self.assertIn("SHELL", result.stderr)


class ManualPagesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="clusterd-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name) / "man1"
        made = subprocess.run([executable(), "manual", str(self.folder)], capture_output=True,
                              text=True, timeout=60, check=False,
                              env={**os.environ, "SOURCE_DATE_EPOCH": "1767139200"})
        self.assertEqual((made.returncode, made.stdout, made.stderr), (0, "", ""))
        self.pages = sorted(self.folder.iterdir())

    def test_there_is_a_page_for_each_command(self):
        names = {page.name for page in self.pages}
        self.assertLess({"clusterd.1", "clusterd-job.1", "clusterd-job-start.1", "clusterd-run.1",
                         "clusterd-completion.1"}, names)
        self.assertIn("2025-12-31", (self.folder / "clusterd.1").read_text())

    def test_formatters_have_nothing_to_say(self):
        for page in self.pages:
            formatted = shell_check("groff", "-man", "-Tutf8", "-ww", "-z", str(page))
            self.assertEqual((formatted.returncode, formatted.stderr), (0, ""), page)

    def test_the_linter_has_nothing_to_say(self):
        checked = shell_check("mandoc", "-Tlint", "-Wwarning", *map(str, self.pages))
        self.assertEqual((checked.returncode, checked.stdout), (0, ""), checked)


if __name__ == "__main__":
    unittest.main()
