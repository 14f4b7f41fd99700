"""Three schedulers on three members of etcd, and workers: real processes on loopback.

`etcd` must be installed. Everything has ports and folders of its own.
"""
import contextlib
import os
import pathlib
import shutil
import tempfile

from cluster import Cluster, Daemon, end_of, wait_until
from etcd import Etcd
from load import CALL_SECONDS, call

LEASE_SECONDS = 2


class SharedCluster(Cluster):
    """As Cluster, with several schedulers. `http` asks one of them after the other."""

    def __init__(self, schedulers=3, members=3, lease_seconds=LEASE_SECONDS, **sections):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-e2e-"))
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()
        self.workers = {}
        self.scheduler = None
        self.etcd = None
        self.sections = sections
        self.lease_seconds = lease_seconds
        self.schedulers = {}
        self.addresses = {}  # name -> (grpc, http), for good
        try:
            self.etcd = Etcd(self.folder, members)
            for number in range(1, schedulers + 1):
                self.start_scheduler(f"s{number}")
        except BaseException:
            self._kill_leftovers()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.http = HttpOfAny(self)
        wait_until(lambda: self.leader() is not None, "a scheduler leads")

    def start_scheduler(self, name, wrapper=(), program=None):
        """Starts it, or starts it again at the same addresses."""
        grpc, http = self.addresses.get(name, ("127.0.0.1:0", "127.0.0.1:0"))
        sections = {
            "grpc_server": {"addr": grpc, **self.certificate(name)},
            "http_server": {"addr": http},
            "store": {"backend": "etcd", "endpoints": self.etcd.endpoints,
                      "lease_ttl": f"{self.lease_seconds}s"},
            "log": {"level": "debug"},
            **self.sections,
        }
        daemon = Daemon(self.folder, name, "scheduler", sections, wrapper, program)
        self.schedulers[name] = daemon
        self.addresses[name] = (daemon.ports["grpc"], daemon.ports["http"])
        return daemon

    def certificate(self, _name):
        """Of a scheduler's [grpc_server], for those who derive from this."""
        return {}

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

    def worker_address(self, name):
        """Where schedulers call it, host:port."""
        return self.http.get(f"/v1/workers/{name}").json().get("address")

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

    def close(self, check=True):
        try:
            codes = {d.name: self._stop(d)
                     for d in [*self.workers.values(), *self.schedulers.values()]}
            self.etcd.kill()
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
            self._kill_leftovers()
            self.remove_cgroups()
            shutil.rmtree(self.folder, ignore_errors=True)


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
