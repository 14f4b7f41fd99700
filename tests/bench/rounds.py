"""One round: every system does the same work in turn, each burst between two calibrations."""
import dataclasses
import subprocess

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Counts:
    """How much of everything; `most` bounds the jobs of bursts and latencies."""
    rounds: int = 5
    most: int | None = None
    spawn_latency: int = 500
    commits: int = 500
    queries: int = 50
    handlers: int | None = None  # None: what `clusterd bench` takes of itself
    submits: int | None = None
    lines: int | None = None
    output_bytes: int = 1024 * MIB

    def bounded(self, count):
        return min(count, self.most or count)


SHORT = Counts(rounds=1, most=20, spawn_latency=20, commits=20, queries=3, handlers=100,
               submits=50, lines=5, output_bytes=2 * MIB)
CONNECTIONS = 16
FOLLOWERS = (1, 4)


class Round:
    """What is measured goes into `result`, a tree of numbers. `drop(system, error)` is told of one
    that fails, and takes it from `systems`, unless without it nothing is worth anything."""

    def __init__(self, clusterd, systems, limits, counts, tell, drop):
        self.clusterd = clusterd
        self.systems = systems
        self.drop = drop
        self.limits = limits
        self.counts = counts
        self.tell = tell
        self.result = {"bursts": {}, "latencies": {}}

    def measure(self):
        for kind in ("true", "script"):
            self._bursts(kind)
        self._latencies()
        self._submits()
        self._handlers()
        self._output()
        return self.result

    def _bursts(self, kind):
        """What a burst's rate is compared with is the mean of the calibration right before it and
        the one right behind it, which is the next one's: other load on the machine hits all."""
        before = self._calibrate(kind)
        for system in list(self.systems):
            jobs = self.counts.bounded(system.jobs[kind])
            rate = self._of(system, system.burst, kind, jobs)
            if rate is None:
                continue
            after = self._calibrate(kind)
            sample = {limit: (before[limit] + after[limit]) / 2 for limit in before}
            self.result["bursts"].setdefault(kind, {})[system.name] = {
                "jobs": jobs, "rate": rate, **sample}
            self.tell(f"{system.name}, {kind}: {rate:,.0f} a second, "
                      f"{rate / sample['spawn']:.2f} of the spawn loop")
            before = after

    def _of(self, system, work, *arguments):
        """What it gives; None where the system fails."""
        try:
            return work(*arguments)
        except (AssertionError, subprocess.SubprocessError) as error:
            self.drop(system, error)
            return None

    def _calibrate(self, kind):
        rates = {"spawn": self.limits.spawn()}
        if kind == "script":
            rates["pipes"] = self.limits.spawn("script", pipe=True)
        return rates

    def _latencies(self):
        latencies = self.result["latencies"]
        latencies["spawn"] = self.limits.spawn_latency(self.counts.spawn_latency)
        latencies["commit"] = self.limits.commits(self.counts.commits)["latency_ms"]
        for system in list(self.systems):
            if system.singles:
                count = self.counts.bounded(system.singles)
                taken = self._of(system, system.latencies, count)
                if taken is not None:
                    latencies[system.name] = taken
        for name, taken in latencies.items():
            self.tell(f"{name}, one at a time: p50 {taken['p50']:.2f} ms, "
                      f"p99 {taken['p99']:.2f} ms")

    def _submits(self):
        commits = self.limits.commits(self.counts.commits)["rate"]
        answer = self.clusterd.bench("submit-http", jobs=self.counts.submits,
                                     connections=CONNECTIONS)["submit-http"][0]
        self.result["submits"] = {"commits": commits, "rate": answer["rate"],
                                  **answer["latency_ms"]}
        self.tell(f"submits over HTTP: {answer['rate']:,.0f} a second; commits: {commits:,.0f}")

    def _handlers(self):
        answer = self.clusterd.bench("handlers", jobs=self.counts.handlers)
        self.result["handlers"] = {
            way: {"count": answer[f"handlers-{way}"][0]["count"],
                  "rate": answer[f"handlers-{way}"][0]["rate"],
                  "cpu_us": answer[f"handlers-{way}"][0]["scheduler_cpu_us"]}
            for way in ("array", "single")}
        self.tell("handlers: " + ", ".join(f"{way} {figures['rate']:,.0f} a second"
                                           for way, figures in self.result["handlers"].items()))

    def _output(self):
        stream = self.limits.stream(self.counts.output_bytes)
        answer = self.clusterd.bench("output", output_bytes=self.counts.output_bytes,
                                     followers=",".join(map(str, FOLLOWERS)))["output"]
        self.result["output"] = {"stream": stream, "followers": {
            str(one["followers"]): one["mib_per_second"] for one in answer}}
        self.result["live_line"] = self.clusterd.bench(
            "live-line", jobs=self.counts.lines)["live-line"][0]["latency_ms"]
        self.tell(f"output: {self.result['output']}; live line p50 "
                  f"{self.result['live_line']['p50']:.2f} ms")


def measure_idle(systems, clusterd):
    """Memory before there was any work."""
    scheduler, worker = clusterd.memory()
    others = {system.name: system.memory() for system in systems if system is not clusterd}
    return {"scheduler": scheduler, "worker": worker,
            "peers": {name: mib for name, mib in others.items() if mib is not None}}


def measure_query(clusterd, limits, counts):
    """A whole process of the command line that shows a job."""
    command, environment = clusterd.query_command()
    return limits.command_latency(counts.queries, command, environment)
