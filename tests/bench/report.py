"""What was measured, as text for a terminal and as Markdown for the manual."""
import itertools
import textwrap

from figures import Spread
from goals import Results, table

NOT_MEASURED = "–"
WIDEST = 42  # characters of a column of text


def systems(results):
    """[name, rates and shares of both bursts, latencies] of each that was measured."""
    rows = []
    for name in filter(results.has, results.rounds[0]["bursts"]["true"]):
        row = [name]
        for kind, limits in (("true", ["spawn"]), ("script", ["spawn", "pipes"])):
            row.append(str(results.rate(kind, name)))
            row += [str(results.burst(kind, name, limit)) for limit in limits]
        if name in results.rounds[0]["latencies"]:
            row += [str(results.latency(name, share)) for share in ("p50", "p99")]
        else:
            row += [NOT_MEASURED] * 2
        idle = results.tree["idle_mib"]
        memory = idle["peers"].get(name)
        if name == "clusterd":
            memory = idle["scheduler"] + idle["worker"]
        row.append(NOT_MEASURED if memory is None else f"{memory:.0f}")
        rows.append(row)
    return rows


SYSTEMS_HEAD = ["system", "`true` a second", "of the spawn loop", "scripts a second",
                "of the spawn loop", "of the loop into pipes", "one job, p50 ms", "p99 ms",
                "idle MiB"]
LIMITS_HEAD = ["limit of this machine", "measured"]
GOALS_HEAD = ["what", "goal", "measured", ""]


def limits(results):
    def of_bursts(limit, kind):
        return Spread(sample[limit] for one in results.rounds
                      for sample in one["bursts"][kind].values())

    return [
        ["spawn loop, two threads, /bin/true", f"{of_bursts('spawn', 'true')} a second"],
        ["the same with the ten-line script into pipes",
         f"{of_bursts('pipes', 'script')} a second"],
        ["one /bin/true, p50 / p99", f"{results.latency('spawn', 'p50')} / "
                                     f"{results.latency('spawn', 'p99')} ms"],
        ["one durable commit, p50 / p99", f"{results.latency('commit', 'p50')} / "
                                          f"{results.latency('commit', 'p99')} ms"],
        ["durable commits of one row",
         f"{results.spread(lambda one: one['submits']['commits'])} a second"],
        ["gRPC stream of 64 KiB chunks",
         f"{results.spread(lambda one: one['output']['stream'])} MiB/s"],
    ]


def parts(tree):
    """(title, head, rows) of each table."""
    results = Results(tree)
    yield "Limits", LIMITS_HEAD, limits(results)
    yield "Systems", SYSTEMS_HEAD, systems(results)
    yield "Goals", GOALS_HEAD, [
        [row.what, row.goal, row.measured, "" if tree["short"] else row.verdict]
        for row in table(results)]


def notes(tree):
    machine = tree["machine"]
    yield (f"{tree['clusterd']}; {machine['processors']} × {machine['model']}, Linux "
           f"{machine['kernel']}, {machine['memory_gib']:.0f} GiB; {len(tree['rounds'])} rounds, "
           f"{machine['date']}; load before: {machine['load']:.2f}. Spreads are "
           "minimum–median–maximum of the rounds.")
    if tree["short"]:
        yield "So few jobs only show that everything works: the figures say nothing."
    for name, why in tree["unavailable"].items():
        yield f"{name} was left out: {why.splitlines()[0]}."


def text(tree):
    lines = []
    for title, head, rows in parts(tree):
        lines += ["", title.upper(), *columns([head, *rows])]
    kept = [[name, what] for name, what in tree["keeps"].items()]
    lines += ["", "KEPT", *columns([["system", "of a job that was accepted, its end, its output"],
                                    *kept])]
    return "\n".join([*lines, "", *notes(tree)])


def columns(rows):
    """Rows as lines, with cells that are too long on several."""
    cells = [[textwrap.wrap(cell.replace("`", ""), WIDEST) or [""] for cell in row] for row in rows]
    widths = [max(len(line) for row in cells for line in row[column])
              for column in range(len(rows[0]))]
    for row in cells:
        for line in itertools.zip_longest(*row, fillvalue=""):
            yield "  ".join(part.ljust(width) for part, width in zip(line, widths)).rstrip()


def markdown(tree):
    lines = [*notes(tree)]
    for title, head, rows in parts(tree):
        lines += ["", f"**{title}**", "", row_of(head), row_of(["---"] * len(head))]
        lines += [row_of(row) for row in rows]
    return "\n".join(lines) + "\n"


def row_of(cells):
    return "| " + " | ".join(cells) + " |"
