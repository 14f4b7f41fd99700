"""What jobs and machines cost, as the table of docs/guide/capacity.md: memory, disk, rates.

    CLUSTERD=build/release/clusterd python3 tests/bench/capacity.py

Nothing is compared and nothing can fail here but what does not work.
"""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from cluster import Cluster, wait_until  # noqa: E402
from http_client import HttpConnection  # noqa: E402

SINGLE_JOBS = 50_000
ARRAY_TASKS = 1_000_000
BURST = 2_000
WRITERS = 4
CONNECTIONS = 16
OUTPUT_BYTES = 1 << 30


def memory_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise AssertionError(f"no VmRSS of {pid}")


def submit_some(address, count, spec):
    """One process: its share of the connections, each with a request under way all the time."""
    def submit(share):
        with contextlib.closing(HttpConnection(address)) as connection:
            for _ in range(share):
                answer = connection.request("POST", "/v1/jobs", json.dumps(spec).encode(),
                                            {"Content-Type": "application/json"})
                assert answer.status == 201, answer.body
                _ = answer.body

    per_connection = count * WRITERS // CONNECTIONS
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS // WRITERS) as pool:
        list(pool.map(submit, [per_connection] * (CONNECTIONS // WRITERS)))


def submit(cluster, count, spec):
    """Jobs a second."""
    begin = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(WRITERS) as pool:
        list(pool.map(submit_some, [cluster.http_address] * WRITERS, [count // WRITERS] * WRITERS,
                      [spec] * WRITERS))
    return count / (time.monotonic() - begin)


def store_mib(cluster):
    return sum(file.stat().st_size for file in cluster.folder.glob("clusterd.db*")) / (1 << 20)


def measure(cluster):
    scheduler = cluster.scheduler.pid
    cluster.start_worker(slots=8, max_output="2GiB")
    launcher = cluster.launcher()
    time.sleep(2)  # what the start needed is given back
    yield "scheduler, idle", f"{memory_mib(scheduler):.0f} MiB"
    yield "worker and launcher, idle", (
        f"{memory_mib(cluster.workers['w1'].pid):.0f} + {memory_mib(launcher):.0f} MiB")

    cluster.script("true.sh", "exit 0\n")
    begin = time.monotonic()
    array = cluster.start("true.sh", command="sh", array={"from": 1, "to": BURST})
    cluster.wait(array)
    yield f"an array of {BURST:,} short scripts, 8 slots", (
        f"{BURST / (time.monotonic() - begin):,.0f} a second")

    cluster.script("dd.sh", f"exec dd if=/dev/zero bs=64k count={OUTPUT_BYTES >> 16} status=none\n")
    job = cluster.start("dd.sh", command="sh")
    begin = time.monotonic()
    size = 0
    with cluster.http.open(f"/v1/jobs/{job}/output?follow=true") as answer:
        for chunk in answer.chunks():
            size += len(chunk)
    yield "output to one follower over HTTP", f"{size / (time.monotonic() - begin) / 1e6:,.0f} MB/s"

    waiting = {"path": "true.sh", "command": "sh", "require": ["nobody=has-this"]}
    memory, disk = memory_mib(scheduler), store_mib(cluster)
    rate = submit(cluster, SINGLE_JOBS, waiting)
    yield f"accepted over HTTP, {CONNECTIONS} connections", f"{rate:,.0f} a second"
    memory_of_jobs = (memory_mib(scheduler) - memory) / SINGLE_JOBS * 1024
    disk_of_jobs = (store_mib(cluster) - disk) / SINGLE_JOBS * 1024
    yield "a job that waits, in the scheduler's memory", f"{memory_of_jobs:.1f} KiB"
    yield "a job in the store, with its events", f"{disk_of_jobs:.1f} KiB"

    memory, disk = memory_mib(scheduler), store_mib(cluster)
    cluster.start("true.sh", command="sh", require=["nobody=has-this"],
                  array={"from": 1, "to": ARRAY_TASKS})
    yield f"an array of {ARRAY_TASKS:,} tasks that waits", (
        f"{memory_mib(scheduler) - memory:.0f} MiB of memory, "
        f"{store_mib(cluster) - disk:.0f} MiB of disk")

    begin = time.monotonic()
    cluster.scheduler.kill()
    cluster.start_scheduler()
    yield f"restart with {SINGLE_JOBS:,} jobs and the array, to ready", (
        f"{time.monotonic() - begin:.1f} s")
    wait_until(lambda: cluster.http.get("/v1/workers/w1").json()["state"] == "ALIVE", "w1 is back")


def main():
    if "CLUSTERD" not in os.environ:
        sys.exit("CLUSTERD has to name the program")
    os.environ["CLUSTERD"] = os.path.abspath(os.environ["CLUSTERD"])  # run in other folders
    with Cluster(log={"level": "info"}) as cluster:
        print("| what | measured |\n| --- | --- |", flush=True)
        for what, figure in measure(cluster):
            print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
