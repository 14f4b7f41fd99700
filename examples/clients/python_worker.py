#!/usr/bin/python3
"""A worker in Python, by docs/worker-protocol.md. A handler is a command, which gets the job's arguments.

    PYTHONPATH=STUBS python_worker.py SCHEDULER DATA_DIR NAME

where `stubs.sh STUBS` has made the messages' modules."""
import asyncio
import sys

import grpc
from attempts import Attempts, frames, size_of
from clusterd.v1 import worker_service_pb2 as work, worker_service_pb2_grpc
from session import Session, keys_of

SLOTS = 4


class Worker(worker_service_pb2_grpc.WorkerServiceServicer):
    """What the scheduler calls."""

    def __init__(self, handlers, scheduler, data_dir, name):
        self.attempts = Attempts(data_dir, handlers, SLOTS, lambda held: self.session.say(held))
        self.server = grpc.aio.server()
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(self, self.server)
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.session = Session(scheduler, {"name": name, "address": f"127.0.0.1:{port}", "capacity": {"slots": SLOTS},
                                           "handlers": [{"name": word} for word in handlers]}, self.attempts)

    async def check(self, request, context):  # the welcome may come after the first command
        for _ in range(100):
            if self.session.current == (request.epoch, request.session):
                return
            await asyncio.sleep(0.02)
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"of another session than {self.session.current}")

    async def Identify(self, _request, _context):
        return self.attempts.hello.identity

    async def StartJobs(self, request, context):
        await self.check(request, context)
        answer, fresh = work.StartJobsResponse(), {}
        for order in request.attempts:
            key, verdict = (order.key.job_id, order.key.attempt), answer.verdicts.add(key=order.key)
            if key in self.attempts.held or key in self.attempts.done:
                continue  # accepted before
            if order.spec.handler in self.attempts.handlers:
                fresh[key] = order
            else:
                verdict.refusal.code, verdict.refusal.message = 9, "handler: is not offered"
        self.attempts.accept(fresh)
        return answer

    StartJob = StartJobs

    async def StopJobs(self, request, context):
        await self.check(request, context)
        for key in keys_of(request):
            self.attempts.stop(key)
        return work.StopJobsResponse()

    async def StreamJob(self, request, context):
        key = (request.key.job_id, request.key.attempt)
        log = self.attempts.log(key)
        if key not in self.attempts.held and not log.exists():
            await context.abort(grpc.StatusCode.NOT_FOUND, "not known here")
        if request.offset > size_of(log):
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, f"offset: {request.offset} is beyond the end")
        async for answer in frames(log, request, lambda: self.attempts.has_ended(key)):
            yield answer

    async def serve(self):
        await self.server.start()
        await self.session.keep()


async def main():
    await Worker({"words": ["wc", "-w"]}, *sys.argv[1:4]).serve()


if __name__ == "__main__":
    asyncio.run(main())
