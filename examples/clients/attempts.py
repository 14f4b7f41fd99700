"""The attempts of python_worker.py: its memory of them on the disk, their processes, their output as frames."""
import asyncio
import collections
import os
import pathlib
import shutil
import signal
import uuid

from clusterd.v1 import cluster_service_pb2 as cluster, job_pb2 as jobs, output_pb2

POLYNOMIAL = 0x82F63B78  # of CRC32C, RFC 3720, least bit first
TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ POLYNOMIAL * (byte & 1)
    TABLE.append(byte)


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def seconds(duration):
    return duration.ToNanoseconds() / 1e9


class Process:
    """A command with its output in a log. It dies with this process: nothing runs that nobody knows of."""

    def __init__(self):
        self.child = None
        self.why = ""  # the reason of its end, where somebody asked for it

    async def run(self, command, log, spec):
        """Its exit status, below 0 for a signal."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            self.child = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig", "KILL", *command, stdin=asyncio.subprocess.PIPE, stdout=output,
                stderr=output, start_new_session=True)
        if self.why:
            self.signal(signal.SIGKILL)  # asked to stop before it was there
        try:
            await asyncio.wait_for(self.child.communicate(spec.stdin), seconds(spec.timeout) or None)
        except asyncio.TimeoutError:
            await self.stop("RUN_TIMED_OUT", seconds(spec.stop_grace))
        return await self.child.wait()

    def signal(self, number):
        if self.child is not None and self.child.returncode is None:
            os.killpg(self.child.pid, number)

    async def stop(self, why, grace=0.0):
        self.why = self.why or why
        if grace and self.child is not None:
            self.signal(signal.SIGTERM)
            await asyncio.wait([asyncio.create_task(self.child.wait())], timeout=grace)
        self.signal(signal.SIGKILL)


def size_of(log):
    return log.stat().st_size if log.exists() else 0


async def frames(log, request, has_ended):
    """The answers of StreamJob: bytes from the request's offset on, until the end if it follows."""
    at = request.offset
    if request.tail_lines and size_of(log):
        at = size_of(log) - sum(map(len, log.read_bytes().splitlines(True)[-request.tail_lines:]))
    last = at + request.max_bytes if request.max_bytes else float("inf")
    start = output_pb2.OutputStart(attempt=request.key.attempt, stream="MERGED", offset=at, written=size_of(log))
    yield output_pb2.StreamJobResponse(start=start)
    while True:
        complete = has_ended()  # asked before the length
        while at < min(size_of(log), last):
            with open(log, "rb") as file:
                file.seek(at)
                data = file.read(int(min(65536, last - at)))
            frame = output_pb2.OutputFrame(offset=at, data=data, crc32c=crc32c(data))
            yield output_pb2.StreamJobResponse(frame=frame)
            at += len(data)
        if complete or not request.follow or at >= last:
            break
        await asyncio.sleep(0.05)
    yield output_pb2.StreamJobResponse(end=output_pb2.OutputEnd(total_bytes=size_of(log), complete=complete))


class Attempts:
    """What a worker holds. `say(held)` tells the scheduler of one, or leaves it to the next inventory."""

    def __init__(self, data_dir, handlers, slots, say):
        self.handlers, self.slots, self.say = handlers, asyncio.Semaphore(slots), lambda held: None
        self.file = pathlib.Path(data_dir, "worker")
        self.output = pathlib.Path(data_dir, "output")
        self.output.mkdir(parents=True, exist_ok=True)
        # The first message of the next session: who the worker is, and what it holds.
        self.memory = cluster.SessionRequest()
        if self.file.exists():
            self.memory.ParseFromString(self.file.read_bytes())
        self.hello = self.memory.hello
        me = self.hello.identity
        me.journal_id = me.journal_id or str(uuid.uuid4())
        me.boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        me.machine_id = pathlib.Path("/etc/machine-id").read_text(encoding="ascii").strip()
        me.features[:] = ["delete_outputs"]
        self.held, self.orders, self.processes = {}, {}, {}
        self.done = collections.deque(maxlen=10_000)  # ends that everybody knows, against late starts
        for stored in self.hello.inventory:  # what never began is left out, which says so
            if stored.started or stored.HasField("end"):
                held = cluster.HeldAttempt()
                held.CopyFrom(stored)
                self.held[held.key.job_id, held.key.attempt] = held
        for key in self.held:
            self.end(key, reason="EXIT_STATUS_UNKNOWN", message="its worker died")  # where it had not ended
        self.say = say

    def log(self, key):
        return self.output / key[0] / f"{key[1]}.log"

    def has_ended(self, key):
        return key not in self.held or self.held[key].HasField("end")

    def save(self):
        """Before anybody hears of it."""
        self.hello.ClearField("inventory")
        self.hello.inventory.extend(self.held.values())
        fresh = self.file.with_suffix(".new")
        with open(fresh, "wb") as file:
            file.write(self.memory.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.file)

    def accept(self, orders):
        """They are on the disk, then begin as there is room."""
        for key, order in orders.items():
            self.held[key], self.orders[key] = cluster.HeldAttempt(key=order.key), order
            self.processes[key] = Process()
        self.save()
        for key in orders:
            asyncio.create_task(self.run(key))

    async def run(self, key):
        async with self.slots:
            if self.has_ended(key):
                return  # stopped before it began
            spec, process = self.orders[key].spec, self.processes[key]
            self.held[key].started = True
            self.held[key].start_time.GetCurrentTime()
            self.save()
            self.say(self.held[key])
            code = await process.run([*self.handlers[spec.handler], *spec.args], self.log(key), spec)
            facts = {"exit_code": code} if code >= 0 else {"signal": -code}
            self.end(key, reason=process.why or ("EXITED" if code >= 0 else "SIGNALED"), **facts)

    def end(self, key, **facts):
        if self.has_ended(key):
            return  # fenced, or said before
        outputs = [jobs.OutputStream(stream="MERGED", total_bytes=size_of(self.log(key)))]
        self.held[key].end.CopyFrom(jobs.JobEnd(outputs=outputs, **facts))
        self.held[key].end_time.GetCurrentTime()
        self.save()
        self.say(self.held[key])

    def stop(self, key):
        """One that has not begun never will, known or not."""
        if key in self.done:
            return
        if key not in self.held:
            self.held[key] = cluster.HeldAttempt(key={"job_id": key[0], "attempt": key[1]})
        if self.held[key].started:
            grace = seconds(self.orders[key].spec.stop_grace) if key in self.orders else 0
            if key in self.processes:
                asyncio.create_task(self.processes[key].stop("STOP_REQUESTED", grace))
        else:
            self.end(key, reason="CANCELLED_BEFORE_START")

    def kill(self, key):
        if key in self.processes:
            asyncio.create_task(self.processes[key].stop("WORKER_LOST"))

    def fence(self, silence):
        """Ends those that another attempt may follow: the scheduler was silent for so many seconds."""
        for key, order in self.orders.items():
            if order.HasField("fence_after") and silence > seconds(order.fence_after) and not self.has_ended(key):
                self.kill(key)

    def forget(self, keys):
        for key in keys:
            self.done.append(key)
            self.held.pop(key, None)
            self.orders.pop(key, None)
            self.processes.pop(key, None)
        self.save()

    def delete_output(self, job_id):
        shutil.rmtree(self.output / job_id, ignore_errors=True)
