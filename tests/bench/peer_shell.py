"""Tools that start processes side by side and have no queue: xargs and GNU parallel."""
import os
import shutil
import subprocess

import daemons


class ShellTool:
    """A command that gets a line for each job on its standard input."""

    singles = 0  # there is nothing that jobs could be submitted to
    keeps = "nothing"

    def __init__(self, name, options, jobs, environment=None):
        self.name = name
        self.command = [name.split()[0], *options]
        self.jobs = jobs
        self.environment = environment or {}

    def start(self):
        if not shutil.which(self.command[0]):
            raise daemons.Unavailable(f"{self.command[0]} is not installed")

    def burst(self, kind, count):
        lines = "".join(f"{number}\n" for number in range(count))
        return daemons.rate_of(count, lambda: subprocess.run(
            [*self.command, *daemons.PROGRAMS[kind]], input=lines, stdout=subprocess.DEVNULL,
            text=True, timeout=daemons.CALL_SECONDS, check=True,
            env={**os.environ, **self.environment}))

    def memory(self):
        return None

    def stop(self):
        pass


def xargs():
    return ShellTool(f"xargs -P{daemons.SLOTS}", [f"-P{daemons.SLOTS}", "-I{}"],
                     {"true": 800, "script": 400})


def parallel(folder):
    return ShellTool(f"parallel -j{daemons.SLOTS}", [f"-j{daemons.SLOTS}", "--will-cite"],
                     {"true": 200, "script": 100},
                     {"PARALLEL_HOME": str(folder / "parallel"), "HOME": str(folder)})
