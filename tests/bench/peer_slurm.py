"""Slurm on one machine: munged with a key and a socket of its own, slurmctld, slurmd.

It is set up for throughput: the cheapest plugins, and more slots than the others have, which hide
that it looks for work to start once a second.
"""
import os
import secrets
import shutil
import socket
import time

import daemons
from ports import free_port
from figures import percentiles

SLOTS = 64
POLL_SECONDS = 0.05
SOCKET_BYTES = 100  # a Unix socket's path may have some more
CONFIGURATION = """\
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldDebug=error
SlurmdDebug=error
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=1,sched_interval=1,\
default_queue_depth=1000,partition_job_depth=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PriorityType=priority/basic
MaxJobCount=100000
MaxArraySize=20001
MinJobAge=2
ReturnToService=2
SlurmdTimeout=300
SlurmctldTimeout=120
InactiveLimit=0
KillWait=5
Waittime=0
MessageTimeout=60
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs={slots} RealMemory=1000 \
State=UNKNOWN
PartitionName=all Nodes=n1 Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


class Slurm:
    name = f"Slurm, {SLOTS} slots"
    keeps = "job and end in files a moment later, output in files"
    jobs = {"true": 100, "script": 60}
    singles = 20

    def __init__(self, folder):
        self.folder = folder / "slurm"
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self.daemons = None

    def start(self):
        for program in ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue"):
            if not shutil.which(program):
                raise daemons.Unavailable(f"{program} is not installed")
        if os.geteuid() != 0:
            raise daemons.Unavailable("slurmd starts jobs for its users, so it has to run as root")
        if len(str(self.folder / "munge.sock")) > SOCKET_BYTES:
            raise daemons.Unavailable(f"{self.folder} is too long for a socket: set TMPDIR")
        self.daemons = daemons.Daemons(self.folder)
        for name in ("state", "spool", "output"):
            (self.folder / name).mkdir()
        self._configure()
        self._start_munge()
        for name, words in (("slurmctld", ["-D"]), ("slurmd", ["-D", "-N", "n1"])):
            self.daemons.start(name, [name, *words, "-f", self.environment["SLURM_CONF"]],
                               self.environment)
        self.daemons.wait_until(self._is_idle, "Slurm's node is idle")

    def _configure(self):
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=socket.gethostname(), folder=self.folder, slots=SLOTS,
            controller_port=free_port(), node_port=free_port()))

    def _start_munge(self):
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        where = self.folder / "munge.sock"
        self.daemons.start("munged", [
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={where}",
            f"--pid-file={self.folder}/munged.pid", f"--seed-file={self.folder}/munge.seed",
            f"--log-file={self.folder}/munge.txt", "--num-threads=2"])
        self.daemons.wait_until(where.exists, "munged listens")

    def _is_idle(self):
        try:
            return "idle" in self._call("sinfo", "-h", "-o", "%T")
        except AssertionError:  # slurmctld does not answer yet
            return False

    def _call(self, *command):
        return daemons.call(command, self.environment)

    def burst(self, kind, count):
        """One array; standard output of the scripts is a file each."""
        output = self.folder / "output" / "%A_%a.txt" if kind == "script" else "/dev/null"
        script = daemons.BENCH / ("ten_lines.sh" if kind == "script" else "true_job.sh")

        def run():
            self._call("sbatch", "-Q", "-o", output, f"--array=1-{count}", script)
            while self._call("squeue", "-h", "-r").strip():
                time.sleep(POLL_SECONDS)  # squeue is how its users learn of an end

        return daemons.rate_of(count, run)

    def latencies(self, count):
        taken = []
        for _ in range(count):
            begin = time.monotonic()
            self._call("srun", "-Q", "/bin/true")
            taken.append((time.monotonic() - begin) * 1e3)
        return percentiles(taken)

    def memory(self):
        return daemons.memory_mib(*self.daemons.pids())

    def stop(self):
        if self.daemons is not None:
            self.daemons.stop()
