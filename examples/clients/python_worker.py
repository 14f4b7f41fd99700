#!/usr/bin/python3
"""A worker in Python (docs/worker-protocol.md), with grpcio and sqlite3: stubs.sh FOLDER makes what it imports.

PYTHONPATH=FOLDER python_worker.py SCHEDULER DATA_DIR NAME. A handler is called with (args, input, write, stop):
words, bytes, a function for output, an event that is set when it shall return; what it raises is why it FAILED."""
import collections, os, pathlib, queue, shutil, sqlite3, sys, threading, time, uuid
from concurrent.futures import ThreadPoolExecutor
import grpc
from clusterd.v1 import cluster_service_pb2 as member, cluster_service_pb2_grpc, job_pb2 as jobs, output_pb2
from clusterd.v1 import worker_pb2, worker_service_pb2 as work, worker_service_pb2_grpc

def crc32c(data, value=0xFFFFFFFF):
    for byte in data:
        value ^= byte
        for _ in range(8): value = value >> 1 ^ 0x82F63B78 * (value & 1)
    return value ^ 0xFFFFFFFF

class Stop:  # why a handler is asked to return, and the event that asks it
    def __init__(self): self.event, self.why = threading.Event(), "EXITED"
    def __call__(self, why):
        if not self.event.is_set(): self.why = why
        self.event.set()

class Worker(worker_service_pb2_grpc.WorkerServiceServicer):
    def __init__(self, handlers, scheduler, data_dir, name, slots=4):
        self.handlers, self.scheduler, self.slots, self.folder = handlers, scheduler, slots, pathlib.Path(data_dir)
        self.changed, self.current, self.pool = threading.Condition(threading.RLock()), (0, 0), ThreadPoolExecutor(slots)
        self.held, self.stops, self.fences, self.contact, self.out = {}, {}, {}, time.monotonic(), queue.Queue()
        self.running, self.done, self.heard = set(), collections.deque(maxlen=100_000), 0
        self.folder.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(self.folder / "worker.db", check_same_thread=False, isolation_level=None)
        self.db.executescript("PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS self(id, journal, secret, name, epoch);"
                              "CREATE TABLE IF NOT EXISTS held(job, attempt, held, PRIMARY KEY(job, attempt))")
        if not self.db.execute("SELECT * FROM self").fetchone():
            self.db.execute("INSERT INTO self VALUES('', ?, '', ?, 0)", (str(uuid.uuid4()), name))
        for job_id, attempt, held in self.db.execute("SELECT * FROM held").fetchall():
            self.held[job_id, attempt] = member.HeldAttempt.FromString(held)
            self.end((job_id, attempt), "EXIT_STATUS_UNKNOWN", message="the worker died")  # where it had not ended
        server = grpc.server(ThreadPoolExecutor(64))
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(self, server)
        self.port, self.server = server.add_insecure_port("127.0.0.1:0"), server
        server.start()
    def log(self, key): return self.folder / "output" / key[0] / f"{key[1]}.log"
    def size(self, key): return self.log(key).stat().st_size if self.log(key).exists() else 0
    def keep(self, key):
        self.db.execute("REPLACE INTO held VALUES(?, ?, ?)", (*key, self.held[key].SerializeToString()))
    def forget(self, key):
        self.held.pop(key, None)
        self.db.execute("DELETE FROM held WHERE job = ? AND attempt = ?", key)
    def tell(self, **message):
        if self.current[1]:  # else the next inventory tells it
            self.out.put(member.SessionRequest(epoch=self.current[0], session=self.current[1], **message))
    def event(self, key, **event):
        event = member.JobEvent(key=jobs.AttemptKey(job_id=key[0], attempt=key[1]), **event)
        event.time.GetCurrentTime()
        self.tell(events=member.JobEvents(events=[event]))
    def end(self, key, reason, **facts):
        with self.changed:
            if key not in self.held or self.held[key].HasField("end"): return  # fenced, or said before
            outputs = [jobs.OutputStream(stream="MERGED", total_bytes=self.size(key))]
            self.held[key].end.CopyFrom(jobs.JobEnd(reason=reason, outputs=outputs, **facts))
            self.held[key].end_time.GetCurrentTime()
            self.keep(key)  # before anybody hears of it
            self.event(key, ended=self.held[key].end)
            self.changed.notify_all()
    def run(self, order, key):
        with self.changed:
            if key not in self.held or self.held[key].HasField("end"): return  # stopped before it began
            self.held[key].started = True
            self.held[key].start_time.GetCurrentTime()
            self.keep(key)
            self.running.add(key)
            self.event(key, started=member.JobStarted(output_path=str(self.log(key).parent)))
        self.log(key).parent.mkdir(parents=True, exist_ok=True)
        timer = threading.Timer(order.spec.timeout.ToNanoseconds() / 1e9, self.stops[key], ["RUN_TIMED_OUT"])
        if order.spec.timeout.ToNanoseconds(): timer.start()
        with open(self.log(key), "ab", buffering=0) as log:
            def write(data):
                log.write(data)
                with self.changed: self.changed.notify_all()
            try:
                self.handlers[order.spec.handler](list(order.spec.args), order.spec.stdin, write, self.stops[key].event)
                facts = {"exit_code": 0}
            except Exception as error: facts = {"exit_code": 1, "message": str(error)}  # the end of this job alone
        timer.cancel()
        self.running.discard(key)
        self.end(key, self.stops[key].why, **facts)
    def check(self, request, context):  # the welcome may come after the first command
        with self.changed:
            if not self.changed.wait_for(lambda: self.current == (request.epoch, request.session), timeout=2):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"of another session than {self.current}")
    def Identify(self, _request=None, _context=None):
        worker_id, journal = self.db.execute("SELECT id, journal FROM self").fetchone()
        boot, machine = (pathlib.Path(f"/{name}").read_text().strip() for name in ("proc/sys/kernel/random/boot_id", "etc/machine-id"))
        return worker_pb2.WorkerIdentity(worker_id=worker_id, boot_id=boot, machine_id=machine, journal_id=journal, features=["delete_outputs"])
    def StartJobs(self, request, context):
        self.check(request, context)
        answer = work.StartJobsResponse()
        for order in request.attempts:
            key, verdict = (order.key.job_id, order.key.attempt), answer.verdicts.add(key=order.key)
            with self.changed:
                if key in self.held or key in self.done: continue  # accepted before
                if order.spec.handler not in self.handlers:
                    verdict.refusal.code, verdict.refusal.message = 9, "handler: is not offered"
                    continue
                self.held[key], self.stops[key] = member.HeldAttempt(key=order.key), Stop()
                self.keep(key)  # before it is accepted
                if order.HasField("fence_after"): self.fences[key] = order.fence_after.ToNanoseconds() / 1e9
                self.pool.submit(self.run, order, key)
        return answer
    StartJob = StartJobs
    def StopJobs(self, request, context):
        self.check(request, context)
        for key in ((key.job_id, key.attempt) for key in request.keys):
            with self.changed:
                if key in self.stops: self.stops[key]("STOP_REQUESTED")
                held = self.held.setdefault(key, member.HeldAttempt(key=jobs.AttemptKey(job_id=key[0], attempt=key[1])))
                if not held.started: self.end(key, "CANCELLED_BEFORE_START")  # which keeps it from ever starting
        return work.StopJobsResponse()
    def StreamJob(self, request, context):
        key, at = (request.key.job_id, request.key.attempt), request.offset
        if key not in self.held and not self.log(key).exists(): context.abort(grpc.StatusCode.NOT_FOUND, "not known here")
        if request.tail_lines and self.size(key):
            at = self.size(key) - sum(map(len, self.log(key).read_bytes().splitlines(True)[-request.tail_lines:]))
        if at > self.size(key): context.abort(grpc.StatusCode.OUT_OF_RANGE, f"offset {at}, the length is {self.size(key)}")
        limit = at + (request.max_bytes or 1 << 62)
        start = output_pb2.OutputStart(attempt=key[1], stream="MERGED", offset=at, written=self.size(key))
        yield output_pb2.StreamJobResponse(start=start)
        while context.is_active():
            ended = key not in self.held or self.held[key].HasField("end")  # asked before the length
            while at < min(self.size(key), limit):
                with open(self.log(key), "rb") as log:
                    log.seek(at)
                    data = log.read(min(65536, limit - at))
                yield output_pb2.StreamJobResponse(frame=output_pb2.OutputFrame(offset=at, data=data, crc32c=crc32c(data)))
                at += len(data)
            if ended or not request.follow or at >= limit:
                end = output_pb2.OutputEnd(total_bytes=self.size(key), complete=ended)
                return (yield output_pb2.StreamJobResponse(end=end))
            with self.changed: self.changed.wait_for(lambda: self.size(key) > at, timeout=0.2)
    def beat(self, call, interval):  # heartbeats while the session lasts, and the fences always
        number, last, sent = 0, 0.0, {}
        while True:
            now, heard = time.monotonic(), self.heard
            for key, after in list(self.fences.items()):
                if key not in self.held or self.held[key].HasField("end"): del self.fences[key]
                elif now > self.contact + after: os._exit(70)  # no thread can be ended otherwise
            if heard in sent: self.contact = sent.pop(heard)
            if call() and now > last + interval():
                number, last, sent[number + 1] = number + 1, now, now
                self.tell(heartbeat=member.Heartbeat(number=number, jobs=len(self.held)))
            if call() and now > self.contact + 10: call().cancel()  # nobody answers
            time.sleep(0.05)
    def hear(self, message, opened):
        if message.HasField("welcome"):
            with self.changed:
                self.current, self.contact = (message.welcome.epoch, message.welcome.session), opened
                for key, held in list(self.held.items()):  # what has happened since the inventory; twice is no harm
                    if held.started: self.event(key, started=member.JobStarted(output_path=str(self.log(key).parent)))
                    if held.HasField("end"): self.event(key, ended=held.end)
                return self.changed.notify_all()
        if (message.epoch, message.session) != self.current: return
        if message.HasField("heartbeat"): self.heard = message.heartbeat.number
        for key in ((key.job_id, key.attempt) for key in message.acknowledged.keys):
            self.done.append(key)
            self.forget(key)
        for key in ((key.job_id, key.attempt) for key in message.fenced.keys):
            if key in self.stops: self.stops[key]("STOP_REQUESTED")
            if key in self.running: threading.Timer(1, lambda key=key: key in self.running and os._exit(70)).start()
            self.forget(key)
        for job_id in message.delete_outputs.job_ids: shutil.rmtree(self.folder / "output" / job_id, ignore_errors=True)
        if message.HasField("delete_outputs"):
            self.tell(outputs_deleted=member.OutputsDeleted(job_ids=message.delete_outputs.job_ids))
    def serve(self):
        call, interval = None, 1.0
        threading.Thread(target=self.beat, args=(lambda: call, lambda: interval), daemon=True).start()
        while True:
            channel = grpc.insecure_channel(self.scheduler)
            stub, self.out = cluster_service_pb2_grpc.ClusterServiceStub(channel), queue.Queue()
            try:
                secret, name, epoch = self.db.execute("SELECT secret, name, epoch FROM self").fetchone()
                offer = member.RegisterWorkerRequest(identity=self.Identify(), secret=secret, name=name, address=f"127.0.0.1:{self.port}")
                offer.capacity.slots = self.slots
                for handler in self.handlers: offer.handlers.add(name=handler)
                me, opened = stub.RegisterWorker(offer, timeout=10), time.monotonic()
                if me.epoch < epoch: raise SystemExit("a scheduler of an earlier term")  # its time is over
                self.db.execute("UPDATE self SET id = ?, secret = ?, name = ?, epoch = ?", (me.worker_id, me.secret, me.name, me.epoch))
                interval, hello = me.heartbeat_interval.ToNanoseconds() / 1e9, member.SessionHello(identity=self.Identify(), secret=me.secret)
                with self.changed: hello.inventory.extend(self.held.values())
                self.out.put(member.SessionRequest(epoch=me.epoch, hello=hello))
                session = stub.Session(iter(self.out.get, None))
                for message in session:
                    self.hear(message, opened)
                    call = session
            except grpc.RpcError as error: print("no session:", error.code(), error.details(), flush=True)
            call, self.current = None, (0, 0)
            self.out.put(None)
            channel.close()
            time.sleep(0.3)

def words(_args, text, write, _stop):
    """An example: counts the words of its input."""
    write(f"{len(text.split())}\n".encode())

if __name__ == "__main__":
    Worker({"words": words}, *sys.argv[1:4]).serve()
