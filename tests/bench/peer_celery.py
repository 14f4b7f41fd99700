"""Celery with Redis as broker and for results: one worker with a process for each slot."""
import json
import shutil
import subprocess

import daemons
from ports import free_port

PYTHON = "/usr/bin/python3"  # the one that has Debian's python3-celery


class CeleryWithRedis:
    name = "Celery, Redis"
    keeps = "task, end and output in memory"
    jobs = {"true": 500, "script": 300}
    singles = 100

    def __init__(self, folder):
        self.folder = folder / "celery"
        self.daemons = None
        self.port = free_port()
        self.environment = {"CELERY_REDIS": str(self.port), "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self):
        if not shutil.which("redis-server"):
            raise daemons.Unavailable("redis-server is not installed")
        if subprocess.run([PYTHON, "-c", "import celery, redis"], stderr=subprocess.DEVNULL,
                          check=False).returncode != 0:
            raise daemons.Unavailable("python3-celery and python3-redis are not installed")
        self.daemons = daemons.Daemons(self.folder)
        self.daemons.start("redis", ["redis-server", "--port", self.port, "--bind", "127.0.0.1",
                                     "--save", "", "--appendonly", "no", "--dir", self.folder])
        self.daemons.wait_until(lambda: daemons.is_listening(self.port), "redis-server listens")
        self.daemons.start(
            "worker", [PYTHON, "-m", "celery", "-A", "celery_tasks", "worker", "-c", daemons.SLOTS,
                       "--loglevel", "ERROR", "--without-gossip", "--without-mingle"],
            self.environment, daemons.BENCH)
        self._run("serial", 1)  # waits for the worker

    def _run(self, *words):
        return json.loads(daemons.call([PYTHON, daemons.BENCH / "celery_tasks.py", *words],
                                       self.environment))

    def burst(self, kind, count):
        return self._run("burst", kind, count)["rate"]

    def latencies(self, count):
        return self._run("serial", count)["latency_ms"]

    def memory(self):
        return daemons.memory_mib(*self.daemons.pids())

    def stop(self):
        if self.daemons is not None:
            self.daemons.stop()
