"""Many of the largest jobs at once: together more than a message may have, so they go in parts."""
import base64
import json
import unittest

from cluster import Cluster

JOBS = 64
ARG = "a" * 60_000  # twice; the kernel takes at most 128 KiB in one
VARIABLE = "v" * 120_000
LABEL = "l" * 60_000
STDIN = b"i" * 65_000
MOST_IN_A_MESSAGE = 16 << 20  # what the daemons take
MOST_IN_A_PAGE = 4 << 20  # what a gRPC client takes if nobody tells it otherwise
SCRIPT = 'stdin=$(cat); echo "${#1} ${#2} ${#BIG} ${#stdin}"\n'


class LargeSpecsTest(unittest.TestCase):
    def test_many_large_jobs_start_in_one_turn_and_are_listed_in_pages(self):
        with Cluster() as cluster:
            cluster.script("sizes.sh", SCRIPT)
            spec = {"env": {"BIG": VARIABLE}, "labels": {"big": LABEL},
                    "stdin": base64.b64encode(STDIN).decode()}
            jobs = [cluster.start("sizes.sh", ARG, ARG, **spec) for _ in range(JOBS)]
            self.assertGreater(JOBS * (2 * len(ARG) + len(VARIABLE) + len(LABEL) + len(STDIN)),
                               MOST_IN_A_MESSAGE)

            cluster.start_worker(slots=JOBS)  # all of them become due at once

            for job_id in jobs:
                job = cluster.wait(job_id)
                self.assertEqual((job["state"], job["attempt"]), ("SUCCEEDED", 1), job["end"])
                self.assertEqual(cluster.output(job_id), b"60000 60000 120000 65000\n")
            self.check_pages(cluster, jobs)
            listed = cluster.cli("job", "list", "--json", "--limit", "1000")
            self.assertEqual(listed.returncode, 0, listed.stderr)
            for job_id in jobs:
                self.assertIn(job_id, listed.stdout)

    def check_pages(self, cluster, jobs):
        seen, pages, token = [], 0, ""
        while token or not pages:
            answer = cluster.http.get(f"/v1/jobs?page_size=1000&page_token={token}")
            self.assertEqual(answer.status, 200, answer.body[:1000])
            self.assertLess(len(answer.body), MOST_IN_A_PAGE)
            page = json.loads(answer.body)
            seen += [job["job_id"] for job in page["jobs"]]
            token, pages = page["next_page_token"], pages + 1
        self.assertEqual(seen, jobs[::-1])
        self.assertGreater(pages, 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
