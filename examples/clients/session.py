"""The side of python_worker.py that calls the scheduler: registration, heartbeats, news up, orders down."""
import asyncio
import time

import grpc
from clusterd.v1 import cluster_service_pb2 as cluster, cluster_service_pb2_grpc


def keys_of(message):
    return [(key.job_id, key.attempt) for key in message.keys]


class Session:
    """One at a time; `current` is the pair that every message carries, (0, 0) where there is none."""

    def __init__(self, scheduler, offer, attempts):
        self.scheduler, self.offer, self.attempts = scheduler, offer, attempts
        self.current, self.out, self.call, self.contact, self.sent = (0, 0), None, None, time.monotonic(), {}

    def tell(self, **message):  # without a session the next inventory does
        if self.current[1]:
            self.out.put_nowait(cluster.SessionRequest(epoch=self.current[0], session=self.current[1], **message))

    def say(self, held):  # all that is known of an attempt; twice is no harm
        started = {"key": held.key, "time": held.start_time, "started": {"output_path": str(self.attempts.output)}}
        ended = {"key": held.key, "time": held.end_time, "ended": held.end}
        self.tell(events={"events": [started] * held.started + [ended] * held.HasField("end")})

    def hear(self, message, opened):
        if message.HasField("welcome"):
            self.current, self.contact = (message.welcome.epoch, message.welcome.session), opened
            for held in self.attempts.held.values():  # what has happened since the inventory
                self.say(held)
        if (message.epoch, message.session) != self.current:
            return
        if message.HasField("heartbeat"):
            self.contact = self.sent.pop(message.heartbeat.number, self.contact)
        for key in keys_of(message.fenced):
            self.attempts.kill(key)
        if message.HasField("fenced") or message.HasField("acknowledged"):
            self.attempts.forget(keys_of(message.fenced) + keys_of(message.acknowledged))
        if message.HasField("delete_outputs"):
            for job_id in message.delete_outputs.job_ids:
                self.attempts.delete_output(job_id)
            self.tell(outputs_deleted={"job_ids": message.delete_outputs.job_ids})

    async def watch(self):  # heartbeats while there is a session, fences always
        number = 0
        while True:
            await asyncio.sleep(0.1)
            number, now = number + 1, time.monotonic()
            self.attempts.fence(now - self.contact)
            if number % 5 == 0 and self.current[1]:
                self.sent[number] = now
                self.tell(heartbeat={"number": number, "jobs": len(self.attempts.held)})
            if self.current[1] and now > self.contact + 10:
                self.call.cancel()  # nobody answers

    async def join(self, channel):
        stub, me, opened = cluster_service_pb2_grpc.ClusterServiceStub(channel), self.attempts.memory, time.monotonic()
        request = cluster.RegisterWorkerRequest(identity=me.hello.identity, secret=me.hello.secret, **self.offer)
        answer = await stub.RegisterWorker(request, timeout=10)
        if answer.epoch < me.epoch:
            raise ConnectionError("a scheduler of an earlier term: its time is over")
        me.epoch, me.hello.identity.worker_id, me.hello.secret = answer.epoch, answer.worker_id, answer.secret
        self.attempts.save()
        self.out = asyncio.Queue()
        self.out.put_nowait(cluster.SessionRequest.FromString(me.SerializeToString()))

        async def outgoing():
            while True:
                yield await self.out.get()

        self.call = stub.Session(outgoing())
        async for message in self.call:
            self.hear(message, opened)

    async def keep(self):
        watch = asyncio.create_task(self.watch())
        while not watch.done():
            async with grpc.aio.insecure_channel(self.scheduler) as channel:
                try:
                    await self.join(channel)
                except (grpc.aio.AioRpcError, asyncio.CancelledError, ConnectionError) as error:
                    print("no session:", error, flush=True)
            self.current, self.sent = (0, 0), {}
            await asyncio.sleep(0.3)
