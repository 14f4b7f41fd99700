"""What the machine itself gives, measured by the small programs of this folder."""
import json

import daemons

CALIBRATION = {"true": 1000, "script": 500}  # processes


class Limits:
    """`programs`: the folder of the programs; `folder`: on the disk that is measured."""

    def __init__(self, programs, folder):
        self.programs = programs
        self.folder = folder

    def spawn(self, kind="true", count=None, pipe=False):
        """Processes a second of two threads that start one after the other and wait."""
        words = ["--pipe"] if pipe else []
        return self._run("spawn_loop", "--count", count or CALIBRATION[kind], *words, "--",
                         *daemons.PROGRAMS[kind])["rate"]

    def spawn_latency(self, count):
        """Milliseconds of one process: its start, its end, nothing else."""
        return self.command_latency(count, daemons.PROGRAMS["true"])

    def command_latency(self, count, command, environment=None):
        """Milliseconds of a whole command, one after the other, what it prints read."""
        return self._run("spawn_loop", "--threads", 1, "--latency", "--pipe", "--count", count,
                         "--", *command, environment=environment)["latency_ms"]

    def commits(self, count):
        """Durable commits of one row each: rate and milliseconds."""
        return self._run("commit_rate", "--folder", self.folder, "--count", count)

    def stream(self, size):
        """MiB a second of a gRPC stream of 64 KiB chunks."""
        return self._run("grpc_stream", "--bytes", size)["mib_per_second"]

    def _run(self, name, *words, environment=None):
        return json.loads(daemons.call([self.programs / name, *words], environment))
