"""Every client and worker of examples/clients. What needs grpcio or the npm registry is left out,
and says so, where these are not there."""
import os
import pathlib
import shutil
import subprocess
import unittest

from cluster import DEADLINE_SECONDS, Cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "examples" / "clients"
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's packages


def has_grpcio():
    found = subprocess.run([PYTHON, "-c", "import grpc, google.protobuf"], capture_output=True,
                           check=False)
    return found.returncode == 0 and shutil.which("grpc_python_plugin") is not None


class ClientsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("say.sh", '#!/bin/bash\necho "got $1"; sleep 0.2; echo end; exit "$2"\n')
        cls.cluster.start_worker()

    def check(self, command, environment=None, cwd=None):
        for code in (0, 7):
            run = subprocess.run([*command, "say.sh", "a word", str(code)], capture_output=True,
                                 text=True, timeout=DEADLINE_SECONDS, check=False, cwd=cwd,
                                 env={**os.environ, **(environment or {})})
            self.assertEqual((run.returncode, run.stdout), (code, "got a word\nend\n"), run)

    def stubs(self):
        folder = self.cluster.folder / "stubs"
        if not folder.exists():
            subprocess.run(["sh", str(CLIENTS / "stubs.sh"), str(folder)], check=True)
        return {"PYTHONPATH": f"{folder}:{CLIENTS}", "PYTHONDONTWRITEBYTECODE": "1"}

    def test_python_over_http(self):
        self.check(["python3", str(ROOT / "examples" / "clusterd_client.py")],
                   {"CLUSTERD_URL": f"http://{self.cluster.http_address}"})

    @unittest.skipUnless(has_grpcio(), "python3-grpcio is not installed")
    def test_python_over_grpc(self):
        self.check([PYTHON, str(CLIENTS / "python_client.py"), self.cluster.grpc_address],
                   self.stubs())

    @unittest.skipUnless(has_grpcio(), "python3-grpcio is not installed")
    def test_worker_in_python(self):
        worker = subprocess.Popen(
            [PYTHON, str(CLIENTS / "python_worker.py"), self.cluster.grpc_address,
             str(self.cluster.folder / "python-data"), "python"],
            env={**os.environ, **self.stubs()}, stdout=subprocess.DEVNULL, cwd=self.cluster.folder)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        self.cluster.wait_for_worker("python", "ALIVE")
        run = self.cluster.cli("run", "-q", "--stdin", "-", "--handler", "words", stdin="two words")
        self.assertEqual((run.returncode, run.stdout), (0, "2\n"), run)

    @unittest.skipUnless(has_grpcio(), "python3-grpcio is not installed")
    def test_the_worker_in_python_conforms(self):
        for test in ("conformance_test.py", "conformance_orders_test.py"):
            self.conforms(test, f"{PYTHON} {ROOT}/tests/support/conformance_python.py")

    @unittest.skipUnless(has_grpcio(), "python3-grpcio is not installed")
    def test_our_own_worker_takes_orders_as_it_must(self):
        self.conforms("conformance_orders_test.py")

    @unittest.skipUnless(has_grpcio(), "python3-grpcio is not installed")
    def test_a_worker_with_the_library_takes_orders_as_it_must(self):
        self.conforms("conformance_orders_test.py", os.environ["LIBRARY_WORKER"])

    def conforms(self, test, *command):
        run = subprocess.run([PYTHON, "-B", str(ROOT / "tests/e2e" / test), *command],
                             capture_output=True, text=True, timeout=280, check=False,
                             env={**os.environ, **self.stubs()})
        self.assertEqual(run.returncode, 0, run.stderr[-8000:])

    @unittest.skipUnless(shutil.which("npm"), "npm is not installed")
    def test_node_over_grpc(self):
        folder = self.cluster.folder / "node"
        shutil.copytree(CLIENTS / "node", folder)
        install = subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=folder,
                                 capture_output=True, text=True, timeout=120, check=False)
        if install.returncode != 0:
            self.skipTest("the npm registry cannot be reached")
        self.check(["node", "client.mjs", str(ROOT / "proto"), self.cluster.grpc_address], cwd=folder)

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_shell(self):
        self.check(["bash", str(ROOT / "examples" / "client.sh")],
                   {"CLUSTERD_URL": f"http://{self.cluster.http_address}"})


if __name__ == "__main__":
    unittest.main()
