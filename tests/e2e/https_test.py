"""HTTPS: who shows a certificate needs no token, one verifier says who that is and why not, and
what is replaced or revoked takes effect without a restart.
"""
import contextlib
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import unittest

from cluster import executable, wait_until
from http_client import CutStream, HttpClient
from tls_reload_test import put
from tls_test import HOSTS, TlsCluster, tls

BROKEN = (OSError, CutStream)  # of a connection that is refused or cut


class HttpsCluster(TlsCluster):
    """Callers show the certificates of `tls init`, over gRPC and over HTTPS."""

    def __init__(self, **http):
        self.http_options = http
        super().__init__()

    def start_scheduler(self, wrapper=()):
        self.scheduler_sections["http_server"] = {
            "addr": self.http_address, **self.files("scheduler"), **self.http_options}
        super().start_scheduler(wrapper)

    def context(self, name=None, folder=None):
        """Of a client that shows a certificate of a folder, or none."""
        context = ssl.create_default_context(cafile=f"{self.tls}/ca.pem")
        if name:
            where = folder or self.tls
            context.load_cert_chain(f"{where}/{name}.pem", f"{where}/{name}.key")
        return context

    def http_client(self):
        return self.client("client")

    def client(self, name=None, folder=None):
        return HttpClient(self.http_address, self.context(name, folder))

    def client_of(self, role):
        self.issue("client", f"the-{role}", "--role", role)
        return self.client(f"client-the-{role}")


class HttpsCase(unittest.TestCase):
    def cluster(self, **http):
        return self.enterContext(HttpsCluster(**http))

    def wait_for_log(self, cluster, pattern):
        wait_until(lambda: re.search(pattern, cluster.log("scheduler")),
                   f"the scheduler logs {pattern}:\n{cluster.log('scheduler')[-3000:]}", 15)


class CallersTest(HttpsCase):
    def test_a_certificate_says_who_calls(self):
        cluster = self.cluster()
        job = {"path": "none.sh", "command": "bash"}

        started = cluster.client_of("operator").post("/v1/jobs", job)
        read = cluster.client_of("reader").get("/v1/jobs")
        refused = cluster.client("client-the-reader").post("/v1/jobs", job)
        worker = cluster.client("worker").get("/v1/jobs")
        nobody = cluster.client().get("/v1/jobs")

        self.assertEqual(started.status, 201, started.body)
        self.assertEqual(started.json()["submitted_by"], "client/operator/the-operator")
        self.assertEqual((read.status, refused.status, worker.status), (200, 403, 403))
        self.assertEqual(nobody.status, 401)
        self.assertIn("a client certificate is needed", nobody.json()["detail"])
        self.assertEqual(cluster.client().get("/healthz").status, 200)

    def test_a_token_is_an_alternative_and_comes_first(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        made = subprocess.run([executable(), "token", "create", "--file", f"{folder}/tokens",
                               "--role", "reader", "bob"], capture_output=True, text=True, check=True)
        cluster = self.cluster(tokens_file=f"{folder}/tokens")
        token = {"Authorization": f"Bearer {made.stdout.strip()}"}

        self.assertEqual(cluster.client().get("/v1/jobs", token).status, 200)
        self.assertEqual(cluster.client("client").post("/v1/jobs/none/stop", {}).status, 404)
        self.assertEqual(cluster.client("client").post("/v1/jobs/none/stop", {}, token).status, 403)
        self.assertIn("a bearer token or a client certificate is needed",
                      cluster.client().get("/v1/jobs").json()["detail"])

    def test_certificates_that_are_refused_and_why(self):
        cluster = self.cluster()
        other = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        tls("init", "--dir", other / "tls", "--cluster", "test", *HOSTS)
        revoked = cluster.issue("client", "revoked", "--role", "admin")
        tls("revoke", "--dir", cluster.tls, revoked)
        self.wait_for_log(cluster, "certificates reloaded table=http_server")
        for name, folder, reason in (
                ("client", other / "tls", "comes from none of the authorities"),
                ("client-revoked", None, "client/admin/revoked .*has been revoked")):
            with self.subTest(name=name, reason=reason):
                with self.assertRaises(BROKEN):
                    cluster.client(name, folder).get("/v1/jobs")
                self.wait_for_log(cluster, f"certificate is refused table=http_server.*{reason}")
        self.assertEqual(cluster.client("client").get("/v1/jobs").status, 200)

    def test_only_strong_versions_and_suites(self):
        cluster = self.cluster()
        for change in (lambda c: setattr(c, "maximum_version", ssl.TLSVersion.TLSv1_1),
                       lambda c: (setattr(c, "maximum_version", ssl.TLSVersion.TLSv1_2),
                                  c.set_ciphers("AES256-SHA256:ECDHE-ECDSA-AES256-SHA384"))):
            context = cluster.context("client")
            with contextlib.suppress(ssl.SSLError, DeprecationWarning):
                change(context)
            with self.assertRaises(BROKEN):
                HttpClient(cluster.http_address, context).get("/v1/jobs")

    def test_what_the_configuration_names_is_checked(self):
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "s.toml"
            config.write_text('[http_server]\nuse_tls = true\ncrt_file = "no.pem"\n'
                              'key_file = "no.key"\nca_file = "none.pem"\n')
            done = subprocess.run([executable(), "scheduler", "--check", "--config", config],
                                  capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('http_server.ca_file "none.pem"', done.stderr)


class ReloadTest(HttpsCase):
    def serial(self, cluster):
        """The serial number of the certificate that a new connection sees."""
        with contextlib.closing(cluster.client("client").connect()) as connection:
            return connection.socket.getpeercert()["serialNumber"]

    def reloads(self, cluster):
        return cluster.log("scheduler").count("certificates reloaded table=http_server")

    def follow(self, cluster, name):
        """A stream of a job that writes a line and waits."""
        cluster.script("wait.sh", "echo begun; sleep 600")
        cluster.start_worker("w1", on_stop="stop")
        job = cluster.start("wait.sh")
        answer = self.enterContext(cluster.client(name).open(f"/v1/jobs/{job}/output?follow=true"))
        pieces = answer.chunks()
        self.assertEqual(next(pieces), b"begun\n")
        return job, pieces

    def test_a_new_certificate_is_shown_and_what_is_open_goes_on(self):
        cluster = self.cluster()
        job, pieces = self.follow(cluster, "client")
        before, reloads = self.serial(cluster), self.reloads(cluster)
        fresh = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        made = cluster.issue("scheduler", "s2")
        shutil.copy(made, fresh / "s2.pem")
        key = pathlib.Path(made).with_suffix(".key").read_bytes()

        put(cluster.tls / "scheduler.pem", b"garbage\n")
        self.wait_for_log(cluster, 'the last good ones stay in use.*http_server.crt_file')
        self.assertEqual(self.serial(cluster), before)
        self.assertEqual(self.reloads(cluster), reloads)
        put(cluster.tls / "scheduler.key", key)
        put(cluster.tls / "scheduler.pem", (fresh / "s2.pem").read_bytes())
        wait_until(lambda: self.reloads(cluster) > reloads, "the new files are read", 15)

        self.assertNotEqual(self.serial(cluster), before)
        self.assertEqual(cluster.http.post(f"/v1/jobs/{job}/stop", {}).status, 200)
        self.assertEqual(b"".join(pieces), b"")  # its regular end

    def test_on_sighup_too(self):
        cluster = self.cluster()
        reloads = self.reloads(cluster)
        cluster.scheduler.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.reloads(cluster) > reloads, "the files are read", 15)
        self.assertEqual(cluster.http.get("/v1/jobs").status, 200)

    def test_what_is_revoked_is_cut_and_nobody_else(self):
        cluster = self.cluster()
        path = cluster.issue("client", "cut", "--role", "admin")
        cluster.issue("client", "kept", "--role", "admin")
        job, pieces = self.follow(cluster, "client-cut")
        kept = self.enterContext(
            cluster.client("client-kept").open(f"/v1/jobs/{job}/output?follow=true")).chunks()
        self.assertEqual(next(kept), b"begun\n")
        idle = self.enterContext(contextlib.closing(cluster.client("client-cut").connect()))
        self.assertEqual(idle.request("GET", "/v1/workers").json()["workers"][0]["name"], "w1")

        tls("revoke", "--dir", cluster.tls, path)

        with self.assertRaises(BROKEN):
            list(pieces)
        with self.assertRaises(BROKEN):
            _ = idle.request("GET", "/v1/jobs").body
        with self.assertRaises(BROKEN):
            cluster.client("client-cut").get("/v1/jobs")
        self.assertEqual(cluster.job(job)["state"], "RUNNING")
        self.assertEqual(cluster.http.post(f"/v1/jobs/{job}/stop", {}).status, 200)
        self.assertEqual(b"".join(kept), b"")


if __name__ == "__main__":
    unittest.main(verbosity=2)
