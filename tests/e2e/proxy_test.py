"""examples/nginx.conf, as it is but for ports and paths, in front of a scheduler: HTTP and gRPC pass,
TLS ends there, and who calls is known.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import unittest

from cluster import Cluster, executable, wait_until
from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


def make_certificates(folder):
    """An authority, a server's certificate for 127.0.0.1 and a client's with the name alice."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "1")
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"),
                            ("alice", "subjectAltName=URI:spiffe://example/client/operator/alice")):
        (folder / "extension").write_text(extension)
        openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "1", "-out", f"{name}.pem", "-extfile", "extension")


@unittest.skipUnless(NGINX, "nginx is not installed")
class ProxyTest(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(http_server={"addr": "127.0.0.1:0", **self.http_server()})
        self.addCleanup(self.cluster.close)
        self.cluster.script("count.sh", 'for i in 1 2 3; do echo "line $i"; sleep 0.3; done')
        self.cluster.start_worker(alive=False)
        self.folder = self.cluster.folder / "nginx"
        self.folder.mkdir()
        make_certificates(self.folder)
        self.port = free_port()
        self.start_nginx()
        self.wait_for_worker()

    def http_server(self):
        return {}

    def start_nginx(self):
        text = (ROOT / "examples/nginx.conf").read_text()
        for ours, theirs in (("listen 443", f"listen 127.0.0.1:{self.port}"),
                             ("127.0.0.1:3000", self.cluster.http_address),
                             ("127.0.0.1:50000", self.cluster.grpc_address)):
            self.assertIn(ours, text)
            text = text.replace(ours, theirs)
        text = text.replace("\nhttp {", "\nhttp {\n" + "".join(
            f"  {kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")))
        if os.geteuid() == 0:
            text = "user root;\n" + text
        (self.folder / "nginx.conf").write_text(text)
        with open(self.folder / "log", "w") as log:
            nginx = subprocess.Popen([NGINX, "-p", str(self.folder), "-c", "nginx.conf",
                                      "-g", "daemon off;"], stdout=log, stderr=log)
        self.addCleanup(nginx.wait, timeout=30)
        self.addCleanup(nginx.send_signal, signal.SIGTERM)

        def listening():
            self.assertIsNone(nginx.poll(), (self.folder / "log").read_text())
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return True
            return False

        wait_until(listening, "nginx listens")

    def wait_for_worker(self):
        wait_until(lambda: self.curl("/v1/workers").count('"state":"ALIVE"') == 1, "the worker joins")

    def credentials(self):
        return ["--cert", self.folder / "alice.pem", "--key", self.folder / "alice.key"]

    def curl(self, path, *options, credentials=None):
        return subprocess.run(
            ["curl", "-sS", "-N", "--max-time", "60", "--cacert", self.folder / "ca.pem",
             *(self.credentials() if credentials is None else credentials), *options,
             f"https://127.0.0.1:{self.port}{path}"], capture_output=True, text=True, check=True).stdout

    def start_job(self):
        answer = self.curl("/v1/jobs", "-d", '{"path": "count.sh", "command": "bash"}')
        return json.loads(answer)["job_id"]

    def test_http_passes(self):
        job_id = self.start_job()
        output = self.curl(f"/v1/jobs/{job_id}/output?follow=true")
        events = self.curl(f"/v1/jobs/{job_id}/output?follow=true", "-H", "Accept: text/event-stream")
        job = json.loads(self.curl(f"/v1/jobs/{job_id}/wait"))

        self.assertEqual(output, "line 1\nline 2\nline 3\n")
        self.assertIn("event: end", events)
        self.assertEqual(job["state"], "SUCCEEDED")

    def test_output_comes_while_the_job_runs(self):
        self.cluster.script("hold.sh", 'echo begun; read -r line < "$1"; echo "$line"')
        fifo = self.cluster.folder / "fifo"
        os.mkfifo(fifo)
        answer = self.curl("/v1/jobs", "-d", json.dumps(
            {"path": "hold.sh", "command": "bash", "args": [str(fifo)]}))
        job_id = json.loads(answer)["job_id"]
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.load_cert_chain(self.folder / "alice.pem", self.folder / "alice.key")
        with context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 60),
                                 server_hostname="127.0.0.1") as stream:
            stream.sendall(f"GET /v1/jobs/{job_id}/output?follow=true HTTP/1.1\r\n"
                           f"Host: 127.0.0.1:{self.port}\r\n\r\n".encode())
            text = b""
            while b"begun\n" not in text:
                text += stream.recv(65536)
            fifo.write_text("go\n")
            while b"go\n" not in text:
                text += stream.recv(65536)

    def test_grpc_passes(self):
        command = [executable(), "job", "start", "--follow", "--command", "bash",
                   "--addr", f"127.0.0.1:{self.port}", "--ca", self.folder / "ca.pem",
                   *self.credentials(), "count.sh"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        self.assertEqual((run.returncode, run.stdout), (0, "line 1\nline 2\nline 3\n"), run.stderr)

    def test_workers_are_not_passed(self):
        answer = self.curl("/clusterd.v1.ClusterService/RegisterWorker", "-X", "POST", "-o", "/dev/null",
                           "-w", "%{http_code}", "-H", "Content-Type: application/grpc")
        self.assertEqual(answer, "404")


class KnownCallersTest(ProxyTest):
    """The same where every caller must be known."""

    def http_server(self):
        folder = tempfile.TemporaryDirectory(prefix="clusterd-e2e-")
        self.addCleanup(folder.cleanup)
        file = f"{folder.name}/tokens"
        made = subprocess.run([executable(), "token", "create", "--file", file, "--role", "reader", "bob"],
                              capture_output=True, text=True, check=True)
        self.token = made.stdout.strip()
        return {"tokens_file": file, "trusted_proxies": ["127.0.0.1"]}

    def status(self, path, *options, credentials=None):
        return self.curl(path, *options, "-o", "/dev/null", "-w", "%{http_code}", credentials=credentials)

    def test_a_certificate_or_a_token_says_who_calls(self):
        bearer = ["-H", f"Authorization: Bearer {self.token}"]

        self.assertEqual(self.status("/v1/jobs"), "200")
        self.assertEqual(self.status("/v1/jobs", credentials=[]), "401")
        self.assertEqual(self.status("/v1/jobs", *bearer, credentials=[]), "200")
        self.assertEqual(self.status("/v1/jobs", *bearer, "-d", "{}", credentials=[]), "403")

    def test_nobody_can_say_it_himself(self):
        forged = ["-H", "Clusterd-Client: client/admin/eve"]

        self.assertEqual(self.status("/v1/jobs", *forged, credentials=[]), "401")

    def test_only_the_proxy_is_believed(self):
        forged = {"Clusterd-Client": "client/admin/eve"}
        cluster = Cluster(http_server={"addr": "127.0.0.1:0", **self.http_server(),
                                       "trusted_proxies": ["192.0.2.1"]})
        self.addCleanup(cluster.close)

        self.assertEqual(cluster.http.get("/v1/jobs", forged).status, 401)


if __name__ == "__main__":
    unittest.main(verbosity=2)
