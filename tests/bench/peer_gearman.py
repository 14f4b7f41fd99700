"""gearman: gearmand, and a worker of its command line for each slot."""
import contextlib
import json
import shutil
import socket

import daemons
from ports import free_port


class Gearman:
    name = "gearman"
    keeps = "job in memory, end and output go to the waiting client"
    jobs = {"true": 2000, "script": 1000}
    singles = 300

    def __init__(self, folder, programs):
        self.client = programs / "gearman_client"
        self.folder = folder / "gearman"
        self.daemons = None
        self.port = free_port()

    def start(self):
        for program in ("gearmand", "gearman"):
            if not shutil.which(program):
                raise daemons.Unavailable(f"{program} is not installed")
        if not self.client.exists():
            raise daemons.Unavailable("gearman_client was not built: libgearman-dev is missing")
        self.daemons = daemons.Daemons(self.folder)
        self.daemons.start("gearmand", ["gearmand", "-L", "127.0.0.1", "-p", self.port, "-l",
                                        self.folder / "gearmand.txt", "--verbose", "ERROR"])
        self.daemons.wait_until(lambda: daemons.is_listening(self.port), "gearmand listens")
        for kind in self.jobs:
            for slot in range(daemons.SLOTS):
                self.daemons.start(
                    f"{kind}-{slot}", ["gearman", "-h", "127.0.0.1", "-p", self.port, "-w", "-f",
                                       kind, "--", *daemons.PROGRAMS[kind]])
        self.daemons.wait_until(
            lambda: all(self._workers().get(kind) == daemons.SLOTS for kind in self.jobs),
            "gearmand knows its workers")

    def _workers(self):
        """{function: workers}, by the command of gearmand's text protocol."""
        with socket.create_connection(("127.0.0.1", self.port), daemons.STOP_SECONDS) as connection:
            connection.sendall(b"status\n")
            with contextlib.closing(connection.makefile("rb")) as answer:
                rows = []
                while (line := answer.readline()) not in (b".\n", b""):
                    rows.append(line.decode().split("\t"))
        return {row[0]: int(row[3]) for row in rows}

    def _run(self, kind, count, way):
        return json.loads(daemons.call([self.client, "--port", self.port, "--function", kind,
                                        "--count", count, way]))

    def burst(self, kind, count):
        return self._run(kind, count, "burst")["rate"]

    def latencies(self, count):
        return self._run("true", count, "serial")["latency_ms"]

    def memory(self):
        return daemons.memory_mib(self.daemons.processes[0][0].pid)

    def stop(self):
        if self.daemons is not None:
            self.daemons.stop()
