"""How one scheduler does as the cluster and its queue grow: processors, memory, rates, latencies.

    CLUSTERD=build/release/clusterd SIMULATED_WORKERS=build/release/tests/bench/simulated_workers \\
        FILL_STORE=build/release/tests/bench/fill_store \\
        python3 tests/bench/scale.py [--small] [--json FILE] [--rows idle-workers,dispatch,…]

The scheduler is a real one with its usual durable store; workers are those of simulated_workers,
which start no processes and take processor time of the same machine. Nothing can fail here but
what does not work. --small divides all numbers by 1,000.
"""
import argparse
import contextlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import cluster as e2e  # noqa: E402
from capacity import memory_mib  # noqa: E402
from cluster import Cluster  # noqa: E402

LONGEST_SECONDS = 900
# A scheduler with a million jobs may take longer to start than the tests allow.
e2e.wait_until.__defaults__ = (LONGEST_SECONDS,)

JOBS = 1_000_000
SHALLOW = 1_000  # jobs in a burst, and the queue that a million is compared with
BURSTS = 15
WORKERS = (1_000, 3_000, 10_000)
IDLE_SECONDS = 30
OTHER_DESCRIPTORS = 300  # of the scheduler, beside two for each worker
REQUESTS = 300
QUEUE = "measured"
GOALS = {"idle-workers": "≤ 0.25 core, ≤ 1024 MiB", "dispatch": "≥ 0.9", "array-cpu": "≤ 50 µs",
         "list": "p99 ≤ 20 ms", "restart": "≤ 10 s, ≤ 1536 MiB"}


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


class Fleet:
    """Simulated workers of a cluster; all are members once it is made. A context manager."""

    def __init__(self, cluster, workers, slots):
        self.process = subprocess.Popen(
            [os.environ["SIMULATED_WORKERS"], "--scheduler", cluster.grpc_address,
             "--workers", str(workers), "--slots", str(slots)],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if line != "ready\n":
            self.process.kill()
            raise AssertionError(f"the simulated workers did not become members: {line}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        code = self.process.wait(timeout=LONGEST_SECONDS)
        if code != 0:
            raise AssertionError(f"the simulated workers ended with {code}")

    def totals(self):
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self.process.stdout.readline())

    def acknowledged(self):
        return self.totals()["acknowledged"]

    def wait_for(self, acknowledged):
        """Until so many ends are durable; how many they are then."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while (seen := self.acknowledged()) < acknowledged:
            if time.monotonic() > deadline:
                raise AssertionError(f"{seen} of {acknowledged} jobs ended")
            time.sleep(0.002)
        return seen


def make_cluster():
    """All workers and submitters come from one address here, which the usual bounds are not for."""
    many = 1_000_000
    return Cluster(
        scheduling={"max_queued": 3 * JOBS, "heartbeat_interval": "5s"},
        grpc_server={"addr": "127.0.0.1:0", "max_connections": many,
                     "max_connections_per_client": many},
        retention={"max_jobs": 10 * JOBS},
        log={"level": "info"})


def most_workers():
    """As many as there can be connections, one each way for each of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return (hard - OTHER_DESCRIPTORS) // 2


def idle_workers(sizes):
    for wanted in WORKERS:
        workers = min(max(1, wanted // sizes.divisor), most_workers())
        with make_cluster() as cluster:
            pid = cluster.scheduler.pid
            begin, before = time.monotonic(), processor_seconds(pid)
            with Fleet(cluster, workers, slots=8):
                joined = time.monotonic() - begin
                joining = processor_seconds(pid) - before
                time.sleep(min(5, sizes.idle_seconds))  # the last of joining is over
                begin, before = time.monotonic(), processor_seconds(pid)
                time.sleep(sizes.idle_seconds)
                share = (processor_seconds(pid) - before) / (time.monotonic() - begin)
                yield {"name": "idle-workers", "value": round(share, 3), "unit": "cores",
                       "detail": {"workers": workers, "heartbeat_s": 5,
                                  "connections": "one each way for each worker",
                                  "rss_mib": round(memory_mib(pid)),
                                  "joined_in_s": round(joined, 1),
                                  "joining_cpu_s": round(joining, 1)}}
            cluster.scheduler.kill()  # nothing is measured of its stop


def order_queue(cluster, what):
    answer = cluster.http.post(f"/v1/queues/{QUEUE}/{what}", {})
    assert answer.status == 200, answer.body


def wait_for_rest(cluster):
    """The queue is paused: until what had started has ended."""
    e2e.wait_until(
        lambda: int(cluster.http.get(f"/v1/queues/{QUEUE}").json().get("running", 0)) == 0,
        "started jobs end")


def burst(cluster, fleet, jobs):
    """For the first `jobs` from the moment that the queue runs: ends a second, and microseconds of
    the scheduler's processor time for each."""
    pid = cluster.scheduler.pid
    before = fleet.acknowledged()
    begin, used = time.monotonic(), processor_seconds(pid)
    order_queue(cluster, "resume")
    ended = fleet.wait_for(before + jobs) - before
    rate = ended / (time.monotonic() - begin)
    cost = (processor_seconds(pid) - used) / ended * 1e6
    order_queue(cluster, "pause")
    wait_for_rest(cluster)
    return rate, cost


def submit(cluster, jobs, kind):
    """Single jobs over HTTP, from one thread: with a few kept connections a thousand are quick."""
    spec = {"path": "true.sh", "command": "sh", "queue": QUEUE, "labels": {"kind": kind}}
    with contextlib.ExitStack() as closing:
        connections = [closing.enter_context(contextlib.closing(cluster.http.connect()))
                       for _ in range(min(64, jobs))]
        for first in range(0, jobs, len(connections)):
            round_of = connections[:jobs - first]
            for connection in round_of:
                connection.send("POST", "/v1/jobs", spec)
            for connection in round_of:
                answer = connection.answer("POST")
                assert answer.status == 201, answer.body
                _ = answer.body


def fill(cluster, jobs, kind):
    """So many queued jobs as after so many submits: fill_store copies one while nobody runs."""
    submit(cluster, 1, kind)
    cluster.scheduler.terminate()
    begin = time.monotonic()
    subprocess.run([os.environ["FILL_STORE"], str(cluster.folder / "clusterd.db"),
                    "--jobs", str(jobs - 1)], check=True)
    seconds = time.monotonic() - begin
    cluster.start_scheduler()
    return seconds


def spread(rates):
    rates = sorted(rates)
    return {"min": round(rates[0]), "median": round(quantile(rates, 0.5)),
            "max": round(rates[-1])}


def bursts(cluster, sizes, before_each):
    with Fleet(cluster, workers=8, slots=16) as fleet:
        measured = []
        for _ in range(sizes.bursts):
            before_each()
            measured.append(burst(cluster, fleet, sizes.shallow))
    rates, costs = zip(*measured)
    return {"jobs/s": spread(rates), "cpu_us_a_job": spread(costs)}


def dispatch(cluster, sizes):
    """Bursts of a thousand: with nothing else queued, then the first of a million."""
    order_queue(cluster, "pause")
    shallow = bursts(cluster, sizes, lambda: submit(cluster, sizes.shallow, "early"))
    filled_in = fill(cluster, sizes.jobs, "common")
    queued_mib = memory_mib(cluster.scheduler.pid)
    deep = bursts(cluster, sizes, lambda: None)
    depth = int(cluster.http.get(f"/v1/queues/{QUEUE}").json()["queued"])
    return {"name": "dispatch", "value": round(deep["jobs/s"]["median"] / shallow["jobs/s"]["median"], 2),
            "unit": "ratio",
            "detail": {"jobs": "single ones that every worker can run; 8 workers with 16 slots",
                       f"{sizes.shallow} queued": shallow,
                       f"{depth} and more queued": deep,
                       "rss_mib, all queued": round(queued_mib),
                       "store_filled_in_s": round(filled_in, 1)}}


def percentiles(address, path, requests):
    """Of the time of a request on a connection that is kept."""
    times = []
    with contextlib.closing(e2e.HttpClient(address).connect()) as connection:
        for _ in range(requests):
            begin = time.monotonic()
            answer = connection.request("GET", path)
            assert answer.status == 200, answer.body
            _ = answer.body
            times.append((time.monotonic() - begin) * 1000)
    times.sort()
    return {"p50_ms": round(quantile(times, 0.5), 1), "p99_ms": round(quantile(times, 0.99), 1)}


def token_deep_inside(cluster, jobs):
    """Of a page with about as many jobs before it."""
    token, passed = "", 0
    while passed < jobs:
        page = cluster.http.get("/v1/jobs?page_size=1000&" +
                                urllib.parse.urlencode({"page_token": token})).json()
        token = page.get("next_page_token", "")
        passed += len(page["jobs"])
        if not token:
            break
    return urllib.parse.urlencode({"page_token": token})


def list_pages(cluster, sizes):
    deep = token_deep_inside(cluster, sizes.jobs // 2)
    pages = {"first page": "", "in the middle": "&" + deep, "state QUEUED": "&state=QUEUED",
             "state SUCCEEDED": "&state=SUCCEEDED", "a common label": "&label=kind=common",
             "a label of the oldest": "&label=kind=early"}
    measured = {what: percentiles(cluster.http_address, f"/v1/jobs?page_size=100{query}",
                                  sizes.requests)
                for what, query in pages.items()}
    return {"name": "list", "value": max(page["p99_ms"] for page in measured.values()),
            "unit": "ms, p99 of the slowest", "detail": measured}


def restart(cluster, what):
    begin = time.monotonic()
    cluster.scheduler.kill()
    cluster.start_scheduler()
    seconds = time.monotonic() - begin
    pid = cluster.scheduler.pid
    store = sum(file.stat().st_size for file in cluster.folder.glob("clusterd.db*"))
    return {"name": "restart", "value": round(seconds, 1), "unit": "s",
            "detail": {"with": what, "cpu_s": round(processor_seconds(pid), 1),
                       "rss_mib": round(memory_mib(pid)), "store_mib": round(store / (1 << 20))}}


def single_jobs(sizes):
    with make_cluster() as cluster:
        yield dispatch(cluster, sizes)
        if "list" in sizes.rows:
            yield list_pages(cluster, sizes)
        if "restart" in sizes.rows:
            yield restart(cluster, "single jobs, queued")


def start_array(cluster, tasks):
    return cluster.start("true.sh", command="sh", array={"from": 1, "to": tasks})


def run_array(cluster, workers, slots, tasks):
    """What its tasks cost the scheduler."""
    pid = cluster.scheduler.pid
    with Fleet(cluster, workers, slots) as fleet:
        begin, before = time.monotonic(), processor_seconds(pid)
        start_array(cluster, tasks)
        fleet.wait_for(tasks)
        seconds, used = time.monotonic() - begin, processor_seconds(pid) - before
    return {"tasks": tasks, "us_a_task": round(used / tasks * 1e6, 1),
            "tasks_a_second": round(tasks / seconds), "rss_mib": round(memory_mib(pid))}


def array(sizes):
    with make_cluster() as cluster:
        narrow = run_array(cluster, 100, 8, sizes.jobs // 10)
    with make_cluster() as cluster:
        wide = run_array(cluster, 8, 128, sizes.jobs)
        yield {"name": "array-cpu", "value": wide["us_a_task"], "unit": "µs a task",
               "detail": {"8 workers with 128 slots": wide, "100 workers with 8 slots": narrow}}
        if "restart" not in sizes.rows:
            return
        with Fleet(cluster, 8, 128) as fleet:
            start_array(cluster, sizes.jobs)
            fleet.wait_for(sizes.jobs // 10)
            yield restart(cluster, "an array whose tasks have all ended, and one of that size "
                                   "that runs")


def measure(sizes):
    if "idle-workers" in sizes.rows:
        yield from idle_workers(sizes)
    if "dispatch" in sizes.rows:
        yield from single_jobs(sizes)
    if "array-cpu" in sizes.rows:
        yield from array(sizes)


def main():
    options = argparse.ArgumentParser(description="How one scheduler does as it grows")
    options.add_argument("--small", action="store_true", help="a thousandth of all numbers")
    options.add_argument("--jobs", type=int, default=JOBS, help="instead of a million")
    options.add_argument("--json", help="file for the rows")
    options.add_argument("--rows", default=",".join(GOALS),
                         help="names of rows; list comes with dispatch, restart with both others")
    asked = options.parse_args()
    for name in ("CLUSTERD", "SIMULATED_WORKERS", "FILL_STORE"):
        if name not in os.environ:
            sys.exit(f"{name} has to name the program")
        os.environ[name] = os.path.abspath(os.environ[name])  # run in other folders
    divisor = 1000 if asked.small else 1
    sizes = argparse.Namespace(
        rows=asked.rows.split(","), divisor=divisor, jobs=asked.jobs // divisor,
        shallow=max(16, SHALLOW // divisor), bursts=1 if asked.small else BURSTS,
        requests=max(10, REQUESTS // divisor),
        idle_seconds=max(1, IDLE_SECONDS // divisor))
    unknown = set(sizes.rows) - set(GOALS)
    if unknown:
        sys.exit(f"--rows: {', '.join(sorted(unknown))} are not among {', '.join(GOALS)}")
    most_workers()
    rows = []
    print("| what | goal | measured | more |\n| --- | --- | --- | --- |", flush=True)
    for row in measure(sizes):
        rows.append(row)
        print(f"| {row['name']} | {GOALS[row['name']]} | {row['value']} {row['unit']} | "
              f"{json.dumps(row['detail'], ensure_ascii=False)} |", flush=True)
    if asked.json:
        pathlib.Path(asked.json).write_text(json.dumps({"rows": rows}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
