"""The table of goals: what has to be reached, and what a run has given."""
import dataclasses

from figures import Spread, number

WITHOUT_GEARMAN = "; gearman was not there"


@dataclasses.dataclass
class Row:
    what: str
    goal: str
    measured: str
    met: bool | None  # None: not all of it was measured

    @property
    def verdict(self):
        return {True: "met", False: "MISSED", None: "not measured"}[self.met]


class Results:
    """What compare.py has measured, by round; `tree` is what its --json writes."""

    def __init__(self, tree):
        self.tree = tree
        self.rounds = tree["rounds"]

    def spread(self, figure):
        """Of `figure(round)`, for all rounds."""
        return Spread(figure(one) for one in self.rounds)

    def burst(self, kind, system, limit):
        """A system's rate as a share of a limit."""
        def share(one):
            sample = one["bursts"][kind][system]
            return sample["rate"] / sample[limit]

        return self.spread(share)

    def rate(self, kind, system):
        return self.spread(lambda one: one["bursts"][kind][system]["rate"])

    def latency(self, name, share):
        return self.spread(lambda one: one["latencies"][name][share])

    def has(self, system):
        """Whether it was measured in every round."""
        return all(system in one["bursts"][kind] for one in self.rounds
                   for kind in ("true", "script")) and system not in self.tree["unavailable"]

    def scale(self, name):
        """Rows of this name that scale.py has measured: {"value": …, "unit": …, "detail": {…}}."""
        return [row for row in self.tree.get("scale", []) if row["name"] == name]

    def rounds_above(self, kind, rival):
        """In how many rounds clusterd had the larger share of the spawn loop."""
        def share(one, system):
            return one["bursts"][kind][system]["rate"] / one["bursts"][kind][system]["spawn"]

        return sum(share(one, "clusterd") > share(one, rival) for one in self.rounds)


def burst(results, kind, limit, what, name):
    share = results.burst(kind, "clusterd", limit)
    measured = f"{share} of {name} ({results.rate(kind, 'clusterd')} a second)"
    met = share.median >= 0.8
    if results.has("gearman"):
        above = results.rounds_above(kind, "gearman")
        measured += f"; above gearman in {above} of {len(results.rounds)} rounds"
        met = met and above == len(results.rounds)
    else:
        measured += WITHOUT_GEARMAN
        met = None if met else False
    return Row(what, f"≥ 0.80 of {name}; above gearman in every round", measured, met)


def single_job(results):
    def bound(share, spare):
        def of(one):
            taken = one["latencies"]
            floor = taken["spawn"]["p50"] if share == "p50" else 0
            return floor + 2 * taken["commit"][share] + spare
        return results.spread(of)

    p50, p99 = (results.latency("clusterd", share) for share in ("p50", "p99"))
    p50_bound, p99_bound = bound("p50", 1.5), bound("p99", 5)
    measured = (f"{p50} ms (bound {p50_bound.median:.2f}) / {p99} ms "
                f"(bound {p99_bound.median:.1f})")
    met = p50.median <= p50_bound.median and p99.median <= p99_bound.median
    if results.has("gearman"):
        rival = results.latency("gearman", "p50")
        measured += f"; gearman's p50 {rival} ms"
        met = met and p50.median < rival.median
    else:
        measured += WITHOUT_GEARMAN
        met = None if met else False
    return Row("single job over HTTP, submit → known end, p50 / p99",
               "≤ spawn floor + 2 commits + 1.5 ms / ≤ 2 commit p99s + 5 ms; p50 below gearman's",
               measured, met)


def scheduler_cpu(results):
    sdk = results.spread(lambda one: one["handlers"]["array"]["cpu_us"])
    tasks = results.spread(lambda one: one["handlers"]["array"]["count"])
    measured = f"{sdk} µs, handlers of the SDK, arrays of {tasks.median:,.0f}"
    cpu = [row["value"] for row in results.scale("array-cpu")]
    if cpu:
        measured = f"{number(max(cpu))} µs; {measured}"
    return Row("scheduler CPU per task, no process spawned, durable, one array of 1,000,000",
               "≤ 50 µs", measured, max(cpu) <= 50 if cpu else None)


def submits(results):
    rate = results.spread(lambda one: one["submits"]["rate"])
    p99 = results.spread(lambda one: one["submits"]["p99"])
    ratio = results.spread(lambda one: one["submits"]["rate"] / one["submits"]["commits"])
    return Row("durable submits over HTTP, 16 connections",
               "≥ 3,000 a second, p99 ≤ 20 ms; ≥ 4 × one-row commits",
               f"{rate} a second, p99 {p99} ms; {ratio} × one-row commits",
               rate.median >= 3000 and p99.median <= 20 and ratio.median >= 4)


def output(results):
    def followers(one, count):
        return one["output"]["followers"][count]

    rate = results.spread(lambda one: followers(one, "1"))
    share = results.spread(lambda one: followers(one, "1") / one["output"]["stream"])
    four = results.spread(lambda one: followers(one, "4") / followers(one, "1"))
    return Row("one follower of a 1 GiB log over HTTP; four",
               "≥ 0.6 of a bare gRPC stream; ≥ 0.9 of one in total",
               f"{share} ({rate} MiB/s); {four}", share.median >= 0.6 and four.median >= 0.9)


def live_line(results):
    p50, p99 = (results.spread(lambda one, share=share: one["live_line"][share])
                for share in ("p50", "p99"))
    return Row("live line, write → client, p50 / p99", "≤ 3 ms / ≤ 15 ms", f"{p50} / {p99} ms",
               p50.median <= 3 and p99.median <= 15)


def handlers(results):
    array, single = (results.spread(lambda one, way=way: one["handlers"][way]["rate"])
                     for way in ("array", "single"))
    return Row("handlers of the SDK, no-op, durable: array tasks; single jobs",
               "≥ 20,000 a second; ≥ 4,000 a second", f"{array}; {single} a second",
               array.median >= 20_000 and single.median >= 4_000)


def query(results):
    taken = results.tree["query_ms"]
    return Row("command line `job query`, whole process", "≤ 20 ms",
               f"{number(taken['p50'])} ms (p99 {number(taken['p99'])})", taken["p50"] <= 20)


def idle_memory(results):
    idle = results.tree["idle_mib"]
    return Row("idle resident memory: scheduler; worker with launcher", "≤ 30 MiB; ≤ 35 MiB",
               f"{number(idle['scheduler'])}; {number(idle['worker'])} MiB",
               idle["scheduler"] <= 30 and idle["worker"] <= 35)


def idle_workers(results):
    return scaled(
        results, "idle-workers", "10,000 idle workers, heartbeat 5 s", "≤ 0.25 core, ≤ 1 GiB",
        lambda row: "{1[workers]:,}: {0} cores, {1[rss_mib]} MiB".format(row["value"],
                                                                          row["detail"]),
        lambda row: row["value"] <= 0.25 and row["detail"]["rss_mib"] <= 1024)


def dispatch(results):
    return scaled(results, "dispatch", "dispatch rate at 1,000,000 queued against 1,000 queued",
                  "≥ 0.9", lambda row: number(row["value"]), lambda row: row["value"] >= 0.9)


def list_page(results):
    return scaled(results, "list", "list page at 1,000,000 jobs, p99", "≤ 20 ms",
                  lambda row: "; ".join(f"{what}: {number(page['p99_ms'])} ms"
                                        for what, page in row["detail"].items()),
                  lambda row: row["value"] <= 20)


def restart(results):
    return scaled(
        results, "restart", "restart with 1,000,000 jobs in the table, to ready",
        "≤ 10 s, ≤ 1.5 GiB",
        lambda row: "{0} s, {1[rss_mib]} MiB ({1[with]})".format(number(row["value"]),
                                                                  row["detail"]),
        lambda row: row["value"] <= 10 and row["detail"]["rss_mib"] <= 1536)


def scaled(results, name, what, goal, shown, is_met):
    """Of what scale.py has measured by this name, all of which has to be within the goal."""
    rows = results.scale(name)
    if not rows:
        return Row(what, goal, "not measured in this run", None)
    return Row(what, goal, "; ".join(map(shown, rows)), all(map(is_met, rows)))


def table(results):
    """A Row for each line of the goals."""
    return [
        burst(results, "true", "spawn", "burst of `true`, one worker, 8 slots, durable store",
              "the spawn loop"),
        burst(results, "script", "pipes", "burst of ten-line scripts, output kept",
              "the loop into pipes"),
        single_job(results), scheduler_cpu(results), submits(results), output(results),
        live_line(results), idle_workers(results), dispatch(results), list_page(results),
        restart(results), handlers(results), query(results), idle_memory(results)]
