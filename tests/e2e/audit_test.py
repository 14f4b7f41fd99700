"""Every call that changes something is in the audit before it is carried out, with who, what, from
where and its outcome; without its line it is refused. And what nobody finds in any log, at any
level: secrets.
"""
import base64
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from access_test import TokensCase, bearer
from cluster import Cluster, executable, processes, wait_until
from disk_full_test import SmallDisk
from tls_test import TlsCluster


def lines_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


class AuditCase(TokensCase):
    def audited(self, http=None, **audit):
        """A cluster with tokens and an audit."""
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.audit = self.folder / "audit.jsonl"
        cluster = Cluster(http_server={"addr": "127.0.0.1:0", "tokens_file": self.file, **(http or {})},
                          audit={"file": str(self.audit), **audit}, log={"level": "trace"})
        self.addCleanup(cluster.close)
        cluster.script("hello.sh", "echo hello; cat; sleep ${1:-0}")
        cluster.start_worker(alive=False)
        return cluster

    def calls(self, method):
        """(begin, end) of each call of a method, when all have ended."""
        def ended():
            lines = [line for line in lines_of(self.audit) if line["method"].endswith(method)]
            ends = {line["call"]: line for line in lines if line["event"] == "end"}
            begins = [line for line in lines if line["event"] == "begin"]
            return [(b, ends[b["call"]]) for b in begins] if len(ends) == len(begins) > 0 else None

        return wait_until(ended, f"the calls of {method} are in the audit")


class CallsTest(AuditCase):
    def test_each_change_has_who_what_from_where_and_its_outcome(self):
        cluster = self.audited(http={"trusted_proxies": ["127.0.0.1"]})
        operator, admin = bearer(self.tokens["operator"]), bearer(self.tokens["admin"])
        from_afar = {**operator, "X-Forwarded-For": "192.0.2.7"}
        job = cluster.http.post("/v1/jobs?request_id=r1", {"path": "hello.sh", "args": ["600"],
                                                           "command": "bash"}, from_afar).json()["job_id"]
        wait_until(lambda: cluster.http.get(f"/v1/jobs/{job}", operator).json()["state"] == "RUNNING",
                   "the job runs")
        for method, path, body in (("POST", f"/v1/jobs/{job}/signal", {"signal": "CONT"}),
                                   ("POST", f"/v1/jobs/{job}/stop", {}),
                                   ("POST", f"/v1/jobs/{job}/retry", {}),
                                   ("DELETE", "/v1/jobs/none", None),
                                   ("POST", "/v1/workers/w1/drain", {}),
                                   ("POST", "/v1/workers/w1/resume", {}),
                                   ("DELETE", "/v1/workers/none", None)):
            cluster.http.request(method, path, body, admin)
        cluster.http.post("/v1/workers/w1/drain", {}, bearer(self.tokens["reader"]))
        cluster.http.post("/v1/jobs", {"path": "../x"}, operator)

        (begin, end), (_, refused) = self.calls("SchedulerService/StartJob")
        self.assertEqual(
            {key: begin[key] for key in ("who", "role", "auth", "script", "request_id", "client",
                                         "peer", "door")},
            {"who": "client/operator/operator", "role": "operator", "auth": "token",
             "script": "hello.sh", "request_id": "r1", "client": "192.0.2.7", "peer": "127.0.0.1",
             "door": "http"})
        self.assertEqual((end["outcome"], end["job_id"]), ("OK", job))
        self.assertEqual(refused["outcome"], "INVALID_ARGUMENT")
        for method, outcome in (("SignalJob", "OK"), ("StopJob", "OK"), ("DeleteJob", "NOT_FOUND"),
                                ("ResumeWorker", "OK"), ("RemoveWorker", "NOT_FOUND")):
            with self.subTest(method=method):
                (begin, end), = self.calls(f"SchedulerService/{method}")
                self.assertEqual(begin["who"], "client/admin/admin")
                self.assertEqual(end["outcome"], outcome)
                self.assertIn(begin.get("job_id", begin.get("worker_id")), (job, "w1", "none"))
        self.assertEqual(len(self.calls("SchedulerService/RetryJob")), 1)
        drains = self.calls("SchedulerService/DrainWorker")
        self.assertEqual([(b["who"], e["outcome"]) for b, e in drains],
                         [("client/admin/admin", "OK"),
                          ("client/reader/reader", "PERMISSION_DENIED")])
        self.assertEqual(self.calls("ClusterService/RegisterWorker")[0][1]["outcome"], "OK")
        self.assertNotIn("QueryJob", self.audit.read_text())

    def test_calls_over_grpc_too(self):
        cluster = self.audited()
        done = subprocess.run([executable(), "job", "start", "--command", "bash", "hello.sh"],
                              env={**cluster.cli_environment(),
                                   "CLUSTERD_TOKEN": self.tokens["operator"]},
                              capture_output=True, text=True, check=True)
        (begin, end), = self.calls("SchedulerService/StartJob")

        self.assertEqual(begin["who"], "client/operator/operator")
        self.assertEqual((begin["client"], begin["door"]), ("127.0.0.1", "grpc"))
        self.assertRegex(begin["peer"], r"^ipv4:127\.0\.0\.1:\d+$")
        self.assertIn(end["job_id"], done.stdout)

    def test_files_are_rotated(self):
        cluster = self.audited(max_size="64KiB", max_files=3)
        operator = bearer(self.tokens["operator"])
        for _ in range(700):
            cluster.http.post("/v1/jobs/none/stop", {}, operator)

        self.assertEqual(sorted(os.listdir(self.folder)),
                         ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"])
        for file in self.folder.iterdir():
            self.assertLessEqual(file.stat().st_size, 64 << 10)
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            lines_of(file)

    def test_a_certificate_says_who(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        with TlsCluster(audit={"file": str(folder / "audit")}) as cluster:
            cluster.cli("job", "stop", "none")
            begin = [line for line in lines_of(folder / "audit")
                     if line["method"].endswith("StopJob")][0]
        self.assertEqual((begin["auth"], begin["role"]), ("certificate", "admin"))
        self.assertTrue(begin["who"].startswith("client/admin/"))

    def test_beyond_loopback_there_is_one_by_default(self):
        with tempfile.TemporaryDirectory() as folder:
            with Cluster(http_server={"addr": "0.0.0.0:0", "allow_insecure": True},
                         store={"path": f"{folder}/jobs.db"}) as cluster:
                cluster.http.post("/v1/jobs/none/stop", {})
                self.assertIn("StopJob", pathlib.Path(f"{folder}/audit.jsonl").read_text())


@unittest.skipUnless(os.geteuid() == 0, "only root can mount a small disk")
class FullDiskTest(TokensCase):
    def test_without_its_line_nothing_is_changed(self):
        with SmallDisk() as disk:
            audit = disk.path / "audit"
            with Cluster(audit={"file": str(audit)}) as cluster:
                cluster.script("wait.sh", "sleep 600")
                cluster.start_worker()
                job = cluster.start("wait.sh")
                cluster.wait_for_state(job, "RUNNING")
                disk.fill(0)
                written = lines_of(audit)
                free = audit.stat().st_size % 4096
                answers = [cluster.http.post(f"/v1/jobs/{job}/stop", {})
                           for _ in range(4096 // 200 + 2)]  # the last page takes some more

                self.assertGreater(free, 0)
                self.assertEqual(answers[-1].status, 503)
                self.assertIn("the audit log cannot be written", answers[-1].json()["detail"])
                refused = cluster.http.post("/v1/jobs", {"path": "wait.sh", "command": "bash"})
                self.assertEqual(refused.status, 503)
                self.assertEqual(len(cluster.job_ids()), 1)
                self.assertEqual(cluster.http.get(f"/v1/jobs/{job}").status, 200)
                self.assertEqual(lines_of(audit)[:len(written)], written)
                self.assertIn("the audit log cannot be written", cluster.scheduler.log.read_text())
                disk.empty()
                again = cluster.start("wait.sh")
                self.assertIn(again, cluster.job_ids())


class SecretsTest(AuditCase):
    def test_they_are_in_no_log_no_audit_and_no_command_line(self):
        cluster = self.audited()
        secrets = {"http-env": "hunter1-value", "http-stdin": "hunter2-input",
                   "cli-env": "hunter3-value", "cli-stdin": "hunter4-input",
                   "wrong": "clusterd_hunter5-token", **self.tokens}
        operator = bearer(self.tokens["operator"])
        seen = []

        def look():
            seen.extend(command for _, command, _ in processes())

        started = cluster.http.post("/v1/jobs", {
            "path": "hello.sh", "command": "bash", "args": ["2"], "env": {"S": secrets["http-env"]},
            "stdin": base64.b64encode(secrets["http-stdin"].encode()).decode()}, operator)
        self.assertEqual(started.status, 201)
        cluster.http.post("/v1/jobs", {"path": "../x", "env": {"S": secrets["http-env"]}}, operator)
        cluster.http.get("/v1/jobs", bearer(secrets["wrong"]))
        environment = {**cluster.cli_environment(), "CLUSTERD_TOKEN": self.tokens["operator"],
                       "S": secrets["cli-env"]}
        with subprocess.Popen([executable(), "job", "start", "--follow", "--command", "bash",
                               "--env", "S", "--stdin", "-", "hello.sh", "2"], env=environment,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as client:
            client.stdin.write(secrets["cli-stdin"].encode())
            client.stdin.close()
            self.assertEqual(client.stdout.readline(), b"hello\n")
            look()
            self.assertIn(secrets["cli-stdin"].encode(), client.stdout.read())
            errors = client.stderr.read().decode()
        self.assertEqual(client.returncode, 0, errors)
        wrong = subprocess.run([executable(), "job", "list"], capture_output=True, text=True,
                               env={**environment, "CLUSTERD_TOKEN": secrets["wrong"]}, check=False)
        logs = {file.name: file.read_text(errors="replace")
                for file in [*cluster.folder.glob("*.log"), *self.folder.iterdir()]}

        self.assertIn("scheduler.log", logs)
        self.assertIn("w1.log", logs)
        self.assertIn("StartJob", logs["audit.jsonl"])
        texts = {**logs, "processes": "\n".join(seen), "client": errors + wrong.stderr + wrong.stdout}
        for name, secret in secrets.items():
            for where, text in texts.items():
                with self.subTest(secret=name, where=where):
                    self.assertNotIn(secret, text)
                    self.assertNotIn(base64.b64encode(secret.encode()).decode().rstrip("="), text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
