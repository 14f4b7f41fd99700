"""Celery's tasks, and what submits them:  celery_tasks.py burst KIND COUNT | serial COUNT

Prints one line of JSON. Runs with Debian's Python, which has Celery; $CELERY_REDIS is the port.
"""
import json
import os
import subprocess
import sys
import time

from celery import Celery, group

from figures import percentiles

BENCH = os.path.dirname(os.path.abspath(__file__))
WAIT_SECONDS = 120
REDIS = f"redis://127.0.0.1:{os.environ['CELERY_REDIS']}"

app = Celery("celery_tasks", broker=f"{REDIS}/0", backend=f"{REDIS}/1")
app.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"])


@app.task(name="true")
def run_true():
    return subprocess.run(["/bin/true"], check=True).returncode


@app.task(name="script")
def run_script():
    return subprocess.run(["/bin/bash", os.path.join(BENCH, "ten_lines.sh")], check=True,
                          stdout=subprocess.PIPE).stdout.decode()


TASKS = {"true": run_true, "script": run_script}


def burst(kind, count):
    begin = time.perf_counter()
    results = group(TASKS[kind].s() for _ in range(count)).apply_async()
    results.get(timeout=WAIT_SECONDS, disable_sync_subtasks=False)
    return {"rate": count / (time.perf_counter() - begin)}


def serial(count):
    taken = []
    for _ in range(count):
        begin = time.perf_counter()
        run_true.delay().get(timeout=WAIT_SECONDS)
        taken.append((time.perf_counter() - begin) * 1e3)
    return {"latency_ms": percentiles(taken)}


def main(way, *words):
    run_true.delay().get(timeout=WAIT_SECONDS)  # connections are made before the clock starts
    print(json.dumps(burst(words[0], int(words[1])) if way == "burst" else serial(int(words[0]))))


if __name__ == "__main__":
    main(*sys.argv[1:])
