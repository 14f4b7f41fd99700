"""`clusterd doctor`: each thing that can be wrong is found, and what mends it is said."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import unittest

from cluster import Cluster, executable, to_toml


def doctor(*words, env=None):
    return subprocess.run([executable(), "doctor", *words], capture_output=True, text=True,
                          timeout=120, check=False, env=env)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-doctor-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "scripts").mkdir(mode=0o755)
        (self.folder / "data").mkdir(mode=0o711)

    def look(self, sections, name="worker", text=None):
        """What it finds in a configuration: (exit code, findings that are not good, all)."""
        config = self.folder / f"{name}.toml"
        config.write_text(text or to_toml(sections))
        done = doctor("--json", "--config", str(config))
        found = json.loads(done.stdout)["findings"]
        worst = {"ok": 0, "warning": 1, "error": 2}
        self.assertEqual(done.returncode, max(worst[one["severity"]] for one in found))
        for one in found:
            self.assertEqual("mend" in one, one["severity"] != "ok", one)
        return [one for one in found if one["severity"] != "ok"], found

    def worker(self, **sections):
        base = {"grpc_server": {"addr": "127.0.0.1:0"},
                "scheduler": {"addr": "127.0.0.1:1"},
                "jobs": {"scripts_dir": str(self.folder / "scripts"), "run_as": str(os.geteuid()),
                         "data_dir": str(self.folder / "data"), "allowed_commands": ["sh"]}}
        for table, keys in sections.items():
            base[table] = {**base.get(table, {}), **keys}
        return base

    def scheduler(self, **sections):
        base = {"grpc_server": {"addr": "127.0.0.1:0"}, "http_server": {"addr": "127.0.0.1:0"},
                "store": {"path": str(self.folder / "clusterd.db")}}
        for table, keys in sections.items():
            base[table] = {**base.get(table, {}), **keys}
        return base

    def assert_found(self, found, check, severity, text):
        for one in found:
            if (one["check"], one["severity"]) == (check, severity) and text in one["message"]:
                return one
        raise AssertionError(f"no {severity} of {check} with {text!r} in {found}")

    def tls(self, days=365):
        folder = self.folder / "tls"
        subprocess.run([executable(), "tls", "init", "--dir", str(folder), "--cluster", "c",
                        "--worker", "w1", "--days", str(days), "--host", "127.0.0.1"],
                       check=True, capture_output=True, timeout=60)
        return {"use_tls": True, "ca_file": str(folder / "ca.pem"),
                "crt_file": str(folder / "worker.pem"), "key_file": str(folder / "worker.key")}


class FilesTest(Case):
    def test_mistakes_in_the_file(self):
        bad, _ = self.look({}, text="[jobs]\nnonsense = 1\nmax_output = \"1 parsec\"\n")
        self.assert_found(bad, "config", "error", "nonsense")
        self.assert_found(bad, "config", "error", "max_output")
        bad, _ = self.look({}, name="scheduler", text="[store]\nbackend = \"clay\"\n")
        self.assert_found(bad, "config", "error", "store.backend")

    def test_which_daemon_a_file_is_of(self):
        for name, text, check in (("worker", "", "cgroups"), ("x", "[jobs]\n", "cgroups"),
                                  ("scheduler", "", "store"), ("y", "[scheduling]\n", "store")):
            prefix = "[grpc_server]\naddr = \"127.0.0.1:0\"\n"
            _, found = self.look({}, name=name, text=prefix + text)
            self.assertIn(check, [one["check"] for one in found], name)

    def test_no_file_at_all(self):
        if os.path.exists("/etc/clusterd"):
            self.skipTest("this machine has a configuration")
        done = doctor()
        self.assertEqual(done.returncode, 64)
        self.assertIn("--config FILE", done.stderr)

    def test_certificates_that_end_soon_or_have_ended(self):
        keys = self.tls(days=10)
        bad, found = self.look(self.worker(grpc_server=keys))
        one = self.assert_found(bad, "certificates", "warning", "expires in ")
        self.assertIn("CN=", one["message"])
        self.assertIn("clusterd tls issue", one["mend"])
        self.assert_found(found, "certificates", "ok", "ca.pem")

    def test_certificates_that_do_not_belong_together(self):
        keys = self.tls()
        shutil.copy(self.folder / "tls" / "client.key", self.folder / "tls" / "worker.key")
        bad, _ = self.look(self.worker(grpc_server=keys))
        self.assert_found(bad, "certificates", "error", "key")
        keys["crt_file"] = str(self.folder / "none.pem")
        bad, _ = self.look(self.worker(grpc_server=keys))
        self.assert_found(bad, "certificates", "error", "none.pem")

    def test_keys_that_others_can_read(self):
        keys = self.tls()
        os.chmod(keys["key_file"], 0o644)
        bad, _ = self.look(self.worker(grpc_server=keys))
        one = self.assert_found(bad, "certificates", "error", "can be read")
        self.assertIn("chmod", one["mend"])
        os.chmod(keys["key_file"], 0o640)
        bad, _ = self.look(self.worker(grpc_server=keys))
        self.assertNotIn("certificates", [one["check"] for one in bad])

    def test_no_tls_beyond_loopback(self):
        bad, _ = self.look(self.worker(grpc_server={"addr": "0.0.0.0:0", "allow_insecure": True}))
        self.assert_found(bad, "certificates", "warning", "without TLS")

    def test_scripts_that_others_may_write(self):
        os.chmod(self.folder / "scripts", 0o777)
        bad, _ = self.look(self.worker())
        self.assert_found(bad, "permissions", "error", "scripts_dir")

    def test_folders_that_are_to_be_made_and_jobs_of_the_worker_itself(self):
        bad, _ = self.look(self.worker(jobs={"scripts_dir": str(self.folder / "none"),
                                             "run_as": ""}))
        self.assert_found(bad, "permissions", "warning", "is not there")
        self.assert_found(bad, "permissions", "warning", "worker's own user")
        bad, _ = self.look(self.worker(jobs={"run_as": "nobody-of-that-name"}))
        self.assert_found(bad, "permissions", "error", "nobody-of-that-name")

    @unittest.skipUnless(os.geteuid() == 0, "needs root to give a folder away")
    def test_folders_of_another_user_are_nothing_to_root(self):
        os.chown(self.folder / "data", 65534, 65534)
        bad, _ = self.look(self.worker())
        self.assertEqual([], [one for one in bad if one["check"] == "permissions"])

    def test_commands_that_are_not_there(self):
        bad, _ = self.look(self.worker(jobs={"allowed_commands": ["sh", "no-such-interpreter"]}))
        self.assert_found(bad, "commands", "warning", "no-such-interpreter")

    def test_disks_without_room(self):
        bad, _ = self.look(self.scheduler(store={"min_free": "1024GiB"}), name="scheduler")
        one = self.assert_found(bad, "disk", "error", "store.path")
        self.assertIn("retention", one["mend"])

    def test_cgroups_that_are_off_or_missing(self):
        bad, _ = self.look(self.worker(limits={"cgroups": "off"}))
        self.assert_found(bad, "cgroups", "warning", "limits.cgroups is off")
        if any(" cgroup2 " in line for line in open("/proc/mounts", encoding="utf-8")):
            bad, _ = self.look(self.worker(limits={"cgroup_parent": "none.slice/none.service"}))
            one = self.assert_found(bad, "cgroups", "warning", "none.slice/none.service")
            self.assertIn("clusterd-jobs.service", one["mend"])

    def test_the_clock_is_looked_at(self):
        _, found = self.look(self.worker())
        self.assertIn("clock", [one["check"] for one in found])


class NetworkTest(Case):
    @contextlib.contextmanager
    def taken_port(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            yield f"127.0.0.1:{taken.getsockname()[1]}"

    def test_ports_that_are_taken_or_not_ours(self):
        with self.taken_port() as address:
            bad, _ = self.look(self.worker(grpc_server={"addr": address}))
            one = self.assert_found(bad, "ports", "error", address)
            self.assertIn("ss -ltnp", one["mend"])
            bad, _ = self.look(self.scheduler(http_server={"addr": address}), name="scheduler")
            self.assert_found(bad, "ports", "error", "http_server.addr")
        bad, _ = self.look(self.worker(grpc_server={"addr": "192.0.2.1:30000",
                                                    "allow_insecure": True}))
        self.assert_found(bad, "ports", "error", "192.0.2.1")

    def test_a_scheduler_that_does_not_answer(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unused.getsockname()[1]}"
        bad, _ = self.look(self.worker(scheduler={"addr": address}))
        one = self.assert_found(bad, "reachability", "error", address)
        self.assertIn("firewall", one["mend"])

    def test_an_address_that_the_scheduler_cannot_call(self):
        bad, _ = self.look(self.worker(scheduler={"addr": "192.0.2.1:50000"}))
        self.assert_found(bad, "reachability", "error", "cannot call the worker")


class ClusterTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())

    def look(self, name):
        done = doctor("--json", "--config", str(self.cluster.folder / f"{name}.toml"))
        return json.loads(done.stdout)["findings"]

    def assert_found(self, found, check, severity, text):
        Case.assert_found(self, found, check, severity, text)

    def fix_port(self, name):
        """Lets the configuration name the port that the daemon has."""
        file = self.cluster.folder / f"{name}.toml"
        daemon = self.cluster.workers.get(name, self.cluster.scheduler)
        text = file.read_text().replace('"127.0.0.1:0"', f'"{daemon.ports["grpc"]}"', 1)
        if "http" in daemon.ports:
            text = text.replace('"127.0.0.1:0"', f'"{daemon.ports["http"]}"', 1)
        file.write_text(text)

    def test_a_cluster_that_is_well(self):
        self.cluster.start_worker()
        self.fix_port("w1")
        self.fix_port("scheduler")
        found = self.look("w1")
        self.assert_found(found, "reachability", "ok", "the scheduler at")
        self.assert_found(found, "clock", "ok", "ms ")
        self.assert_found(found, "ports", "ok", "the daemon listens")
        found = self.look("scheduler")
        self.assert_found(found, "reachability", "ok", "worker w1 answers")
        self.assert_found(found, "reachability", "ok", "the scheduler is ready")
        self.assert_found(found, "store", "ok", "is sound")
        self.assertEqual([one for one in found if one["severity"] == "error"], [])
        text = doctor("--config", str(self.cluster.folder / "w1.toml")).stdout
        self.assertIn("ok  reachability: the scheduler at", text)

    def test_live_asks_whether_a_daemon_answers(self):
        self.cluster.start_worker()
        for name in ("w1", "scheduler"):
            config = str(self.cluster.folder / f"{name}.toml")
            self.assertEqual(doctor("--live", "--config", config).returncode, 70, "port 0")
            self.fix_port(name)
            done = doctor("--live", "--config", config)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.cluster.workers["w1"].terminate()
        self.cluster.scheduler.terminate()
        for name in ("w1", "scheduler"):
            config = str(self.cluster.folder / f"{name}.toml")
            self.assertEqual(doctor("--live", "--config", config).returncode, 75, name)
        self.cluster.start_scheduler()

    def test_a_worker_that_is_gone(self):
        self.cluster.start_worker().kill()
        found = self.look("scheduler")
        self.assert_found(found, "reachability", "error", "worker w1 does not answer")

    def test_a_store_that_is_damaged_or_of_another_version(self):
        self.cluster.scheduler.terminate()
        database = self.cluster.folder / "clusterd.db"
        os.chmod(database, 0o644)
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("INSERT INTO workers VALUES ('w', x'ff')")
            connection.execute("INSERT INTO set_aside VALUES ('jobs', 'k', 'why', x'ff')")
            connection.commit()
        found = self.look("scheduler")
        self.assert_found(found, "store", "error", "workers w: the record is damaged")
        self.assert_found(found, "store", "warning", "set aside")
        self.assert_found(found, "permissions", "warning", "can be read by others")
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("DELETE FROM workers")
            connection.execute("PRAGMA user_version = 99")
            connection.commit()
        self.assert_found(self.look("scheduler"), "store", "error", "has format 99")
        database.write_bytes(b"x" * 8192)
        self.assertIn("store", [one["check"] for one in self.look("scheduler")
                                if one["severity"] == "error"])
        for file in self.cluster.folder.glob("clusterd.db*"):
            file.unlink()
        self.cluster.start_scheduler()


if __name__ == "__main__":
    unittest.main(verbosity=2)
