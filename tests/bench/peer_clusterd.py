"""clusterd: a scheduler with its durable store and one worker. Of their configuration only places
are set (pipes in memory, as below /run where it is installed), the slots, and what jobs may do: run `true`, bring scripts, have a log of 2 GiB. What is
measured is measured by `clusterd bench`."""
import json
import pathlib
import shutil
import tempfile

import daemons
from cluster import Cluster, executable


class Clusterd:
    name = "clusterd"
    keeps = "job and end on the disk before the answer, output in files"
    jobs = {"true": 2000, "script": 1000}
    singles = 300

    def __init__(self, folder):
        self.folder = folder / "clusterd"
        self.cluster = None
        self.runtime_dir = None

    def start(self):
        self.folder.mkdir()
        self.runtime_dir = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir="/dev/shm"))
        usual, tempfile.tempdir = tempfile.tempdir, str(self.folder)
        try:
            self.cluster = Cluster(log={"level": "info"})
        finally:
            tempfile.tempdir = usual
        self.cluster.start_worker(slots=daemons.SLOTS, allowed_programs=["true"],
                                  allow_uploads=True, max_output="2GiB",
                                  runtime_dir=str(self.runtime_dir),
                                  sections={"log": {"level": "info"}})

    def bench(self, *names, **options):
        """{name: result} of `clusterd bench --only name…`."""
        words = [word for name in names for word in ("--only", name)]
        words += [word for option, value in options.items() if value is not None
                  for word in ("--" + option.replace("_", "-"), value)]
        printed = daemons.call(
            [executable(), "bench", "--addr", self.cluster.grpc_address, "--http",
             self.cluster.http_address, "--json", *words], self.cluster.cli_environment())
        results = {}
        for result in json.loads(printed)["results"]:
            if result.get("skipped"):
                raise AssertionError(f"{result['name']} was not measured: {result['skipped']}")
            results.setdefault(result["name"], []).append(result)
        return results

    def burst(self, kind, count):
        return self.bench(f"burst-{kind}", jobs=count)[f"burst-{kind}"][0]["rate"]

    def latencies(self, count):
        return self.bench("latency", jobs=count)["submit-to-end"][0]["latency_ms"]

    def memory(self):
        """MiB of the scheduler, and of the worker with its launcher."""
        worker = self.cluster.workers["w1"].pid
        return (daemons.memory_mib(self.cluster.scheduler.pid),
                daemons.memory_mib(worker, self.cluster.launcher()))

    def query_command(self):
        """A command that shows a job which has ended."""
        self.cluster.script("true.sh", "exit 0\n")
        job = self.cluster.start("true.sh")
        self.cluster.wait(job)
        return [executable(), "job", "query", job], self.cluster.cli_environment()

    def stop(self):
        if self.cluster is not None:
            self.cluster.close()
        if self.runtime_dir is not None:
            shutil.rmtree(self.runtime_dir)
