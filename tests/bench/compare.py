"""clusterd beside what else runs jobs, and beside the machine's limits: interleaved, in one run.

tests/bench/run.sh builds what is needed and calls this. $CLUSTERD is the executable,
$CLUSTERD_BENCH_PROGRAMS the folder of the programs of this folder. Nothing stays behind, after
Ctrl-C neither. Ends with 0 whether goals are met or not; they are for people to judge.
"""
import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import daemons
import peer_shell
import report
import rounds
from limits import Limits
from peer_celery import CeleryWithRedis
from peer_clusterd import Clusterd
from peer_gearman import Gearman
from peer_slurm import Slurm

SCALE = daemons.BENCH / "scale.py"
SCALE_SECONDS = 3600
MOST_LOAD = 0.5  # of a machine that does nothing else
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SETTLE_SECONDS = 2  # what starting took is given back by then


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true",
                        help="few jobs, one round, nothing that has to be installed")
    parser.add_argument("--rounds", type=int, help="instead of five")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all figures")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE",
                        help="write the tables for docs/performance.md")
    parser.add_argument("--from", type=pathlib.Path, metavar="FILE", dest="earlier",
                        help="print what --json wrote, and measure nothing")
    given = parser.parse_args()
    if given.rounds is not None and given.rounds < 1:
        parser.error(f"--rounds is {given.rounds}, and has to be 1 at least")
    return given


def programs():
    for name in ("CLUSTERD", "CLUSTERD_BENCH_PROGRAMS"):
        if name not in os.environ:
            sys.exit(f"set {name}: the clusterd executable, and the folder of spawn_loop")
        os.environ[name] = os.path.abspath(os.environ[name])  # run in other folders
    return pathlib.Path(os.environ["CLUSTERD_BENCH_PROGRAMS"])


def machine():
    def field(file, key):
        lines = pathlib.Path(file).read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)),
                    platform.machine())

    return {"processors": os.cpu_count(), "model": field("/proc/cpuinfo", "model name"),
            "memory_gib": int(field("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20),
            "kernel": platform.release(), "load": os.getloadavg()[0],
            "date": datetime.date.today().isoformat()}


def tell(line):
    print(line, file=sys.stderr, flush=True)


class Comparison:
    """All systems, up from the first round to the last: idle ones cost nothing."""

    def __init__(self, folder, counts, is_short):
        self.counts = counts
        self.is_short = is_short
        self.limits = Limits(programs(), folder)
        self.clusterd = Clusterd(folder)
        peers = [peer_shell.xargs()] if is_short else [
            Gearman(folder, self.limits.programs), peer_shell.xargs(), peer_shell.parallel(folder),
            Slurm(folder), CeleryWithRedis(folder)]
        self.started = []  # all that has to be stopped
        self.systems = [self.clusterd, *peers]  # all that is measured
        self.unavailable = {}

    def measure(self):
        tree = {"clusterd": daemons.call([os.environ["CLUSTERD"], "--version"]).strip(),
                "machine": machine(), "short": self.is_short, "rounds": [],
                "unavailable": self.unavailable}
        if tree["machine"]["load"] > MOST_LOAD:
            tell(f"the load of this machine is {tree['machine']['load']:.1f}: what else runs takes "
                 "more from those with few processes than from those with many")
        try:
            self._start()
            time.sleep(SETTLE_SECONDS)
            tree["keeps"] = {system.name: system.keeps for system in self.systems}
            tree["idle_mib"] = rounds.measure_idle(self.systems, self.clusterd)
            for number in range(self.counts.rounds):
                tell(f"-- round {number + 1} of {self.counts.rounds}")
                tree["rounds"].append(rounds.Round(self.clusterd, self.systems, self.limits,
                                                   self.counts, tell, self._drop).measure())
            tree["query_ms"] = rounds.measure_query(self.clusterd, self.limits, self.counts)
        finally:
            self._stop()
        tell("-- all systems have ended")
        return tree

    def _start(self):
        for system in list(self.systems):
            self.started.append(system)
            try:
                system.start()
            except (daemons.Unavailable, AssertionError) as error:
                self._drop(system, error)

    def _drop(self, system, error):
        """One that fails is left out of the rest; without clusterd there is nothing to show."""
        if system is self.clusterd:
            raise error
        self.unavailable[system.name] = str(error)
        tell(f"without {system.name}: {error}")
        self.systems.remove(system)

    def _stop(self):
        """All of them, the last one first. What fails is told; end_descendants() does the rest."""
        usual = ignore_interrupts()
        for system in reversed(self.started):
            try:
                system.stop()
            except Exception as error:  # the others have to end too
                tell(f"{system.name} does not stop: {error}")
        for number, handler in usual.items():
            signal.signal(number, handler)


def measure_scale(tree, folder):
    """What grows with the cluster, by a program of its own. It may fail: the rest is worth showing."""
    rows = folder / "scale.json"
    tell("-- many workers, many jobs")
    process = subprocess.Popen(
        [sys.executable, "-B", SCALE, "--json", rows], stdin=subprocess.DEVNULL, stdout=sys.stderr,
        start_new_session=True,
        env={**os.environ, "SIMULATED_WORKERS": str(programs() / "simulated_workers"),
             "FILL_STORE": str(programs() / "fill_store"), "TMPDIR": str(folder)})
    try:
        code = process.wait(SCALE_SECONDS)
    except subprocess.TimeoutExpired:
        code = f"nothing within {SCALE_SECONDS} s"
    finally:
        daemons.end_group(process, signal.SIGINT)
    if code == 0:
        tree["scale"] = json.loads(rows.read_text())["rows"]
    else:
        tree["unavailable"][SCALE.name] = f"it ended with {code}"


def ignore_interrupts():
    """While things are put away. The handlers that there were."""
    return {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}


def interrupted(number, _frame):
    sys.exit(128 + number)


def measure(given):
    counts = rounds.SHORT if given.short else rounds.Counts()
    if given.rounds:
        counts = dataclasses.replace(counts, rounds=given.rounds)
    for number in INTERRUPTS:
        signal.signal(number, interrupted)
    daemons.adopt_orphans()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        tree = Comparison(folder, counts, given.short).measure()
        if SCALE.exists() and not given.short:
            measure_scale(tree, folder)
    finally:
        ignore_interrupts()
        try:
            daemons.end_descendants()
        finally:
            shutil.rmtree(folder)
    return tree


def main():
    given = arguments()
    tree = json.loads(given.earlier.read_text()) if given.earlier else measure(given)
    print(report.text(tree))
    if given.json:
        given.json.write_text(json.dumps(tree, indent=1) + "\n")
    if given.markdown:
        given.markdown.write_text(report.markdown(tree))


if __name__ == "__main__":
    main()
