"""What a worker does with orders that come twice, late, or from a scheduler whose time is over.

conformance_orders_test.py COMMAND [WORD ...], as conformance_test.py; a scheduler of the test's own sends
what the real one sends only when machines fail. Needs Python's grpcio and protoc's plugin for it.
"""
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import time
import types
import unittest
from concurrent import futures

import conformance_test
from cluster import wait_until
from conformance_test import JOB, WorkerUnderTest

STUBS = tempfile.TemporaryDirectory(prefix="clusterd-stubs-")
subprocess.run(["sh", str(pathlib.Path(__file__).resolve().parents[2] / "examples/clients/stubs.sh"),
                STUBS.name], check=True)
sys.path.insert(0, STUBS.name)

import grpc  # noqa: E402
from clusterd.v1 import (cluster_service_pb2 as cluster, cluster_service_pb2_grpc,  # noqa: E402
                         job_pb2, worker_service_pb2 as work, worker_service_pb2_grpc)
from google.protobuf import json_format  # noqa: E402

SECONDS = 15


class SchedulerOfTest(cluster_service_pb2_grpc.ClusterServiceServicer):
    """Takes every worker in, keeps what it says, and sends what a test puts into `down`."""

    def __init__(self):
        self.epoch, self.session, self.address, self.hello = 5, 0, "", None
        self.registered = 0
        self.said, self.down = [], queue.Queue()
        self.server = grpc.server(futures.ThreadPoolExecutor(16))
        cluster_service_pb2_grpc.add_ClusterServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def RegisterWorker(self, request, _context):
        self.address = request.address
        self.registered += 1
        answer = cluster.RegisterWorkerResponse(
            worker_id=request.identity.worker_id or "2f0c4ab5-4a0e-4d0f-8f0e-0d6c0f5a7a11",
            secret=request.secret or "s" * 43, name=request.name, epoch=self.epoch)
        answer.heartbeat_interval.FromMilliseconds(500)
        answer.worker_timeout.FromSeconds(3)
        answer.lost_after.FromSeconds(30)
        return answer

    def DeregisterWorker(self, _request, _context):
        return cluster.DeregisterWorkerResponse()

    def Session(self, requests, _context):
        self.hello = next(requests).hello
        self.session += 1
        down = self.down = queue.Queue()
        self.send(welcome=cluster.SessionWelcome(epoch=self.epoch, session=self.session))
        threading.Thread(target=self.listen, args=(requests, down), daemon=True).start()
        yield from iter(down.get, None)

    def listen(self, requests, down):
        try:
            for message in requests:
                self.said.append(message)
                if message.HasField("heartbeat"):
                    self.send(heartbeat=cluster.HeartbeatAck(number=message.heartbeat.number))
        except grpc.RpcError:
            pass  # the worker has gone, which a test makes happen
        down.put(None)

    def send(self, **message):
        self.down.put(cluster.SessionResponse(epoch=self.epoch, session=self.session, **message))

    def new_session(self):
        """The worker's next one."""
        before = self.session
        self.down.put(None)
        wait_until(lambda: self.session > before, "the worker opens another session", SECONDS)

    def events(self, key, kind):
        return [event for message in self.said for event in message.events.events
                if event.key == key and event.WhichOneof("event") == kind]

    def held(self, key):
        return [held for held in self.hello.inventory if held.key == key]


class OrdersTest(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "scripts").mkdir()
        self.scheduler = SchedulerOfTest()
        self.addCleanup(self.scheduler.server.stop, None)
        place = types.SimpleNamespace(
            folder=folder, scripts=folder / "scripts", data_folder=lambda name: folder / name,
            grpc_address=f"127.0.0.1:{self.scheduler.port}")
        self.worker = WorkerUnderTest(place)
        self.worker.start(alive=False)
        self.addCleanup(self.worker.stop)
        wait_until(lambda: self.scheduler.session, "the worker opens its session", SECONDS)
        channel = self.enterContext(grpc.insecure_channel(self.scheduler.address))
        self.calls = worker_service_pb2_grpc.WorkerServiceStub(channel)
        self.file = folder / "ticks"

    def ticks(self):
        return self.file.read_text().count("\n") if self.file.exists() else 0

    def key(self, number=1):
        return job_pb2.AttemptKey(job_id=f"0199e2f4-6c5a-7c21-9f0e-{number:012}", attempt=1)

    def order(self, times=1000, key=None):
        order = work.StartAttempt(key=key or self.key())
        json_format.ParseDict({**JOB, "args": ["tick", str(self.file), str(times)],
                               "stop_grace": "1s"}, order.spec)
        return order

    def start(self, *orders, epoch=None, session=None):
        return self.calls.StartJobs(work.StartJobsRequest(
            epoch=epoch or self.scheduler.epoch, session=session or self.scheduler.session,
            attempts=orders), timeout=SECONDS).verdicts

    def stop(self, key):
        self.calls.StopJobs(work.StopJobsRequest(
            epoch=self.scheduler.epoch, session=self.scheduler.session, keys=[key]), timeout=SECONDS)

    def wait_for(self, key, kind):
        wait_until(lambda: self.scheduler.events(key, kind), f"the worker says {kind}", SECONDS)
        return self.scheduler.events(key, kind)[0]

    def assert_stays(self, seconds=0.5):
        before = self.ticks()
        time.sleep(seconds)  # nothing happens, which no event tells
        self.assertEqual(self.ticks(), before)

    def test_an_order_that_comes_twice_starts_one_attempt(self):
        for _ in range(2):
            (verdict,) = self.start(self.order(times=3))
            self.assertEqual(verdict.refusal.code, 0, verdict)
        self.assertEqual(self.wait_for(self.key(), "ended").ended.exit_code, 0)
        self.assertEqual(self.start(self.order(times=3))[0].refusal.code, 0)
        self.assert_stays()
        self.assertEqual(self.ticks(), 3)

    def test_an_order_of_another_session_or_term_is_refused(self):
        for pair in ({"session": self.scheduler.session + 1}, {"epoch": self.scheduler.epoch - 1},
                     {"epoch": self.scheduler.epoch + 1}):
            with self.assertRaises(grpc.RpcError) as refused:
                self.start(self.order(), **pair)
            self.assertEqual(refused.exception.code(), grpc.StatusCode.FAILED_PRECONDITION, pair)
        with self.assertRaises(grpc.RpcError):
            self.calls.StopJobs(work.StopJobsRequest(epoch=1, session=1, keys=[self.key()]),
                                timeout=SECONDS)
        self.assert_stays()
        self.assertEqual(self.ticks(), 0)

    def test_what_was_stopped_before_it_came_never_begins(self):
        self.stop(self.key())
        end = self.wait_for(self.key(), "ended").ended
        self.assertEqual(job_pb2.JobEnd.Reason.Name(end.reason), "CANCELLED_BEFORE_START")
        self.start(self.order())
        self.assert_stays()
        self.scheduler.new_session()
        self.assertTrue(self.scheduler.held(self.key())[0].HasField("end"))
        self.assertEqual(self.ticks(), 0)

    def test_an_end_is_told_until_it_is_acknowledged(self):
        self.start(self.order(times=1))
        self.wait_for(self.key(), "ended")
        self.scheduler.new_session()
        (held,) = self.scheduler.held(self.key())
        self.assertTrue(held.started)
        self.assertEqual(held.end.exit_code, 0)
        self.scheduler.send(acknowledged=cluster.EndsAcknowledged(keys=[self.key()]))
        self.scheduler.new_session()
        self.assertEqual(self.scheduler.held(self.key()), [], "it has been acknowledged")
        self.start(self.order(times=1))  # was late on its way
        self.assert_stays()
        self.assertEqual(self.ticks(), 1)

    def test_fenced_work_ends_and_is_not_spoken_of(self):
        self.start(self.order())
        wait_until(self.ticks, "it runs", SECONDS)
        self.scheduler.send(fenced=cluster.FencedAttempts(keys=[self.key()]))
        time.sleep(1.5)
        if self.worker.process.poll() is not None:
            self.worker.start(alive=False)
        self.assert_stays()
        self.assertEqual(self.scheduler.events(self.key(), "ended"), [])

    def test_a_scheduler_of_an_earlier_term_is_not_obeyed(self):
        before = self.scheduler.session
        registered = self.scheduler.registered
        self.scheduler.epoch = 4
        self.scheduler.down.put(None)
        wait_until(lambda: self.scheduler.registered > registered, "it asks again", SECONDS)
        time.sleep(1)
        self.assertEqual(self.scheduler.session, before, "it opened a session")
        self.scheduler.epoch = 6
        if self.worker.process.poll() is not None:
            self.worker.start(alive=False)
        wait_until(lambda: self.scheduler.session > before, "it serves the newer one", SECONDS)


if __name__ == "__main__":
    conformance_test.take_command()
    try:
        unittest.main()
    finally:
        STUBS.cleanup()
