"""`clusterd bench`: every measurement, on a cluster of its own and on one that runs."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

from cluster import Cluster, executable, processes, wait_until
from https_test import HttpsCluster

PERCENTILES = ["p50", "p90", "p99", "max"]
ONCE = ["burst-true", "burst-script", "submit-to-start", "submit-to-end", "handlers-array",
        "handlers-single", "live-line"]
NAMES = ["submit-http", "submit-grpc", "output", *ONCE]
FEW = ["--jobs", "20", "--output-bytes", "1MiB"]
SECONDS = 120


class BenchTestCase(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def environment(self, **more):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.folder),
                **more}

    def start(self, *args, **environment):
        process = subprocess.Popen(
            [executable(), "bench", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=self.environment(**environment))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def bench(self, *args, **environment):
        return subprocess.run(
            [executable(), "bench", *args], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=SECONDS, env=self.environment(**environment), check=False)

    def document(self, result):
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(result.stderr, "")
        return json.loads(result.stdout)

    def leftovers(self):
        folder = str(self.folder)
        return [(pid, command) for pid, command, where in processes()
                if folder in command or where.startswith(folder)]

    def assert_nothing_is_left(self):
        wait_until(lambda: not self.leftovers(), "all of it has ended", 15)
        self.assertEqual(list(self.folder.iterdir()), [])

    def check_latency(self, result):
        latency = [result["latency_ms"][name] for name in PERCENTILES]
        self.assertEqual(latency, sorted(latency), result)
        self.assertGreater(latency[0], 0, result)

    def check_results(self, results, connections, followers):
        by_name = {}
        for result in results:
            self.assertNotIn("skipped", result)
            by_name.setdefault(result["name"], []).append(result)
        self.assertEqual(sorted(by_name), sorted(NAMES))
        for name in ("submit-http", "submit-grpc"):
            self.assertEqual([result["connections"] for result in by_name[name]], connections)
            for result in by_name[name]:
                self.assertEqual(result["count"], 20)
                self.assertAlmostEqual(result["rate"] * result["seconds"], 20, delta=0.1)
                self.check_latency(result)
        self.assertEqual([result["followers"] for result in by_name["output"]], followers)
        for result in by_name["output"]:
            self.assertEqual(result["bytes"], (1 << 20) * 4 // max(result["followers"], 4))
            self.assertGreater(result["mib_per_second"], 0)
        for name in ONCE:
            (result,) = by_name[name]
            self.assertEqual(result["count"], 300 if name == "live-line" else 20)
            if name.startswith(("burst", "handlers")):
                self.assertAlmostEqual(result["rate"] * result["seconds"], 20, delta=0.1)
            else:
                self.check_latency(result)
            self.assertEqual("scheduler_cpu_us" in result, name.startswith("handlers"))


class StandaloneTest(BenchTestCase):
    def test_every_measurement_and_nothing_is_left(self):
        report = self.document(self.bench("--standalone", *FEW, "--json"))

        self.assertTrue(report["standalone"])
        self.assertEqual(report["slots"], 8)
        self.assertRegex(report["clusterd"], r"^\d+\.\d+\.\d+$")
        self.check_results(report["results"], [1, 4, 16, 64], [1, 4, 16])
        self.assert_nothing_is_left()

    def test_a_table_of_what_was_asked_for(self):
        result = self.bench("--standalone", "--only", "submit-http", "--only", "output",
                            "--connections", "2,3", "--followers", "2", "--slots", "3", *FEW)

        self.assertEqual(result.returncode, 0, result)
        rows = [line.split() for line in result.stdout.splitlines()]
        self.assertEqual(rows[0][0], "MEASUREMENT")
        self.assertEqual([row[:2] for row in rows[1:]],
                         [["submit-http", "2"], ["submit-http", "3"], ["output", "2"]])
        self.assert_nothing_is_left()

    def test_a_signal_ends_it_and_removes_all(self):
        for sent in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=sent):
                process = self.start("--standalone", "--only", "handlers", "--jobs", "1000000")
                # The folder of the handlers' worker, which comes with the measurement.
                wait_until(lambda: len(list(self.folder.glob("clusterd-bench-*/worker.lock"))) > 0,
                           "it measures")
                process.send_signal(sent)
                self.assertEqual(process.wait(timeout=60), 130)
                self.assertEqual(process.stdout.read(), "")
                self.assert_nothing_is_left()

    def test_a_daemon_that_dies_ends_it(self):
        process = self.start("--standalone", "--only", "handlers", "--jobs", "1000000")
        wait_until(lambda: len(list(self.folder.glob("clusterd-bench-*/worker.lock"))) > 0,
                   "it measures")
        scheduler = next(pid for pid, command in self.leftovers() if "scheduler.toml" in command)
        os.kill(scheduler, signal.SIGKILL)

        self.assertEqual(process.wait(timeout=60), 70)
        self.assertIn("the scheduler ended by itself: signal KILL", process.stderr.read())
        self.assert_nothing_is_left()


class RunningClusterTest(BenchTestCase):
    def setUp(self):
        super().setUp()
        self.cluster = self.enterContext(Cluster())
        self.cluster.script("mine.sh", "echo mine\n")

    def on_cluster(self, *args):
        return self.bench("--addr", self.cluster.grpc_address, *args)

    def test_every_measurement_and_its_jobs_are_gone(self):
        self.cluster.start_worker(slots=3, allowed_programs=["true"], allow_uploads=True)
        mine = self.cluster.start("mine.sh")
        self.cluster.wait(mine)

        report = self.document(self.on_cluster(*FEW, "--connections", "1,4", "--followers", "1,8",
                                               "--json"))

        self.assertFalse(report["standalone"])
        self.assertEqual(report["http"], self.cluster.http_address)
        self.assertEqual(report["slots"], 3)
        self.check_results(report["results"], [1, 4], [1, 8])
        self.assertEqual(self.cluster.job_ids(), [mine])
        workers = self.cluster.http.get("/v1/workers").json()["workers"]
        self.assertEqual([worker["name"] for worker in workers], ["w1"])
        self.assert_nothing_is_left()

    def test_what_the_workers_do_not_allow_is_skipped(self):
        self.cluster.start_worker()

        report = self.document(self.on_cluster(*FEW, "--only", "submit-grpc", "--only",
                                               "burst-true", "--connections", "2", "--json"))
        nothing = self.on_cluster(*FEW, "--only", "burst-true")

        self.assertEqual([result["name"] for result in report["results"]],
                         ["submit-grpc", "burst-true"])
        self.assertIn("allowed_programs", report["results"][1]["skipped"])
        self.assertEqual(nothing.returncode, 70, nothing)
        self.assertIn("burst-true is skipped: ", nothing.stderr)
        self.assertIn("nothing could be measured", nothing.stderr)
        self.assertEqual(self.cluster.job_ids(), [])

    def test_a_signal_removes_its_jobs(self):
        self.cluster.start_worker(allowed_programs=["true"])
        for name in ("submit-http", "submit-grpc", "burst-true"):
            with self.subTest(measurement=name):
                process = self.start("--addr", self.cluster.grpc_address, "--only", name,
                                     "--jobs", "1000000", "--connections", "16")
                wait_until(lambda: len(self.cluster.job_ids()) > 20, "it submits")
                process.send_signal(signal.SIGINT)

                self.assertEqual(process.wait(timeout=60), 130)
                self.assertEqual(process.stderr.read(), f"clusterd: {name}: interrupted\n")
                self.assertEqual(self.cluster.job_ids(), [])

    def test_a_cluster_that_is_not_there(self):
        result = self.bench("--addr", "127.0.0.1:1")

        self.assertEqual(result.returncode, 69, result)
        self.assertEqual(result.stdout, "")

    def test_an_http_address_where_nobody_is(self):
        self.cluster.start_worker()
        result = self.on_cluster(*FEW, "--http", "127.0.0.1:1", "--only", "submit-http")

        self.assertEqual(result.returncode, 75, result)
        self.assertIn("HTTP at 127.0.0.1:1", result.stderr)


class HttpsTest(BenchTestCase):
    def test_certificates_are_checked_and_shown(self):
        cluster = self.enterContext(HttpsCluster())
        cluster.start_worker(allow_uploads=True)
        files = ["--ca", f"{cluster.tls}/ca.pem", "--cert", f"{cluster.tls}/client.pem", "--key",
                 f"{cluster.tls}/client.key"]
        args = ["--addr", cluster.grpc_address, *FEW, "--json", "--connections", "4", "--only",
                "submit-http", "--only", "submit-grpc", "--only", "output", "--only", "live-line"]

        report = self.document(self.bench(*args, *files, "--http",
                                          f"https://{cluster.http_address}"))

        self.assertEqual([result["name"] for result in report["results"]],
                         ["submit-http", "submit-grpc", *["output"] * 3, "live-line"])
        self.assertEqual(cluster.job_ids(), [])
        plain = self.bench(*args, *files, "--http", cluster.http_address)
        self.assertNotEqual(plain.returncode, 0, plain)


class RefusedTest(BenchTestCase):
    def test_bad_values_are_refused_naming_the_option(self):
        for option, value in (
                ("--only", "everything"), ("--jobs", "0"), ("--jobs", "1000001"),
                ("--jobs", "many"), ("--connections", "0"), ("--connections", "1,257"),
                ("--connections", "1,x"), ("--followers", "0"), ("--followers", "257"),
                ("--output-bytes", "much"), ("--output-bytes", "1KiB"),
                ("--output-bytes", "2TiB"), ("--slots", "0"), ("--slots", "1000001")):
            with self.subTest(option=option, value=value):
                result = self.bench("--standalone", f"{option}={value}")
                self.assertEqual(result.returncode, 64, result)
                self.assertIn(option, result.stderr)
                self.assertEqual(result.stdout, "")
        self.assert_nothing_is_left()

    def test_options_that_exclude_each_other(self):
        for option, value in (("--addr", "127.0.0.1:1"), ("--http", "127.0.0.1:1"),
                              ("--token", "x"), ("--ca", "x"), ("--cert", "x"), ("--key", "x")):
            with self.subTest(option=option):
                result = self.bench("--standalone", option, value)
                self.assertEqual(result.returncode, 64, result)
                self.assertIn(option, result.stderr)
        result = self.bench("--slots", "2")
        self.assertEqual(result.returncode, 64, result)
        self.assertIn("--standalone", result.stderr)

    def test_addresses_that_are_none(self):
        for args in (["--http", "nowhere"], ["--http", "host:0"], ["--addr", "nowhere"],
                     ["--token", "secret", "--http", "192.0.2.1:3000"]):
            with self.subTest(args=args):
                result = self.bench(*args)
                self.assertEqual(result.returncode, 64, result)
                self.assertIn(args[-2], result.stderr)


if __name__ == "__main__":
    unittest.main()
