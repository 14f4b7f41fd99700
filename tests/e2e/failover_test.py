"""Several schedulers that share a store: one leads, the others pass calls on and take over.

With CLUSTERD_LONG=1 the leader is killed twenty times instead of three.
"""
import collections
import itertools
import os
import statistics
import subprocess
import threading
import time
import unittest
import uuid

from cluster import executable, wait_until
from http_client import CutStream
from several_schedulers import LEASE_SECONDS, SharedCluster, call

LONG = bool(os.environ.get("CLUSTERD_LONG"))
KILLS = 20 if LONG else 3
CLIENTS = 4
PAUSE_SECONDS = 0.15
MEDIAN_SECONDS = 3
LONGEST_SECONDS = 10
SETTLE_SECONDS = 2.5  # by then every scheduler has noticed what has happened
LINES = "i=0; while [ ! -e \"$1\" ]; do echo \"line $((i += 1))\"; sleep 0.05; done; echo last\n"
# One line for each attempt that runs: who and which. A line is one write.
MARK = "echo \"$1 $CLUSTERD_JOB_ID $CLUSTERD_ATTEMPT\" >> \"$2\"\n"


class Submitter(threading.Thread):
    """Submits one job after the other; each with its key until some scheduler acknowledges it."""

    def __init__(self, cluster, number, file):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.number = number
        self.file = file
        self.accepted = {}  # key -> job id
        self.times = []
        self.attempts = 0
        self.error = None
        self.ending = threading.Event()
        self.start()

    def run(self):
        addresses = itertools.cycle(self.cluster.http_addresses[self.number % 3:] +
                                    self.cluster.http_addresses[:self.number % 3])
        address = next(addresses)
        try:
            for count in itertools.count():
                if self.ending.is_set():
                    return
                key = f"c{self.number}-{count}-{uuid.uuid4().hex[:8]}"
                body = {"path": "mark.sh", "command": "bash", "name": key,
                        "args": [key, str(self.file)]}
                while not self._submit(address, key, body):
                    address = next(addresses)
                    time.sleep(0.05)
                time.sleep(PAUSE_SECONDS)
        except Exception as error:  # told by result()
            self.error = error

    def _submit(self, address, key, body):
        self.attempts += 1
        try:
            answer = call(address, "POST", "/v1/jobs", body, {"Idempotency-Key": key})
        except (OSError, CutStream):
            return False
        if answer.status == 503:
            return False
        if answer.status not in (200, 201):
            raise AssertionError(f"{key}: {answer.status} {answer.body}")
        self.accepted[key] = answer.json()["job_id"]
        self.times.append(time.monotonic())
        return True

    def result(self):
        self.ending.set()
        self.join(timeout=60)
        if self.error:
            raise self.error
        if self.is_alive():
            raise AssertionError(f"client {self.number} does not end")
        return self.accepted


class Load:
    """Four clients that submit without pause."""

    def __init__(self, test, cluster):
        self.test = test
        self.cluster = cluster
        self.file = cluster.folder / f"marks-{uuid.uuid4().hex}"
        self.file.touch()
        cluster.script("mark.sh", MARK)
        self.clients = [Submitter(cluster, number, self.file) for number in range(CLIENTS)]

    def times(self):
        return sorted(t for client in self.clients for t in list(client.times))

    def gap_around(self, moment, seconds=LONGEST_SECONDS + 5):
        """The longest time without an accepted submit that begins or ends after `moment`; waits
        until submits are accepted again."""
        def resumed():
            return any(t > moment + SETTLE_SECONDS for t in self.times())

        wait_until(resumed, "submits are accepted again", seconds)
        times = self.times()
        return max(after - before for before, after in itertools.pairwise(times)
                   if after > moment)

    def wait_for_submits(self, count=CLIENTS):
        """That many more are accepted."""
        begin = len(self.times())
        wait_until(lambda: len(self.times()) >= begin + count, "submits are accepted", 30)

    def check(self):
        """Ends it: every job that was acknowledged ran once, and is recorded once."""
        accepted = {}
        for client in self.clients:
            accepted.update(client.result())
        test = self.test

        def ended():
            jobs = self.all_jobs()
            states = {job["job_id"]: job["state"] for job in jobs}
            return jobs if all(states.get(job_id) not in ("QUEUED", "STARTING", "RUNNING", None)
                               for job_id in accepted.values()) else None

        jobs = wait_until(ended, "every acknowledged job ends", 120)
        by_name = collections.Counter(job["name"] for job in jobs if job["name"] in accepted)
        test.assertEqual({}, {name: n for name, n in by_name.items() if n != 1})
        states = collections.Counter(
            job["state"] for job in jobs if job["name"] in accepted)
        test.assertEqual({"SUCCEEDED": len(accepted)}, dict(states))
        lines = self.file.read_text().splitlines()
        runs = collections.Counter(lines)
        test.assertEqual({}, {line: n for line, n in runs.items() if n != 1})
        ran = collections.Counter(line.split()[0] for line in lines)
        test.assertEqual({}, {key: ran[key] for key in accepted if ran[key] != 1})
        return len(accepted)

    def all_jobs(self):
        jobs, token = [], ""
        while True:
            answer = self.cluster.http.get(f"/v1/jobs?page_size=1000&page_token={token}")
            if answer.status != 200:
                return []
            page = answer.json()
            jobs += page["jobs"]
            token = page["next_page_token"]
            if not token:
                return jobs


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
            gaps.append(load.gap_around(moment))
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
        for member in self.cluster.etcd:
            moment = time.monotonic()
            member.kill()
            gaps.append(load.gap_around(moment))
            load.wait_for_submits(2 * CLIENTS)
            member.start()
            wait_until(member.is_healthy, f"{member.name} is back")
        count = load.check()
        print(f"\netcd: 3 kills, {count} jobs; longest without an accepted submit "
              f"{max(gaps):.2f} s")
        self.assertLess(max(gaps), LONGEST_SECONDS)

    def test_leader_that_sleeps_longer_than_its_lease_does_nothing_more(self):
        load = Load(self, self.cluster)
        load.wait_for_submits()
        for _ in range(5 if LONG else 2):
            old = self.cluster.leader()
            before = self.cluster.view(old)
            moment = time.monotonic()
            self.cluster.schedulers[old].suspend()
            gap = load.gap_around(moment)
            self.assertLess(gap, LONGEST_SECONDS)
            new = self.new_leader(old)
            key = self.cluster.etcdctl("get", "/clusterd/election/leader")["kvs"][0]
            time_awake = time.monotonic()
            self.cluster.schedulers[old].process.send_signal(18)  # SIGCONT
            view = wait_until(lambda old=old: self.cluster.view(old), "the old leader answers")
            self.assertEqual(self.cluster.addresses[new][0], view["leader"])
            self.assertGreater(int(view["epoch"]), int(before["epoch"]))
            self.assertLess(time.monotonic() - time_awake, LONGEST_SECONDS)
            log = self.cluster.schedulers[old].log.read_text()
            self.assertRegex(log, "leads no more|the lease may have ended")
            load.wait_for_submits(2 * CLIENTS)
            # Nobody else has led in between: the key is the one that the new leader made.
            now = self.cluster.etcdctl("get", "/clusterd/election/leader")["kvs"][0]
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
            gaps.append(load.gap_around(moment))
            self.cluster.start_scheduler(name)
            load.wait_for_submits(2 * CLIENTS)
        load.check()
        print(f"\nhanded over three times; without an accepted submit {gaps}")
        self.assertLess(statistics.median(gaps), 1.5)

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
        shown = subprocess.run([executable(), "job", "show", job_id], env=address,
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
        self.assertEqual(200, original.status, original.body)

        # Everybody tells the same of the cluster, and every probe is good.
        views = [cluster.view(name) for name in cluster.schedulers]
        for view in views:
            self.assertEqual(views[0]["leader"], view["leader"])
            self.assertEqual(views[0]["epoch"], view["epoch"])
            self.assertEqual(sorted(cluster.grpc_address),
                             sorted(member["address"] for member in view["schedulers"]))
            self.assertEqual([views[0]["leader"]], [member["address"] for member in
                                                    view["schedulers"] if member["leader"]])
        for _, door in cluster.addresses.values():
            self.assertEqual(200, call(door, "GET", "/readyz").status)

    def test_without_a_majority_of_etcd_nobody_leads_and_503_says_when_to_ask_again(self):
        cluster = self.cluster
        for member in cluster.etcd[:2]:
            member.kill()

        def nobody():
            answers = [call(http, "GET", "/v1/cluster", seconds=5)
                       for http in cluster.http_addresses]
            return all(a.status == 503 and int(a.headers.get("retry-after", 0)) >= 1
                       for a in answers) and answers

        wait_until(nobody, "everybody says 503", 6 * LEASE_SECONDS)
        for http in cluster.http_addresses:
            self.assertEqual(200, call(http, "GET", "/healthz").status)
        for member in cluster.etcd[:2]:
            member.start()
        wait_until(lambda: cluster.leader() is not None, "one leads again")


if __name__ == "__main__":
    unittest.main()
