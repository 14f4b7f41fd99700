"""Three schedulers on three members of etcd, and workers: real processes on loopback.

`etcd` must be installed. Everything has ports and folders of its own.
"""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from cluster import Cluster, Daemon, end_of, wait_until
from http_client import HttpConnection

LEASE_SECONDS = 2
CALL_SECONDS = 2  # of one attempt of a client; then it takes the next address


def free_ports(count):
    """Ports that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class EtcdMember:
    def __init__(self, folder, name, client_port, peer_port, all_peers):
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.endpoint = f"127.0.0.1:{client_port}"
        self.arguments = [
            "etcd", f"--name={name}", f"--data-dir={folder / name}",
            f"--listen-client-urls=http://{self.endpoint}",
            f"--advertise-client-urls=http://{self.endpoint}",
            f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}",
            f"--initial-cluster={all_peers}", "--initial-cluster-state=new",
            "--heartbeat-interval=50", "--election-timeout=500",
            "--logger=zap", "--log-level=warn", "--unsafe-no-fsync"]
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.folder)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def is_healthy(self):
        """It has the majority, and answers."""
        asked = subprocess.run(
            ["etcdctl", f"--endpoints={self.endpoint}", "--command-timeout=2s", "endpoint",
             "health"], env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, check=False)
        return asked.returncode == 0


class SharedCluster(Cluster):
    """As Cluster, with several schedulers. `http` asks one of them after the other."""

    def __init__(self, schedulers=3, members=3, lease_seconds=LEASE_SECONDS, **sections):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-e2e-"))
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()
        self.workers = {}
        self.scheduler = None
        self.sections = sections
        self.lease_seconds = lease_seconds
        self.schedulers = {}
        self.addresses = {}  # name -> (grpc, http), for good
        try:
            self._start_etcd(members)
            for number in range(1, schedulers + 1):
                self.start_scheduler(f"s{number}")
        except BaseException:
            self._kill_leftovers()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.http = HttpOfAny(self)
        wait_until(lambda: self.leader() is not None, "a scheduler leads")

    def _start_etcd(self, count):
        ports = free_ports(2 * count)
        peers = ",".join(f"e{i + 1}=http://127.0.0.1:{ports[2 * i + 1]}" for i in range(count))
        self.etcd = [EtcdMember(self.folder, f"e{i + 1}", ports[2 * i], ports[2 * i + 1], peers)
                     for i in range(count)]
        for member in self.etcd:
            member.start()
        wait_until(lambda: all(member.is_healthy() for member in self.etcd), "etcd is healthy")

    def start_scheduler(self, name, wrapper=()):
        """Starts it, or starts it again at the same addresses."""
        grpc, http = self.addresses.get(name, ("127.0.0.1:0", "127.0.0.1:0"))
        sections = {
            "grpc_server": {"addr": grpc}, "http_server": {"addr": http},
            "store": {"backend": "etcd", "endpoints": [m.endpoint for m in self.etcd],
                      "lease_ttl": f"{self.lease_seconds}s"},
            "log": {"level": "debug"},
            **self.sections,
        }
        daemon = Daemon(self.folder, name, "scheduler", sections, wrapper)
        self.schedulers[name] = daemon
        self.addresses[name] = (daemon.ports["grpc"], daemon.ports["http"])
        return daemon

    @property
    def grpc_address(self):
        return [grpc for grpc, _ in self.addresses.values()]

    @property
    def http_addresses(self):
        return [http for _, http in self.addresses.values()]

    @property
    def http_address(self):
        """That of any, for those who take one."""
        return self.http.address

    def cli_environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder),
                "CLUSTERD_ADDR": ",".join(self.grpc_address)}

    def view(self, name):
        """What a scheduler says of the cluster; None where it says nothing."""
        with contextlib.suppress(OSError):
            answer = call(self.addresses[name][1], "GET", "/v1/cluster")
            if answer.status == 200:
                return answer.json()
        return None

    def leader(self):
        """The name of the one that leads, once one that answers says so."""
        for name in self.schedulers:
            view = self.view(name)
            if view is None:
                continue
            for other, (grpc, _) in self.addresses.items():
                if grpc == view["leader"]:
                    return other
        return None

    def followers(self):
        leader = self.leader()
        return [name for name in self.schedulers if name != leader]

    def etcdctl(self, *arguments):
        """What etcd says, as JSON."""
        asked = subprocess.run(
            ["etcdctl", f"--endpoints={','.join(m.endpoint for m in self.etcd)}", "-w", "json",
             *arguments], env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, check=True)
        return json.loads(asked.stdout)

    def close(self, check=True):
        try:
            codes = {d.name: self._stop(d)
                     for d in [*self.workers.values(), *self.schedulers.values()]}
            for member in self.etcd:
                if member.process is not None and member.process.poll() is None:
                    member.kill()
            if check:
                wait_until(lambda: not self.leftovers(), "every process of the cluster ends", 15)
                bad = {name: code for name, code in codes.items() if code not in (0, -9)}
                if bad:
                    raise AssertionError(f"exit codes: {bad}")
        except AssertionError as error:
            logs = "".join(f"--- {log.name}\n{end_of(log)}"
                           for log in sorted(self.folder.glob("[sw]*.log")))
            raise AssertionError(f"{error}; left: {self.leftovers()}\n{logs}") from error
        finally:
            if check or not os.environ.get("KEEP"):
                self._kill_leftovers()
                self.remove_cgroups()
                shutil.rmtree(self.folder, ignore_errors=True)


def call(address, method, path, body=None, headers=None, seconds=CALL_SECONDS):
    """One request on a connection of its own, with a bound."""
    connection = HttpConnection(address)
    with contextlib.closing(connection):
        connection.socket.settimeout(seconds)
        answer = connection.request(method, path, body, headers)
        _ = answer.body
        return answer


class HttpOfAny:
    """Asks one scheduler after the other until one answers anything but 503 and 504."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.turn = 0

    @property
    def address(self):
        addresses = self.cluster.http_addresses
        return addresses[self.turn % len(addresses)]

    def request(self, method, path, body=None, headers=None):
        failure = ConnectionError("no address")
        for _ in self.cluster.http_addresses:
            with_bound = 15 if "/wait" in path else CALL_SECONDS
            try:
                answer = call(self.address, method, path, body, headers, with_bound)
                if answer.status not in (503, 504):
                    return answer
                failure = None
            except OSError as error:
                failure = error
            self.turn += 1
        if failure is not None:
            raise failure
        return answer

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def post(self, path, body=None, headers=None):
        return self.request("POST", path, body, headers)
