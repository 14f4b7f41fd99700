"""Every certificate, the authority and the revocation list are replaced while jobs are started and
followed: no call fails and no follower breaks. CLUSTERD_LONG=1 makes it a minute."""
import os
import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

from cluster import executable, wait_until
from tls_test import HOSTS, TlsCluster, tls

LOAD_SECONDS = 60 if os.environ.get("CLUSTERD_LONG") else 15


def put(target, text):
    """Replaces a file at once."""
    fresh = target.with_suffix(".new")
    fresh.write_bytes(text)
    fresh.chmod(0o600)
    fresh.rename(target)


class Load:
    """Starts short jobs by the command line until it is told to stop."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.environment = cluster.cli_environment()
        self.failures = []
        self.done = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            result = self.cluster.cli_as(self.environment, "job", "start", "--command", "bash",
                                         "--wait", "hello.sh")
            self.done += 1
            if result.returncode != 0:
                self.failures.append((result.returncode, result.stderr))

    def stop(self):
        self.stopping.set()
        self.thread.join()


class ReloadTest(unittest.TestCase):
    def reloads(self, cluster, name):
        return cluster.log(name).count("certificates reloaded")

    def replace(self, cluster, files):
        """Writes files of both daemons and waits until both have taken them."""
        before = {name: self.reloads(cluster, name) for name in ("scheduler", "w1")}
        for name, text in files.items():
            put(cluster.tls / name, text)
        for name, count in before.items():
            wait_until(lambda n=name, c=count: self.reloads(cluster, n) > c,
                       f"{name} has new certificates", 15)

    def test_everything_is_replaced_under_load(self):
        with TlsCluster() as cluster, tempfile.TemporaryDirectory() as folder:
            cluster.script("hello.sh", "echo hello\n")
            cluster.script("lines.sh", "for i in $(seq 1 100000); do echo $i; sleep 0.05; "
                                       "[ -e \"$1\" ] && break; done; echo end\n")
            flag = cluster.folder / "enough"
            cluster.start_worker("w1")
            job = cluster.start("lines.sh", str(flag))
            follower = subprocess.Popen([executable(), "job", "logs", "-f", job],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=cluster.cli_environment())
            load = Load(cluster)
            start = time.monotonic()
            try:
                new = pathlib.Path(folder) / "new"
                tls("init", "--dir", new, "--cluster", "test", *HOSTS, "--worker", "w1")
                old_ca = (cluster.tls / "ca.pem").read_bytes()
                both = old_ca + (new / "ca.pem").read_bytes()
                self.replace(cluster, {"ca.pem": both})
                put(cluster.tls / "worker.pem", b"garbage\n")
                wait_until(lambda: "cannot be reloaded" in cluster.log("w1"), "it is logged", 15)
                self.replace(cluster, {
                    f"{name}.{kind}": (new / f"{name}.{kind}").read_bytes()
                    for name in ("scheduler", "worker") for kind in ("key", "pem")})
                load.environment = cluster.cli_environment(folder=new)
                time.sleep(3)  # new connections show the new certificates within two seconds
                tls("revoke", "--dir", new, tls(
                    "issue", "client", "--dir", new, "--name", "gone").stdout.split()[0])
                self.replace(cluster, {"ca.pem": (new / "ca.pem").read_bytes(),
                                       "crl.pem": (new / "crl.pem").read_bytes()})
                time.sleep(max(0, LOAD_SECONDS - (time.monotonic() - start)))
            finally:
                load.stop()
                flag.touch()
            output, errors = follower.communicate(timeout=60)
            self.assertEqual(load.failures, [])
            self.assertGreater(load.done, 5)
            self.assertEqual(follower.returncode, 0, errors)
            lines = output.decode().split()
            self.assertEqual(lines, [str(i) for i in range(1, len(lines))] + ["end"])

    def test_what_is_revoked_is_cut(self):
        with TlsCluster() as cluster:
            cluster.script("sleep.sh", "echo on; sleep 600\n")
            cluster.start_worker("w1")
            path = cluster.issue("client", "cut", "--role", "admin")
            environment = cluster.cli_environment("client-cut")
            job = cluster.start("sleep.sh")
            follower = subprocess.Popen([executable(), "job", "logs", "-f", job],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment)
            self.assertEqual(follower.stdout.readline(), b"on\n")
            tls("revoke", "--dir", cluster.tls, path)
            _, errors = follower.communicate(timeout=30)
            self.assertNotEqual(follower.returncode, 0)
            self.assertIn(b"has been revoked", errors + cluster.log("scheduler").encode())
            self.assertEqual(cluster.job(job)["state"], "RUNNING")


if __name__ == "__main__":
    unittest.main()
