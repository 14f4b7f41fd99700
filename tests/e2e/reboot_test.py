"""A restart of the machine, told by the boot id in the launcher's journal."""
import os
import pathlib
import re
import signal
import struct
import unittest

from cluster import Cluster, wait_until

HEADER = struct.Struct("=IIII")
MAGIC = 0x314A4C43
OTHER_BOOT = b"11111111-2222-3333-4444-555555555555"


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 & -(crc & 1))
    return crc ^ 0xFFFFFFFF


def records(journal):
    at = 0
    while at + HEADER.size <= len(journal):
        magic, kind, length, crc = HEADER.unpack_from(journal, at)
        if magic != MAGIC:
            return
        body = journal[at + HEADER.size:at + HEADER.size + length]
        assert crc == crc32c(journal[at:at + 12] + body), "docs/formats.md is not true"
        yield kind, body
        at += HEADER.size + length


def with_boot(journal, boot_id):
    """The journal as a launcher of another boot would have written it."""
    own = pathlib.Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    changed = b""
    for kind, body in records(journal):
        body = body.replace(own, boot_id)
        head = HEADER.pack(MAGIC, kind, len(body), 0)[:12]
        changed += head + struct.pack("=I", crc32c(head + body)) + body
    return changed


class RebootTest(unittest.TestCase):
    def test_jobs_of_an_earlier_boot_are_lost_and_their_output_is_kept(self):
        with Cluster() as cluster:
            cluster.script("gated.sh", 'echo begun $$; read -r _ < "$1"; echo done\n')
            gate = cluster.folder / "gate"
            os.mkfifo(gate)
            worker = cluster.start_worker()
            job_id = cluster.start("gated.sh", gate, worker="w1")
            output = wait_until(lambda: cluster.output(job_id), "the first line")
            (pid,) = map(int, re.findall(rb"begun (\d+)", output))
            launcher = cluster.launcher()
            worker.kill()
            os.kill(launcher, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
            journal = cluster.data_folder("w1") / "launcher" / "journal"
            journal.write_bytes(with_boot(journal.read_bytes(), OTHER_BOOT))

            cluster.start_worker()

            job = cluster.wait(job_id)
            self.assertEqual((job["state"], job["end"]["reason"]), ("LOST", "WORKER_LOST"), job)
            self.assertIn("the machine restarted while it ran", job["end"]["message"])
            self.assertNotIn("exit_code", job["end"])
            self.assertEqual(cluster.output(job_id), output)
            self.assertEqual(cluster.run("gated.sh", "/dev/null")[1]["state"], "SUCCEEDED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
