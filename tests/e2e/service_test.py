"""What a service manager and an administrator say to a daemon, and what it says to them."""
import contextlib
import http.server
import json
import os
import socket
import subprocess
import threading
import unittest

from cluster import Cluster, Daemon, executable, wait_until

GATED = 'echo begun; read -r _ < "$1"; echo done; exit 37\n'


@contextlib.contextmanager
def environment(**variables):
    """Of the daemons that are started meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Manager:
    """A service manager: the socket that it listens at, and what it has heard."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(30)

    def hear(self, wanted):
        """The first word that begins so; the others are dropped."""
        while True:
            word = self.socket.recv(500).decode()
            if word.startswith(wanted):
                return word


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.manager = Manager(self.cluster.folder)
        self.addCleanup(self.manager.socket.close)
        self.gate = self.cluster.folder / "gate"
        os.mkfifo(self.gate)
        self.cluster.script("gated.sh", GATED)

    def order(self, *words, name="w1"):
        return subprocess.run([executable(), "worker", "--config",
                               str(self.cluster.folder / f"{name}.toml"), *words],
                              capture_output=True, text=True, timeout=60, check=False)

    def test_a_worker_says_that_it_is_ready_lives_and_stops(self):
        with environment(NOTIFY_SOCKET=self.manager.path, WATCHDOG_USEC="300000"):
            worker = self.cluster.start_worker(on_stop="keep")
        self.manager.hear("READY=1")
        for _ in range(3):
            self.manager.hear("WATCHDOG=1")
        self.assertEqual(self.order("--upgrade").returncode, 0)
        self.manager.hear("READY=1")
        self.manager.hear("WATCHDOG=1")
        worker.process.terminate()
        self.manager.hear("STOPPING=1")
        self.assertEqual(worker.process.wait(60), 0)

    def test_a_scheduler_does_so_too(self):
        self.cluster.scheduler.terminate()
        with environment(NOTIFY_SOCKET=self.manager.path, WATCHDOG_USEC="300000"):
            self.cluster.start_scheduler()
        self.manager.hear("READY=1")
        for _ in range(3):
            self.manager.hear("WATCHDOG=1")
        self.cluster.scheduler.process.terminate()
        self.manager.hear("STOPPING=1")
        self.assertEqual(self.cluster.scheduler.process.wait(60), 0)

    def test_a_long_drain_asks_for_more_time(self):
        with environment(NOTIFY_SOCKET=self.manager.path, WATCHDOG_USEC="300000"):
            worker = self.cluster.start_worker(on_stop="drain")
        job_id = self.cluster.start("gated.sh", self.gate)
        self.cluster.wait_for_state(job_id, "RUNNING")
        worker.process.terminate()
        self.manager.hear("STOPPING=1")
        for _ in range(3):
            self.assertIn("EXTEND_TIMEOUT_USEC=300000", self.manager.hear("WATCHDOG=1\n"))
        self.gate.write_text("go\n")
        self.assertEqual(worker.process.wait(60), 0)
        self.assertEqual(self.cluster.wait(job_id)["end"]["exit_code"], 37)

    def test_upgrade_waits_until_the_worker_is_another_and_jobs_go_on(self):
        worker = self.cluster.start_worker(slots=1, on_stop="keep")
        job_id = self.cluster.start("gated.sh", self.gate)
        self.cluster.wait_for_state(job_id, "RUNNING")
        config = self.cluster.folder / "w1.toml"
        good = config.read_text()
        config.write_text(good.replace("slots = 1", "slots = 3"))

        done = self.order("--upgrade")

        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(worker.log.read_text().count("worker: listening"), 2)
        wait_until(lambda: self.cluster.http.get("/v1/workers/w1").json()["capacity"]["slots"] == 3,
                   "three slots")
        self.gate.write_text("go\n")
        self.assertEqual(self.cluster.wait(job_id)["end"]["exit_code"], 37)

    def test_upgrade_tells_why_the_worker_goes_on_as_it_is(self):
        worker = self.cluster.start_worker()
        config = self.cluster.folder / "w1.toml"
        good = config.read_text()
        # Whatever reads the file takes this; the worker that is to serve by it would not.
        config.write_text(good.replace(str(self.cluster.scripts), str(self.gate)))

        done = self.order("--upgrade")

        config.write_text(good)
        self.assertEqual(done.returncode, 70, done.stderr)
        self.assertIn("the worker goes on as it is", done.stderr)
        self.assertIsNone(worker.process.poll())

    def test_orders_without_a_worker(self):
        worker = self.cluster.start_worker()
        worker.terminate()
        for word in ("--upgrade", "--drain", "--stop"):
            done = self.order(word)
            self.assertEqual(done.returncode, 66)
            self.assertIn("no worker runs on data_dir", done.stderr)
        both = self.order("--upgrade", "--stop")
        self.assertEqual(both.returncode, 64)

    def test_stop_stops_the_jobs_whatever_on_stop_says(self):
        for on_stop in ("keep", "drain"):
            worker = self.cluster.start_worker(on_stop=on_stop)
            job_id = self.cluster.start("gated.sh", self.gate)
            self.cluster.wait_for_state(job_id, "RUNNING")
            done = self.order("--stop")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(worker.process.wait(60), 0)
            self.assertEqual(self.cluster.wait(job_id)["state"], "STOPPED")

    def test_drain_waits_for_the_jobs_whatever_on_stop_says(self):
        worker = self.cluster.start_worker(on_stop="stop")
        job_id = self.cluster.start("gated.sh", self.gate)
        self.cluster.wait_for_state(job_id, "RUNNING")
        order = subprocess.Popen([executable(), "worker", "--drain", "--config",
                                  str(self.cluster.folder / "w1.toml")])
        self.cluster.wait_for_worker("w1", "OFFLINE")
        self.assertIsNone(order.poll())
        self.gate.write_text("go\n")
        self.assertEqual((order.wait(60), worker.process.wait(60)), (0, 0))
        self.assertEqual(self.cluster.wait(job_id)["end"]["exit_code"], 37)

    def start_draining(self, **worker_keys):
        sections = {
            "grpc_server": {"addr": "127.0.0.1:0"},
            "scheduler": {"addr": self.cluster.grpc_address},
            "worker": {"name": "w1", "on_stop": "drain", **worker_keys},
            "jobs": {"scripts_dir": str(self.cluster.scripts),
                     "data_dir": str(self.cluster.data_folder("w1")),
                     "runtime_dir": str(self.cluster.folder / "w1-run")},
        }
        worker = Daemon(self.cluster.folder, "w1", "worker", sections)
        self.cluster.workers["w1"] = worker
        self.cluster.wait_for_worker("w1", "ALIVE")
        job_id = self.cluster.start("gated.sh", self.gate)
        self.cluster.wait_for_state(job_id, "RUNNING")
        worker.process.terminate()
        self.cluster.wait_for_worker("w1", "OFFLINE")
        return worker, job_id

    def test_a_drain_ends_with_the_jobs(self):
        worker, job_id = self.start_draining(drain_timeout="1h")
        self.gate.write_text("go\n")
        self.assertEqual(worker.process.wait(60), 0)
        self.assertEqual(self.cluster.wait(job_id)["state"], "FAILED")

    def test_a_drain_that_takes_too_long_stops_the_jobs(self):
        worker, job_id = self.start_draining(drain_timeout="300ms")
        self.assertEqual(worker.process.wait(60), 0)
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["reason"]), ("STOPPED", "STOP_REQUESTED"))

    def test_a_second_signal_ends_a_drain_and_jobs_go_on(self):
        worker, job_id = self.start_draining(drain_timeout="1h")
        worker.process.terminate()
        self.assertEqual(worker.process.wait(60), 0)
        self.assertEqual(self.cluster.job(job_id)["state"], "RUNNING")
        self.cluster.start_worker()
        self.gate.write_text("go\n")
        self.assertEqual(self.cluster.wait(job_id)["end"]["exit_code"], 37)


class Metadata(http.server.BaseHTTPRequestHandler):
    """The ECS task metadata endpoint, version 4."""
    answer = (200, "")

    def do_GET(self):
        status, text = self.answer
        if self.path != "/v4/abc":
            status, text = 404, "{}"
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def container(mode, **lists):
    return json.dumps({"DockerId": "abc", "Name": "worker", "Limits": {"CPU": 2},
                       "Networks": [{"NetworkMode": mode, **lists}]})


class EcsTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def address_with(self, status, text, path="/v4/abc", **grpc_server):
        """The address that a worker with this endpoint gives to the scheduler, and its log."""
        Metadata.answer = (status, text)
        sections = {
            "grpc_server": {"addr": "0.0.0.0:0", "allow_insecure": True, **grpc_server},
            "scheduler": {"addr": self.cluster.grpc_address},
            "worker": {"name": "w1", "on_stop": "stop"},
            "jobs": {"scripts_dir": str(self.cluster.scripts),
                     "data_dir": str(self.cluster.data_folder("w1")),
                     "runtime_dir": str(self.cluster.folder / "w1-run")},
        }
        log = self.cluster.folder / "w1.log"
        log.unlink(missing_ok=True)
        url = f"http://127.0.0.1:{self.server.server_port}{path}"
        with environment(ECS_CONTAINER_METADATA_URI_V4=url):
            worker = Daemon(self.cluster.folder, "w1", "worker", sections)
        self.cluster.workers["w1"] = worker
        self.cluster.wait_for_worker("w1", "ALIVE")
        address = self.cluster.http.get("/v1/workers/w1").json()["address"]
        worker.terminate()
        return address.rpartition(":")[0], log.read_text()

    def test_a_task_of_its_own_address_gives_that(self):
        # Another one of loopback, so that the scheduler's call back reaches it and it is no default.
        given = container("awsvpc", IPv4Addresses=["127.0.0.77"], IPv6Addresses=[])
        self.assertEqual(self.address_with(200, given)[0], "127.0.0.77")

    def test_what_is_of_no_use_is_left_to_the_scheduler(self):
        address, log = self.address_with(200, container("host"))
        self.assertEqual(address, "127.0.0.1")
        self.assertNotIn("no address from the ECS task metadata", log)
        for status, text, path, why in (
                (200, container("bridge", IPv4Addresses=["172.17.0.2"]), "/v4/abc",
                 "network mode bridge"),
                (500, "", "/v4/abc", "answers 500"),
                (200, "[1", "/v4/abc", "no JSON document"),
                (200, "", "/v3", "answers 404")):
            address, log = self.address_with(status, text, path)
            self.assertEqual(address, "127.0.0.1", why)
            self.assertIn("no address from the ECS task metadata; set advertise_addr", log)
            self.assertIn(why, log)


if __name__ == "__main__":
    unittest.main(verbosity=2)
