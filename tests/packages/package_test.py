"""The packages as an administrator meets them: in a Debian 12 that has nothing but what it begins
with, and with its systemd running: on user-mode Linux, or else in a container.

CLUSTERD_BUILD is a build in whose folder the target `packages` has been made; CPACK is cpack.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

KERNEL = shutil.which("linux.uml")
CONTAINER = shutil.which("systemd-nspawn")
# What Debian 12's says before its first process, where the processor's state is larger than it knows.
UNKNOWN_REGISTERS = b"userspace - ptrace set fp regs failed"
BUILD = pathlib.Path(os.environ.get("CLUSTERD_BUILD", "build/release")).resolve()
HERE = pathlib.Path(__file__).resolve().parent
BOOT_SECONDS = 900
PATHS = ["/etc/clusterd", "/var/lib/clusterd", "/usr/bin/clusterd", "/usr/share/doc/clusterd",
         "/etc/logrotate.d/clusterd"]


def run(*command, **options):
    """Its output; an error shows it."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False,
                          timeout=options.pop("timeout", 900), **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}")
    return done.stdout


def the_package(pattern):
    found = sorted((BUILD / "packages").glob(pattern))
    if len(found) != 1:
        raise AssertionError(f"{pattern} in {BUILD}/packages: {found}; make the target packages")
    return found[0]


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("debootstrap"),
                     "needs root and debootstrap")
class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.folder.chmod(0o755)
        cls.bare = cls.folder / "bare"
        run("debootstrap", "--variant=minbase", "--include=ca-certificates,curl,dbus,procps,systemd-sysv",
            "bookworm", str(cls.bare))
        for name in ("sources.list", "sources.list.d", "apt.conf.d", "trusted.gpg.d"):
            source = pathlib.Path("/etc/apt") / name
            if source.is_dir():
                shutil.copytree(source, cls.bare / "etc/apt" / name, dirs_exist_ok=True)
            elif source.exists():
                shutil.copy(source, cls.bare / "etc/apt" / name)
        shutil.copy("/etc/resolv.conf", cls.bare / "etc/resolv.conf")
        policy = cls.bare / "usr/sbin/policy-rc.d"  # nothing starts in a folder
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)

    def setUp(self):
        self.root = self.folder / self._testMethodName
        run("cp", "-a", str(self.bare), str(self.root))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)

    def inside(self, *command, **options):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
                       "LC_ALL": "C.UTF-8", "HOME": "/root"}
        return run("chroot", str(self.root), *command, env=environment, **options)

    def install(self):
        shutil.copy(the_package("*.deb"), self.root / "clusterd.deb")
        self.inside("apt-get", "-q", "update")
        self.inside("apt-get", "-q", "install", "-y", "--no-install-recommends", "/clusterd.deb")

    def newer_package(self, to):
        """The same program in a package of the next revision."""
        with tempfile.TemporaryDirectory() as folder:
            run(os.environ.get("CPACK", "cpack"), "--config", str(BUILD / "CPackConfig.cmake"),
                "-G", "DEB", "-B", folder, "-D", "CPACK_DEBIAN_PACKAGE_RELEASE=2", cwd=folder)
            made = sorted(pathlib.Path(folder).glob("*.deb"))
            self.assertEqual(len(made), 1)
            shutil.copy(made[0], to)

    def mode_of(self, path):
        return self.inside("stat", "-c", "%a %U:%G", path).strip()

    def left(self):
        """What there is of clusterd in that root."""
        there = [path for path in PATHS if (self.root / path[1:]).exists()]
        users = (self.root / "etc/passwd").read_text() + (self.root / "etc/group").read_text()
        there += [line for line in users.splitlines() if line.startswith("clusterd")]
        there += [str(path) for path in (self.root / "etc/systemd").rglob("*clusterd*")]
        return there

    def test_it_installs_and_purges_cleanly(self):
        self.install()

        self.assertIn("clusterd", self.inside("clusterd", "--version"))
        self.assertEqual(self.mode_of("/var/lib/clusterd/scheduler"), "700 clusterd:clusterd")
        self.assertEqual(self.mode_of("/var/lib/clusterd/worker"), "711 clusterd:clusterd")
        self.assertEqual(self.mode_of("/var/lib/clusterd/scripts"), "755 root:root")
        self.assertEqual(self.mode_of("/etc/clusterd/tls"), "750 root:clusterd")
        for name in ("scheduler", "worker"):
            self.inside("clusterd", name, "--config", f"/etc/clusterd/{name}.toml", "--check")
        self.assertEqual([], list((self.root / "etc/systemd").rglob("*.wants/clusterd*")))
        self.inside("dpkg", "--verify", "clusterd")

        with (self.root / "etc/clusterd/worker.toml").open("a", encoding="utf-8") as file:
            file.write("# mine\n")
        self.newer_package(self.root / "newer.deb")
        self.inside("dpkg", "--force-confold", "-i", "/newer.deb")
        self.assertIn("# mine", (self.root / "etc/clusterd/worker.toml").read_text())
        self.assertIn("-2", self.inside("dpkg-query", "-W", "clusterd"))

        self.inside("dpkg", "--remove", "clusterd")
        self.assertTrue((self.root / "etc/clusterd/worker.toml").exists())
        self.inside("dpkg", "--purge", "clusterd")
        self.assertEqual(self.left(), [])

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed")
    def test_lintian_finds_no_error(self):
        print(run("lintian", "--allow-root", "--fail-on", "error", str(the_package("*.deb"))))

    def test_the_program_of_the_archive_runs_the_quickstart(self):
        archive = the_package("*.tar.gz")
        run("sha256sum", "--check", "SHA256SUMS", cwd=archive.parent)
        run("tar", "-xzf", str(archive), "-C", str(self.root / "opt"))
        packages = self.inside("dpkg-query", "-W", "-f", "${Package}\n").split()
        self.assertEqual([], [name for name in packages if name.endswith("-dev")])
        program = next((self.root / "opt").glob("*/bin/clusterd"))
        quickstart = next((self.root / "opt").glob("*/share/doc/clusterd/examples/quickstart.sh"))
        (self.root / "proc").mkdir(exist_ok=True)
        run("mount", "-t", "proc", "proc", str(self.root / "proc"))
        try:
            text = self.inside("env", f"CLUSTERD=/{program.relative_to(self.root)}", "bash",
                               f"/{quickstart.relative_to(self.root)}")
        finally:
            run("umount", "-l", str(self.root / "proc"))
        self.assertIn("line 5 of 5", text)
        self.assertIn("SUCCEEDED", text)

    @unittest.skipUnless(KERNEL or CONTAINER,
                         "needs linux.uml (Debian: user-mode-linux) or systemd-nspawn")
    def test_services_jobs_and_upgrades_under_systemd(self):
        self.install()
        self.newer_package(self.root / "newer.deb")
        shutil.copy(HERE / "inside_systemd.sh", self.root / "opt/inside.sh")
        (self.root / "etc/systemd/system/inside.service").write_text(
            "[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\n"
            "ExecStart=/bin/bash /opt/inside.sh\nStandardOutput=file:/opt/said\n"
            "StandardError=file:/opt/said\nExecStopPost=/bin/systemctl poweroff --force\n"
            "TimeoutStartSec=infinity\n")
        (self.root / "usr/sbin/policy-rc.d").unlink()
        said = self.say_on_another_kernel() if KERNEL else None
        if said is None:
            said = self.say_in_a_container()
        self.assertIn("all held", said, said)

    def say_on_another_kernel(self):
        """What inside.service says where there are cgroups of version 2 with all controllers; None
        where that kernel cannot run on this machine."""
        # A disk of its own: in a folder of this machine all that is made there would be root's.
        disk = self.folder / "disk"
        run("mke2fs", "-q", "-t", "ext4", "-d", str(self.root), str(disk), "2G")
        with tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run(
                [KERNEL, "mem=1G", f"ubd0={disk}", "root=/dev/ubda", "rw",
                 "init=/lib/systemd/systemd", "systemd.unit=inside.service",
                 "systemd.wants=multi-user.target", "con=null", "con0=fd:0,fd:1", "quiet"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": scratch}, timeout=BOOT_SECONDS, check=False)
        if UNKNOWN_REGISTERS in done.stdout:
            return None
        return (run("debugfs", "-R", "cat /opt/said", str(disk)) +
                done.stdout.decode(errors="replace"))

    def say_in_a_container(self):
        """The same on this machine's kernel, with the controllers that it gives to a container."""
        if not CONTAINER:
            self.skipTest("linux.uml cannot run on this processor, and systemd-nspawn is missing")
        done = subprocess.run(
            [CONTAINER, "--quiet", "--register=no", "--keep-unit", f"--directory={self.root}",
             "--boot", "--private-network", "--capability=all", "systemd.unit=inside.service",
             "systemd.wants=multi-user.target"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}, timeout=BOOT_SECONDS,
            check=False)
        said = self.root / "opt/said"
        return ((said.read_text(errors="replace") if said.exists() else "") +
                done.stdout.decode(errors="replace"))


if __name__ == "__main__":
    unittest.main()
