"""Whoever can reach the HTTP port can waste little of it: the scheduler stays small, and honest
requests are answered all the while, from other addresses and from the attacker's own.

With CLUSTERD_LONG=1 the attackers are ten thousand, else a thousand.
"""
import contextlib
import os
import pathlib
import resource
import socket
import threading
import time
import unittest

from cluster import Cluster, peak_memory_bytes
from http_client import HttpConnection

ATTACKERS = 10_000 if os.environ.get("CLUSTERD_LONG") else 1_000
ALLOWED_BYTES = 200 << 20
ATTACK_SECONDS = 5
PATIENCE_SECONDS = 10  # of an honest client
FOREIGN, HONEST = "127.0.0.2", "127.0.0.1"


def memory_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no VmRSS")


class Attackers:
    """Many connections from one address."""

    def __init__(self, address, source=FOREIGN):
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.source = source
        self.sockets = []

    def connect(self, count=ATTACKERS):
        for _ in range(count):
            connection = socket.create_connection(self.address, PATIENCE_SECONDS, (self.source, 0))
            connection.setblocking(False)
            self.sockets.append(connection)

    def send(self, data):
        """Sends it on each connection that still takes something; how many those were."""
        taken = 0
        for connection in self.sockets:
            with contextlib.suppress(OSError):
                connection.send(data)
                taken += 1
        return taken

    def keep_sending(self, data):
        end = time.monotonic() + ATTACK_SECONDS
        while time.monotonic() < end:
            self.send(data)
            time.sleep(0.5)

    def close(self):
        for connection in self.sockets:
            connection.close()


class HonestClients:
    """Asks on fresh connections, again and again, from one address after the other."""

    def __init__(self, address, sources):
        self.address = address
        self.sources = sources
        self.answers = []
        self.seconds = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()

    def ask(self):
        while not self.stopped.is_set():
            for source in self.sources:
                start = time.monotonic()
                try:
                    with contextlib.closing(HttpConnection(self.address, source)) as connection:
                        connection.socket.settimeout(PATIENCE_SECONDS)
                        answer = connection.request("GET", "/v1/cluster")
                        _ = answer.body
                        self.answers.append(answer.status)
                except OSError as error:
                    self.answers.append(repr(error))
                self.seconds.append(time.monotonic() - start)
            self.stopped.wait(0.05)


class StrangersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)
        self.assertEqual(self.cluster.http.get("/v1/cluster").status, 200)
        self.base = memory_bytes(self.cluster.scheduler.pid)

    def attackers(self, source=FOREIGN):
        attackers = Attackers(self.cluster.http_address, source)
        self.addCleanup(attackers.close)
        return attackers

    def honest(self, *sources):
        return HonestClients(self.cluster.http_address, sources or (HONEST, FOREIGN))

    def check(self, honest):
        """All of them were answered, and the scheduler never was large."""
        self.assertGreater(len(honest.answers), 5)
        self.assertEqual(set(honest.answers), {200})
        peak = peak_memory_bytes(self.cluster.scheduler.pid)
        slowest = max(honest.seconds)
        if peak is not None:
            print(f"{self.id().split('.')[-1]}: {(peak - self.base) >> 20} MiB above the base, "
                  f"{len(honest.answers)} honest requests, the slowest {slowest * 1000:.0f} ms")
            self.assertLess(peak - self.base, ALLOWED_BYTES)

    def test_idle_connections(self):
        attackers = self.attackers()
        with self.honest() as honest:
            attackers.connect()
            time.sleep(ATTACK_SECONDS)
        self.check(honest)

    def test_slow_headers(self):
        attackers = self.attackers()
        with self.honest() as honest:
            attackers.connect()
            attackers.send(b"GET /v1/cluster HTTP/1.1\r\nHost: localhost\r\n")
            attackers.keep_sending(b"X-Slow: header\r\n")
        self.check(honest)

    def test_large_slow_headers(self):
        attackers = self.attackers()
        with self.honest() as honest:
            attackers.connect()
            attackers.send(b"GET /v1/cluster HTTP/1.1\r\nHost: localhost\r\n")
            attackers.send(b"X-Large: " + b"x" * 60_000)
            attackers.keep_sending(b"x")
        self.check(honest)

    def test_slow_bodies(self):
        attackers = self.attackers()
        with self.honest() as honest:
            attackers.connect()
            attackers.send(b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
                           b"Content-Length: 4000000\r\n\r\n")
            attackers.send(b" " * 30_000)
            attackers.keep_sending(b" " * 100)
        self.check(honest)

    def test_a_body_of_ten_gibibytes(self):
        with self.honest() as honest:
            with contextlib.closing(HttpConnection(self.cluster.http_address)) as connection:
                connection.socket.sendall(
                    b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
                    b"Content-Length: 10737418240\r\n\r\n")
                self.assertEqual(connection.answer().status, 413)
            with contextlib.closing(HttpConnection(self.cluster.http_address)) as connection:
                connection.socket.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
                                          b"Transfer-Encoding: chunked\r\n\r\n")
                self.send_until_refused(connection, b"100000\r\n" + b" " * (1 << 20) + b"\r\n",
                                        10 << 10)
                self.assertEqual(connection.answer().status, 413)
            time.sleep(0.5)
        self.check(honest)

    def test_a_million_headers(self):
        with self.honest() as honest:
            with contextlib.closing(HttpConnection(self.cluster.http_address)) as connection:
                connection.socket.sendall(b"GET /v1/cluster HTTP/1.1\r\nHost: localhost\r\n")
                self.send_until_refused(
                    connection, b"".join(b"X-%06d: y\r\n" % number for number in range(10_000)), 100)
                self.assertEqual(connection.answer().status, 431)
            time.sleep(0.5)
        self.check(honest)

    def test_a_flood_of_requests(self):
        attackers = self.attackers()
        with self.honest() as honest:
            attackers.connect(100)
            end = time.monotonic() + ATTACK_SECONDS
            while time.monotonic() < end:
                attackers.send(b"GET /v1/workers HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
                for connection in attackers.sockets:
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        connection.recv(1 << 20)
        self.check(honest)

    def send_until_refused(self, connection, piece, times):
        for _ in range(times):
            if connection.has_answer():
                return
            try:
                connection.socket.sendall(piece)
            except ConnectionError:
                return
        self.fail("everything was taken")


if __name__ == "__main__":
    unittest.main(verbosity=2)
