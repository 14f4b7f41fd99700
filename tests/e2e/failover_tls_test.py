"""Several schedulers that know each other by their certificates: who may say who calls.

Needs Python's grpcio and protoc's plugin for it.
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

from cluster import wait_until
from several_schedulers import SharedCluster
from tls_test import HOSTS, tls

STUBS = tempfile.TemporaryDirectory(prefix="clusterd-stubs-")
subprocess.run(["sh", str(pathlib.Path(__file__).resolve().parents[2] / "examples/clients/stubs.sh"),
                STUBS.name], check=True)
sys.path.insert(0, STUBS.name)

import grpc  # noqa: E402
from clusterd.v1 import (job_pb2, scheduler_service_pb2,  # noqa: E402
                         scheduler_service_pb2_grpc)


class TlsSchedulers(SharedCluster):
    def __init__(self):
        self.authority = tempfile.TemporaryDirectory(prefix="clusterd-e2e-tls-")
        self.tls = pathlib.Path(self.authority.name) / "tls"
        tls("init", "--dir", self.tls, "--cluster", "test", *HOSTS)
        for name in ("s1", "s2"):
            self.issue("scheduler", name)
        self.issue("worker", "w1")
        self.issue("client", "somebody", "--role", "reader")
        super().__init__(schedulers=2, members=1)

    def issue(self, kind, name, *options):
        tls("issue", kind, "--dir", self.tls, "--name", name, *HOSTS, "--out", self.tls / name,
            *options)

    def certificate(self, name):
        return {"use_tls": True, "crt_file": f"{self.tls}/{name}.pem",
                "key_file": f"{self.tls}/{name}.key", "ca_file": f"{self.tls}/ca.pem"}

    def worker_sections(self, name):
        return {"grpc_server": {"addr": "127.0.0.1:0", **self.certificate(name)}}

    def cli_environment(self):
        return {**super().cli_environment(), "CLUSTERD_CA": f"{self.tls}/ca.pem",
                "CLUSTERD_CERT": f"{self.tls}/client.pem",
                "CLUSTERD_KEY": f"{self.tls}/client.key"}

    def close(self, check=True):
        super().close(check)
        self.authority.cleanup()

    def stub(self, address, name):
        read = lambda file: (self.tls / file).read_bytes()  # noqa: E731
        credentials = grpc.ssl_channel_credentials(read("ca.pem"), read(f"{name}.key"),
                                                   read(f"{name}.pem"))
        channel = grpc.secure_channel(address, credentials)
        return channel, scheduler_service_pb2_grpc.SchedulerServiceStub(channel)


class TrustTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(TlsSchedulers())
        self.cluster.start_worker("w1")
        self.cluster.script("echo.sh", "echo said\n")

    def start(self, address, caller, metadata=()):
        channel, stub = self.cluster.stub(address, caller)
        with channel:
            request = scheduler_service_pb2.StartJobRequest(
                spec=job_pb2.JobSpec(path="echo.sh", command="bash"))
            try:
                return stub.StartJob(request, metadata=metadata, timeout=10)
            except grpc.RpcError as error:
                return error.code()

    def test_a_call_that_is_passed_on_is_its_caller_s(self):
        cluster = self.cluster
        follower = cluster.followers()[0]
        for name in cluster.schedulers:
            address = cluster.addresses[name][0]
            self.assertEqual("client/admin/root", self.start(address, "client").submitted_by, name)
            self.assertEqual(grpc.StatusCode.PERMISSION_DENIED, self.start(address, "somebody"))
        done = subprocess.run([cluster.schedulers["s1"].process.args[0], "run", "--command", "bash",
                               "echo.sh"], capture_output=True, timeout=60, check=False,
                              env={**cluster.cli_environment(),
                                   "CLUSTERD_ADDR": cluster.addresses[follower][0]})
        self.assertEqual((0, b"said\n"), (done.returncode, done.stdout), done.stderr)

        # The leader dies: the follower takes over with the same rules.
        cluster.schedulers[cluster.leader()].kill()
        address = cluster.addresses[follower][0]
        wait_until(lambda: cluster.leader() == follower, "the follower leads")
        cluster.wait_for_worker("w1", "ALIVE")
        self.assertEqual("client/admin/root", self.start(address, "client").submitted_by)
        self.assertEqual(grpc.StatusCode.PERMISSION_DENIED, self.start(address, "somebody"))

    def test_nobody_but_a_scheduler_says_who_calls(self):
        claim = (("clusterd-forwarded", "grpc"), ("clusterd-caller", "client/admin/root"),
                 ("clusterd-caller-cluster", "test"))
        leader = self.cluster.addresses[self.cluster.leader()][0]
        for caller in ("somebody", "client", "w1"):
            self.assertEqual(grpc.StatusCode.PERMISSION_DENIED,
                             self.start(leader, caller, claim), caller)
        # One that does not lead passes nothing on for the second time, whoever asks.
        other = self.cluster.addresses[self.cluster.followers()[0]][0]
        self.assertEqual(grpc.StatusCode.UNAVAILABLE, self.start(other, "somebody", claim))


if __name__ == "__main__":
    unittest.main()
