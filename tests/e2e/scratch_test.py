"""Scratch folders: there for the attempt, gone afterwards whatever it did, kept when asked for."""
import os
import pathlib
import signal
import time
import unittest

from cluster import Cluster, wait_until


class ScratchTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.outside = self.cluster.folder / "outside"
        self.outside.mkdir()
        (self.outside / "precious").write_text("stays")
        self.scratch = self.cluster.data_folder("w1") / "scratch"

    def left(self):
        return [entry.name for entry in (self.scratch / "run").iterdir()]

    def check_gone(self):
        wait_until(lambda: not self.left(), "every scratch folder is gone")
        self.assertEqual((self.outside / "precious").read_text(), "stays")
        self.assertEqual([entry.name for entry in self.outside.iterdir()], ["precious"])

    def run_to_end(self, text, **spec):
        self.cluster.script("job.sh", text)
        output, job = self.cluster.run("job.sh", self.outside, **spec)
        self.assertEqual(job["state"], "SUCCEEDED", (job, output))
        return output.decode(), job

    def test_it_is_there_for_the_job_and_gone_afterwards(self):
        self.cluster.start_worker()
        output, job = self.run_to_end('cd "$CLUSTERD_SCRATCH" && pwd && stat -c %a . && mktemp\n')
        where, mode, temporary = output.splitlines()
        self.assertEqual(where, f"{self.scratch}/run/{job['job_id']}.1")
        self.assertEqual(mode, "700")
        self.assertTrue(temporary.startswith(where + "/"), temporary)
        self.check_gone()

    def test_links_are_removed_and_not_followed(self):
        self.cluster.start_worker()
        self.run_to_end('cd "$TMPDIR" && ln -s "$1" link && mkdir -p a/b && ln -s "$1" a/b/link\n'
                        'ln -s ../../../../../outside up && ln "$1/precious" hard\n'
                        'ln -s loop loop\n')
        self.check_gone()

    def test_it_may_be_exchanged_for_a_link(self):
        self.cluster.start_worker()
        self.run_to_end('rmdir "$TMPDIR" && ln -s "$1" "$TMPDIR"\n')
        self.check_gone()

    def test_depth_numbers_and_permissions_are_no_hindrance(self):
        self.cluster.start_worker()
        self.cluster.script("tree.py", "import os\n"
                            "os.chdir(os.environ['TMPDIR'])\n"
                            "for i in range(3000):\n"
                            "    open(f'file{i}', 'w').close()\n"
                            "os.mkdir('closed')\n"
                            "os.mkdir('closed/in')\n"
                            "open('closed/in/file', 'w').close()\n"
                            "os.chmod('closed/in', 0)\n"
                            "os.chmod('closed', 0)\n"
                            "for i in range(2000):\n"  # deeper than any path may be
                            "    os.mkdir('.lifted-1' if i % 2 else 'deep')\n"
                            "    os.chdir('.lifted-1' if i % 2 else 'deep')\n"
                            "    open('file', 'w').close()\n")
        _, job = self.cluster.run("tree.py", command="python3")
        self.assertEqual(job["state"], "SUCCEEDED", job)
        self.check_gone()

    def test_a_large_one_delays_nobody(self):
        self.cluster.start_worker()
        self.cluster.script("many.py", "import os\n"
                            "os.chdir(os.environ['TMPDIR'])\n"
                            "for i in range(100):\n"
                            "    os.mkdir(str(i))\n"
                            "    for j in range(500):\n"
                            "        open(f'{i}/{j}', 'w').close()\n")
        self.cluster.script("true.sh", "true\n")
        _, job = self.cluster.run("many.py", command="python3")
        self.assertEqual(job["state"], "SUCCEEDED", job)
        started = 0
        while self.left() and started < 5:
            self.cluster.run("true.sh")
            started += 1
        self.check_gone()

    def test_kept_ones_stay_until_the_job_is_deleted(self):
        self.cluster.start_worker()
        output, job = self.run_to_end('echo data > "$TMPDIR/result"; ln -s "$1" "$TMPDIR/link"\n'
                                      'echo "$TMPDIR"\n', keep_scratch=True)
        kept = pathlib.Path(output.strip())
        self.assertEqual((kept / "result").read_text(), "data\n")
        code, _ = self.cluster.workers["w1"].terminate()
        self.assertEqual(code, 0)
        self.cluster.start_worker()
        self.assertEqual((kept / "result").read_text(), "data\n")
        answer = self.cluster.http.request("DELETE", f"/v1/jobs/{job['job_id']}")
        self.assertEqual(answer.status, 200, answer.body)
        wait_until(lambda: not kept.exists(), "the kept folder goes with the job")
        self.check_gone()

    def test_a_job_that_cannot_start_leaves_none(self):
        self.cluster.start_worker()
        self.cluster.script("bad.sh", "#!/no/such/interpreter\n")
        _, job = self.cluster.run("bad.sh", command="")
        self.assertEqual(job["end"]["reason"], "START_FAILED", job)
        self.check_gone()

    def start_waiting(self):
        self.cluster.script("wait.sh", 'ln -s "$1" "$TMPDIR/link"; echo ready\n'
                            'while [ ! -e "$1/../go" ]; do sleep 0.02; done\n')
        job_id = self.cluster.start("wait.sh", self.outside)
        wait_until(lambda: self.cluster.output(job_id) == b"ready\n", "it is ready")
        return job_id

    def test_the_launcher_dies_while_the_job_runs(self):
        self.cluster.start_worker()
        job_id = self.start_waiting()
        for pid in self.cluster.launchers():
            os.kill(pid, signal.SIGKILL)
        wait_until(self.cluster.launchers, "another launcher is there")
        time.sleep(0.2)  # a sweep that took the live one would do it now
        self.assertEqual(self.left(), [f"{job_id}.1"])
        (self.cluster.folder / "go").touch()
        self.assertEqual(self.cluster.wait(job_id)["state"], "SUCCEEDED")
        self.check_gone()

    def test_all_of_ours_die_and_the_job_ends_meanwhile(self):
        self.cluster.start_worker()
        job_id = self.start_waiting()
        self.cluster.workers["w1"].kill()
        for pid in self.cluster.launchers():
            os.kill(pid, signal.SIGKILL)
        (self.cluster.folder / "go").touch()
        wait_until(lambda: not any("wait.sh" in command for _, command in self.cluster.leftovers()),
                   "the job ends")
        self.assertEqual(self.left(), [f"{job_id}.1"])
        self.cluster.start_worker()
        self.cluster.wait(job_id)
        self.check_gone()

    def test_what_was_left_by_an_earlier_launcher_is_swept(self):
        self.cluster.start_worker()
        self.assertEqual(self.cluster.workers["w1"].terminate()[0], 0)
        wait_until(lambda: not self.cluster.launchers(), "the launcher ends")
        strange = self.scratch / "run" / "0199e2f4-6c5a-7c21-9f0e-3b1f2f7a9d10.1"
        strange.mkdir()
        (strange / "link").symlink_to(self.outside)
        (self.scratch / "run" / ".removed-1-2-3-4").mkdir()
        self.cluster.start_worker()
        self.check_gone()

    def test_two_workers_may_name_the_same_folder(self):
        shared = self.cluster.folder / "shared"
        shared.mkdir()
        self.cluster.start_worker("w1", scratch_dir=str(shared))
        self.scratch, = shared.iterdir()
        job_id = self.start_waiting()
        self.cluster.start_worker("w2", scratch_dir=str(shared))
        time.sleep(0.2)  # a sweep of the other's would do it now
        self.assertEqual(self.left(), [f"{job_id}.1"])
        (self.cluster.folder / "go").touch()
        self.assertEqual(self.cluster.wait(job_id)["state"], "SUCCEEDED")
        self.check_gone()


if __name__ == "__main__":
    unittest.main()
