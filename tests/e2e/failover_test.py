"""Several schedulers that share a store: one leads, the others pass calls on and take over.

With CLUSTERD_LONG=1 the leader is killed twenty times instead of three, and CLUSTERD_OTHER may name
the executable of another build, to which a cluster is upgraded.
"""
import os
import signal
import statistics
import subprocess
import time
import unittest

from cluster import executable, wait_until
from faulty_proxy import FaultyProxy
from load import CLIENTS, MARK, Load, call
from several_schedulers import LEASE_SECONDS, SharedCluster

LONG = bool(os.environ.get("CLUSTERD_LONG"))
KILLS = 20 if LONG else 3
MEDIAN_SECONDS = 3
LONGEST_SECONDS = 10
LINES = "i=0; while [ ! -e \"$1\" ]; do echo \"line $((i += 1))\"; sleep 0.05; done; echo last\n"


class FailoverTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(SharedCluster())
        for name in ("w1", "w2"):
            self.cluster.start_worker(name, slots=8)

    def kill_leader(self):
        name = self.cluster.leader()
        self.cluster.schedulers[name].kill()
        return name

    def new_leader(self, old):
        def led():
            name = self.cluster.leader()
            return name if name not in (None, old) else None

        return wait_until(led, f"another one than {old} leads", 30)

    def test_leader_is_killed_again_and_again_under_load(self):
        load = Load(self, self.cluster)
        load.wait_for_submits()
        gaps, epochs = [], []
        for _ in range(KILLS):
            epochs.append(wait_until(lambda: self.cluster.view(self.cluster.leader() or "s1"),
                                     "the leader answers")["epoch"])
            moment = time.monotonic()
            name = self.kill_leader()
            gaps.append(load.gap_around(moment, LONGEST_SECONDS))
            self.cluster.start_scheduler(name)
            load.wait_for_submits(2 * CLIENTS)
        count = load.check()
        print(f"\n{KILLS} kills, {count} jobs; seconds without an accepted submit: median "
              f"{statistics.median(gaps):.2f}, longest {max(gaps):.2f}")
        self.assertLess(statistics.median(gaps), MEDIAN_SECONDS)
        self.assertLess(max(gaps), LONGEST_SECONDS)
        self.assertEqual(epochs, sorted(set(epochs), key=int), "epochs grow")

    def test_members_of_etcd_are_killed_in_turn_under_load(self):
        load = Load(self, self.cluster)
        load.wait_for_submits()
        gaps = []
        for member in self.cluster.etcd.members:
            moment = time.monotonic()
            member.kill()
            gaps.append(load.gap_around(moment, LONGEST_SECONDS))
            load.wait_for_submits(2 * CLIENTS)
            member.start()
            wait_until(member.is_healthy, f"{member.name} is back")
        count = load.check()
        print(f"\netcd: 3 kills, {count} jobs; longest without an accepted submit "
              f"{max(gaps):.2f} s")
        self.assertLess(max(gaps), LONGEST_SECONDS)

    def test_without_etcd_nobody_is_ready_or_answers_and_jobs_run_on(self):
        cluster = self.cluster
        cluster.script("lines.sh", LINES)
        gate = cluster.folder / "gate"
        job = cluster.start("lines.sh", gate)
        cluster.wait_for_state(job, "RUNNING")
        http = [address for _, address in cluster.addresses.values()]
        wait_until(lambda: all(call(one, "GET", "/readyz").status == 200 for one in http),
                   "all are ready")

        for member in cluster.etcd.members:
            member.process.send_signal(signal.SIGSTOP)

        def is_closed(one, path):
            try:
                return call(one, "GET", path, seconds=LONGEST_SECONDS).status == 503
            except OSError:
                return False

        # What a leader knew is not told any more once its lease may have ended: not even a list.
        for path in ("/readyz", "/v1/workers", "/v1/jobs", f"/v1/jobs/{job}"):
            wait_until(lambda path=path: all(is_closed(one, path) for one in http),
                       f"{path} is 503 everywhere", 30)
        for member in cluster.etcd.members:
            member.process.send_signal(signal.SIGCONT)
        wait_until(lambda: all(call(one, "GET", "/readyz").status == 200 for one in http),
                   "all are ready again", 30)
        gate.touch()
        ended = cluster.wait(job)
        self.assertEqual(("EXITED", 1), (ended["end"]["reason"], ended["attempt"]), ended)
        lines = cluster.output(job).decode().splitlines()
        self.assertEqual([f"line {i}" for i in range(1, len(lines))] + ["last"], lines)

    def test_leader_that_sleeps_longer_than_its_lease_does_nothing_more(self):
        load = Load(self, self.cluster)
        load.wait_for_submits()
        for _ in range(5 if LONG else 2):
            old = self.cluster.leader()
            before = self.cluster.view(old)
            moment = time.monotonic()
            self.cluster.schedulers[old].suspend()
            gap = load.gap_around(moment, LONGEST_SECONDS)
            self.assertLess(gap, LONGEST_SECONDS)
            new = self.new_leader(old)
            key = self.cluster.etcd.ctl("get", "/clusterd/election/leader")["kvs"][0]
            time_awake = time.monotonic()
            self.cluster.schedulers[old].process.send_signal(signal.SIGCONT)
            view = wait_until(lambda old=old: self.cluster.view(old), "the old leader answers")
            self.assertEqual(self.cluster.addresses[new][0], view["leader"])
            self.assertGreater(int(view["epoch"]), int(before["epoch"]))
            self.assertLess(time.monotonic() - time_awake, LONGEST_SECONDS)
            log = self.cluster.schedulers[old].log.read_text()
            self.assertRegex(log, "leads no more|the lease may have ended")
            load.wait_for_submits(2 * CLIENTS)
            # Nobody else has led in between: the key is the one that the new leader made.
            now = self.cluster.etcd.ctl("get", "/clusterd/election/leader")["kvs"][0]
            self.assertEqual(key["create_revision"], now["create_revision"])
        load.check()

    def test_leader_that_is_told_to_stop_hands_over_at_once(self):
        load = Load(self, self.cluster)
        load.wait_for_submits()
        gaps = []
        for _ in range(3):
            name = self.cluster.leader()
            moment = time.monotonic()
            code, _ = self.cluster.schedulers[name].terminate()
            self.assertEqual(0, code)
            gaps.append(load.gap_around(moment, LONGEST_SECONDS))
            self.cluster.start_scheduler(name)
            load.wait_for_submits(2 * CLIENTS)
        load.check()
        print(f"\nhanded over three times; without an accepted submit {gaps}")
        self.assertLess(max(gaps), 1)

    def test_an_order_of_a_former_leader_is_refused_by_the_worker(self):
        """It is stopped between the commit of a job and its dispatch: that is on its way, late."""
        cluster = self.cluster
        cluster.script("mark.sh", MARK)
        marks = cluster.folder / "marks"
        marks.touch()
        proxy = self.enterContext(FaultyProxy("127.0.0.1:0"))
        address = wait_until(lambda: cluster.worker_address("w1"), "w1 is there")
        proxy.target = address
        port = int(address.rpartition(":")[2])
        cluster.workers["w1"].terminate()
        cluster.start_worker("w1", slots=8, sections={"grpc_server": {
            "addr": f"127.0.0.1:{port}", "advertise_addr": proxy.address}})
        worker = cluster.worker_id("w1")
        old = cluster.leader()

        release = proxy.hold()
        body = {"path": "mark.sh", "command": "bash", "name": "late", "worker_id": worker,
                "args": ["late", str(marks)]}
        answer = call(cluster.addresses[old][1], "POST", "/v1/jobs", body,
                      {"Idempotency-Key": "late"})
        self.assertEqual((201, "STARTING"), (answer.status, answer.json()["state"]))
        cluster.schedulers[old].suspend()
        new = self.new_leader(old)
        # The new one hears of the worker that it holds nothing, and orders it anew.
        job = wait_until(lambda: [j for j in (cluster.http.get("/v1/jobs?name=late").json()
                                              .get("jobs", [])) if "end" in j], "the job ends")[0]
        self.assertEqual("SUCCEEDED", job["state"])
        log = cluster.workers["w1"].log
        self.assertNotIn("orders were refused", log.read_text())
        release()
        wait_until(lambda: "orders were refused" in log.read_text(), "the late order is refused")
        cluster.schedulers[old].process.send_signal(signal.SIGCONT)
        wait_until(lambda: cluster.view(old), "the old leader answers")
        self.assertEqual(new, cluster.leader())
        again = cluster.http.post("/v1/jobs", body, {"Idempotency-Key": "late"})
        self.assertEqual(job["job_id"], again.json()["job_id"])
        lines = marks.read_text().splitlines()
        self.assertEqual(1, len(lines), lines)
        proxy.cut()

    def test_schedulers_are_upgraded_one_after_the_other_under_load(self):
        other = os.environ.get("CLUSTERD_OTHER")
        if other is None:
            self.skipTest("CLUSTERD_OTHER names no other build")
        cluster = self.cluster

        def versions():
            text = subprocess.run([other, "--version"], capture_output=True, text=True, check=True)
            mine = subprocess.run([executable(), "--version"], capture_output=True, text=True,
                                  check=True)
            return mine.stdout, text.stdout

        self.assertNotEqual(*versions(), "the other build is another one")
        load = Load(self, cluster)
        load.wait_for_submits()
        gaps = []
        for program in (other, None):  # and back again
            leader = cluster.leader()
            for name in [*(name for name in cluster.schedulers if name != leader), leader]:
                moment = time.monotonic()
                code, _ = cluster.schedulers[name].terminate()
                self.assertEqual(0, code)
                gaps.append(load.gap_around(moment, LONGEST_SECONDS))
                cluster.start_scheduler(name, program=program)
                wait_until(lambda name=name: cluster.view(name), f"{name} answers")
            load.wait_for_submits(2 * CLIENTS)
        count = load.check()
        print(f"\nupgraded there and back, {count} jobs; longest without an accepted submit "
              f"{max(gaps):.2f} s")
        self.assertLess(max(gaps), MEDIAN_SECONDS)

    def test_output_is_followed_byte_for_byte_through_five_failovers(self):
        cluster = self.cluster
        cluster.script("lines.sh", LINES)
        gate = cluster.folder / "gate"
        job_id = cluster.start("lines.sh", gate)
        seen = cluster.folder / "followed"
        with open(seen, "wb") as out, open(cluster.folder / "follow.log", "wb") as errors:
            follower = subprocess.Popen([executable(), "job", "logs", "--follow", job_id],
                                        stdout=out, stderr=errors, env=cluster.cli_environment())
            waiter = subprocess.Popen([executable(), "job", "wait", job_id],
                                      stdout=errors, stderr=errors, env=cluster.cli_environment())
            try:
                for number in range(5):
                    size = seen.stat().st_size
                    wait_until(lambda size=size: seen.stat().st_size > size + 50, "output comes")
                    name = wait_until(cluster.leader, "one leads")
                    if number % 2:
                        cluster.schedulers[name].terminate()
                    else:
                        cluster.schedulers[name].kill()
                    self.new_leader(name)
                    cluster.start_scheduler(name)
                size = seen.stat().st_size
                wait_until(lambda: seen.stat().st_size > size + 50, "output comes")
                gate.touch()
                self.assertEqual(0, follower.wait(timeout=60))
                self.assertEqual(0, waiter.wait(timeout=60))
            finally:
                follower.kill()
                waiter.kill()
                follower.wait()
                waiter.wait()
        job = cluster.wait(job_id)
        self.assertEqual(("SUCCEEDED", 1), (job["state"], job["attempt"]))
        whole = cluster.output(job_id)
        self.assertEqual(whole, seen.read_bytes())
        lines = whole.decode().splitlines()
        self.assertEqual([f"line {i}" for i in range(1, len(lines))] + ["last"], lines)

    def test_a_scheduler_that_does_not_lead_passes_everything_on(self):
        cluster = self.cluster
        cluster.script("lines.sh", LINES)
        gate = cluster.folder / "gate"
        follower = cluster.followers()[0]
        grpc, http = cluster.addresses[follower]
        address = {**cluster.cli_environment(), "CLUSTERD_ADDR": grpc}

        # Over HTTP: the same key at two doors is one job.
        body = {"path": "lines.sh", "command": "bash", "args": [str(gate)]}
        started = call(http, "POST", "/v1/jobs", body, {"Idempotency-Key": "one"})
        self.assertEqual(201, started.status, started.body)
        job_id = started.json()["job_id"]
        for _, door in cluster.addresses.values():
            again = call(door, "POST", "/v1/jobs", body, {"Idempotency-Key": "one"})
            self.assertEqual(job_id, again.json()["job_id"])

        # Over gRPC: the command line.
        shown = subprocess.run([executable(), "job", "query", job_id], env=address,
                               capture_output=True, text=True, timeout=30, check=True)
        self.assertIn(job_id, shown.stdout)

        # Errors come through with their fields, and 404 is no 503.
        self.assertEqual(404, call(http, "GET", "/v1/jobs/none").status)
        refused = call(http, "POST", "/v1/jobs", {"path": "lines.sh", "args": [], "timeout": "-1s"})
        self.assertEqual((400, "timeout"), (refused.status, refused.json().get("field")))

        # Streams: output, and events by SSE.
        wait_until(lambda: cluster.job(job_id)["state"] == "RUNNING", "the job runs")
        gate.touch()
        output = call(http, "GET", f"/v1/jobs/{job_id}/output?follow=true", seconds=30)
        self.assertEqual(b"last\n", output.body[-5:])
        self.assertEqual(str(len(output.body)), output.trailers["clusterd-output-length"])
        ended = call(http, "GET", f"/v1/jobs/{job_id}/wait?timeout=10s", seconds=15)
        self.assertEqual("SUCCEEDED", ended.json()["state"])
        self.assertEqual("http", ended.json()["submitted_by"])

        # The original endpoints.
        worker = cluster.worker_id("w1")
        original = call(http, "POST", "/start", {"worker_id": worker, "path": "lines.sh",
                                                 "command": "bash", "args": [str(gate)]})
        self.assertEqual(201, original.status, original.body)

        # Everybody tells the same of the cluster, and every probe is good.
        def views_of_all():  # who is there is asked of etcd some times in a lease's time
            views = [cluster.view(name) for name in cluster.schedulers]
            return views if all(sorted(cluster.grpc_address) ==
                                sorted(member["address"] for member in view["schedulers"])
                                for view in views) else None

        views = wait_until(views_of_all, "every scheduler knows all three")
        for view in views:
            self.assertEqual(views[0]["leader"], view["leader"])
            self.assertEqual(views[0]["epoch"], view["epoch"])
            self.assertEqual([views[0]["leader"]], [member["address"] for member in
                                                    view["schedulers"] if member["leader"]])
        for _, door in cluster.addresses.values():
            def told(door=door):
                return call(door, "GET", "/readyz").body.decode().splitlines()

            ready = wait_until(lambda: len(told()) == 5 and told(), "a probe tells of all three")
            leader = views[0]["leader"]
            followers = sorted({*cluster.grpc_address} - {leader})
            self.assertEqual(["ok", f"leader {leader}", f"epoch {views[0]['epoch']}",
                              *(f"follower {address}" for address in followers)], ready)

    def test_without_a_majority_of_etcd_nobody_leads_and_503_says_when_to_ask_again(self):
        cluster = self.cluster
        for member in cluster.etcd.members[:2]:
            member.kill()

        def nobody():
            answers = [call(http, "GET", "/v1/cluster", seconds=5)
                       for http in cluster.http_addresses]
            return all(a.status == 503 and int(a.headers.get("retry-after", 0)) >= 1
                       for a in answers) and answers

        wait_until(nobody, "everybody says 503", 6 * LEASE_SECONDS)
        for http in cluster.http_addresses:
            self.assertEqual(200, call(http, "GET", "/healthz").status)
        for member in cluster.etcd.members[:2]:
            member.start()
        wait_until(lambda: cluster.leader() is not None, "one leads again")


if __name__ == "__main__":
    unittest.main()
