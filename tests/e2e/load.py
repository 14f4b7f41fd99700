"""Callers that submit without pause whatever fails around them, and what must be true in the end."""
import collections
import itertools
import threading
import time
import uuid

from cluster import wait_until
from http_client import CutStream, HttpConnection

CLIENTS = 4
CALL_SECONDS = 2  # of one attempt; then the next address is taken
PAUSE_SECONDS = 0.15
SETTLE_SECONDS = 2.5  # by then everybody has noticed what has happened
# One line for each attempt that runs: who and which. A line is one write.
MARK = "echo \"$1 $CLUSTERD_JOB_ID $CLUSTERD_ATTEMPT\" >> \"$2\"\n"
LIVE = ("QUEUED", "STARTING", "RUNNING", None)


def call(address, method, path, body=None, headers=None, seconds=CALL_SECONDS):
    """One request on a connection of its own, with a bound."""
    connection = HttpConnection(address)
    try:
        connection.socket.settimeout(seconds)
        answer = connection.request(method, path, body, headers)
        _ = answer.body
        return answer
    finally:
        connection.close()


class Submitter(threading.Thread):
    """Submits one job after the other; each with its key until some scheduler acknowledges it."""

    def __init__(self, addresses, number, file):
        super().__init__(daemon=True)
        self.addresses = itertools.cycle([*addresses[number % len(addresses):],
                                          *addresses[:number % len(addresses)]])
        self.number = number
        self.file = file
        self.accepted = {}  # key -> job id
        self.times = []
        self.error = None
        self.ending = threading.Event()
        self.start()

    def run(self):
        address = next(self.addresses)
        try:
            for count in itertools.count():
                if self.ending.is_set():
                    return
                key = f"c{self.number}-{count}-{uuid.uuid4().hex[:8]}"
                body = {"path": "mark.sh", "command": "bash", "name": key,
                        "args": [key, str(self.file)]}
                while not self._submit(address, key, body):
                    address = next(self.addresses)
                    time.sleep(0.05)
                time.sleep(PAUSE_SECONDS)
        except Exception as error:  # told by result()
            self.error = error

    def _submit(self, address, key, body):
        try:
            answer = call(address, "POST", "/v1/jobs", body, {"Idempotency-Key": key})
        except (OSError, CutStream):
            return False
        if answer.status in (429, 503, 504):
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
    """Some clients that submit without pause, to any of `addresses`; `work` is what their jobs do
    beside leaving their mark."""

    def __init__(self, test, cluster, addresses=None, clients=CLIENTS, work=""):
        self.test = test
        self.cluster = cluster
        self.file = cluster.folder / f"marks-{uuid.uuid4().hex}"
        self.file.touch()
        cluster.script("mark.sh", MARK + work)
        self.clients = [Submitter(addresses or cluster.http_addresses, number, self.file)
                        for number in range(clients)]

    def times(self):
        return sorted(t for client in self.clients for t in list(client.times))

    def gap_around(self, moment, longest):
        """The longest time without an accepted submit that begins or ends after `moment`; waits
        until submits are accepted again."""
        def resumed():
            return any(t > moment + SETTLE_SECONDS for t in self.times())

        wait_until(resumed, "submits are accepted again", longest + 5)
        times = self.times()
        return max(after - before for before, after in itertools.pairwise(times)
                   if after > moment)

    def wait_for_submits(self, count=CLIENTS):
        """That many more are accepted."""
        begin = len(self.times())
        wait_until(lambda: len(self.times()) >= begin + count, "submits are accepted", 30)

    def end(self):
        """No more submits; (job by key, runs by key) when every acknowledged job has ended, with
        each of them recorded once."""
        accepted = {}
        for client in self.clients:
            accepted.update(client.result())

        def ended():
            jobs = self.all_jobs()
            states = {job["job_id"]: job["state"] for job in jobs}
            return jobs if all(states.get(job_id) not in LIVE
                               for job_id in accepted.values()) else None

        jobs = wait_until(ended, "every acknowledged job ends", 120)
        jobs = [job for job in jobs if job["spec"]["name"] in accepted]
        by_name = collections.Counter(job["spec"]["name"] for job in jobs)
        self.test.assertEqual({}, {name: n for name, n in by_name.items() if n != 1})
        records = {job["spec"]["name"]: job for job in jobs}
        self.test.assertEqual({}, {key: job_id for key, job_id in accepted.items()
                                   if records[key]["job_id"] != job_id})
        runs = collections.Counter(line.split()[0] for line in self.file.read_text().splitlines())
        return records, runs

    def check(self):
        """Ends it: every job that was acknowledged ran once and succeeded; how many there were."""
        records, runs = self.end()
        states = collections.Counter(job["state"] for job in records.values())
        self.test.assertEqual({"SUCCEEDED": len(records)}, dict(states))
        self.test.assertEqual({}, {key: n for key, n in runs.items() if n != 1})
        self.test.assertEqual({}, {key: runs[key] for key in records if runs[key] != 1})
        return len(records)

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
