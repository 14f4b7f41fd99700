"""Mutual TLS: who is refused and why, and certificates that change under load."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from cluster import Cluster, executable, wait_until
from h2_call import H2Connection

ROLES = ("scheduler", "worker", "reader", "operator", "admin")
HOSTS = ["--host", "localhost", "--host", "127.0.0.1"]


def tls(*args, expect=0):
    done = subprocess.run([executable(), "tls", *map(str, args)], capture_output=True, text=True,
                          timeout=60, check=False)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"tls {args}: {done.returncode} {done.stdout} {done.stderr}")
    return done


class TlsCluster(Cluster):
    """A cluster with the certificates of `tls init`, in the folder `tls`."""

    def __init__(self, **scheduler_sections):
        self.tls = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-e2e-tls-")) / "tls"
        tls("init", "--dir", self.tls, "--cluster", "test", *HOSTS, "--worker", "w1")
        tls("revoke", "--dir", self.tls, self.issue("client", "unused"))
        grpc = {"addr": "127.0.0.1:0", **self.files("scheduler")}
        super().__init__(grpc_server=grpc, **scheduler_sections)

    def issue(self, kind, name, *options):
        return tls("issue", kind, "--dir", self.tls, "--name", name, *HOSTS,
                   *options).stdout.split()[0]

    def files(self, name, folder=None):
        folder = folder or self.tls
        return {"use_tls": True, "crt_file": f"{folder}/{name}.pem",
                "key_file": f"{folder}/{name}.key", "ca_file": f"{self.tls}/ca.pem",
                "crl_file": f"{self.tls}/crl.pem"}

    def start_scheduler(self, wrapper=()):
        self.scheduler_sections["grpc_server"]["addr"] = self.grpc_address
        super().start_scheduler(wrapper)

    def worker_sections(self, name):
        return {"grpc_server": {"addr": "127.0.0.1:0", **self.files("worker")}}

    def cli_environment(self, name="client", folder=None, key=None):
        folder = folder or self.tls
        return {**super().cli_environment(), "CLUSTERD_CA": f"{self.tls}/ca.pem",
                "CLUSTERD_CERT": f"{folder}/{name}.pem",
                "CLUSTERD_KEY": key or f"{folder}/{name}.key"}

    def cli_as(self, environment, *args):
        return subprocess.run([executable(), *args], capture_output=True, text=True, timeout=60,
                              env=environment, check=False)

    def connect(self, daemon, certificate):
        """A connection to a daemon that shows a certificate of the folder `tls`."""
        ports = self.scheduler.ports if daemon == "scheduler" else self.workers[daemon].ports
        return H2Connection(ports["grpc"], f"{self.tls}/ca.pem", f"{self.tls}/{certificate}.pem",
                            f"{self.tls}/{certificate}.key")

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self, check=True):
        try:
            super().close(check)
        finally:
            shutil.rmtree(self.tls.parent, ignore_errors=True)


class InitTest(unittest.TestCase):
    def test_what_init_makes_is_accepted_by_openssl_and_never_overwritten(self):
        with tempfile.TemporaryDirectory() as folder:
            where = pathlib.Path(folder) / "tls"
            tls("init", "--dir", where, "--cluster", "prod", *HOSTS)
            names = {f"{n}.{e}" for n in ("ca", "scheduler", "worker", "client")
                     for e in ("pem", "key")}
            self.assertEqual(set(os.listdir(where)), names)
            for name in ("scheduler", "worker", "client"):
                self.assertEqual((where / f"{name}.key").stat().st_mode & 0o777, 0o600)
            self.assertEqual((where / "ca.key").stat().st_mode & 0o777, 0o600)
            before = {name: (where / name).read_bytes() for name in names}
            again = tls("init", "--dir", where, "--cluster", "prod", expect=None)
            self.assertNotEqual(again.returncode, 0)
            self.assertIn("not overwritten", again.stderr)
            self.assertEqual(before, {name: (where / name).read_bytes() for name in names})
            if shutil.which("openssl"):
                for name in ("scheduler", "worker", "client"):
                    done = subprocess.run(
                        ["openssl", "verify", "-x509_strict", "-CAfile", where / "ca.pem",
                         where / f"{name}.pem"], capture_output=True, text=True, check=False)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            shown = tls("show", where / "worker.pem").stdout
            self.assertRegex(shown, r"spiffe://prod/worker/\S+")
            self.assertIn("localhost", shown)
            verified = tls("verify", "--ca", where / "ca.pem", "--key", where / "client.key",
                           where / "client.pem").stdout
            self.assertRegex(verified, r"^OK: client/admin/\S+ of cluster prod")

    def test_a_file_that_is_there_leaves_no_other_behind(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "client.pem").write_text("mine")
            done = tls("init", "--dir", folder, "--cluster", "prod", expect=None)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(os.listdir(folder), ["client.pem"])


class RefusalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = TlsCluster()
        cls.cluster.start_worker("w1")
        cls.other = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-e2e-foreign-"))
        tls("init", "--dir", cls.other / "tls", "--cluster", "test", *HOSTS)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.other)
        cls.cluster.close()

    def assert_logged(self, name, pattern):
        wait_until(lambda: re.search(pattern, self.cluster.log(name)),
                   f"{name} logs {pattern}:\n{self.cluster.log(name)[-3000:]}", 10)

    def ask(self, environment, addr=None):
        """cluster status as somebody, at the scheduler or at another address."""
        if addr:
            environment = {**environment, "CLUSTERD_ADDR": addr}
        return self.cluster.cli_as(environment, "cluster", "status")

    def refused_by_both(self, environment, pattern):
        for name, addr in (("scheduler", self.cluster.grpc_address),
                           ("w1", self.cluster.workers["w1"].ports["grpc"])):
            def refused(n=name, a=addr):
                failed = self.ask(environment, a).returncode != 0
                return failed and re.search(pattern, self.cluster.log(n))

            wait_until(refused, f"{name} refuses and logs {pattern}", 15)

    def test_the_client_of_init_is_answered(self):
        done = self.ask(self.cluster.cli_environment())
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_plaintext(self):
        plain = {**Cluster.cli_environment(self.cluster)}
        self.refused_by_both(plain, r"wrong version number")

    def test_no_certificate(self):
        without = self.cluster.cli_environment()
        del without["CLUSTERD_CERT"], without["CLUSTERD_KEY"]
        self.refused_by_both(without, r"did not return a certificate")

    def test_a_foreign_authority(self):
        # Our own client would not show it: it looks at its certificate first.
        foreign = self.other / "tls"
        for name, addr in (("scheduler", self.cluster.grpc_address),
                           ("w1", self.cluster.workers["w1"].ports["grpc"])):
            with self.assertRaises(OSError):
                with H2Connection(addr, f"{self.cluster.tls}/ca.pem", f"{foreign}/client.pem",
                                  f"{foreign}/client.key") as connection:
                    connection.call("/grpc.health.v1.Health/Check")
            self.assert_logged(name, r"comes from none of the authorities in ca_file")

    def test_an_expired_certificate(self):
        folder = self.cluster.tls
        config = self.other / "expired.cnf"
        config.write_text("subjectAltName=URI:spiffe://test/client/admin/late\n"
                          "extendedKeyUsage=clientAuth\n")
        if not shutil.which("openssl"):
            self.skipTest("openssl makes the expired certificate")
        run = lambda *args: subprocess.run(args, check=True, capture_output=True, cwd=self.other)
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "late.key")
        run("openssl", "req", "-new", "-key", "late.key", "-subj", "/CN=late", "-out", "late.csr")
        run("openssl", "x509", "-req", "-in", "late.csr", "-CA", f"{folder}/ca.pem", "-CAkey",
            f"{folder}/ca.key", "-set_serial", "77", "-days", "-1", "-extfile", config, "-out",
            "late.pem")
        refused = self.cluster.cli_environment("late", folder=self.other)
        # Our own client looks at it first: a caller that does not, is openssl.
        for name, addr in (("scheduler", self.cluster.grpc_address),
                           ("w1", self.cluster.workers["w1"].ports["grpc"])):
            subprocess.run(["openssl", "s_client", "-connect", addr, "-alpn", "h2", "-cert",
                            "late.pem", "-key", "late.key"], cwd=self.other,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
            self.assert_logged(name, r"client/admin/late \(serial 4D\) expired at")
        self.assertNotEqual(self.ask(refused).returncode, 0)

    def test_a_revoked_certificate(self):
        path = self.cluster.issue("client", "revoked", "--role", "admin")
        environment = self.cluster.cli_environment("client-revoked")
        self.assertEqual(self.ask(environment).returncode, 0)
        tls("revoke", "--dir", self.cluster.tls, path)
        wait_until(lambda: self.ask(environment).returncode != 0, "it is refused")
        self.refused_by_both(environment, r"client/admin/revoked .* has been revoked")

    def test_wrong_roles(self):
        self.cluster.issue("client", "looker", "--role", "reader")
        self.cluster.issue("worker", "w9")
        worker = self.cluster.cli_environment("worker-w9")
        self.assertEqual(self.ask(worker).returncode, 77)
        self.assert_logged("scheduler", r"worker/w9 may not call /clusterd.v1.SchedulerService")
        with self.cluster.connect("w1", "worker-w9") as connection:
            self.assertTrue(connection.call("/clusterd.v1.WorkerService/StartJobs"))
        self.assert_logged("w1", r"worker/w9 may not call /clusterd.v1.WorkerService/StartJobs")
        reader = self.cluster.cli_environment("client-looker")
        self.assertEqual(self.ask(reader).returncode, 0)
        done = self.cluster.cli_as(reader, "job", "start", "nothing.sh")
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("it takes the role operator or admin", done.stderr)
        self.assert_logged("scheduler", r"client/reader/looker may not call")

    def test_an_old_version_and_a_weak_suite(self):
        if not shutil.which("openssl"):
            self.skipTest("openssl is the client")
        for options in (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
                        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", self.cluster.grpc_address, "-alpn", "h2",
                 *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                check=False)
            self.assertIn("Cipher is (NONE)", done.stdout)


def documented_table():
    """{method: roles} as docs/security.md has it."""
    text = (pathlib.Path(__file__).parents[2] / "docs" / "security.md").read_text()
    table = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and re.match(r"`[\w.]+/\w+`", cells[0]):
            table[cells[0].strip("`")] = {
                role for role, cell in zip(ROLES, cells[1:]) if cell == "yes"}
    return table


class RoleTableTest(unittest.TestCase):
    def test_every_method_takes_the_roles_that_are_documented_and_no_other(self):
        table = documented_table()
        self.assertGreater(len(table), 30)
        with TlsCluster() as cluster:
            cluster.start_worker("w1")
            cluster.issue("scheduler", "other")
            cluster.issue("worker", "other")
            for role in ("reader", "operator", "admin"):
                cluster.issue("client", role, "--role", role)
            certificates = {"scheduler": "scheduler-other", "worker": "worker-other",
                            **{role: f"client-{role}" for role in ROLES[2:]}}
            served = {"scheduler": ("clusterd.v1.SchedulerService/", "clusterd.v1.ClusterService/",
                                    "jobscheduler.Scheduler/", "cluster.v1.", "scheduler.v1.",
                                    "grpc."),
                      "w1": ("clusterd.v1.WorkerService/", "jobscheduler.Worker/", "worker.v1.",
                             "grpc.")}
            for daemon, prefixes in served.items():
                for method in (m for m in table if m.startswith(prefixes)):
                    for role in ROLES:
                        with self.subTest(daemon=daemon, method=method, role=role):
                            self.check(cluster, daemon, certificates[role], method,
                                       role in table[method])

    def check(self, cluster, daemon, certificate, method, allowed):
        before = len(cluster.log(daemon))
        with cluster.connect(daemon, certificate) as connection:
            ended = connection.call(f"/{method}", wait=10 if not allowed else 0.3)
        refused = f"method=/{method} " in cluster.log(daemon)[before:]
        self.assertEqual(refused, not allowed)
        self.assertTrue(ended or allowed)


class NameTest(unittest.TestCase):
    def test_a_worker_has_the_name_in_its_certificate_and_no_other(self):
        with TlsCluster() as cluster:
            cluster.start_worker("w1")
            done = cluster.cli("job", "list")
            self.assertEqual(done.returncode, 0, done.stderr)
            cluster.script("hello.sh", "echo hello\n")
            output, job = cluster.run("hello.sh", worker="w1")
            self.assertEqual((output, job["state"]), (b"hello\n", "SUCCEEDED"))
            with self.assertRaisesRegex(AssertionError, "is not the name in its certificate"):
                cluster.start_worker("w2")


if __name__ == "__main__":
    unittest.main()
