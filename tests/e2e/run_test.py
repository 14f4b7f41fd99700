"""`clusterd run`: the job's output and exit code, through restarts, and what Ctrl-C does to the job."""
import os
import signal
import subprocess
import unittest

from cluster import DEADLINE_SECONDS, Cluster, executable, processes, wait_until


class RunTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(
            scheduling={"worker_timeout": "1s", "lost_after": "1s", "heartbeat_interval": "100ms"}))
        cls.cluster.script("exit.sh", 'echo to stdout; echo to stderr >&2; exit "$1"\n')
        cls.cluster.script("suicide.sh", "kill -9 $$; sleep 1000\n")
        cls.cluster.script("forever.sh", "echo begun; sleep 1000\n")
        cls.cluster.script("stubborn.sh", "exec 2>/dev/null\ntrap 'echo no' TERM\necho begun\n"
                                          "while :; do sleep 0.05; done\n")
        cls.cluster.script("no_interpreter.sh", "#!/no/such/interpreter\n")
        # Prints a number for each file that appears, and ends with the code in "$1/end".
        cls.cluster.script("steps.sh", 'i=0; while [ ! -e "$1/end" ]; do\n'
                                       'if [ -e "$1/$i" ]; then echo "step $i"; i=$((i + 1)); fi\n'
                                       "sleep 0.01; done; exit $(cat \"$1/end\")\n")
        cls.cluster.start_worker(on_stop="keep", allowed_programs=["false"])

    def start_run(self, *args):
        process = subprocess.Popen([executable(), "run", *args], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True,
                                   env=self.cluster.cli_environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        return process

    def job_of(self, process):
        """The id that it tells first on standard error."""
        return process.stderr.readline().split()[-1]

    def test_it_exits_as_the_job_does(self):
        for args, code, stdout in (
                (("--command", "bash", "exit.sh", "7"), 7, "to stdout\nto stderr\n"),
                (("--command", "bash", "suicide.sh"), 137, ""),
                (("--program", "false"), 1, ""),
                (("--timeout", "300ms", "--command", "bash", "forever.sh"), 124, "begun\n"),
                (("no_interpreter.sh",), 126, "")):
            with self.subTest(args=args):
                result = self.cluster.cli("run", *args)
                self.assertEqual((result.returncode, result.stdout), (code, stdout), result.stderr)

    def test_standard_error_apart(self):
        result = self.cluster.cli("run", "--quiet", "--separate", "--command", "bash", "exit.sh", "0")

        self.assertEqual((result.returncode, result.stdout, result.stderr),
                         (0, "to stdout\n", "to stderr\n"))

    def test_detached(self):
        result = self.cluster.cli("run", "--detach", "--command", "bash", "exit.sh", "3")

        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(self.cluster.wait(result.stdout.strip())["end"]["exit_code"], 3)

    def test_array_is_waited_for(self):
        result = self.cluster.cli("run", "--array", "1-3", "--command", "bash", "exit.sh", "4")

        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)

    def test_interrupt_stops_the_job(self):
        process = self.start_run("--command", "bash", "forever.sh")
        job_id = self.job_of(process)
        self.assertEqual(process.stdout.readline(), "begun\n")

        process.send_signal(signal.SIGINT)

        self.assertEqual(process.wait(DEADLINE_SECONDS), 130)
        job = self.cluster.job(job_id)
        self.assertEqual((job["state"], job["stop_requested"]["reason"]), ("STOPPED", "interrupted"))

    def test_second_interrupt_kills_it(self):
        process = self.start_run("--stop-grace", "1h", "--command", "bash", "stubborn.sh")
        job_id = self.job_of(process)
        self.assertEqual(process.stdout.readline(), "begun\n")

        process.send_signal(signal.SIGINT)
        self.assertEqual(process.stdout.readline(), "no\n")
        process.send_signal(signal.SIGINT)

        self.assertEqual(process.wait(DEADLINE_SECONDS), 130)
        self.assertEqual(self.cluster.job(job_id)["end"]["signal"], signal.SIGKILL)

    def test_restarts_in_the_middle(self):
        gate = self.cluster.folder / "gate"
        gate.mkdir()
        process = self.start_run("--command", "bash", "steps.sh", str(gate))
        for step in range(4):
            (gate / str(step)).touch()
            self.assertEqual(process.stdout.readline(), f"step {step}\n")
            if step % 2 == 0:
                self.cluster.scheduler.kill()
                self.cluster.start_scheduler()
            else:
                self.cluster.workers["w1"].kill()
                self.cluster.start_worker(on_stop="keep", allowed_programs=["false"])
        (gate / "end.tmp").write_text("7")
        os.rename(gate / "end.tmp", gate / "end")

        self.assertEqual(process.wait(DEADLINE_SECONDS), 7, process.stderr.read())
        self.assertEqual(process.stdout.read(), "")

    def test_lost(self):
        self.cluster.start_worker("doomed", slots=1)
        process = self.start_run("--worker", "doomed", "--command", "bash", "forever.sh")
        self.assertEqual(process.stdout.readline(), "begun\n")

        self.cluster.workers["doomed"].kill()
        for pid in self.cluster.launchers("doomed"):
            os.kill(pid, signal.SIGKILL)

        self.assertEqual(process.wait(DEADLINE_SECONDS), 125)
        for pid, command, _ in processes():
            if str(self.cluster.folder) in command and "forever.sh" in command:
                os.killpg(pid, signal.SIGKILL)  # what a loss of power would have ended
        wait_until(lambda: self.cluster.remove_cgroups("doomed"), "no process keeps its cgroup")


if __name__ == "__main__":
    unittest.main()
