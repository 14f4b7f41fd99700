"""How many instructions an operation of each hot path takes, beside the recorded counts.

    python3 tests/bench/count_instructions.py [NAME…]     counts; fails where one has grown
    python3 tests/bench/count_instructions.py --record    writes instruction_counts.json and the
                                                          table of docs/performance.md anew
    python3 tests/bench/count_instructions.py --explain NAME   where a path's instructions are

$HOT_PATHS is the program of that name of a release build; by default that of build/release. It is
run by valgrind's callgrind, which counts: other load does not matter, and two runs give the same.
Counts of another compiler, of other libraries or of a processor with other instructions are not
compared, only printed.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent.parent
RECORD = BENCH / "instruction_counts.json"
MANUAL = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- counts: begin -->", "<!-- counts: end -->"
TOLERANCE = 0.05  # of a new record
NAMED = 3  # functions of each path, in the record
EXPLAINED = 15
# What chooses, where a program starts, among the ways of libraries to copy and to sum.
VECTORS = ("avx2", "avx", "sse4_2")
ALLOCATION = {"malloc", "free", "_int_malloc", "_int_free", "malloc_consolidate", "unlink_chunk",
              "operator new", "operator delete", "calloc", "realloc", "_int_realloc", "sysmalloc"}
# Valgrind counts a string instruction once for each byte: copies are made in vectors instead.
ENVIRONMENT = {"PATH": os.environ["PATH"],
               "GLIBC_TUNABLES": ":".join(f"glibc.cpu.x86_{name}_threshold={1 << 30}"
                                          for name in ("rep_movsb", "rep_stosb"))}


class Failure(Exception):
    """What stands in the way of counting."""


def hot_paths():
    program = pathlib.Path(os.environ.get("HOT_PATHS",
                                          ROOT / "build/release/tests/bench/hot_paths"))
    if not program.exists():
        raise Failure(f"{program} is not there; cmake --preset release && "
                      "cmake --build --preset release --target hot_paths makes it")
    return program.resolve()


def call(*words):
    # The environment lies on the stack, and what lies where is not to change.
    done = subprocess.run([str(word) for word in words], env=ENVIRONMENT,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{words[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def processor():
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    return next((vector for vector in VECTORS if vector in flags), platform.machine())


class Counter:
    """Counts the paths of one program."""

    def __init__(self, program):
        if shutil.which("valgrind") is None:
            raise Failure("valgrind is not installed")
        self.program = program
        listed = json.loads(call(program, "--list"))
        if not listed["can_be_counted"]:
            raise Failure(f"{program} was built without valgrind's headers: build it again")
        self.paths = {path["name"]: path for path in listed["paths"]}
        self.made_with = {**listed["made_with"], "processor": processor(),
                          "valgrind": call("valgrind", "--version").strip()}

    def profile(self, name, read):
        """What `read` makes of the file that callgrind writes of this path."""
        with tempfile.TemporaryDirectory(prefix="counts-") as folder:
            out = pathlib.Path(folder) / "callgrind.out"
            call("valgrind", "--tool=callgrind", "--quiet", "--instr-atstart=no",
                 "--collect-atstart=no", f"--callgrind-out-file={out}", self.program, name,
                 "--folder", folder)
            return read(out)

    def count(self, name):
        operations = self.paths[name]["operations"]

        def read(out):
            total, functions = functions_of(call("callgrind_annotate", "--threshold=90", out))
            return {"what": self.paths[name]["what"], "instructions": round(total / operations),
                    "mostly": {function: round(share, 3)
                               for function, share in functions[:NAMED]}}

        return self.profile(name, read)

    def counts(self, names):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(names, pool.map(self.count, names)))

    def explanation(self, name):
        """Lines for people: what was executed in functions, and what in them and those below."""
        operations = self.paths[name]["operations"]
        pages = self.profile(name, lambda out: {
            kind: call("callgrind_annotate", "--threshold=100", f"--inclusive={kind}", out)
            for kind in ("no", "yes")})
        for kind, title in (("no", "in"), ("yes", "in and below")):
            total, functions = functions_of(pages[kind], shorten=False)
            yield f"{name}: {total / operations:,.0f} instructions, {title}"
            for function, share in functions[:EXPLAINED * (1 if kind == "no" else 3)]:
                yield f"{share:7.1%} {share * total / operations:11,.0f}  {function[:150]}"


def functions_of(page, shorten=True):
    """All instructions, and [(function, share of them)] with the most first, as callgrind_annotate
    tells them; `shorten`: with names for a table, allocation as one."""
    total = None
    counts = {}
    for line in page.splitlines():
        found = re.match(r"\s*([\d,]+) \(\s*[\d.]+%\)  (.*)", line)
        if found is None:
            continue
        count = int(found[1].replace(",", ""))
        if found[2] == "PROGRAM TOTALS":
            total = count
            continue
        name = re.sub(r" \[[^\]]*\]$", "", found[2]).partition(":")[2]
        if name.startswith("0x"):  # a stub of the linker
            continue
        name = re.sub(r"'\d+$", "", name)  # a depth of recursion
        name = short(name) if shorten else name
        counts[name] = counts.get(name, 0) + count
    if not total:
        raise Failure("nothing was counted")
    most = sorted(counts.items(), key=lambda entry: -entry[1])
    return total, [(name, count / total) for name, count in most]


def short(name):
    """The last two parts of a function's name, without its arguments."""
    name = name.replace("(anonymous namespace)::", "")
    if re.sub(r"\(.*|\.part\.\d+", "", name) in ALLOCATION:
        return "malloc and free"
    name = re.sub(r"operator[^(]+", "operator", name)
    while re.search(r"<[^<>]*>", name):
        name = re.sub(r"<[^<>]*>", "", name)
    name = re.sub(r"\[abi:\w+\]", "", name.partition("(")[0])
    return "::".join(name.split(" ")[-1].split("::")[-2:])


def differences(recorded, present):
    """What is not as when the counts were recorded."""
    return [f"{key}: {recorded.get(key)} when recorded, {present.get(key)} here"
            for key in sorted(recorded.keys() | present.keys())
            if recorded.get(key) != present.get(key)]


def judge(record, counts):
    """(lines for people, names of the paths that take too many)."""
    lines, grown = [], []
    for name, count in counts.items():
        known = record["counts"].get(name)
        if known is None:
            lines.append(f"{name:>15} {count['instructions']:>12,}  not recorded yet")
            continue
        change = count["instructions"] / known["instructions"] - 1
        verdict = ""
        if change > record["tolerance"]:
            grown.append(name)
            verdict = f"  MORE than the record and {record['tolerance']:.0%}"
        elif change < -record["tolerance"]:
            verdict = "  less: --record keeps it so"
        lines.append(f"{name:>15} {count['instructions']:>12,}  {change:+.1%}{verdict}")
    return lines, grown


def markdown(record):
    lines = ["| path | one operation | instructions | mostly |", "| --- | --- | --- | --- |"]
    for name, count in record["counts"].items():
        mostly = ", ".join(f"`{function}` {share * 100:.0f} %"
                           for function, share in count["mostly"].items())
        lines.append(f"| `{name}` | {count['what']} | {count['instructions']:,} | {mostly} |")
    made_with = ", ".join(f"{key} {value}" if key not in ("build", "valgrind") else value
                          for key, value in record["made_with"].items())
    return "\n".join([*lines, "", f"Made with: {made_with}."])


def write(record):
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    manual = MANUAL.read_text()
    before, rest = manual.split(BEGIN)
    MANUAL.write_text(f"{before}{BEGIN}\n{markdown(record)}\n{END}{rest.split(END)[1]}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these paths")
    parser.add_argument("--record", action="store_true",
                        help="write these counts down, and the manual's table")
    parser.add_argument("--explain", metavar="NAME", help="where the instructions of a path go")
    return parser.parse_args()


def run(given):
    counter = Counter(hot_paths())
    if given.explain is not None:
        given.names = [given.explain]
    unknown = set(given.names) - counter.paths.keys()
    if unknown:
        raise Failure(f"no path is named {', '.join(unknown)}; there are "
                      f"{', '.join(counter.paths)}")
    if given.explain is not None:
        print("\n".join(counter.explanation(given.explain)))
        return 0
    counts = counter.counts(given.names or list(counter.paths))
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {"counts": {}, "made_with": {}}
    if given.record:
        same = record["made_with"] == counter.made_with
        if given.names and not same:
            raise Failure("the others were recorded with other versions: record all")
        known = record["counts"] if given.names else {}
        write({"made_with": counter.made_with, "tolerance": record.get("tolerance", TOLERANCE),
               "counts": {name: counts.get(name) or known[name] for name in counter.paths
                          if name in counts or name in known}})
        return 0
    lines, grown = judge(record, counts)
    print("\n".join(lines))
    others = differences(record["made_with"], counter.made_with)
    if others:
        print("The counts were recorded elsewhere, and are not compared:", *others, sep="\n  ")
        return 0
    if grown:
        print(f"--explain {grown[0]} tells where they go. Where they are worth it, --record writes "
              "them down.")
    return 1 if grown else 0


if __name__ == "__main__":
    try:
        sys.exit(run(arguments()))
    except Failure as failure:
        sys.exit(f"count_instructions.py: {failure}")
