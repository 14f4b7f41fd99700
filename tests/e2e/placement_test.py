"""Named queues, counted resources, taints and gangs, with real workers."""
import json
import unittest

from cluster import Cluster


class QueueTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.cluster.script("sleep.sh", "sleep 600\n")
        self.cluster.script("true.sh", "true\n")

    def queue(self, name):
        return self.cluster.http.get(f"/v1/queues/{name}").json()

    def test_caps_pauses_and_refusals_over_http(self):
        cluster = self.cluster
        cluster.start_worker(slots=4)
        answer = cluster.http.request("PUT", "/v1/queues/batch",
                                      {"max_running": 1, "max_queued": 1, "weight": 3})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json()["weight"], 3)
        first = cluster.start("sleep.sh", queue="batch")
        second = cluster.start("true.sh", queue="batch")
        cluster.wait_for_state(first, "RUNNING")
        full = cluster.http.post("/v1/jobs", {"path": "true.sh", "command": "bash",
                                              "queue": "batch"})
        self.assertEqual(full.status, 429, full.body)
        self.assertEqual(full.json()["field"], "queue")
        self.assertIn("max_queued is 1", full.json()["detail"])
        self.assertIn("retry-after", full.headers)
        explained = cluster.http.get(f"/v1/jobs/{second}/explain").json()
        self.assertEqual(explained["summary"], "queue batch runs its cap of 1")

        self.assertEqual(cluster.http.post("/v1/queues/batch/pause", {"reason": "x"}).status, 200)
        cluster.http.post(f"/v1/jobs/{first}/stop", {})
        self.assertEqual(cluster.wait(first)["state"], "STOPPED")
        self.assertEqual(cluster.job(second)["state"], "QUEUED")
        cluster.scheduler.kill()
        cluster.start_scheduler()
        cluster.wait_for_worker("w1", "ALIVE")
        self.assertTrue(self.queue("batch")["paused"])
        self.assertEqual(self.queue("batch")["queued"], "1")
        self.assertEqual(cluster.http.post("/v1/queues/batch/resume", {}).status, 200)
        self.assertEqual(cluster.wait(second)["state"], "SUCCEEDED")
        self.assertEqual(cluster.http.request("DELETE", "/v1/queues/batch").status, 200)
        self.assertEqual(cluster.http.get("/v1/queues/batch").status, 404)
        self.assertEqual(cluster.http.request("PUT", "/v1/queues/a%20b", {}).status, 400)

    def test_the_command_line(self):
        def queue(*args):
            done = self.cluster.cli("queue", *args)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        self.cluster.start_worker()
        queue("set", "batch", "--weight", "5", "--max-running", "2")
        queue("set", "batch", "--max-queued", "7")
        shown = json.loads(queue("show", "batch", "--json"))
        self.assertEqual((shown["weight"], shown["max_running"], shown["max_queued"]),
                         (5, 2, "7"))
        self.assertIn("paused: why", queue("pause", "batch", "--reason", "why"))
        self.assertIn("open", queue("resume", "batch"))
        self.assertIn("batch", queue("list"))
        queue("delete", "batch")
        self.assertNotIn("batch", queue("list"))
        self.assertNotEqual(self.cluster.cli("queue", "show", "batch").returncode, 0)


class ResourcesTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())

    def start_gpu_worker(self, name="w1", taints=()):
        self.cluster.start_worker(name, sections={
            "worker": {"name": name, "on_stop": "stop", "taints": list(taints)},
            "capacity": {"slots": 4, "custom": {"gpu": 2, "licence.a": 1}}})

    def test_units_are_given_out_once_and_known_over_a_restart(self):
        cluster = self.cluster
        cluster.script("ids.sh", 'echo "$CLUSTERD_GPU_IDS;$CLUSTERD_LICENCE_A_IDS"\n')
        cluster.script("hold.sh", 'echo "$CLUSTERD_GPU_IDS"; sleep 600\n')
        self.start_gpu_worker()
        output, _ = cluster.run("ids.sh", resources={"custom": {"gpu": 2, "licence.a": 1}})
        self.assertEqual(output, b"0,1;0\n")
        held = cluster.start("hold.sh", resources={"custom": {"gpu": 1}})
        cluster.wait_for_state(held, "RUNNING")
        cluster.scheduler.kill()
        cluster.start_scheduler()
        cluster.wait_for_worker("w1", "ALIVE")
        output, _ = cluster.run("ids.sh", resources={"custom": {"gpu": 1}})
        self.assertEqual(output, b"1;\n")
        waits = cluster.start("ids.sh", resources={"custom": {"gpu": 2}})
        explained = cluster.http.get(f"/v1/jobs/{waits}/explain").json()
        self.assertEqual(explained["workers"][0]["reasons"], ["needs 2 gpu, 1 of 2 are free"])
        self.assertIn("gpu 1/2", cluster.cli("cluster", "workers").stdout)
        cluster.http.post(f"/v1/jobs/{held}/stop", {})
        cluster.wait(held)
        self.assertEqual(cluster.wait(waits)["state"], "SUCCEEDED")

    def test_taints_keep_jobs_away(self):
        cluster = self.cluster
        cluster.script("where.sh", 'echo "$CLUSTERD_WORKER_NAME"\n')
        self.start_gpu_worker("gpus", taints=["gpu"])
        away = cluster.start("where.sh")
        self.assertEqual(cluster.job(away)["pending_reason"],
                         "all workers that take jobs have taints that it does not tolerate")
        output, _ = cluster.run("where.sh", tolerate=["gpu"])
        self.assertEqual(output, b"gpus\n")
        refused = cluster.http.post("/v1/jobs", {"path": "where.sh", "command": "bash",
                                                 "worker_id": "gpus"})
        self.assertEqual(refused.json()["field"], "tolerate")
        cluster.start_worker("plain")
        self.assertEqual(cluster.wait(away)["state"], "SUCCEEDED")
        self.assertEqual(cluster.output(away), b"plain\n")
        self.assertIn("TAINTS", cluster.cli("cluster", "workers").stdout)


class GangTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())

    def test_a_gang_over_two_workers(self):
        cluster = self.cluster
        cluster.script("rank.sh",
                       'echo "$CLUSTERD_RANK/$CLUSTERD_SIZE $CLUSTERD_PEERS '
                       '$CLUSTERD_WORKER_NAME"\n')
        cluster.start_worker("w1", slots=2)
        gang = cluster.start("rank.sh", gang={"size": 4})
        self.assertEqual(
            cluster.job(gang)["pending_reason"],
            "needs 4 slots at once, 2 are free, and all workers that take jobs have too little")
        cluster.start_worker("w2", slots=2)
        self.assertEqual(cluster.wait(gang)["state"], "SUCCEEDED")
        peers = set()
        for rank in range(4):
            line = cluster.output(f"{gang}.{rank}").decode().split()
            self.assertEqual(line[0], f"{rank}/4")
            self.assertEqual(line[1].split(",")[rank], line[2])
            peers.add(line[1])
        self.assertEqual(len(peers), 1)
        self.assertEqual(sorted(peers.pop().split(",")), ["w1", "w1", "w2", "w2"])

    def test_one_that_fails_stops_the_others(self):
        cluster = self.cluster
        cluster.script("fail.sh", '[ "$CLUSTERD_RANK" = 1 ] && exit 3\nsleep 600\n')
        cluster.start_worker(slots=3)
        gang = cluster.start("fail.sh", gang={"size": 3})
        self.assertEqual(cluster.wait(gang)["state"], "FAILED")
        states = [cluster.job(f"{gang}.{rank}")["state"] for rank in range(3)]
        self.assertEqual(states, ["STOPPED", "FAILED", "STOPPED"])


if __name__ == "__main__":
    unittest.main()
