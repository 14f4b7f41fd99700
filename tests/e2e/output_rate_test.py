"""How fast a job writes, beside the same command into a file and through a pipe.

With CLUSTERD_LONG=1 it is 10 GiB in large writes and 1 GiB in small ones.
"""
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from cluster import Cluster

LONG = bool(os.environ.get("CLUSTERD_LONG"))
ROUNDS = 3
LARGE = ("64 KiB writes", 65536, (10 << 30) if LONG else (1 << 30))
SMALL = ("128-byte writes", 128, (1 << 30) if LONG else (64 << 20))
SCRIPT = 'exec dd if=/dev/zero "bs=$1" "count=$2" status=none\n'


class OutputRateTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.cluster.start_worker()
        self.cluster.script("dd.sh", SCRIPT)
        self.file = pathlib.Path(tempfile.mkdtemp(dir=self.cluster.folder)) / "file"

    def shell(self, command, size, total):
        begin = time.monotonic()
        subprocess.run(["sh", "-c", command, "sh", str(size), str(total // size)], check=True)
        seconds = time.monotonic() - begin
        self.file.unlink()
        return seconds

    def job(self, size, total):
        """From the start of its process to the end of its output, seen from outside."""
        begin = time.monotonic()
        job_id = self.cluster.start("dd.sh", size, total // size, command="sh",
                                    output={"max_bytes": str(64 << 20)})
        job = self.cluster.wait(job_id)
        seconds = time.monotonic() - begin
        self.assertEqual(job["state"], "SUCCEEDED", job)
        self.assertEqual(int(job["end"]["outputs"][0]["total_bytes"]), total)
        return seconds

    def test_rates(self):
        for name, size, total in (LARGE, SMALL):
            command = 'dd if=/dev/zero "bs=$1" "count=$2" status=none'
            rates = {"file": [], "pipe": [], "job": []}
            for _ in range(ROUNDS):
                rates["file"].append(total / self.shell(f"{command} > {self.file}", size, total))
                rates["pipe"].append(
                    total / self.shell(f"{command} | cat > {self.file}", size, total))
                rates["job"].append(total / self.job(size, total))
            best = {way: max(values) for way, values in rates.items()}
            print(f"{name}, {total >> 20} MiB:",
                  ", ".join(f"{way} {value / 1e6:.0f} MB/s" for way, value in best.items()),
                  f"; of the file's {best['job'] / best['file']:.2f}, "
                  f"of the pipe's {best['job'] / best['pipe']:.2f}", flush=True)
            self.assertGreaterEqual(best["job"], 0.7 * best["file"], name)
            self.assertGreaterEqual(best["job"], 0.9 * best["pipe"], name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
