"""The launcher on another kernel than this machine's: user-mode Linux (Debian's package
user-mode-linux, Linux 6.1), which has all controllers in cgroups of version 2. Each test boots one
that has this machine's files as its root, and runs tests of launcher_test in it.

LAUNCHER_TEST is the path of that program.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

KERNEL = shutil.which("linux.uml")
# What Debian 12's says before its first process, where the processor's state is larger than it knows.
UNKNOWN_REGISTERS = b"userspace - ptrace set fp regs failed"
SECONDS = 900
SETUP = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/run/tests
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -m 1777 /run/tests
cd /run/tests
"""
VERSION_2 = """
mount -t cgroup2 cgroup /sys/fs/cgroup
"""
VERSION_1 = """
mount -t tmpfs tmpfs /sys/fs/cgroup
for controller in memory pids cpu; do
  mkdir /sys/fs/cgroup/$controller
  mount -t cgroup -o $controller cgroup /sys/fs/cgroup/$controller
done
"""
# A cgroup as systemd gives one to a service with Delegate=yes, with the shell in it.
DELEGATED = VERSION_2 + """
echo '+memory +pids +cpu' > /sys/fs/cgroup/cgroup.subtree_control
service=/sys/fs/cgroup/worker.service
mkdir $service
python3 -c "import os; os.setxattr('$service', 'user.delegate', b'1')"
echo $$ > $service/cgroup.procs
"""
TO_NOBODY = """
chown 65534 $service $service/cgroup.procs $service/cgroup.subtree_control $service/cgroup.threads
"""
AS_NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups "


@unittest.skipUnless(KERNEL, "linux.uml is not installed (Debian: user-mode-linux)")
class KernelsTest(unittest.TestCase):
    def run_inside(self, setup, prefix=""):
        """Runs the tests of limits there, and returns what all printed."""
        program = pathlib.Path(os.environ["LAUNCHER_TEST"]).resolve()
        with tempfile.TemporaryDirectory() as folder:
            init = pathlib.Path(folder) / "init"
            init.write_text(f"{SETUP}{setup}\n{prefix}{program} '[limits]'\n"
                            "find /sys/fs/cgroup -name 'clusterd-*' -printf 'left: %p\\n'\n"
                            "echo halting\nhalt -f\n")
            init.chmod(0o755)
            done = subprocess.run(
                [KERNEL, "mem=1G", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw",
                 f"init={init}", "con=null", "con0=fd:0,fd:1", "quiet"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": folder}, timeout=SECONDS, check=False)
        if UNKNOWN_REGISTERS in done.stdout:
            self.skipTest("linux.uml cannot run on this processor: it has registers that it lacks")
        text = done.stdout.decode(errors="replace")
        self.assertIn("halting", text, text)
        self.assertIn("All tests passed", text, text)
        return text

    def test_version_2_for_root(self):
        text = self.run_inside(VERSION_2)
        self.assertNotIn('with cgroups = "auto"', text)
        self.assertNotIn("left:", text)

    def test_version_2_in_a_delegated_cgroup(self):
        text = self.run_inside(DELEGATED)
        self.assertNotIn('with cgroups = "auto"', text)
        # The daemons stay where they were moved.
        self.assertEqual([line for line in text.splitlines() if line.startswith("left:")],
                         ["left: /sys/fs/cgroup/worker.service/clusterd-daemons"])

    def test_version_2_in_a_cgroup_delegated_to_another_user(self):
        text = self.run_inside(DELEGATED + TO_NOBODY, AS_NOBODY)
        self.assertNotIn('with cgroups = "auto"', text)

    def test_version_1(self):
        text = self.run_inside(VERSION_1)
        self.assertNotIn("not tested", text)
        self.assertNotIn("left:", text)

    def test_another_user_without_a_cgroup_of_its_own(self):
        text = self.run_inside(VERSION_2, AS_NOBODY)
        self.assertIn('cannot be enforced with cgroups = "auto"', text)


if __name__ == "__main__":
    unittest.main()
