"""Well-formed messages that nobody in their right mind sends, to every method over gRPC.

Needs Python's grpcio and protoc's plugin for it. With CLUSTERD_LONG=1 a hundred times as many, and
others each time; CLUSTERD_SEED=N sends what a run has sent that named this number.
"""
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import unittest

from cluster import Cluster, executable, wait_until

STUBS = tempfile.TemporaryDirectory(prefix="clusterd-stubs-")
subprocess.run(["sh", str(pathlib.Path(__file__).resolve().parents[2] / "examples/clients/stubs.sh"),
                STUBS.name], check=True)
sys.path.insert(0, STUBS.name)

import grpc  # noqa: E402
from clusterd.v1 import (cluster_service_pb2, scheduler_service_pb2,  # noqa: E402
                         worker_service_pb2)
from google.protobuf import message_factory  # noqa: E402
from google.protobuf.descriptor import FieldDescriptor as Field  # noqa: E402

LONG = bool(os.environ.get("CLUSTERD_LONG"))
COUNT = 2000 if LONG else 20
SEED = int(os.environ.get("CLUSTERD_SEED", time.time_ns() % 10**9 if LONG else 1))
DEEPEST = 5
TEXTS = ["", "job-1", "w1", "a", "zone=a", "@daily", "* * * * *", "UTC", "../../etc/passwd", "echo.sh",
         "bash", "\x00", "ä", "%00", "x" * 300, "x" * 70_000, "-1", "'; DROP TABLE jobs; --"]
NUMBERS = [0, 1, 2, 3, 100, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, -1, -2**31, -2**63]
WITHIN = {Field.TYPE_INT32: (-2**31, 2**31 - 1), Field.TYPE_SINT32: (-2**31, 2**31 - 1),
          Field.TYPE_UINT32: (0, 2**32 - 1), Field.TYPE_INT64: (-2**63, 2**63 - 1),
          Field.TYPE_UINT64: (0, 2**64 - 1)}
# An answer with one of these is a defect: it says that nobody has thought of the question.
DEFECTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED)


class Hostile:
    """Makes messages by chance, and remembers what was answered so that some name what is there."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.ids = []

    def value(self, field, depth):
        chance = self.chance
        if field.type in (Field.TYPE_MESSAGE, Field.TYPE_GROUP):
            return self.message(field.message_type, depth + 1)
        if field.type == Field.TYPE_STRING:
            known = self.ids and chance.random() < 0.3
            return chance.choice(self.ids if known else TEXTS)
        if field.type == Field.TYPE_BYTES:
            return chance.randbytes(chance.choice([0, 3, 64, 70_000]))
        if field.type == Field.TYPE_BOOL:
            return chance.random() < 0.5
        if field.type == Field.TYPE_ENUM:
            return chance.choice([value.number for value in field.enum_type.values] + [77])
        if field.type in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT):
            return chance.choice([0.0, 1.5, -1.0, 1e30, float("inf"), float("nan")])
        low, high = WITHIN[field.type]
        return chance.choice([n for n in NUMBERS if low <= n <= high])

    def message(self, descriptor, depth=0):
        message = message_factory.MessageFactory().GetPrototype(descriptor)()
        for field in descriptor.fields:
            if depth > DEEPEST or self.chance.random() < 0.5:
                continue
            is_map = field.message_type and field.message_type.GetOptions().map_entry
            if is_map:
                kind = field.message_type.fields_by_name
                for _ in range(self.chance.randrange(3)):
                    entry = getattr(message, field.name)
                    key = self.value(kind["key"], depth)
                    if kind["value"].message_type:
                        entry[key].CopyFrom(self.value(kind["value"], depth))
                    else:
                        entry[key] = self.value(kind["value"], depth)
            elif field.label == Field.LABEL_REPEATED:
                getattr(message, field.name).extend(
                    self.value(field, depth) for _ in range(self.chance.randrange(3)))
            elif field.message_type:
                getattr(message, field.name).CopyFrom(self.value(field, depth))
            else:
                setattr(message, field.name, self.value(field, depth))
        return message


class HostileTest(unittest.TestCase):
    def setUp(self):
        print(f"\nCLUSTERD_SEED={SEED}", flush=True)
        self.cluster = self.enterContext(Cluster())
        self.cluster.script("echo.sh", "echo said\n")
        self.cluster.start_worker("w1")
        self.hostile = Hostile(SEED)

    def ask_everything(self, address, services):
        """Each method so many times; returns how often which status came."""
        codes = {}
        with grpc.insecure_channel(address) as channel:
            for service in services:
                for method in service.methods:
                    for _ in range(COUNT):
                        code = self.ask(channel, service, method)
                        codes[code] = codes.get(code, 0) + 1
        return codes

    def ask(self, channel, service, method):
        factory = message_factory.MessageFactory()
        path = f"/{service.full_name}/{method.name}"
        kind = {(False, False): channel.unary_unary, (False, True): channel.unary_stream,
                (True, False): channel.stream_unary, (True, True): channel.stream_stream}
        call = kind[method.client_streaming, method.server_streaming](
            path, request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=factory.GetPrototype(method.output_type).FromString)
        request = self.hostile.message(method.input_type)
        if method.client_streaming:
            request = iter([request, *(self.hostile.message(method.input_type) for _ in range(2))])
        seconds = 0.3 if method.server_streaming else 2
        try:
            answer = call(request, timeout=seconds)
            if method.server_streaming:
                for _, _ in zip(range(10), answer):
                    pass
                answer.cancel()
            elif getattr(answer, "job_id", ""):
                self.hostile.ids.append(answer.job_id)
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
            self.assertNotIn(code, DEFECTS, f"{path}: {error.details()}\n{request}")
            self.assertTrue(error.details(), f"{path}: {code} without a word\n{request}")
            return code

    def check_health(self):
        cluster = self.cluster
        self.assertIsNone(cluster.scheduler.process.poll(), "the scheduler lives")
        self.assertIsNone(cluster.workers["w1"].process.poll(), "the worker lives")
        self.assertEqual(200, cluster.http.get("/readyz").status)
        cluster.http.post("/v1/workers/w1/resume", {})  # somebody may have drained it
        cluster.wait_for_worker("w1", "ALIVE")
        job_id = cluster.start("echo.sh")
        try:
            cluster.wait(job_id)
        except AssertionError as error:
            why = cluster.http.get(f"/v1/jobs/{job_id}/explain").body
            raise AssertionError(f"{error}: {cluster.job(job_id)}\n{why}") from error
        self.assertEqual(cluster.output(job_id), b"said\n")

    def test_the_scheduler_answers_and_goes_on(self):
        services = [scheduler_service_pb2.DESCRIPTOR.services_by_name["SchedulerService"],
                    cluster_service_pb2.DESCRIPTOR.services_by_name["ClusterService"]]
        codes = self.ask_everything(self.cluster.grpc_address, services)
        print({code.name: count for code, count in codes.items()})
        self.assertGreater(codes.get(grpc.StatusCode.INVALID_ARGUMENT, 0), COUNT)
        self.check_health()
        # What it has kept of all this can be read again.
        self.cluster.scheduler.kill()
        self.cluster.start_scheduler()
        self.cluster.wait_for_worker("w1", "ALIVE")
        self.check_health()

    def test_the_worker_answers_and_goes_on(self):
        services = [worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"]]
        address = self.cluster.http.get("/v1/workers/w1").json()["address"]
        codes = self.ask_everything(address, services)
        print({code.name: count for code, count in codes.items()})
        self.check_health()
        self.cluster.workers["w1"].kill()
        self.cluster.start_worker("w1")
        self.check_health()


if __name__ == "__main__":
    unittest.main()
