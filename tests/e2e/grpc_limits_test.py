"""What a stranger can take of the gRPC port: connections, calls, streams, silence and pings are
bounded, each by a key, and honest clients are served all the while. And callers with tokens over TLS.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import time
import unittest

from cluster import Cluster, executable, wait_until
from h2_call import ACK, GOAWAY, PING, PREFACE, SETTINGS, H2Connection, frame, read_exactly
from tls_test import TlsCluster, documented_table

FOREIGN = "127.0.0.2"
ATTACKERS = 2_000 if os.environ.get("CLUSTERD_LONG") else 200
ENHANCE_YOUR_CALM = 11
MAX_CONCURRENT_STREAMS = 3


def connect(address, source="127.0.0.1", seconds=20):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), seconds, (source, 0))


def frames(connection):
    """Frames as they come, until the end of the connection; (kind, flags, payload)."""
    with contextlib.suppress(ConnectionError):
        while True:
            head = read_exactly(connection, 9)
            payload = read_exactly(connection, struct.unpack(">I", b"\0" + head[:3])[0])
            yield head[3], head[4], payload


def is_closed(connection):
    connection.settimeout(0)
    try:
        while connection.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


class ConnectionsTest(unittest.TestCase):
    def cluster(self, **grpc):
        return self.enterContext(Cluster(grpc_server={"addr": "127.0.0.1:0", **grpc}))

    def h2(self, cluster):
        connection = self.enterContext(connect(cluster.grpc_address))
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        return connection

    def test_who_does_not_speak_is_closed(self):
        cluster = self.cluster(handshake_timeout="500ms")
        connection = self.enterContext(connect(cluster.grpc_address))
        start = time.monotonic()

        for _ in frames(connection):
            pass

        self.assertLess(time.monotonic() - start, 15)

    def test_who_calls_nothing_is_closed(self):
        cluster = self.cluster(idle_timeout="1s")
        connection = self.h2(cluster)

        kinds = []
        for kind, flags, payload in frames(connection):
            kinds.append(kind)
            if kind == SETTINGS and not flags & ACK:
                connection.sendall(frame(SETTINGS, ACK, 0))
            if kind == PING and not flags & ACK:
                connection.sendall(frame(PING, ACK, 0, payload))

        self.assertIn(GOAWAY, kinds)

    def test_who_pings_all_the_time_is_closed(self):
        connection = self.h2(self.cluster())
        for _ in range(20):
            connection.sendall(frame(PING, 0, 0, b"12345678"))

        away = [payload for kind, _, payload in frames(connection) if kind == GOAWAY]

        self.assertEqual(struct.unpack(">I", away[-1][4:8])[0], ENHANCE_YOUR_CALM)

    def test_calls_at_one_time_are_bounded(self):
        connection = self.h2(self.cluster(max_streams_per_connection=7))

        settings = next(payload for kind, flags, payload in frames(connection)
                        if kind == SETTINGS and not flags & ACK)

        pairs = dict(struct.unpack(">HI", settings[i:i + 6]) for i in range(0, len(settings), 6))
        self.assertEqual(pairs[MAX_CONCURRENT_STREAMS], 7)

    def test_a_flood_of_connections_is_cut_and_others_are_served(self):
        cluster = self.cluster(max_connections_per_client=20, handshake_timeout="1h")
        cluster.script("hello.sh", "echo hello\n")
        cluster.start_worker()
        flood = [self.enterContext(connect(cluster.grpc_address, FOREIGN)) for _ in range(ATTACKERS)]
        for connection in flood:
            with contextlib.suppress(OSError):  # it may be cut already
                connection.sendall(PREFACE + frame(SETTINGS, 0, 0))

        done = cluster.cli("job", "start", "--follow", "--command", "bash", "hello.sh")
        self.assertEqual(done.stdout, "hello\n", done.stderr)
        wait_until(lambda: sum(not is_closed(c) for c in flood) <= 20, "the flood is cut", 20)
        self.assertGreater(sum(not is_closed(c) for c in flood), 0)
        self.assertEqual(cluster.http.get("/v1/workers/w1").json()["state"], "ALIVE")
        log = cluster.scheduler.log.read_text()
        self.assertIn("gRPC connections are cut: there are too many", log)
        self.assertIn(f"client={FOREIGN}", log)


class ShareTest(unittest.TestCase):
    def test_followers_are_bounded_and_the_key_is_named(self):
        with Cluster(grpc_server={"addr": "127.0.0.1:0", "max_streams_per_client": 2}) as cluster:
            cluster.script("wait.sh", "echo on; sleep 600\n")
            cluster.start_worker()
            job = cluster.start("wait.sh")
            follow = [executable(), "job", "logs", "-f", job]
            with contextlib.ExitStack() as stack:
                for _ in range(2):
                    follower = stack.enter_context(subprocess.Popen(
                        follow, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                        env=cluster.cli_environment()))
                    stack.callback(follower.kill)
                    self.assertEqual(follower.stdout.readline(), b"on\n")
                third = subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         env=cluster.cli_environment())
                with third:
                    stack.callback(third.kill)
                    error = b""
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        error = third.communicate(timeout=15)[1]
                    third.kill()
                self.assertIn(b"grpc_server.max_streams_per_client allows 2", error)
                self.assertEqual(cluster.cli("job", "list").returncode, 0)

    def test_calls_a_second_are_bounded_and_the_key_is_named(self):
        with Cluster(grpc_server={"addr": "127.0.0.1:0", "max_request_rate": 2}) as cluster:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                done = list(pool.map(lambda _: cluster.cli("job", "list"), range(24)))

            refused = [one for one in done if one.returncode != 0]
            self.assertLess(len(refused), len(done))
            self.assertGreater(len(refused), 0)
            for one in refused:
                self.assertIn("grpc_server.max_request_rate allows 2", one.stderr)
            cluster.start_worker()  # workers have no rate
            self.assertEqual(cluster.http.get("/v1/jobs").status, 200)

    def test_sizes_of_a_job(self):
        with Cluster(scheduling={"max_args": "1KiB", "max_env": "1KiB", "max_stdin": "1KiB"}) as cluster:
            for field, value, key in (("args", ["x" * 1024], "max_args"),
                                      ("env", {"A": "x" * 1024}, "max_env"),
                                      ("stdin", "eHh4" * 400, "max_stdin")):
                with self.subTest(field=field):
                    answer = cluster.http.post("/v1/jobs", {"path": "x.sh", field: value})
                    self.assertEqual(answer.status, 400)
                    self.assertRegex(answer.json()["detail"],
                                     rf"{field}: \d+ bytes are more than the 1024 allowed .*"
                                     rf"scheduling\.{key}")


class TokensOverTlsTest(unittest.TestCase):
    """A bearer token and the authority of the scheduler's certificate are enough for a client."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.tokens = {role: subprocess.run(
            [executable(), "token", "create", "--file", self.folder / "tokens", "--role", role, role],
            capture_output=True, text=True, check=True).stdout.strip()
            for role in ("reader", "operator", "admin")}
        self.cluster = self.enterContext(TlsCluster(http_server={
            "addr": "127.0.0.1:0", "tokens_file": str(self.folder / "tokens")}))
        self.cluster.script("hello.sh", "echo hello\n")
        self.cluster.start_worker("w1", alive=False)

    def cli(self, token, *args):
        environment = self.cluster.cli_environment()
        del environment["CLUSTERD_CERT"], environment["CLUSTERD_KEY"]
        if token:
            environment["CLUSTERD_TOKEN"] = token
        return self.cluster.cli_as(environment, *args)

    def test_a_token_is_as_good_as_a_certificate(self):
        start = ("job", "start", "--follow", "--command", "bash", "hello.sh")

        ran = self.cli(self.tokens["operator"], *start)
        self.assertEqual(ran.stdout, "hello\n", ran.stderr)
        self.assertEqual(self.cli(self.tokens["reader"], "job", "list").returncode, 0)
        self.assertEqual(self.cli(self.tokens["reader"], *start).returncode, 77)
        self.assertEqual(self.cli(self.tokens["operator"], "cluster", "drain", "w1").returncode, 77)
        self.assertEqual(self.cli(self.tokens["admin"], "cluster", "drain", "w1").returncode, 0)

    def test_every_method_takes_the_tokens_that_are_documented_and_no_other(self):
        served = ("clusterd.v1.SchedulerService/", "clusterd.v1.ClusterService/",
                  "jobscheduler.Scheduler/", "cluster.v1.", "scheduler.v1.")
        methods = {m: roles for m, roles in documented_table().items() if m.startswith(served)}
        self.assertGreater(len(methods), 25)
        for method, roles in methods.items():
            for role, token in self.tokens.items():
                with self.subTest(method=method, role=role):
                    before = len(self.cluster.log("scheduler"))
                    with H2Connection(self.cluster.grpc_address, f"{self.cluster.tls}/ca.pem",
                                      token=token) as connection:
                        connection.call(f"/{method}", wait=0.3 if role in roles else 10)
                    refused = f"method=/{method} " in self.cluster.log("scheduler")[before:]
                    self.assertEqual(refused, role not in roles)

    def test_neither_or_a_wrong_one_is_refused(self):
        self.assertEqual(self.cli("clusterd_wrong", "job", "list").returncode, 77)
        self.assertEqual(self.cli("", "job", "list").returncode, 77)

    def test_a_revoked_one_is_cut(self):
        self.assertEqual(self.cli(self.tokens["admin"], "job", "list").returncode, 0)
        subprocess.run([executable(), "token", "revoke", "--file", self.folder / "tokens", "admin"],
                       check=True, capture_output=True)
        wait_until(lambda: self.cli(self.tokens["admin"], "job", "list").returncode == 77,
                   "the token is refused", 15)


if __name__ == "__main__":
    unittest.main(verbosity=2)
