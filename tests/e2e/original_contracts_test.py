"""Clients of the two earlier systems, unchanged, against our scheduler: every RPC, code and text."""
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import uuid

from cluster import Cluster, executable, wait_until
from h2_call import H2Connection
from http_client import HttpClient
from originals import Calls, LoneWorker, Program
from tls_test import TlsCluster

LEADER = "cluster.v1.LeaderService/"
TASKS = "scheduler.v1.SchedulerService/"


def raw_http(address, request):
    """Everything that comes back on a connection of its own."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request)
        received = b""
        while data := connection.recv(1 << 16):
            received += data
    return received


def split_answer(received):
    head, _, body = received.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    return status, {name.lower(): value.strip() for name, value in
                    (field.split(b":", 1) for field in fields)}, body


class GoWorkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(
            compat={"addrs": ["127.0.0.1:0", "127.0.0.1:0"], "heartbeat_timeout": "600ms"}))
        cls.cluster.script("count.sh", "#!/bin/sh\nfor i in $(seq $1); do echo $i; done\n")
        cls.cluster.script("sleep.sh", "#!/bin/sh\nsleep 1000\n")
        cls.cluster.script("fail.sh", "#!/bin/sh\nexit 3\n")
        ports = cls.cluster.scheduler.ports
        cls.leader = Calls(cls.cluster.folder, ports["compat1"])
        cls.tasks = Calls(cls.cluster.folder, ports["compat2"])
        cls.addClassCleanup(cls.leader.close)
        cls.addClassCleanup(cls.tasks.close)

    def task(self, task_id):
        tasks = self.tasks.call(TASKS + "GetTasks").value["tasks"]
        return next((task for task in tasks if task["id"] == task_id), None)

    def member(self, member_id):
        members = self.leader.call(LEADER + "Members").value["members"]
        return next((member for member in members if member["id"] == member_id), None)

    def wait_for_status(self, task_id, status):
        wait_until(lambda: self.task(task_id)["status"] == "TASK_STATUS_" + status,
                   f"task {task_id} is {status}")

    def test_codes_and_texts_of_bad_calls(self):
        task = {"id": "x", "payload": "count.sh 1"}
        for calls, method, message, code, text in (
                (self.leader, LEADER + "Join", {}, "INVALID_ARGUMENT", "id required"),
                (self.leader, LEADER + "Join", {"address": "127.0.0.1:1"}, "INVALID_ARGUMENT",
                 "id required"),
                (self.leader, LEADER + "Join", {"id": "m"}, "INVALID_ARGUMENT", "address required"),
                (self.leader, LEADER + "Leave", {}, "INVALID_ARGUMENT", "id required"),
                (self.leader, LEADER + "Leave", {"id": "nobody"}, "INTERNAL",
                 "failed to remove member: member not found"),
                (self.leader, LEADER + "Heartbeat", {"status": 1}, "INVALID_ARGUMENT",
                 "id required"),
                (self.leader, LEADER + "Heartbeat", {"id": "nobody"}, "INVALID_ARGUMENT",
                 "UNSPECIFIED is an invalid status"),
                (self.leader, LEADER + "Heartbeat", {"id": "nobody", "status": 9},
                 "INVALID_ARGUMENT", "invalid status"),
                (self.leader, LEADER + "Heartbeat", {"id": "nobody", "status": 1}, "NOT_FOUND",
                 "member not found"),
                (self.tasks, TASKS + "ScheduleTask", {}, "INVALID_ARGUMENT", "task required"),
                (self.tasks, TASKS + "ScheduleTask", {"task": {"payload": "p"}},
                 "INVALID_ARGUMENT", "task id required"),
                (self.tasks, TASKS + "ScheduleTask", {"task": {"id": "i"}}, "INVALID_ARGUMENT",
                 "task payload required"),
                (self.tasks, TASKS + "CancelTask", {}, "INVALID_ARGUMENT", "task id required"),
                (self.tasks, TASKS + "CancelTask", {"id": "none"}, "INVALID_ARGUMENT",
                 "task not found"),
                (self.tasks, TASKS + "TaskComplete", {}, "INVALID_ARGUMENT", "task id required"),
                (self.tasks, TASKS + "TaskComplete", {"id": "none"}, "INVALID_ARGUMENT",
                 "task not found"),
                (self.tasks, TASKS + "ScheduleTask", {"task": task}, "OK", {}),
                (self.tasks, TASKS + "ScheduleTask", {"task": task}, "ALREADY_EXISTS",
                 "task already exists: x"),
                (self.tasks, TASKS + "ScheduleTask", {"task": {"id": "y", "payload": "do 'it"}},
                 "INVALID_ARGUMENT", "payload: has a ' that is not closed"),
                (self.tasks, TASKS + "CancelTask", {"id": "x"}, "OK", {}),
                (self.tasks, TASKS + "CancelTask", {"id": "x"}, "OK", {})):
            calls.check(self, method, message, code, text)

    def test_a_member_is_known_by_its_heartbeats(self):
        self.leader.check(self, LEADER + "Join", {"id": "M1", "address": "127.0.0.1:9"}, "OK", {})
        self.assertEqual(self.member("M1"), {"id": "M1", "address": "127.0.0.1:9",
                                             "status": "unknown, unknown"})
        for status, word in ((1, "idle"), (2, "busy"), (3, "failed")):
            self.leader.check(self, LEADER + "Heartbeat", {"id": "M1", "status": status}, "OK", {})
            self.assertEqual(self.member("M1")["status"], f"alive, {word}")
        wait_until(lambda: self.member("M1")["status"] == "left, unknown", "it has left by silence")
        self.leader.check(self, LEADER + "Join", {"id": "M1", "address": "127.0.0.2"}, "OK", {})
        self.assertEqual(self.member("M1")["address"], "127.0.0.2:40041")  # replaced
        self.leader.check(self, LEADER + "Leave", {"id": "M1"}, "OK", {})
        self.assertIsNone(self.member("M1"))

    def test_a_worker_of_ours_is_a_member_and_nobody_else_can_be_it(self):
        self.cluster.start_worker("own")
        self.addCleanup(self.cluster.workers.pop("own").terminate)
        self.assertEqual(self.member("own")["status"], "alive, idle")
        for method, message, code in (
                ("Join", {"id": "own", "address": "127.0.0.1:9"}, "ALREADY_EXISTS"),
                ("Heartbeat", {"id": "own", "status": 1}, "NOT_FOUND"),
                ("Leave", {"id": "own"}, "INTERNAL")):
            self.leader.check(self, LEADER + method, message, code)
        self.assertEqual(self.member("own")["status"], "alive, idle")

    def test_tasks_run_and_tell_their_state(self):
        for task_id, payload in (("done", "count.sh 3"), ("fails", "fail.sh"), ("long", "sleep.sh")):
            self.tasks.check(self, TASKS + "ScheduleTask",
                             {"task": {"id": task_id, "payload": payload}}, "OK", {})
            self.assertEqual(self.task(task_id), {
                "id": task_id, "payload": payload, "priority": "TASK_PRIORITY_LOW",
                "status": "TASK_STATUS_PENDING"})
        self.cluster.start_worker("w1", slots=1)
        self.addCleanup(self.cluster.workers.pop("w1").terminate)
        self.wait_for_status("done", "COMPLETED")
        self.wait_for_status("fails", "ERROR")
        self.wait_for_status("long", "RUNNING")
        # A worker of ours tells by itself how its jobs end.
        self.tasks.check(self, TASKS + "TaskComplete", {"id": "long"}, "FAILED_PRECONDITION")
        self.tasks.check(self, TASKS + "CancelTask", {"id": "long"}, "OK", {})
        self.assertEqual(self.task("long")["status"], "TASK_STATUS_CANCELLED")
        job = self.cluster.http.get("/v1/jobs?external_id=done").json()["jobs"][0]
        self.assertEqual(self.cluster.output(job["job_id"]), b"1\n2\n3\n")
        job = self.cluster.http.get("/v1/jobs?external_id=long").json()["jobs"][0]
        self.assertEqual(self.cluster.wait(job["job_id"])["state"], "STOPPED")
        self.tasks.check(self, TASKS + "TaskComplete", {"id": "long"}, "OK", {})
        self.assertEqual(self.task("long")["status"], "TASK_STATUS_CANCELLED")

    def test_priorities(self):
        for task_id, priority in (("p1", None), ("p2", 1), ("p3", 3), ("p4", 2), ("p5", 3)):
            task = {"id": task_id, "payload": "count.sh 1"}
            if priority is not None:
                task["priority"] = priority
            self.tasks.check(self, TASKS + "ScheduleTask", {"task": task}, "OK", {})
        self.assertEqual([self.task(f"p{i}")["priority"].rpartition("_")[2] for i in range(1, 6)],
                         ["LOW", "LOW", "HIGH", "MEDIUM", "HIGH"])
        newest = [task["id"] for task in self.tasks.call(TASKS + "GetTasks").value["tasks"]]
        self.assertEqual([i for i in newest if i.startswith("p")], ["p5", "p4", "p3", "p2", "p1"])
        self.cluster.start_worker("w2", slots=1)
        self.addCleanup(self.cluster.workers.pop("w2").terminate)
        for i in range(1, 6):
            self.wait_for_status(f"p{i}", "COMPLETED")
        jobs = {i: self.cluster.http.get(f"/v1/jobs?external_id=p{i}").json()["jobs"][0]
                for i in range(1, 6)}
        order = sorted(jobs, key=lambda i: jobs[i]["start_time"])
        self.assertEqual(order, [3, 5, 4, 1, 2])  # oldest first within one

    def test_ids_of_submitters_over_http(self):
        body = {"path": "count.sh", "args": ["1"]}
        first = self.cluster.http.post("/v1/jobs?external_id=mine", body)
        again = self.cluster.http.post("/v1/jobs?external_id=mine", body)
        self.assertEqual((first.status, first.json()["external_id"]), (201, "mine"))
        self.assertEqual((again.status, again.json()["code"]), (409, "ALREADY_EXISTS"))

    def test_the_services_are_at_our_own_port_too(self):
        calls = Calls(self.cluster.folder, self.cluster.grpc_address)
        self.addCleanup(calls.close)
        calls.check(self, TASKS + "CancelTask", {"id": "none"}, "INVALID_ARGUMENT",
                    "task not found")
        calls.check(self, LEADER + "Members", {}, "OK")
        calls.check(self, "jobscheduler.Scheduler/DeregisterWorker", {"workerID": "none"}, "OK",
                    {"success": True})


class LoadTest(unittest.TestCase):
    def test_more_tasks_than_one_answer_holds(self):
        with Cluster() as cluster:
            calls = Calls(cluster.folder, cluster.grpc_address)
            self.addCleanup(calls.close)
            payload = "a.sh " + "x" * 100_000
            for number in range(60):
                reply = calls.call(TASKS + "ScheduleTask",
                                   task={"id": f"t{number}", "payload": payload})
                self.assertEqual(reply.code, "OK", reply.value)
            tasks = calls.call(TASKS + "GetTasks").value["tasks"]
            self.assertGreater(len(tasks), 35)
            self.assertLess(len(tasks), 42)  # 4 MiB
            self.assertEqual([task["id"] for task in tasks],
                             [f"t{59 - i}" for i in range(len(tasks))])
            self.assertIn("more do not fit", cluster.scheduler.log.read_text())

    @unittest.skipUnless(os.environ.get("CLUSTERD_LONG"), "takes minutes")
    def test_two_hundred_thousand_tasks(self):
        with Cluster() as cluster:
            calls = Calls(cluster.folder, cluster.grpc_address)
            self.addCleanup(calls.close)
            schedule = Program(cluster.folder, "schedule", cluster.grpc_address, "200000")
            self.addCleanup(schedule.close)
            self.assertEqual(schedule.wait_for("scheduled", seconds=1200), "200000")
            begin = time.monotonic()
            tasks = calls.call(TASKS + "GetTasks").value["tasks"]
            print(f"{len(tasks)} of 200000 tasks in {time.monotonic() - begin:.1f} s")
            self.assertGreater(len(tasks), 50_000)
            self.assertEqual(len({task["id"] for task in tasks}), len(tasks))
            self.assertIn("more do not fit", cluster.scheduler.log.read_text())

    def test_members_come_and_go_while_they_are_listed(self):
        with Cluster() as cluster:
            failures = []

            def work(name, methods):
                calls = Calls(cluster.folder, cluster.grpc_address)
                for _ in range(100):
                    for method, message in methods:
                        reply = calls.call(LEADER + method, **message)
                        if reply.code != "OK":
                            failures.append((name, method, reply))
                calls.close()

            threads = [threading.Thread(target=work, args=(f"M{i}", [
                ("Join", {"id": f"M{i}", "address": f"127.0.0.1:{i + 1}"}),
                ("Heartbeat", {"id": f"M{i}", "status": 1}), ("Members", {}),
                ("Leave", {"id": f"M{i}"})])) for i in range(3)]
            threads.append(threading.Thread(target=work, args=("list", [("Members", {})] * 4)))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])
            self.assertIsNone(cluster.scheduler.process.poll())


class TaskScriptTest(unittest.TestCase):
    def test_a_payload_goes_to_the_task_script_as_its_one_argument(self):
        with Cluster(compat={"task_script": "task.sh"}) as cluster:
            cluster.script("task.sh", '#!/bin/sh\necho "$#: $1"\n')
            cluster.start_worker()
            calls = Calls(cluster.folder, cluster.grpc_address)
            self.addCleanup(calls.close)
            calls.check(self, TASKS + "ScheduleTask",
                        {"task": {"id": "t", "payload": "do some 'work"}}, "OK", {})
            job = cluster.http.get("/v1/jobs?external_id=t").json()["jobs"][0]
            cluster.wait(job["job_id"])
            self.assertEqual(cluster.output(job["job_id"]), b"1: do some 'work\n")


class RestartTest(unittest.TestCase):
    def test_a_restart_of_the_scheduler_loses_no_task_and_no_member(self):
        with Cluster() as cluster:
            calls = Calls(cluster.folder, cluster.grpc_address)
            self.addCleanup(calls.close)
            calls.check(self, LEADER + "Join", {"id": "M1", "address": "127.0.0.1:9"}, "OK", {})
            for number in range(3):
                calls.check(self, TASKS + "ScheduleTask",
                            {"task": {"id": f"t{number}", "payload": "a.sh"}}, "OK", {})
            before = calls.call(TASKS + "GetTasks").value
            cluster.scheduler.kill()
            cluster.start_scheduler()
            after = Calls(cluster.folder, cluster.grpc_address)
            self.addCleanup(after.close)
            self.assertEqual(after.call(TASKS + "GetTasks").value, before)
            self.assertEqual(len(before["tasks"]), 3)
            members = after.call(LEADER + "Members").value["members"]
            self.assertEqual([member["id"] for member in members], ["M1"])
            after.check(self, LEADER + "Heartbeat", {"id": "M1", "status": 1}, "OK", {})
            after.check(self, TASKS + "ScheduleTask", {"task": {"id": "t0", "payload": "a.sh"}},
                        "ALREADY_EXISTS")


class OffTest(unittest.TestCase):
    def test_nothing_is_served_where_it_is_turned_off(self):
        with Cluster(compat={"enabled": False}) as cluster:
            calls = Calls(cluster.folder, cluster.grpc_address)
            self.addCleanup(calls.close)
            for method in (LEADER + "Members", TASKS + "GetTasks",
                           "jobscheduler.Scheduler/RegisterWorker"):
                calls.check(self, method, {}, "UNIMPLEMENTED")
            self.assertEqual(cluster.http.post("/start", {}).status, 404)


class HttpBytesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("count.sh", "for i in 1 2 3; do echo $i; done\n")
        cls.cluster.script("forever.sh", "sleep 1000\n")
        cls.cluster.start_worker(allowed_programs=["echo"])
        cls.worker = cls.cluster.worker_id()

    def post(self, path, body, fields=b"", verb=b"POST"):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        request = (verb + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
                   fields + b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
        return split_answer(raw_http(self.cluster.http_address, request))

    def start(self, **request):
        status, fields, body = self.post(b"/start", request)
        self.assertEqual(status, b"HTTP/1.1 201 Created")
        self.assertEqual(fields[b"content-type"], b"application/json")
        job_id = json.loads(body)["job_id"]
        self.assertEqual(body, b'{"job_id":"' + job_id.encode() + b'"}\n')
        self.assertEqual(str(uuid.UUID(job_id)), job_id)
        return job_id

    def test_answers_to_the_byte(self):
        job_id = self.start(worker_id=self.worker, command="bash", path="forever.sh")
        job = {"worker_id": self.worker, "job_id": job_id}
        for path, wanted in (
                (b"/query", b'{"done":false,"error":false,"error_text":""}\n'),
                (b"/stop", b'{"success":true}\n'),
                (b"/stop", b'{"success":true}\n'),
                (b"/query", b'{"done":true,"error":true,"error_text":"signal: terminated"}\n')):
            status, fields, body = self.post(path, job)
            self.assertEqual((status, body), (b"HTTP/1.1 200 OK", wanted))
            self.assertEqual(fields[b"content-type"], b"application/json")
            self.assertEqual(int(fields[b"content-length"]), len(body))

    def test_errors_to_the_byte(self):
        nothing = {"worker_id": self.worker, "job_id": "none"}
        for path, request, status, text in (
                (b"/start", {"worker_id": "none", "command": "bash", "path": "count.sh"}, 404,
                 "worker not found"),
                (b"/stop", {"worker_id": "none", "job_id": "x"}, 404, "worker not found"),
                (b"/query", {"worker_id": "none", "job_id": "x"}, 404, "worker not found"),
                (b"/output", {"worker_id": "none", "job_id": "x"}, 404, "worker not found"),
                (b"/stop", nothing, 404, "job not found"),
                (b"/query", nothing, 404, "job not found"),
                (b"/output", nothing, 404, "job not found")):
            with self.subTest(path=path, request=request):
                line, fields, body = self.post(path, request)
                self.assertEqual(line.split()[1], str(status).encode())
                self.assertEqual(body, json.dumps({"error": text}, separators=(",", ":")).encode()
                                 + b"\n")
                self.assertEqual(fields[b"content-type"], b"application/json")
        for path in (b"/start", b"/stop", b"/query", b"/output"):
            line, fields, body = self.post(path, b"", verb=b"GET")
            self.assertEqual(line.split()[1], b"405")
            self.assertEqual(fields[b"allow"], b"POST")
        self.assertEqual(self.post(b"/ping", {})[0].split()[1], b"404")
        self.assertEqual(self.post(b"/start", b"{")[0].split()[1], b"400")

    def test_keys_in_any_case_others_and_any_content_type(self):
        for body, fields in (
                ({"WORKER_ID": self.worker, "Command": "bash", "pAtH": "count.sh"}, b""),
                ({"worker_id": self.worker, "command": "bash", "path": "count.sh", "x": [1, {}]},
                 b"Content-Type: text/plain\r\n"),
                ({"worker_id": self.worker, "command": "bash", "path": "count.sh"},
                 b"Content-Type: application/xml\r\n")):
            status, _, answer = self.post(b"/start", body, fields)
            self.assertEqual(status, b"HTTP/1.1 201 Created", answer)

    def test_an_empty_worker_id_queues_for_any_worker(self):
        job_id = self.start(worker_id="", command="bash", path="count.sh")
        self.cluster.wait(job_id)
        job = {"worker_id": "", "job_id": job_id}
        self.assertEqual(self.post(b"/query", job)[2],
                         b'{"done":true,"error":false,"error_text":""}\n')
        self.assertEqual(self.cluster.http.post("/output", job).body, b"1\n2\n3\n")
        self.assertEqual(self.post(b"/query", {"job_id": "none"})[2],
                         b'{"error":"job not found"}\n')

    def test_the_path_is_one_argument_even_when_it_is_empty(self):
        job_id = self.start(worker_id=self.worker, command="echo", path="")
        self.assertEqual(self.cluster.wait(job_id)["spec"]["args"], [""])
        self.assertEqual(self.cluster.output(job_id), b"\n")

    def test_a_command_that_is_not_allowed_is_told_the_line_to_add(self):
        status, _, body = self.post(
            b"/start", {"worker_id": self.worker, "command": "/usr/bin/env", "path": "count.sh"})
        self.assertEqual(status.split()[1], b"403")
        self.assertIn('allowed_commands = ["bash", "sh", "python3", "/usr/bin/env"]',
                      json.loads(body)["error"])


class TlsTest(unittest.TestCase):
    def test_their_services_ask_for_a_certificate(self):
        with TlsCluster(compat={"addrs": ["127.0.0.1:0"]}) as cluster:
            cluster.issue("client", "operator", "--role", "operator")
            for address in (cluster.grpc_address, cluster.scheduler.ports["compat1"]):
                calls = Calls(cluster.folder, address)
                self.addCleanup(calls.close)
                calls.check(self, TASKS + "GetTasks", {}, "UNAVAILABLE")
                with H2Connection(address, f"{cluster.tls}/ca.pem",
                                  f"{cluster.tls}/client-operator.pem",
                                  f"{cluster.tls}/client-operator.key") as connection:
                    self.assertTrue(connection.call("/" + TASKS + "GetTasks"))


class OriginalFilesTest(unittest.TestCase):
    def start(self, folder, role, text):
        """The daemon as its documents say, from the folder above its file."""
        (folder / role).mkdir()
        (folder / role / "config.toml").write_text(text)
        log = open(folder / f"{role}.log", "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [executable(), role, "--config", f"{role}/config.toml", "--port-file", f"{role}.ports"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        wait_until((folder / f"{role}.ports").exists, f"{role} listens")
        return dict(line.split("=", 1)
                    for line in (folder / f"{role}.ports").read_text().splitlines())

    def test_both_roles_run_with_the_originals_files(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "count.sh").write_text("echo 1; echo 2\n")
        files = 'use_tls = false\ncrt_file = "server.pem"\nkey_file = "server.key"\n'
        ports = self.start(folder, "scheduler", f'[grpc_server]\naddr = "127.0.0.1:0"\n{files}'
                           '[http_server]\naddr = "127.0.0.1:0"\n')
        self.start(folder, "worker", f'[grpc_server]\naddr = "127.0.0.1:0"\n{files}'
                   f'[http_server]\naddr = "{ports["http"]}"\n'
                   f'[scheduler]\naddr = "{ports["grpc"]}"\n')
        http = HttpClient(ports["http"])
        wait_until(lambda: [w["state"] for w in http.get("/v1/workers").json()["workers"]] ==
                   ["ALIVE"], "the worker is ALIVE")
        worker_id = http.get("/v1/workers").json()["workers"][0]["worker_id"]
        started = http.post("/start", {"worker_id": worker_id, "command": "bash",
                                       "path": "count.sh"})
        self.assertEqual(started.status, 201, started.body)
        self.assertEqual(http.post("/output", {"worker_id": worker_id,
                                               "job_id": started.json()["job_id"]}).body, b"1\n2\n")
        self.assertIn("scripts below the current folder", (folder / "worker.log").read_text())

    def test_a_worker_that_calls_the_http_port_is_told_so(self):
        with Cluster() as cluster:
            with LoneWorker() as worker:
                worker.start("clusterd", cluster.http_address)
                wait_until(lambda: "may be its HTTP address" in worker.daemon.log.read_text(),
                           "the log names the likely cause")


class ReflectionTest(unittest.TestCase):
    def test_reflection_shows_the_contracts(self):
        with Cluster() as cluster:
            cluster.start_worker()
            scheduler = Calls(cluster.folder, cluster.grpc_address)
            worker = Calls(cluster.folder, cluster.workers["w1"].ports["grpc"])
            self.addCleanup(scheduler.close)
            self.addCleanup(worker.close)
            for calls, wanted in ((scheduler, {"jobscheduler.Scheduler", "cluster.v1.LeaderService",
                                               "scheduler.v1.SchedulerService",
                                               "clusterd.v1.SchedulerService"}),
                                  (worker, {"jobscheduler.Worker", "worker.v1.WorkerService",
                                            "clusterd.v1.WorkerService"})):
                services = calls.call("services").value
                self.assertLessEqual(wanted, set(services))


if __name__ == "__main__":
    unittest.main(verbosity=2)
