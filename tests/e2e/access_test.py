"""Who may do what over HTTP: tokens and their roles, other users of the machine, pages of other
sites. And what nobody finds in a log: secrets.
"""
import os
import pathlib
import re
import signal
import stat
import subprocess
import tempfile
import unittest

from cluster import Cluster, executable, wait_until
from http_client import CutStream

ROLES = ("reader", "operator", "admin")
NOBODY = 65534
UNAUTHENTICATED = 16  # of gRPC
# Each route with the roles that may use it.
ROUTES = [
    ("GET", "/v1/jobs", ROLES),
    ("GET", "/v1/jobs/none", ROLES),
    ("GET", "/v1/jobs/none/wait", ROLES),
    ("GET", "/v1/jobs/none/output", ROLES),
    ("GET", "/v1/jobs/none/tasks", ROLES),
    ("GET", "/v1/jobs/none/explain", ROLES),
    ("GET", "/v1/workers", ROLES),
    ("GET", "/v1/workers/none", ROLES),
    ("GET", "/v1/workers/none/scripts", ROLES),
    ("GET", "/v1/events?since=999999", ROLES),
    ("GET", "/v1/cluster", ROLES),
    ("POST", "/v1/jobs", ROLES[1:]),
    ("POST", "/v1/workers/none/jobs", ROLES[1:]),
    ("POST", "/v1/jobs/none/stop", ROLES[1:]),
    ("POST", "/v1/jobs/none/signal", ROLES[1:]),
    ("POST", "/v1/jobs/none/retry", ROLES[1:]),
    ("DELETE", "/v1/jobs/none", ROLES[1:]),
    ("POST", "/v1/workers/none/drain", ROLES[2:]),
    ("POST", "/v1/workers/none/resume", ROLES[2:]),
    ("DELETE", "/v1/workers/none", ROLES[2:]),
]
ORIGINAL = [
    ("/query", ROLES), ("/output", ROLES), ("/start", ROLES[1:]), ("/stop", ROLES[1:]),
]
PUBLIC = ("/healthz", "/readyz", "/", "/jobs", "/openapi.json")


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def token_command(*args):
    return subprocess.run([executable(), "token", *args], capture_output=True, text=True,
                          check=False)


class TokensCase(unittest.TestCase):
    """A scheduler that knows one token of each role."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="clusterd-e2e-")
        self.addCleanup(folder.cleanup)
        self.file = f"{folder.name}/tokens"
        self.tokens = {role: self.create(role, role) for role in ROLES}

    def create(self, name, role, *options):
        made = token_command("create", "--file", self.file, "--role", role, *options, name)
        self.assertEqual(made.returncode, 0, made.stderr)
        return made.stdout.strip()

    def cluster(self, **http):
        cluster = Cluster(http_server={"addr": "127.0.0.1:0", "tokens_file": self.file, **http},
                          log={"level": "trace"})
        self.addCleanup(cluster.close)
        return cluster


class TokensTest(TokensCase):
    def test_each_route_takes_the_roles_of_the_table(self):
        http = self.cluster().http
        for method, path, allowed in ROUTES:
            body = {"path": "none.sh"} if method == "POST" and path.endswith("jobs") else None
            for role, token in self.tokens.items():
                with self.subTest(method=method, path=path, role=role):
                    status = http.request(method, path, body, bearer(token)).status
                    if role in allowed:
                        self.assertNotIn(status, (401, 403))
                    else:
                        self.assertEqual(status, 403)
            for headers in ({}, bearer("clusterd_wrong"), {"Authorization": "Basic YTpi"}):
                with self.subTest(method=method, path=path, headers=headers):
                    answer = http.request(method, path, body, headers)
                    self.assertEqual(answer.status, 401)
                    self.assertIn("Bearer", answer.headers["www-authenticate"])

    def test_the_original_endpoints_too(self):
        http = self.cluster().http
        body = {"worker_id": "none", "job_id": "none", "command": "bash", "path": "x.sh"}
        for path, allowed in ORIGINAL:
            self.assertEqual(http.post(path, body).status, 401)
            for role, token in self.tokens.items():
                with self.subTest(path=path, role=role):
                    status = http.post(path, body, bearer(token)).status
                    self.assertEqual(status == 403, role not in allowed)

    def test_probes_and_what_holds_nothing_are_for_everybody(self):
        http = self.cluster().http
        for path in PUBLIC:
            with self.subTest(path=path):
                self.assertEqual(http.get(path).status, 200)

    def test_an_operator_runs_a_job_and_a_reader_follows_it(self):
        cluster = self.cluster()
        cluster.script("hello.sh", "echo hello")
        cluster.start_worker(alive=False)
        admin, reader = bearer(self.tokens["operator"]), bearer(self.tokens["reader"])
        started = cluster.http.post("/v1/jobs", {"path": "hello.sh", "command": "bash"}, admin)
        self.assertEqual(started.status, 201)
        job = f"/v1/jobs/{started.json()['job_id']}"

        output = cluster.http.get(f"{job}/output?follow=true", reader).body
        ended = cluster.http.get(f"{job}/wait?timeout=30s", reader).json()

        self.assertEqual(output, b"hello\n")
        self.assertEqual(ended["state"], "SUCCEEDED")

    def test_secrets_are_in_no_log_at_any_level(self):
        cluster = self.cluster()
        cluster.script("hello.sh", "echo hello")
        cluster.start_worker(alive=False)
        cluster.http.post("/v1/jobs", {"path": "hello.sh", "command": "bash", "env":
                                       {"SECRET": "hunter2-value"}, "stdin": "aHVudGVyMy1pbnB1dA=="},
                          bearer(self.tokens["operator"]))
        cluster.http.get("/v1/jobs", bearer("clusterd_hunter4-wrong"))
        cluster.http.get("/v1/jobs", bearer(self.tokens["reader"]))

        logs = "".join(file.read_text(errors="replace") for file in cluster.folder.glob("*.log"))

        self.assertIn("listening", logs)
        for secret in ("hunter2-value", "hunter3-input", "hunter4-wrong", *self.tokens.values()):
            self.assertNotIn(secret, logs)

    def test_the_file_is_its_owners_and_shows_no_secret(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        content = pathlib.Path(self.file).read_text()
        for token in self.tokens.values():
            self.assertNotIn(token, content)

    def test_commands(self):
        listed = token_command("list", "--file", self.file)
        again = token_command("create", "--file", self.file, "--role", "admin", "reader")
        role = token_command("create", "--file", self.file, "--role", "worker", "x")
        unknown = token_command("revoke", "--file", self.file, "reader", "nobody")
        after = token_command("list", "--file", self.file)
        revoked = token_command("revoke", "--file", self.file, "reader")

        for name in ROLES:
            self.assertRegex(listed.stdout, rf"(?m)^{name} +{name} +\S+ +never$")
        self.assertIn('has a token "reader" already', again.stderr)
        self.assertEqual((role.returncode, unknown.returncode), (64, 66))
        self.assertEqual(after.stdout, listed.stdout)  # half a revocation is none
        self.assertEqual(revoked.returncode, 0)
        self.assertNotIn("reader", token_command("list", "--file", self.file).stdout)

    def test_a_token_that_is_no_longer_good(self):
        expired = self.create("short", "admin", "--expires", "1ms")
        token_command("revoke", "--file", self.file, "reader")
        http = self.cluster().http

        self.assertEqual(http.get("/v1/jobs", bearer(expired)).status, 401)
        self.assertEqual(http.get("/v1/jobs", bearer(self.tokens["reader"])).status, 401)
        self.assertEqual(http.get("/v1/jobs", bearer(self.tokens["admin"])).status, 200)

    def test_a_bad_file_stops_the_start(self):
        pathlib.Path(self.file).write_text("nonsense\n")
        with self.assertRaisesRegex(AssertionError, "tokens:1: has 1 columns"):
            self.cluster()


class ReloadTest(TokensCase):
    def test_a_revoked_token_is_refused_and_its_streams_end(self):
        cluster = self.cluster()
        cluster.script("wait.sh", "echo begun; sleep 600")
        cluster.start_worker(alive=False)
        operator, admin = bearer(self.tokens["operator"]), bearer(self.tokens["admin"])
        job = cluster.http.post("/v1/jobs", {"path": "wait.sh", "command": "bash"}, operator).json()
        output = f"/v1/jobs/{job['job_id']}/output?follow=true"
        with cluster.http.open(output, operator) as revoked, cluster.http.open(output, admin) as kept:
            pieces, kept_pieces = revoked.chunks(), kept.chunks()
            self.assertEqual(next(pieces), b"begun\n")
            self.assertEqual(next(kept_pieces), b"begun\n")

            token_command("revoke", "--file", self.file, "operator")

            with self.assertRaises(CutStream):
                list(pieces)
            self.assertEqual(cluster.http.get("/v1/jobs", operator).status, 401)
            stopped = cluster.http.post(f"/v1/jobs/{job['job_id']}/stop", {}, admin)
            self.assertEqual(stopped.status, 200)
            self.assertEqual(stopped.json()["submitted_by"], "client/operator/operator")
            self.assertEqual(stopped.json()["stop_requested"]["who"], "client/admin/admin")
            self.assertEqual(b"".join(kept_pieces), b"")  # its own regular end

    def test_a_new_token_is_known_soon(self):
        http = self.cluster().http
        fresh = bearer(self.create("fresh", "reader"))

        wait_until(lambda: http.get("/v1/jobs", fresh).status == 200, "the token is known")

    def test_a_faulty_file_leaves_the_last_good_one_in_force(self):
        cluster = self.cluster()
        pathlib.Path(self.file).write_text("nonsense\n")
        cluster.scheduler.process.send_signal(signal.SIGHUP)

        wait_until(lambda: "tokens are kept as they were" in cluster.scheduler.log.read_text(),
                   "the fault is logged")
        self.assertEqual(cluster.http.get("/v1/jobs", bearer(self.tokens["reader"])).status, 200)


class GrpcTest(TokensCase):
    """The command line, whose calls are gRPC."""

    def cli(self, cluster, role, *args):
        return subprocess.run([executable(), *args], capture_output=True, text=True, check=False,
                              env={**cluster.cli_environment(), "CLUSTERD_TOKEN": self.tokens[role]})

    def test_a_role_reaches_as_far_as_over_http(self):
        cluster = self.cluster()
        cluster.script("hello.sh", "echo hello")
        cluster.start_worker(alive=False)
        start = ("job", "start", "--follow", "--command", "bash", "hello.sh")

        self.assertEqual(self.cli(cluster, "operator", *start).stdout, "hello\n")
        self.assertEqual(self.cli(cluster, "reader", *start).returncode, 77)
        self.assertEqual(self.cli(cluster, "reader", "job", "list").returncode, 0)
        self.assertEqual(self.cli(cluster, "operator", "cluster", "drain", "w1").returncode, 77)
        self.assertEqual(self.cli(cluster, "admin", "cluster", "drain", "w1").returncode, 0)
        self.tokens["wrong"] = "clusterd_wrong"
        self.assertEqual(self.cli(cluster, "wrong", "job", "list").returncode, 77)


@unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
class OtherUsersTest(TokensCase):
    @staticmethod
    def status_as(user, address, headers):
        """The status that a process of another user gets."""
        options = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
        run = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *options,
                              f"http://{address}/v1/jobs"], user=user, cwd="/", env={"PATH": "/usr/bin:/bin"},
                             capture_output=True, text=True, check=True)
        return int(run.stdout)

    def test_another_user_needs_a_token_and_our_own_processes_do_not(self):
        cluster = self.cluster(local_callers="same_user")

        self.assertEqual(self.status_as(0, cluster.http_address, {}), 200)
        self.assertEqual(self.status_as(NOBODY, cluster.http_address, {}), 401)
        self.assertEqual(self.status_as(NOBODY, cluster.http_address, bearer(self.tokens["reader"])), 200)

    def test_without_the_rule_every_user_may(self):
        cluster = Cluster()
        self.addCleanup(cluster.close)

        self.assertEqual(self.status_as(NOBODY, cluster.http_address, {}), 200)


def grpc_status_as(user, address, method):
    """The gRPC status that a process of another user gets for an empty request; 0 is OK."""
    run = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-D", "-",
                          "--max-time", "20", "-H", "content-type: application/grpc", "-H",
                          "te: trailers", "--data-binary", "@-",
                          f"http://{address}/clusterd.v1.{method}"], input=b"\0" * 5, user=user,
                         cwd="/", env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True)
    return int(re.search(rb"grpc-status: (\d+)", run.stdout)[1])


@unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
class DevTest(unittest.TestCase):
    def test_another_user_cannot_run_jobs_on_our_dev_cluster(self):
        with tempfile.TemporaryDirectory(prefix="clusterd-e2e-") as folder:
            dev = subprocess.Popen(
                [executable(), "dev", "--scripts", folder, "--http-port", "0", "--grpc-port", "0",
                 "--worker-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                env={**os.environ, "TMPDIR": folder})
            self.addCleanup(dev.stdout.close)
            self.addCleanup(dev.wait, timeout=60)
            self.addCleanup(dev.terminate)
            address = re.search(r"http://(\S+), scheduler", dev.stdout.readline())[1]

            self.assertEqual(OtherUsersTest.status_as(0, address, {}), 200)
            self.assertEqual(OtherUsersTest.status_as(NOBODY, address, {}), 401)
            ports = {daemon: dict(line.split("=", 1) for line in next(
                         pathlib.Path(folder).glob(f"*/{daemon}.ports")).read_text().splitlines())
                     for daemon in ("scheduler", "worker")}
            for daemon, method in (("scheduler", "SchedulerService/GetCluster"),
                                   ("worker", "WorkerService/Identify")):
                with self.subTest(daemon):
                    at = ports[daemon]["grpc"]
                    self.assertEqual(grpc_status_as(0, at, method), 0)
                    self.assertEqual(grpc_status_as(NOBODY, at, method), UNAUTHENTICATED)


class PagesOfOtherSitesTest(unittest.TestCase):
    def test_only_our_own_pages_and_links_are_served(self):
        cluster = Cluster()
        self.addCleanup(cluster.close)
        origin = f"http://{cluster.http_address}"
        job = {"path": "none.sh"}
        cases = [
            ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, True),
            ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, True),
            ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, False),
            ("GET", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, False),
            ("GET", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, False),
            ("GET", {"Host": "evil.example"}, True),
            ("POST", {"Origin": "https://evil.example"}, True),
            ("POST", {"Origin": "null"}, True),
            ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, True),
            ("POST", {"Sec-Fetch-Site": "none"}, True),
            ("POST", {"Origin": origin, "Sec-Fetch-Site": "same-origin"}, False),
        ]
        for method, headers, refused in cases:
            with self.subTest(method=method, headers=headers):
                answer = cluster.http.request(method, "/v1/jobs", job if method == "POST" else None,
                                              headers)
                self.assertEqual(answer.status == 403, refused)
                self.assertNotIn("access-control-allow-origin", answer.headers)
                self.assertEqual(answer.headers["cross-origin-resource-policy"], "same-origin")
                self.assertIn("default-src 'none'", answer.headers["content-security-policy"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
