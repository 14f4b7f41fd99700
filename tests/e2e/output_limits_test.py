"""Output beyond its limit, on a full disk, and after the end: policies, truth and archives."""
import contextlib
import os
import pathlib
import subprocess
import tempfile
import threading
import unittest

from cluster import Cluster, wait_until
from http_client import CutStream

LONG = bool(os.environ.get("CLUSTERD_LONG"))
MIB = 1 << 20
TOTAL = (10 << 30) if LONG else 256 * MIB
MAX = 64 * MIB if LONG else 16 * MIB
SLACK = 4 * MIB
BLOCK = 65536

# Blocks that tell their place.
WRITER = f"""import os, sys
filler = b"x" * ({BLOCK} - 16)
for number in range(int(sys.argv[1])):
    block = b"%015d\\n" % number + filler
    while block:
        block = block[os.write(1, block):]
"""


def block(number):
    return b"%015d\n" % number + b"x" * (BLOCK - 16)


def written(offset, length):
    """What the writer wrote there."""
    first, last = offset // BLOCK, (offset + length - 1) // BLOCK
    data = b"".join(block(number) for number in range(first, last + 1))
    return data[offset - first * BLOCK:][:length]


class FollowingReader(threading.Thread):
    """Follows and checks each byte; goes on where it was cut. Keeps nothing."""

    def __init__(self, cluster, job_id):
        super().__init__(daemon=True)
        self.cluster, self.job_id = cluster, job_id
        self.offset, self.checked, self.wrong, self.length = 0, 0, None, None
        self.start()

    def run(self):
        path = f"/v1/jobs/{self.job_id}/output?follow=true&offset="
        while self.length is None and self.wrong is None:
            with self.cluster.http.open(path + str(self.offset)) as answer:
                self.offset = int(answer.headers["clusterd-output-offset"])
                with contextlib.suppress(OSError, CutStream):
                    for chunk in answer.chunks():
                        if chunk != written(self.offset, len(chunk)):
                            self.wrong = self.offset
                            return
                        self.offset += len(chunk)
                        self.checked += len(chunk)
                    self.length = int(answer.trailers["clusterd-output-length"])


class BoundedOutputTest(unittest.TestCase):
    def test_the_log_is_bounded_and_true(self):
        with Cluster() as cluster:
            cluster.script("writer.py", WRITER)
            cluster.start_worker(max_output="1GiB")
            job_id = cluster.start("writer.py", TOTAL // BLOCK, command="python3",
                                   output={"max_bytes": str(MAX)})
            log = cluster.data_folder("w1") / "output" / job_id / "1" / "merged.log"
            wait_until(log.exists, "the log")
            reader = FollowingReader(cluster, job_id)
            most, looks = 0, 0
            while "end" not in cluster.job(job_id):
                for _ in range(50):
                    most = max(most, log.stat().st_blocks * 512)
                    looks += 1
            reader.join(timeout=120)

            self.assertIsNone(reader.wrong, "a byte that the job did not write")
            self.assertEqual(reader.length, TOTAL)
            self.assertGreater(reader.checked, MAX)
            self.assertGreater(looks, 100)
            self.assertLessEqual(most, MAX + SLACK)
            job = cluster.wait(job_id)
            self.assertEqual(job["state"], "SUCCEEDED", job)
            (stream,) = job["end"]["outputs"]
            self.assertEqual(int(stream["total_bytes"]), TOTAL)
            first = int(stream["first_kept"])
            self.assertGreaterEqual(TOTAL - first, MAX)
            answer = cluster.http.get(f"/v1/jobs/{job_id}/output?offset={TOTAL - MAX}")
            self.assertEqual(answer.headers["clusterd-output-offset"], str(TOTAL - MAX))
            self.assertEqual(answer.headers["clusterd-output-released"], str(first))
            self.assertTrue(answer.body == written(TOTAL - MAX, MAX), "the last bytes are others")


class SmallDisk:
    """A tmpfs for a worker's data that can be filled. Needs root."""

    def __init__(self, size):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-disk-"))
        self.size = size

    def __enter__(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size}", "clusterd-test",
                        str(self.path)], check=True)
        return self

    def __exit__(self, *_):
        # A launcher that has no more to do may still be on its way out.
        wait_until(lambda: subprocess.run(["umount", str(self.path)]).returncode == 0,
                   f"nothing uses {self.path}")
        self.path.rmdir()

    def fill(self):
        with open(self.path / "ballast", "ab", buffering=0) as file, \
                contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)

    def empty(self):
        (self.path / "ballast").unlink()


class FullDiskTest(unittest.TestCase):
    def setUp(self):
        self.disk = self.enterContext(SmallDisk(24 * MIB))
        self.cluster = self.enterContext(Cluster())
        self.cluster.data_folder = lambda name: self.disk.path / f"{name}-data"
        self.cluster.start_worker(full_disk_wait="300ms", stop_grace="1s")
        self.cluster.script("flood.sh", 'echo begun; while [ ! -e "$1" ]; do sleep 0.05; done\n'
                            "head -c 3000000 /dev/zero; echo flooded > \"$2\"\n"
                            'while [ ! -e "$3" ]; do sleep 0.05; done; echo last; exit 3\n')
        self.gates = [self.cluster.folder / name for name in ("go", "flooded", "end")]

    def start(self, policy):
        job_id = self.cluster.start("flood.sh", *self.gates, output={"on_limit": policy})
        wait_until(lambda: self.cluster.output(job_id) == b"begun\n", "its first line")
        self.disk.fill()
        self.gates[0].touch()
        return job_id

    def check_the_worker_goes_on(self):
        self.cluster.script("echo.sh", "echo here\n")
        self.assertEqual(self.cluster.run("echo.sh")[0], b"here\n")

    def test_the_output_is_thrown_away_and_the_job_goes_on(self):
        job_id = self.start("DISCARD_OLDEST")
        wait_until(self.gates[1].exists, "the job does not wait for room")
        self.disk.empty()
        self.gates[2].touch()
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["exit_code"]), ("FAILED", 3), job)
        self.assertIn("bytes of output could not be kept", job["end"]["message"])
        self.assertIn("No space left on device", job["end"]["message"])
        (stream,) = job["end"]["outputs"]
        total, first = int(stream["total_bytes"]), int(stream["first_kept"])
        self.assertEqual(total, len(b"begun\n") + 3000000 + len(b"last\n"))
        answer = self.cluster.http.get(f"/v1/jobs/{job_id}/output")
        self.assertEqual(answer.headers["clusterd-output-offset"], str(first))
        self.assertTrue(answer.body == (b"begun\n" + b"\0" * 3000000 + b"last\n")[first:])
        self.check_the_worker_goes_on()

    def test_a_job_that_stops_is_stopped(self):
        job_id = self.start("STOP")
        job = self.cluster.wait(job_id)
        self.assertEqual((job["state"], job["end"]["reason"]), ("FAILED", "OUTPUT_LIMIT"), job)
        self.assertIn("No space left on device", job["end"]["message"])
        self.disk.empty()
        output = self.cluster.output(job_id)
        self.assertTrue((b"begun\n" + b"\0" * 3000000).startswith(output))
        self.assertTrue(output.startswith(b"begun\n"), "the first bytes are kept")
        self.check_the_worker_goes_on()


class PolicyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.archived = cls.cluster.folder / "archived"
        cls.archived.mkdir()
        archiver = cls.cluster.folder / "keep-logs"
        archiver.write_text(f'#!/bin/sh\nmkdir {cls.archived}/$CLUSTERD_JOB_ID\n'
                            f'exec cp "$@" {cls.archived}/$CLUSTERD_JOB_ID\n')
        archiver.chmod(0o755)
        cls.cluster.start_worker(max_output="1MiB", archive_commands=[str(archiver)])
        cls.cluster.script("both.sh", "echo out; echo err >&2; exit 4\n")
        cls.cluster.script("flood.sh", "head -c 5000000 /dev/zero\n")

    def test_stop(self):
        result = self.cluster.cli("job", "start", "--wait", "--json", "--max-output", "64KiB",
                                  "--on-output-limit", "stop", "--command", "bash", "flood.sh")
        self.assertNotEqual(result.returncode, 0, result.stderr)
        job = self.cluster.job(self.cluster.job_ids()[0])
        self.assertEqual((job["state"], job["end"]["reason"]), ("FAILED", "OUTPUT_LIMIT"), job)
        self.assertIn("it wrote more than 65536 bytes (64KiB)", job["end"]["message"])
        self.assertEqual(len(self.cluster.output(job["job_id"])), 65536)

    def test_archive_of_two_streams(self):
        result = self.cluster.cli("job", "start", "--separate", "--archive", "keep-logs",
                                  "--command", "sh", "both.sh")
        self.assertEqual(result.returncode, 0, result.stderr)
        job = self.cluster.wait(result.stdout.strip())
        self.assertEqual(job["end"]["exit_code"], 4)
        self.assertEqual(job["end"]["archive"], {"exit_code": 0, "message": ""})
        folder = self.archived / job["job_id"]
        self.assertEqual((folder / "stdout.log").read_text(), "out\n")
        self.assertEqual((folder / "stderr.log").read_text(), "err\n")

    def test_an_archive_command_that_is_not_allowed_is_refused(self):
        body = {"path": "both.sh", "command": "sh", "output": {"archive_command": "bash"}}
        answer = self.cluster.http.post("/v1/workers/w1/jobs", body)
        self.assertEqual(answer.status, 403, answer.body)
        problem = answer.json()
        self.assertEqual(problem["field"], "output.archive_command")
        self.assertIn("archive_commands", problem["detail"])

    def test_more_than_the_worker_keeps_is_refused_with_both_numbers(self):
        body = {"path": "both.sh", "command": "sh", "output": {"max_bytes": "2097152"}}
        answer = self.cluster.http.post("/v1/workers/w1/jobs", body)
        self.assertEqual((answer.status, answer.json()["field"]), (400, "output.max_bytes"))
        self.assertIn("2097152", answer.json()["detail"])
        self.assertIn("1048576", answer.json()["detail"])

    def test_tail_lines_of_each_stream(self):
        self.cluster.script("lines.sh", "for i in 1 2 3 4; do echo o$i; echo e$i >&2; done\n")
        job_id = self.cluster.start("lines.sh", output={"mode": "SEPARATE"})
        self.cluster.wait(job_id)
        for stream, want in (("stdout", b"o3\no4\n"), ("stderr", b"e3\ne4\n")):
            self.assertEqual(self.cluster.output(job_id, stream=stream, tail_lines=2), want)


if __name__ == "__main__":
    unittest.main(verbosity=2)
