"""Members of etcd on loopback, for clusters whose store they are. `etcd` must be installed."""
import json
import os
import subprocess

from ports import free_ports
from processes import wait_until

ENVIRONMENT = {**os.environ, "ETCDCTL_API": "3"}


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
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def is_healthy(self):
        """It has the majority, and answers."""
        asked = subprocess.run(
            ["etcdctl", f"--endpoints={self.endpoint}", "--command-timeout=2s", "endpoint",
             "health"], env=ENVIRONMENT, capture_output=True, check=False)
        return asked.returncode == 0


class Etcd:
    """Some members, healthy once this is made."""

    def __init__(self, folder, count):
        ports = free_ports(2 * count)
        peers = ",".join(f"e{i + 1}=http://127.0.0.1:{ports[2 * i + 1]}" for i in range(count))
        self.members = [EtcdMember(folder, f"e{i + 1}", ports[2 * i], ports[2 * i + 1], peers)
                        for i in range(count)]
        try:
            for member in self.members:
                member.start()
            wait_until(lambda: all(member.is_healthy() for member in self.members),
                       "etcd is healthy")
        except BaseException:
            self.kill()
            raise

    @property
    def endpoints(self):
        return [member.endpoint for member in self.members]

    def kill(self):
        for member in self.members:
            member.kill()

    def ctl(self, *arguments):
        """What etcdctl says, as JSON."""
        asked = subprocess.run(
            ["etcdctl", f"--endpoints={','.join(self.endpoints)}", "-w", "json", *arguments],
            env=ENVIRONMENT, capture_output=True, check=True)
        return json.loads(asked.stdout)
