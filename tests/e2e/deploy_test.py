"""What runs clusterd on machines, in containers and in clouds is well-formed, and fits the program."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest

from cluster import executable

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "examples" / "deploy"
HA = ROOT / "examples" / "ha"
PACKAGING = ROOT / "src" / "cmake" / "packaging"

try:
    import yaml
except ImportError:  # Debian: python3-yaml
    yaml = None


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m|h)", text).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-deploy-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def check(self, mode, text):
        """The program takes this text as the configuration of a scheduler or worker."""
        file = self.folder / f"{mode}.toml"
        file.write_text(text)
        tomllib.loads(text)
        done = subprocess.run([executable(), "doctor", "--json", "--config", str(file)],
                              capture_output=True, text=True, timeout=120, check=False)
        found = json.loads(done.stdout)["findings"]
        self.assertEqual([f for f in found if f["check"] == "config" and f["severity"] != "ok"],
                         [], text)


class UnitsTest(Folder):
    def setUp(self):
        super().setUp()
        prefix = self.folder / "usr"
        (prefix / "bin").mkdir(parents=True)
        (prefix / "bin" / "clusterd").symlink_to(pathlib.Path(executable()).resolve())
        self.root = self.folder / "root"
        subprocess.run(["cmake", f"-DCMAKE_INSTALL_PREFIX={prefix}", f"-Dpackaging={PACKAGING}",
                        "-P", str(PACKAGING / "install_system.cmake")],
                       env={**os.environ, "DESTDIR": str(self.root)}, check=True,
                       capture_output=True, timeout=60)
        self.units = pathlib.Path(f"{self.root}{prefix}/lib/systemd/system")

    def systemd_analyze(self, *words):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not installed (Debian: systemd)")
        return subprocess.run(["systemd-analyze", "--no-pager", *words], capture_output=True,
                              text=True, timeout=60, check=False,
                              env={**os.environ, "SYSTEMD_UNIT_PATH": f"{self.units}:"})

    def test_units_are_well_formed(self):
        names = sorted(unit.name for unit in self.units.iterdir())
        self.assertEqual(names, ["clusterd-jobs.service", "clusterd-scheduler.service",
                                 "clusterd-worker.service"])
        for name in names:
            done = self.systemd_analyze("verify", "--man=no", str(self.units / name))
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), name)

    def test_units_are_exposed_as_little_as_may_be(self):
        # The worker's directives hold for its jobs, so it can have few of them.
        for name, most in (("scheduler", 16), ("jobs", 24), ("worker", 78)):
            done = self.systemd_analyze("security", "--offline=true", f"--threshold={most}",
                                        str(self.units / f"clusterd-{name}.service"))
            self.assertEqual(done.returncode, 0, done.stdout[-300:])

    def test_a_restart_of_the_worker_leaves_its_jobs(self):
        worker = (self.units / "clusterd-worker.service").read_text()
        for line in ("Type=notify", "KillMode=process", "RuntimeDirectoryPreserve=yes",
                     "OOMPolicy=continue"):
            self.assertIn(f"\n{line}\n", worker)
        # A cgroup that is divided cannot be entered again: see clusterd-jobs.service.
        self.assertNotIn("\nDelegate=", worker)
        self.assertIn("\nDelegate=yes\n", (self.units / "clusterd-jobs.service").read_text())
        config = tomllib.loads((PACKAGING / "config" / "worker.toml").read_text())
        self.assertEqual(config["limits"]["cgroup_parent"], "system.slice/clusterd-jobs.service")
        self.assertNotEqual(config["jobs"]["run_as"], re.search(r"^User=(.*)$", worker, re.M)[1])

    def test_what_an_administrator_has_changed_stays(self):
        config = self.root / "etc/clusterd/worker.toml"
        config.write_text("# mine\n")
        subprocess.run(["cmake", "-DCMAKE_INSTALL_PREFIX=/usr", f"-Dpackaging={PACKAGING}", "-P",
                        str(PACKAGING / "install_system.cmake")],
                       env={**os.environ, "DESTDIR": str(self.root)}, check=True,
                       capture_output=True, timeout=60)
        self.assertEqual(config.read_text(), "# mine\n")

    def test_the_package_configures_both_daemons(self):
        for mode in ("scheduler", "worker"):
            self.check(mode, (PACKAGING / "config" / f"{mode}.toml").read_text())


class ContainerTest(Folder):
    def entrypoint(self, mode, **variables):
        """Runs it with a `clusterd` that says how it was called; its words and environment."""
        program = self.folder / "bin" / "clusterd"
        program.parent.mkdir(exist_ok=True)
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"; echo --; env\n')
        program.chmod(0o755)
        script = self.folder / "entrypoint.sh"
        script.write_text((DEPLOY / "container" / "entrypoint.sh").read_text()
                          .replace("/run/clusterd", str(self.folder / "run")))
        done = subprocess.run(["sh", str(script), *mode], capture_output=True, text=True,
                              timeout=60, check=True,
                              env={"PATH": f"{program.parent}:{os.environ['PATH']}", **variables})
        words, _, rest = done.stdout.partition("--\n")
        return words.split("\n")[:-1], rest

    def test_the_entrypoint_takes_the_mounted_configuration(self):
        words, _ = self.entrypoint(["worker"])
        self.assertEqual(words, ["worker", "--config", "/etc/clusterd/worker.toml"])
        words, _ = self.entrypoint(["job", "list"])
        self.assertEqual(words, ["job", "list"])

    def test_the_entrypoint_makes_files_of_secrets_and_hides_them(self):
        pem = "-----BEGIN\nline two\n-----END\n"
        words, rest = self.entrypoint(["scheduler"], CLUSTERD_FILE_CA_PEM=pem,
                                      CLUSTERD_CONFIG="[store]\npath = \"x\"")
        secrets = self.folder / "run" / "secrets"
        self.assertEqual(words, ["scheduler", "--config", str(secrets / "scheduler.toml")])
        self.assertEqual((secrets / "ca.pem").read_text().strip(), pem.strip())
        self.assertEqual((secrets / "scheduler.toml").read_text(), '[store]\npath = "x"\n')
        self.assertEqual((secrets / "ca.pem").stat().st_mode & 0o777, 0o600)
        self.assertNotIn("BEGIN", rest)
        self.assertNotIn("CLUSTERD_CONFIG", rest)

    def test_the_image_is_small_and_not_run_by_root(self):
        stages = re.split(r"^FROM ", (DEPLOY / "container" / "Dockerfile").read_text(),
                          flags=re.M)[1:]
        names = [re.match(r"\S+ AS (\S+)", stage)[1] for stage in stages]
        self.assertEqual(names, ["build", "clusterd", "scheduler", "worker"])
        for stage in stages[1:]:
            users = re.findall(r"^USER (\S+)$", stage, re.M)
            self.assertTrue(not users or users[-1] == "clusterd", stage)
        for stage in stages[2:]:
            self.assertIn("HEALTHCHECK", stage)
            self.assertIn('"--live"', stage)
        for path in re.findall(r"^COPY (?!--from)(.*) \S+$", "".join(stages), re.M):
            for word in path.split():
                self.assertTrue((ROOT / word).exists(), word)

    def check_compose(self, folder, services):
        compose = yaml.safe_load((folder / "compose.yaml").read_text())
        self.assertEqual(sorted(compose["services"]), services)
        for name, service in compose["services"].items():
            self.assertEqual(service["cap_drop"], ["ALL"])
            mode = name.partition("-")[0]
            if mode == "etcd":
                self.assertEqual(service["networks"], ["store"])
                continue
            self.assertIn("--live", service["healthcheck"]["test"], name)
            self.assertTrue(service["read_only"])
            mounted = [volume.split(":")[1] for volume in service["volumes"]]
            config = tomllib.loads((folder / f"{mode}.toml").read_text())
            self.assertTrue(config["grpc_server"]["use_tls"])
            for key in ("crt_file", "key_file", "ca_file"):
                file = config["grpc_server"][key]
                self.assertTrue(file in mounted or os.path.dirname(file) in mounted, file)
        config = tomllib.loads((folder / "worker.toml").read_text())
        self.assertLess(seconds(config["worker"]["drain_timeout"]) + 15,
                        seconds(compose["services"]["worker-1"]["stop_grace_period"]))
        return compose

    @unittest.skipUnless(yaml, "python3-yaml is not installed")
    def test_compose_gives_tls_and_health_checks(self):
        self.check_compose(DEPLOY / "container", ["scheduler", "worker-1", "worker-2"])

    @unittest.skipUnless(yaml, "python3-yaml is not installed")
    def test_compose_of_several_schedulers_is_one_cluster(self):
        names = [f"{kind}-{i}" for kind in ("etcd", "scheduler") for i in (1, 2, 3)]
        compose = self.check_compose(HA / "compose", [*names, "worker-1", "worker-2"])
        services = compose["services"]
        self.assertTrue(compose["networks"]["store"]["internal"])
        peers = {f"etcd-{i}=http://etcd-{i}:2380" for i in (1, 2, 3)}
        for i in (1, 2, 3):
            etcd = services[f"etcd-{i}"]["environment"]
            self.assertEqual(set(etcd["ETCD_INITIAL_CLUSTER"].split(",")), peers)
            self.assertIn(f"{etcd['ETCD_NAME']}={etcd['ETCD_INITIAL_ADVERTISE_PEER_URLS']}", peers)
            self.assertIn("store", services[f"scheduler-{i}"]["networks"])
            self.assertEqual(services[f"scheduler-{i}"]["hostname"], f"scheduler-{i}")
        store = tomllib.loads((HA / "compose" / "scheduler.toml").read_text())["store"]
        self.assertEqual(store["endpoints"], [f"etcd-{i}:2379" for i in (1, 2, 3)])
        worker = tomllib.loads((HA / "compose" / "worker.toml").read_text())
        self.assertEqual(worker["scheduler"]["addr"], [f"scheduler-{i}:50000" for i in (1, 2, 3)])

    def test_configurations_of_several_schedulers_are_good(self):
        for folder in ("compose", "machines"):
            for mode in ("scheduler", "worker"):
                self.check(mode, (HA / folder / f"{mode}.toml").read_text())
        script = self.folder / "certificates.sh"
        shutil.copy(HA / "compose" / "certificates.sh", script)
        subprocess.run(["bash", str(script)], capture_output=True, timeout=60, check=True,
                       env={**os.environ, "CLUSTERD": executable()})
        mounted = re.findall(r"\./tls/(\S+?):", (HA / "compose" / "compose.yaml").read_text())
        self.assertEqual([name for name in mounted
                          if not (self.folder / "tls" / name).exists()], [])

    def test_its_configurations_and_certificates_are_good(self):
        for mode in ("scheduler", "worker"):
            self.check(mode, (DEPLOY / "container" / f"{mode}.toml").read_text())
        script = self.folder / "certificates.sh"
        shutil.copy(DEPLOY / "container" / "certificates.sh", script)
        done = subprocess.run(["bash", str(script)], capture_output=True, text=True, timeout=60,
                              check=True, env={**os.environ, "CLUSTERD": executable()})
        self.assertIn("token for http: ", done.stdout)
        tls = self.folder / "tls"
        for name in ("scheduler", "worker-1", "worker-2", "client"):
            verified = subprocess.run(
                [executable(), "tls", "verify", "--ca", str(tls / "ca.pem"), "--key",
                 str(tls / f"{name}.key"), str(tls / f"{name}.pem")],
                capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(verified.returncode, 0, verified.stderr)
        self.assertEqual((tls / "ca.key").stat().st_mode & 0o777, 0o600)
        again = subprocess.run(["bash", str(script)], capture_output=True, timeout=60, check=False,
                               env={**os.environ, "CLUSTERD": executable()})
        self.assertEqual(again.returncode, 1)


class ReleaseTest(unittest.TestCase):
    def test_the_images_are_of_this_version(self):
        project = (DEPLOY.parents[1] / "CMakeLists.txt").read_text()
        version = re.search(r"project\(clusterd VERSION (\S+)", project)[1]
        tags = [tag for path in (*DEPLOY.glob("ecs/*.json"), *DEPLOY.glob("kubernetes/*.yaml"))
                for tag in re.findall(r"clusterd-(?:scheduler|worker):([0-9]+\.[^\s\"]*)", path.read_text())]
        self.assertEqual(set(tags), {version}, tags)


class EcsTest(Folder):
    def container(self, name):
        task = json.loads((DEPLOY / "ecs" / f"{name}-task.json").read_text())
        (only,) = task["containerDefinitions"]
        return task, only

    def test_tasks_have_what_they_need(self):
        for mode, port in (("scheduler", 50000), ("worker", 30000)):
            task, container = self.container(mode)
            self.assertEqual(task["networkMode"], "awsvpc")
            self.assertEqual(container["command"], [mode])
            self.assertIn(port, [p["containerPort"] for p in container["portMappings"]])
            self.assertIn("--live", container["healthCheck"]["command"])
            (config,) = [e["value"] for e in container["environment"]
                         if e["name"] == "CLUSTERD_CONFIG"]
            self.check(mode, config)
            # Each file that the configuration names comes from a secret.
            files = {"/run/clusterd/secrets/" + secret["name"].removeprefix("CLUSTERD_FILE_")
                     .lower().replace("_", ".") for secret in container["secrets"]}
            named = set(re.findall(r'"(/run/clusterd/secrets/[^"]+)"', config))
            self.assertEqual(named, files)
            service = json.loads((DEPLOY / "ecs" / f"{mode}-service.json").read_text())
            self.assertEqual(service["taskDefinition"], task["family"])
            self.assertEqual(service["deploymentConfiguration"]["maximumPercent"], 100)

    def test_a_worker_drains_within_the_stop_timeout(self):
        _, container = self.container("worker")
        config = tomllib.loads(container["environment"][0]["value"])
        self.assertEqual(config["worker"]["on_stop"], "drain")
        grace = seconds(config["jobs"].get("stop_grace", "10s"))
        self.assertLess(seconds(config["worker"]["drain_timeout"]) + grace + 5,
                        container["stopTimeout"])
        self.assertLessEqual(container["stopTimeout"], 120, "more than Fargate allows")


@unittest.skipUnless(yaml, "python3-yaml is not installed")
class KubernetesTest(Folder):
    def documents(self, name):
        text = (DEPLOY / "kubernetes" / f"{name}.yaml").read_text()
        return {document["kind"]: document for document in yaml.safe_load_all(text)}

    def pod_of(self, name):
        documents = self.documents(name)
        template = documents["StatefulSet"]["spec"]["template"]
        labels = template["metadata"]["labels"]
        self.assertEqual(documents["StatefulSet"]["spec"]["selector"]["matchLabels"], labels)
        self.assertEqual(documents["Service"]["spec"]["selector"], labels)
        return documents, template["spec"], template["spec"]["containers"][0]

    def test_both_have_probes_and_no_rights(self):
        for name in ("scheduler", "worker"):
            documents, pod, container = self.pod_of(name)
            self.check(name, documents["ConfigMap"]["data"][f"{name}.toml"])
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                self.assertIn(probe, container)
            self.assertTrue(pod["securityContext"]["runAsNonRoot"])
            self.assertEqual(pod["securityContext"]["runAsUser"], 10001)
            self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]})
            ports = {port["name"] for port in container["ports"]}
            for port in documents["Service"]["spec"]["ports"]:
                self.assertIn(port["targetPort"], ports)
            volumes = {volume["name"] for volume in pod["volumes"]} | {
                claim["metadata"]["name"]
                for claim in documents["StatefulSet"]["spec"]["volumeClaimTemplates"]}
            for mount in container["volumeMounts"]:
                self.assertIn(mount["name"], volumes)

    def test_the_scheduler_is_asked_over_https_and_has_its_secrets(self):
        documents, pod, container = self.pod_of("scheduler")
        for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
            self.assertEqual(container[probe]["httpGet"],
                             {"path": path, "port": "https", "scheme": "HTTPS"})
        self.assertEqual(documents["StatefulSet"]["spec"]["replicas"], 1)
        secrets = {volume["secret"]["secretName"] for volume in pod["volumes"]
                   if "secret" in volume}
        self.assertEqual(secrets, {"clusterd-scheduler-tls", "clusterd-tokens"})

    def test_a_worker_drains_before_it_stops(self):
        documents, pod, container = self.pod_of("worker")
        self.assertEqual(container["lifecycle"]["preStop"]["exec"]["command"][-1], "--drain")
        config = tomllib.loads(documents["ConfigMap"]["data"]["worker.toml"])
        self.assertLess(seconds(config["worker"]["drain_timeout"]) + 15,
                        pod["terminationGracePeriodSeconds"])
        # Only the container that runs before sees the others' keys.
        self.assertNotIn("all-tls", [mount["name"] for mount in container["volumeMounts"]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
