"""Limits of jobs, from the request to the end, and what a worker does that cannot enforce them."""
import unittest

from cluster import Cluster, wait_until

MIB = 1 << 20
HOG = "exec perl -e '$x = \"x\" x 400_000_000'\n"


def unenforced(cluster, name="w1"):
    return cluster.http.get(f"/v1/workers/{name}").json()["unenforced_limits"]


class LimitsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("hog.sh", HOG)
        cls.cluster.script("limits.sh", "ulimit -n; ulimit -c; nice\n")
        cls.cluster.script("exit.sh", "exit $1\n")
        cls.cluster.start_worker(limits={
            "max_memory": "64MiB", "max_pids": 100, "open_files": 300, "nice": 4,
            "max_timeout": "1h"})

    def needs(self, limit):
        if limit in unenforced(self.cluster):
            self.skipTest(f"limits.{limit} cannot be enforced on this machine")

    def test_a_memory_hog_ends_out_of_memory(self):
        self.needs("memory_bytes")
        for limits in ({"memory_bytes": 32 * MIB}, {}):  # its own, and the worker's ceiling
            job = self.cluster.wait(self.cluster.start("hog.sh", limits=limits))
            self.assertEqual(job["state"], "FAILED")
            self.assertEqual(job["end"]["reason"], "OUT_OF_MEMORY")
            self.assertEqual(job["end"]["signal"], 9)
            self.assertIn("limits.memory_bytes of " + str(limits.get("memory_bytes", 64 * MIB)),
                          job["end"]["message"])
            self.assertGreater(int(job["end"]["peak_memory_bytes"]), 30 * MIB)

    def test_the_command_line_asks_shows_and_ends_as_the_job(self):
        self.needs("memory_bytes")
        started = self.cluster.cli("job", "start", "--command", "bash", "--limit-memory", "32MiB",
                                   "--limit-pids", "50", "--wait", "hog.sh")
        self.assertEqual(started.returncode, 137, started.stderr)
        shown = self.cluster.cli("job", "query", self.cluster.job_ids()[0]).stdout
        self.assertIn("memory 32MiB, pids 50", shown)
        self.assertIn("OUT_OF_MEMORY", shown)
        self.assertIn("MiB memory at most", shown)

    def test_above_a_ceiling_both_numbers_are_named(self):
        body = {"path": "exit.sh", "command": "bash", "limits": {"pids": 101}}
        refused = self.cluster.http.post("/v1/workers/w1/jobs", body)
        self.assertEqual((refused.status, refused.json()["field"]), (400, "limits.pids"))
        text = "101 is above this worker's limits.max_pids of 100"
        self.assertIn(text, refused.json()["detail"])
        job = self.cluster.wait(self.cluster.start("exit.sh", limits={"pids": 101}))
        self.assertEqual(job["end"]["reason"], "START_FAILED")
        self.assertIn(text, job["end"]["message"])
        late = self.cluster.http.post("/v1/workers/w1/jobs", {
            "path": "exit.sh", "command": "bash", "timeout": "3601s"})
        self.assertEqual((late.status, late.json()["field"]), (400, "timeout"))

    def test_what_can_never_be_is_refused_at_once(self):
        answer = self.cluster.http.post("/v1/jobs", {
            "path": "exit.sh", "command": "bash", "limits": {"memory_bytes": 1000}})
        self.assertEqual((answer.status, answer.json()["field"]), (400, "limits.memory_bytes"))
        self.assertIn("1000 is not within 1048576 to", answer.json()["detail"])

    def test_a_job_that_does_not_say_gets_the_default(self):
        output, _ = self.cluster.run("limits.sh")
        self.assertEqual(output, b"300\n0\n4\n")
        output, _ = self.cluster.run("limits.sh", limits={
            "open_files": 200, "core_bytes": 10240, "nice": 9})
        self.assertEqual(output, b"200\n10\n9\n")

    def test_time_and_memory_are_those_of_the_tree(self):
        _, job = self.cluster.run("exit.sh", 3)
        self.assertEqual(job["end"]["exit_code"], 3)
        self.assertIn("user_time", job["end"])
        self.assertFalse(job["end"]["killed"])


class WithoutCgroupsTest(unittest.TestCase):
    def test_limits_wait_for_a_worker_that_can_enforce_them(self):
        with Cluster() as cluster:
            cluster.script("exit.sh", "exit $1\n")
            cluster.start_worker("w1", limits={"cgroups": "off", "max_memory": "64MiB"})
            self.assertEqual(sorted(unenforced(cluster)), ["cpus", "memory_bytes", "pids"])
            log = (cluster.folder / "w1.log").read_text()
            self.assertIn("limits.cgroups is off", log)
            self.assertIn("limits.max_memory", log)

            limits = {"memory_bytes": 32 * MIB}
            refused = cluster.http.post("/v1/workers/w1/jobs", {
                "path": "exit.sh", "command": "bash", "limits": limits})
            self.assertEqual((refused.status, refused.json()["field"]),
                             (409, "limits.memory_bytes"))
            self.assertIn("worker w1 cannot enforce it", refused.json()["detail"])
            self.assertEqual(cluster.job_ids(), [])

            job_id = cluster.start("exit.sh", 6, limits=limits)
            self.assertEqual(cluster.job(job_id)["pending_reason"],
                             "no worker that takes jobs can enforce its limits")
            why = cluster.cli("job", "explain", job_id).stdout
            self.assertIn("cannot enforce limits.memory_bytes", why)
            _, free = cluster.run("exit.sh", 5, limits={"open_files": 100})
            self.assertEqual(free["end"]["exit_code"], 5)

            cluster.start_worker("w2")
            if "memory_bytes" in unenforced(cluster, "w2"):
                self.skipTest("limits.memory_bytes cannot be enforced on this machine")
            job = cluster.wait(job_id)
            self.assertEqual(job["end"]["exit_code"], 6)
            self.assertEqual(job["worker_id"], cluster.worker_id("w2"))


class LeftoversTest(unittest.TestCase):
    def test_no_cgroup_outlives_what_made_it(self):
        with Cluster() as cluster:
            cluster.script("exit.sh", "exit $1\n")
            cluster.script("daemon.sh", "setsid sh -c 'setsid sleep 1000 & exit' &\nwait\n"
                                        "echo begun\nexec sleep 1000\n")
            cluster.start_worker()
            job_id = cluster.start("daemon.sh")
            wait_until(lambda: cluster.output(job_id) == b"begun\n", "it runs")
            cluster.workers["w1"].kill()
            cluster.start_worker()
            cluster.run("exit.sh", 0)
            self.assertEqual(cluster.http.post(f"/v1/jobs/{job_id}/stop", {}).status, 200)
            self.assertEqual(cluster.wait(job_id)["end"]["reason"], "STOP_REQUESTED")
        self.assertEqual(cluster.cgroups(), [])


if __name__ == "__main__":
    unittest.main()
