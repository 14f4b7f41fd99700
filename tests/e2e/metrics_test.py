"""Metrics of scheduler and worker: they count what happens, and Prometheus' own tool accepts them."""
import json
import pathlib
import re
import shutil
import socket
import subprocess
import time
import unittest

from access_test import TokensCase, bearer
from cluster import Cluster, wait_until
from http_client import HttpClient
from tls_test import TlsCluster

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
MANUAL = EXAMPLES.parent / "docs/metrics.md"
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
FAMILY = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)
NAME = re.compile(r"\b(?:clusterd|grpc_server|process)_[a-z_]+")
METRICS = {"metrics": {"addr": "127.0.0.1:0"}}


def samples(text):
    """{(name, labels): value}; a sample that is there twice is an error, as it is for Prometheus."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            if (name, labels or "") in found:
                raise AssertionError(f"twice: {line}")
            found[(name, labels or "")] = float(value)
    return found


def total(found, name, part):
    return sum(value for (known, labels), value in found.items() if known == name and part in labels)


class MetricsCase(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)
        self.cluster.script("exit.sh", 'echo out; exit "$1"\n')

    def scheduler_text(self):
        answer = self.cluster.http.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertIn("version=0.0.4", answer.headers["content-type"])
        return answer.body.decode()

    def scheduler(self):
        return samples(self.scheduler_text())

    def worker_text(self):
        return HttpClient(self.cluster.workers["w1"].ports["metrics"]).get("/metrics").body.decode()

    def worker(self):
        return samples(self.worker_text())


class SchedulerMetricsTest(MetricsCase):
    def test_jobs_queue_and_store(self):
        self.cluster.start_worker(slots=4)
        for code in (0, 0, 3):
            self.cluster.wait(self.cluster.start("exit.sh", code))
        waiting = self.cluster.start("exit.sh", 0, require=["zone=z"])
        found = self.scheduler()
        self.assertEqual(found["clusterd_jobs_submitted_total", ""], 4)
        self.assertEqual(found["clusterd_jobs_ended_total", 'state="SUCCEEDED"'], 2)
        self.assertEqual(found["clusterd_jobs_ended_total", 'state="FAILED"'], 1)
        self.assertEqual(found["clusterd_jobs", 'state="QUEUED"'], 1)
        self.assertEqual(found["clusterd_queue_jobs", ""], 1)
        self.assertEqual(found["clusterd_attempts_started_total", ""], 3)
        self.assertEqual(found["clusterd_queue_wait_seconds_count", ""], 3)
        self.assertEqual(found["clusterd_dispatch_latency_seconds_count", ""], 3)
        self.assertGreater(found["clusterd_dispatch_latency_seconds_sum", ""], 0)
        self.assertGreater(found["clusterd_store_commit_duration_seconds_count", ""], 4)
        self.assertEqual(found["clusterd_workers", 'state="ALIVE"'], 1)
        self.assertEqual(found["clusterd_slots_offered", ""], 4)
        self.assertEqual(found["clusterd_scheduler_ready", ""], 1)
        self.assertNotIn(("clusterd_certificate_expiry_timestamp_seconds", 'listener="grpc_server"'),
                         found)
        wait_until(lambda: self.scheduler()["clusterd_queue_oldest_age_seconds", ""] >= 1,
                   "the oldest grows older")
        self.cluster.http.post(f"/v1/jobs/{waiting}/stop", {})
        wait_until(lambda: self.scheduler()["clusterd_queue_oldest_age_seconds", ""] == 0,
                   "none waits")
        self.assertEqual(self.cluster.http.post("/metrics", {}).status, 405)

    def test_workers_and_output(self):
        self.cluster.start_worker()
        self.cluster.output(self.cluster.start("exit.sh", 0), follow="true")
        worker_id = self.cluster.worker_id()
        found = self.scheduler()
        labels = f'worker="w1",worker_id="{worker_id}"'
        self.assertLess(found["clusterd_worker_heartbeat_age_seconds", labels], 15)
        self.assertEqual(found["clusterd_output_relayed_bytes_total", ""], 4)
        wait_until(lambda: self.scheduler()["clusterd_heartbeats_received_total", ""] >= 1,
                   "a heartbeat is counted")

    def test_calls_by_route_and_code(self):
        self.cluster.start_worker()
        job_id = self.cluster.start("exit.sh", 0)
        self.cluster.wait(job_id)
        self.cluster.http.get("/v1/jobs/01890000-0000-7000-8000-000000000000")
        for path in ("/surprise/1", "/surprise/2", "/v1/surprise", "/index.html?x=1"):
            self.cluster.http.get(path)
        found = self.scheduler()
        requests = "clusterd_http_requests_total"
        self.assertEqual(found[requests, 'route="/v1/jobs",method="POST",code="201"'], 1)
        self.assertEqual(found[requests, 'route="/v1/jobs/{job_id}",method="GET",code="404"'], 1)
        self.assertGreaterEqual(total(found, requests, 'route="other"'), 3)
        text = self.scheduler_text()
        self.assertNotIn("surprise", text)
        self.assertNotIn(job_id, text)
        calls = 'grpc_service="clusterd.v1.ClusterService",grpc_method="RegisterWorker"'
        self.assertEqual(found["grpc_server_handled_total", f'{calls},grpc_code="OK"'], 1)
        self.assertEqual(found["grpc_server_handling_seconds_count", calls], 1)

    def test_a_request_that_cannot_be_read_is_counted(self):
        before = total(self.scheduler(), "clusterd_http_requests_total", 'code="400"')
        host, port = self.cluster.http_address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), 60) as connection:
            connection.sendall(b"no request\r\n\r\n")
            self.assertIn(b" 400 ", connection.recv(100))
        wait_until(lambda: total(self.scheduler(), "clusterd_http_requests_total", 'code="400"')
                   == before + 1, "it is counted")

    def test_the_process_tells_of_itself(self):
        found = self.scheduler()
        self.assertGreater(found["process_resident_memory_bytes", ""], 1 << 20)
        self.assertGreater(found["process_cpu_seconds_total", ""], 0)
        self.assertAlmostEqual(found["process_start_time_seconds", ""], time.time(), delta=120)


class WorkerMetricsTest(MetricsCase):
    def test_the_worker_counts(self):
        worker = self.cluster.start_worker(sections=METRICS)
        http = HttpClient(worker.ports["metrics"])
        self.cluster.wait(self.cluster.start("exit.sh", 3))
        self.cluster.script("silent.sh", "exit 0\n")
        self.cluster.wait(self.cluster.start("silent.sh"))
        found = self.worker()
        self.assertEqual(found["clusterd_worker_session_connected", ""], 1)
        self.assertEqual(found["clusterd_worker_starts_total", ""], 2)
        self.assertEqual(found["clusterd_worker_attempts_ended_total", 'reason="EXITED"'], 2)
        self.assertEqual(found["clusterd_worker_output_bytes_total", ""], 4)
        self.assertGreater(total(found, "grpc_server_handled_total", 'grpc_method="StartJobs"'), 0)
        self.assertEqual(http.get("/healthz").status, 200)
        self.assertEqual(http.get("/else").status, 404)
        self.assertEqual(http.post("/metrics", {}).status, 405)

    def test_output_is_counted_while_the_job_runs(self):
        self.cluster.script("wait.sh", "echo out; sleep 600\n")
        self.cluster.start_worker(sections=METRICS)
        job_id = self.cluster.start("wait.sh")
        wait_until(lambda: self.worker()["clusterd_worker_output_bytes_total", ""] == 4,
                   "the output is counted")
        self.assertEqual(self.worker()["clusterd_worker_attempts_held", ""], 1)
        self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {})
        self.cluster.wait(job_id)

    def test_without_an_address_nothing_is_served(self):
        self.assertEqual(set(self.cluster.start_worker().ports), {"grpc"})

    def test_a_client_that_says_nothing_holds_up_nobody(self):
        address, port = self.cluster.start_worker(sections=METRICS).ports["metrics"].rsplit(":", 1)
        silent = [socket.create_connection((address, int(port))) for _ in range(8)]
        try:
            self.assertEqual(self.worker()["clusterd_worker_session_connected", ""], 1)
            silent[0].sendall(b"x" * 10_000)
            silent[0].settimeout(30)
            self.assertEqual(self.read_to_end(silent[0]), b"")
        finally:
            for one in silent:
                one.close()

    @staticmethod
    def read_to_end(connection):
        try:
            return connection.recv(1)
        except ConnectionResetError:
            return b""


class WhoMayReadTest(TokensCase):
    def test_reader_operator_and_admin(self):
        http = self.cluster().http
        self.assertEqual(http.get("/metrics").status, 401)
        for role, token in self.tokens.items():
            with self.subTest(role=role):
                self.assertEqual(http.get("/metrics", bearer(token)).status, 200)


class CertificateTest(unittest.TestCase):
    def test_its_end_is_told(self):
        cluster = TlsCluster()
        self.addCleanup(cluster.close)
        found = samples(cluster.http.get("/metrics").body.decode())
        end = found["clusterd_certificate_expiry_timestamp_seconds", 'listener="grpc_server"']
        self.assertGreater(end, time.time() + 86400)


class ExamplesTest(MetricsCase):
    def known_names(self):
        """Of all samples that scheduler and worker can have, and the types of their families."""
        families = {}
        for text in (self.scheduler_text(), self.worker_text()):
            families.update(FAMILY.findall(text))
        names = set(families)
        for name, kind in families.items():
            if kind == "histogram":
                names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
        return names, families

    def test_every_query_names_a_metric_that_exists(self):
        self.cluster.start_worker(sections=METRICS)
        names, families = self.known_names()
        names.add("clusterd_certificate_expiry_timestamp_seconds")  # with TLS
        dashboard = json.loads((EXAMPLES / "grafana/clusterd.json").read_text())
        queries = [target["expr"] for panel in dashboard["panels"]
                   for target in panel.get("targets", [])]
        self.assertGreater(len(queries), 15)
        alerts = (EXAMPLES / "prometheus/alerts.yml").read_text()
        for query in [*queries, *re.findall(r"expr: (?:\|\n((?: {10}.*\n)+)|(.*))", alerts)]:
            query = query if isinstance(query, str) else "".join(query)
            with self.subTest(query=query):
                used = set(NAME.findall(re.sub(r"\{.*?\}", "", query)))
                self.assertTrue(used or "up{" in query)
                self.assertEqual(used - names, set())
        documented = set(NAME.findall(MANUAL.read_text()))
        ours = {name for name in families if not name.startswith("process_")}
        self.assertEqual(ours - documented, set())
        process = {name for name in families if name.startswith("process_")}
        self.assertEqual({name for name in documented if name != "process_"} - names - process, set())

    @unittest.skipUnless(shutil.which("promtool"), "Debian's prometheus is not installed")
    def test_promtool_accepts_all(self):
        self.cluster.start_worker(sections=METRICS)
        self.cluster.wait(self.cluster.start("exit.sh", 0))
        for text in (self.scheduler_text(), self.worker_text()):
            check = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                                   capture_output=True, check=False)
            self.assertEqual((check.returncode, check.stdout + check.stderr), (0, ""))
        for command in (["rules", "alerts.yml"], ["config", "prometheus.yml"]):
            check = subprocess.run(["promtool", "check", *command], cwd=EXAMPLES / "prometheus",
                                   text=True, capture_output=True, check=False)
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)


if __name__ == "__main__":
    unittest.main()
