#!/usr/bin/python3
"""A client over gRPC in Python: starts a script, prints its output as it comes, and exits as it does.

    stubs.sh FOLDER && PYTHONPATH=FOLDER python_client.py SCHEDULER SCRIPT [ARGUMENT ...]

SCHEDULER is host:port of its gRPC address; Debian's python3-grpcio and python3-protobuf are needed."""
import sys
import time
import uuid

import grpc
from clusterd.v1 import job_pb2, scheduler_service_pb2 as api, scheduler_service_pb2_grpc

PAUSE_SECONDS = 0.5
GIVE_UP_SECONDS = 60


def insist(call):
    """The call's answer, again and again while no scheduler can be reached."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_SECONDS)


def follow(scheduler, job_id, write):
    """Each byte once and in order; a cut is no end."""
    offset = 0

    def read():
        nonlocal offset
        request = api.StreamJobRequest(job_id=job_id, follow=True, offset=offset)
        for message in scheduler.StreamJob(request, timeout=3600):
            if message.HasField("frame"):
                new = message.frame.data[max(0, offset - message.frame.offset):]
                write(new)
                offset = message.frame.offset + len(message.frame.data)
            if message.HasField("end") and message.end.complete:
                return True
        return False

    while not insist(read):
        time.sleep(PAUSE_SECONDS)


def main(address, path, *args):
    scheduler = scheduler_service_pb2_grpc.SchedulerServiceStub(grpc.insecure_channel(address))
    request = api.StartJobRequest(request_id=str(uuid.uuid4()))  # repeated, it is the same job
    request.spec.path, request.spec.command = path, "bash"
    request.spec.args.extend(args)
    job = insist(lambda: scheduler.StartJob(request, timeout=30))
    follow(scheduler, job.job_id, lambda data: (sys.stdout.buffer.write(data), sys.stdout.flush()))
    while not job.HasField("end"):
        wait = api.WaitJobRequest(job_id=job.job_id)
        job = insist(lambda: scheduler.WaitJob(wait, timeout=60))
    if job.state == job_pb2.Job.SUCCEEDED:
        return 0
    print(job_pb2.Job.State.Name(job.state), job.end.message, file=sys.stderr)
    return job.end.exit_code or 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
