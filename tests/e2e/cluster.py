"""A cluster of real processes in a temporary folder, for tests from outside.

The executable is $CLUSTERD. Nothing is shared between two clusters, all ports are free ones, and
Cluster.close() ends every process and fails the test if one of them outlives it.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

from etcd import Etcd
from http_client import HttpClient
from processes import (  # noqa: F401: what tests of clusters use of it
    DEADLINE_SECONDS, end_of, executable, is_sanitized, parent_of, peak_memory_bytes, processes,
    wait_until)

# Where this is "etcd", schedulers keep their jobs there instead of in a file.
STORE = os.environ.get("CLUSTERD_TEST_STORE", "sqlite")


def to_toml(sections):
    """{"section": {"key": value}} as TOML; strings, numbers, booleans, lists and flat tables."""
    def text(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(k)} = {text(v)}" for k, v in value.items()) + "}"
        return json.dumps(value, ensure_ascii=False)

    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {text(value)}\n" for key, value in keys.items())
        for name, keys in sections.items())


class Daemon:
    """One `clusterd scheduler` or `clusterd worker` process; of another build where `program` is one."""

    def __init__(self, folder, name, mode, sections, wrapper=(), program=None):
        self.name = name
        self.folder = folder
        self.port_file = folder / f"{name}.ports"
        self.log = folder / f"{name}.log"
        config = folder / f"{name}.toml"
        config.write_text(to_toml(sections))
        self.port_file.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*wrapper, program or executable(), mode, "--config", str(config),
                 "--port-file", str(self.port_file)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        self.ports = self._wait_for_ports()

    def _wait_for_ports(self):
        def listening():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with code {self.process.returncode}:\n"
                                     f"{self.log.read_text(errors='replace')}")
            return self.port_file.exists()

        try:
            wait_until(listening, f"{self.name} writes its port file")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return dict(line.split("=", 1) for line in self.port_file.read_text().splitlines())

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        self.process.kill()
        self.process.wait()

    def suspend(self):
        """SIGSTOP; returns when none of its threads runs any more."""
        self.process.send_signal(signal.SIGSTOP)

        def stopped():
            states = [stat.read_text().rpartition(")")[2].split()[0]
                      for stat in pathlib.Path(f"/proc/{self.pid}/task").glob("*/stat")]
            return all(state == "T" for state in states)

        wait_until(stopped, f"{self.name} is suspended")

    def terminate(self):
        """SIGTERM; the exit code and the seconds that it took."""
        start = time.monotonic()
        self.process.terminate()
        code = self.process.wait(timeout=DEADLINE_SECONDS)
        return code, time.monotonic() - start


class Cluster:
    """A scheduler and some workers. Use as a context manager, or close() it."""

    def __init__(self, scheduling=None, **scheduler_sections):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-e2e-"))
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()
        self.workers = {}
        self.scheduler = None
        self.http_address = "127.0.0.1:0"
        self.grpc_address = "127.0.0.1:0"
        self.scheduler_sections = {"scheduling": scheduling or {}, **scheduler_sections}
        self.etcd = None
        try:
            if STORE == "etcd":
                self.etcd = Etcd(self.folder, 1)
            self.start_scheduler()
        except BaseException:
            self._kill_leftovers()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close(check=kind is None)

    def start_scheduler(self, wrapper=()):
        """Starts it, or starts it again at the same addresses with the same store."""
        sections = {
            "grpc_server": {"addr": self.grpc_address},
            "http_server": {"addr": self.http_address},
            "store": self.store_section(),
            "log": {"level": "debug"},
            **self.scheduler_sections,
        }
        self.scheduler = Daemon(self.folder, "scheduler", "scheduler", sections, wrapper)
        self.http_address = self.scheduler.ports["http"]
        self.grpc_address = self.scheduler.ports["grpc"]
        self.http = self.http_client()
        wait_until(lambda: self.http.get("/readyz").status == 200, "the scheduler is ready")

    def store_section(self):
        if self.etcd is not None:
            return {"backend": "etcd", "endpoints": self.etcd.endpoints, "lease_ttl": "2s"}
        return {"path": str(self.folder / "clusterd.db")}

    @property
    def http_addresses(self):
        return [self.http_address]

    def http_client(self):
        """How the tests call it over HTTP."""
        return HttpClient(self.http_address)

    def data_folder(self, name):
        return self.folder / f"{name}-data"

    def start_worker(self, name="w1", slots=8, on_stop="stop", alive=True, labels=None,
                     limits=None, sections=None, wrapper=(), **jobs):
        """Starts a worker, or starts it again; returns when the scheduler sees it ALIVE."""
        sections = {
            "grpc_server": {"addr": "127.0.0.1:0"},
            "scheduler": {"addr": self.grpc_address},
            "worker": {"name": name, "on_stop": on_stop, "labels": labels or {}},
            "capacity": {"slots": slots},
            "jobs": {"scripts_dir": str(self.scripts), "data_dir": str(self.data_folder(name)),
                     "runtime_dir": str(self.folder / f"{name}-run"), **jobs},
            "limits": limits or {},
            "log": {"level": "debug"},
            **self.worker_sections(name),
            **(sections or {}),
        }
        self.workers[name] = Daemon(self.folder, name, "worker", sections, wrapper)
        if alive:
            self.wait_for_worker(name, "ALIVE")
        return self.workers[name]

    def worker_sections(self, _name):
        """More of a worker's configuration, for those who derive from this."""
        return {}

    def launcher(self, name="w1"):
        """The process id of the launcher, once there is one and no other."""
        def alone():
            found = self.launchers(name)
            return found if len(found) == 1 else None

        return wait_until(alone, f"one launcher of {name}")[0]

    def launchers(self, name="w1"):
        """Process ids of the launchers of a worker: their command line names its data_dir. Children
        of a launcher bear that too, until their own execve; they are left out."""
        folder = str(self.data_folder(name))
        found = {pid for pid, command, _ in processes()
                 if folder in command and pid != self.workers[name].pid}
        return [pid for pid in sorted(found) if parent_of(pid) not in found]

    def wait_for_worker(self, name, state):
        def seen():
            answer = self.http.get("/v1/workers")
            return answer.status == 200 and any(
                worker["name"] == name and worker["state"] == state
                for worker in answer.json()["workers"])

        wait_until(seen, f"worker {name} is {state}")

    def worker_id(self, name="w1"):
        return self.http.get(f"/v1/workers/{name}").json()["worker_id"]

    def script(self, name, text):
        file = self.scripts / name
        file.write_text(text)
        file.chmod(0o755)
        return name

    def start(self, path, *args, worker="", **spec):
        """Starts a script with bash and returns the job's id."""
        body = {"path": path, "args": [str(arg) for arg in args], "command": "bash", **spec}
        where = f"/v1/workers/{worker}/jobs" if worker else "/v1/jobs"
        answer = self.http.post(where, body)
        if answer.status != 201:
            raise AssertionError(f"start of {body}: {answer.status} {answer.body}")
        return answer.json()["job_id"]

    def run(self, path, *args, **spec):
        """Starts a script, waits for its end and returns (output, job)."""
        job_id = self.start(path, *args, **spec)
        job = self.wait(job_id)
        return self.output(job_id), job

    def job(self, job_id):
        answer = self.http.get(f"/v1/jobs/{job_id}")
        if answer.status != 200:
            raise AssertionError(f"job {job_id}: {answer.status} {answer.body}")
        return answer.json()

    def wait(self, job_id):
        """The job when it has ended, through restarts of the scheduler too."""
        def ended():
            with contextlib.suppress(OSError):
                answer = self.http.get(f"/v1/jobs/{job_id}/wait?timeout=5s")
                if answer.status == 200 and "end" in answer.json():
                    return answer.json()
                if answer.status not in (200, 503):
                    raise AssertionError(f"wait for {job_id}: {answer.status} {answer.body}")
            return None

        return wait_until(ended, f"job {job_id} ends")

    def wait_for_state(self, job_id, state):
        return wait_until(lambda: self.job(job_id)["state"] == state, f"{job_id} is {state}")

    def output(self, job_id, **query):
        answer = self.http.get(f"/v1/jobs/{job_id}/output?{urllib.parse.urlencode(query)}")
        if answer.status != 200:
            raise AssertionError(f"output of {job_id}: {answer.status} {answer.body}")
        return answer.body

    def job_ids(self):
        return [job["job_id"] for job in self.http.get("/v1/jobs?page_size=1000").json()["jobs"]]

    def cli(self, *args, stdin=None, timeout=DEADLINE_SECONDS):
        return subprocess.run([executable(), *args], input=stdin, capture_output=True, text=True,
                              timeout=timeout, env=self.cli_environment(), check=False)

    def cli_environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder),
                "CLUSTERD_ADDR": self.grpc_address}

    def cgroups(self, *workers):
        """Folders of cgroups that launchers of these workers have made and not removed."""
        names = set()
        for name in workers or self.workers:
            hashed = 0xCBF29CE484222325  # FNV-1a, as the launcher names them
            for byte in os.path.realpath(self.data_folder(name)).encode():
                hashed = ((hashed ^ byte) * 0x100000001B3) % 2**64
            names.add(f"clusterd-{hashed:016x}")
        return [os.path.join(parent, folder)
                for parent, folders, _ in os.walk("/sys/fs/cgroup")
                for folder in folders if folder in names]

    def remove_cgroups(self, *workers):
        """Removes those that are empty; whether none is left."""
        for folder in self.cgroups(*workers):
            for cgroup, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(cgroup)
        return not self.cgroups(*workers)

    def kill_machine(self, name):
        """Leaves what a power loss leaves, which is nothing; when it happened."""
        when = time.monotonic()
        for pid in [self.workers[name].pid, *self.launchers(name)]:
            os.kill(pid, signal.SIGKILL)
        folder = str(self.scripts)
        for pid, _, where in list(processes()):
            if where.startswith(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.workers[name].process.wait()
        wait_until(lambda: self.remove_cgroups(name), "no process keeps its cgroup")
        return when

    def leftovers(self):
        """Processes of this cluster: they run in its folder or name it."""
        folder = str(self.folder)
        return [(pid, command) for pid, command, working_folder in processes()
                if folder in command or working_folder.startswith(folder)]

    def close(self, check=True):
        """Stops everything in order, fails if anything is left, and removes the folder."""
        try:
            codes = {daemon.name: self._stop(daemon)
                     for daemon in [*self.workers.values(), self.scheduler]}
            if self.etcd is not None:
                self.etcd.kill()
            if check:
                wait_until(lambda: not self.leftovers(), "every process of the cluster ends", 15)
                if self.cgroups():
                    raise AssertionError(f"cgroups are left: {self.cgroups()}")
                bad = {name: code for name, code in codes.items() if code not in (0, -9)}
                if bad:
                    raise AssertionError(f"exit codes: {bad}")
        except AssertionError as error:
            logs = "".join(f"--- {log.name}\n{end_of(log)}"
                           for log in sorted(self.folder.glob("*.log")))
            raise AssertionError(f"{error}; left: {self.leftovers()}\n{logs}") from error
        finally:
            self._kill_leftovers()
            self.remove_cgroups()
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _stop(daemon):
        if daemon.process.poll() is None:
            daemon.process.send_signal(signal.SIGCONT)
            daemon.process.terminate()
            try:
                daemon.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                return "none within 30 s of SIGTERM"
        return daemon.process.returncode

    def _kill_leftovers(self):
        # A launcher whose worker has gone may start nothing new, so two rounds find everything.
        for _ in range(2):
            for pid, _ in self.leftovers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def cluster_that_others_may_pass():
    """A cluster whose folder another user may pass, as may all above it."""
    def is_passable(folder):
        return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))

    usual = tempfile.tempdir
    tempfile.tempdir = next(name for name in (tempfile.gettempdir(), "/tmp", "/var/tmp")
                            if is_passable(pathlib.Path(name)))
    try:
        cluster = Cluster()
    finally:
        tempfile.tempdir = usual
    cluster.folder.chmod(0o711)
    return cluster
