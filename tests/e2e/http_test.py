"""Jobs over HTTP: started, followed, listed, stopped."""
import base64
import json
import os
import re
import time
import unittest

from cluster import Cluster
from http_client import HttpConnection

COUNT = """for i in $(seq "$1"); do echo "line $i of $1"; done\n"""
UUID7 = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


class HttpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("count.sh", COUNT)
        cls.cluster.start_worker()

    def test_start_on_any_worker(self):
        answer = self.cluster.http.post(
            "/v1/jobs", {"path": "count.sh", "command": "bash", "args": ["3"], "name": "three"})

        self.assertEqual(answer.status, 201)
        job = answer.json()
        self.assertRegex(job["job_id"], UUID7)
        self.assertEqual(answer.headers["location"], f"/v1/jobs/{job['job_id']}")
        self.assertEqual(answer.headers["content-type"].split(";")[0], "application/json")
        self.assertIn(job["state"], ("STARTING", "RUNNING", "SUCCEEDED"))
        self.assertIsInstance(job["seq"], str)
        self.assertEqual(job["spec"]["args"], ["3"])
        end = self.cluster.wait(job["job_id"])
        self.assertEqual(end["state"], "SUCCEEDED")
        self.assertEqual(end["end"]["reason"], "EXITED")
        self.assertEqual(end["end"]["exit_code"], 0)
        self.assertEqual(end["worker_id"], self.cluster.worker_id())
        self.assertEqual([attempt["number"] for attempt in end["attempts"]], [1])
        self.assertEqual(self.cluster.output(job["job_id"]),
                         b"line 1 of 3\nline 2 of 3\nline 3 of 3\n")

    def test_start_on_a_worker_by_name_and_by_id(self):
        for worker in ("w1", self.cluster.worker_id()):
            for path, extra in ((f"/v1/workers/{worker}/jobs", {}),
                                ("/v1/jobs", {"worker_id": worker})):
                answer = self.cluster.http.post(
                    path, {"path": "count.sh", "command": "bash", "args": ["1"], **extra})
                self.assertEqual(answer.status, 201, answer.body)
                self.assertIn(answer.json()["state"], ("STARTING", "RUNNING", "SUCCEEDED"))
                self.assertEqual(self.cluster.wait(answer.json()["job_id"])["state"], "SUCCEEDED")

    def test_both_spellings_of_fields(self):
        _, job = self.cluster.run("count.sh", 1, workerId="w1", stopGrace="3s")
        self.assertEqual(job["spec"]["stop_grace"], "3s")

    def test_follow_with_headers_and_trailers(self):
        self.cluster.script("gated.sh", 'echo begun; read -r _ < "$1"; echo done; exit 4\n')
        gate = self.cluster.folder / "gate"
        os.mkfifo(gate)
        job_id = self.cluster.start("gated.sh", gate)

        with self.cluster.http.open(f"/v1/jobs/{job_id}/output?follow=true") as answer:
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers["content-type"], "application/octet-stream")
            self.assertEqual(answer.headers["transfer-encoding"], "chunked")
            self.assertEqual(answer.headers["clusterd-output-offset"], "0")
            self.assertEqual(answer.headers["clusterd-output-released"], "0")
            self.assertEqual(answer.headers["clusterd-attempt"], "1")
            chunks = answer.chunks()
            self.assertEqual(next(chunks), b"begun\n")  # live: the job waits for us
            gate.write_text("go\n")
            self.assertEqual(b"".join(chunks), b"done\n")
            self.assertEqual(answer.trailers["clusterd-output-length"], "11")
            self.assertEqual(answer.trailers["clusterd-job-state"], "FAILED")

        job = self.cluster.wait(job_id)
        self.assertEqual(job["end"]["exit_code"], 4)
        self.assertEqual(job["end"]["output_tail"], "begun\ndone\n")
        self.assertEqual(job["end"]["outputs"][0]["total_bytes"], "11")

    def test_output_from_an_offset_and_by_lines(self):
        _, job = self.cluster.run("count.sh", 5)
        path = f"/v1/jobs/{job['job_id']}/output"

        answer = self.cluster.http.get(f"{path}?offset=12")
        self.assertEqual(answer.headers["clusterd-output-offset"], "12")
        self.assertEqual(answer.body.splitlines()[0], b"line 2 of 5")
        self.assertEqual(answer.trailers["clusterd-output-length"], "60")
        self.assertEqual(self.cluster.http.get(f"{path}?tail_lines=2").body,
                         b"line 4 of 5\nline 5 of 5\n")
        self.assertEqual(self.cluster.http.get(f"{path}?offset=60").body, b"")
        self.assertEqual(self.cluster.http.get(f"{path}?offset=61").status, 416)
        refused = self.cluster.http.get(f"{path}?stream=stdout")
        self.assertEqual((refused.status, refused.json()["field"]), (400, "stream"))

    def test_output_as_server_sent_events(self):
        self.cluster.script("bytes.sh", "printf 'gr\\xc3\\xbc\\xc3\\x9f\\n'; printf '\\xff\\xfe'\n")
        for script, want in (("count.sh", b"line 1 of 1\n"),
                             ("bytes.sh", "grüß\n".encode() + b"\xff\xfe")):
            _, job = self.cluster.run(script, 1)
            answer = self.cluster.http.get(f"/v1/jobs/{job['job_id']}/output?follow=true",
                                           {"Accept": "text/event-stream"})

            self.assertEqual(answer.headers["content-type"].split(";")[0], "text/event-stream")
            got, kinds, last_id = b"", [], ""
            for block in answer.body.decode().strip().split("\n\n"):
                fields = {name: value.removeprefix(" ") for name, _, value in
                          (line.partition(":") for line in block.splitlines()) if name}
                if not fields:
                    continue
                kinds.append(fields.get("event", "message"))
                if kinds[-1] == "message":
                    got += json.loads(fields["data"]).encode()
                if kinds[-1] == "base64":
                    got += base64.b64decode(fields["data"])
                if kinds[-1] in ("message", "base64"):
                    last_id = fields["id"]
            self.assertEqual(got, want)
            self.assertEqual(kinds[-1], "end")
            self.assertEqual(last_id, f"1.merged.{len(want)}")

    def test_ends_are_told_truly(self):
        self.cluster.script("exit.sh", 'exit "$1"\n')
        self.cluster.script("suicide.sh", 'kill -"$1" $$; sleep 1000\n')
        self.cluster.script("no_interpreter.sh", "#!/no/such/interpreter\n")
        for code in (1, 37, 127, 255):
            _, job = self.cluster.run("exit.sh", code)
            self.assertEqual((job["state"], job["end"]["exit_code"]), ("FAILED", code))
            self.assertNotIn("signal", job["end"])
        for number in (6, 9, 11):
            _, job = self.cluster.run("suicide.sh", number)
            self.assertEqual((job["end"]["reason"], job["end"]["signal"]), ("SIGNALED", number))
            self.assertNotIn("exit_code", job["end"])
        _, job = self.cluster.run("no_interpreter.sh", command="")
        self.assertEqual((job["state"], job["end"]["reason"]), ("FAILED", "START_FAILED"))
        self.assertTrue(job["end"]["message"])

    def test_a_timeout_ends_the_job(self):
        self.cluster.script("forever.sh", "sleep 1000\n")
        _, job = self.cluster.run("forever.sh", timeout="0.3s")
        self.assertEqual((job["state"], job["end"]["reason"]), ("TIMED_OUT", "RUN_TIMED_OUT"))

    def test_what_a_job_is_given(self):
        self.cluster.script("given.sh", """
            printf '%s|' "$@"; echo; cat; pwd; echo "$COLOUR"
            echo "$CLUSTERD_JOB_ID $CLUSTERD_ATTEMPT $CLUSTERD_WORKER_ID $CLUSTERD_WORKER_NAME"
            ls /proc/self/fd | wc -l""")
        (self.cluster.scripts / "below").mkdir(exist_ok=True)
        output, job = self.cluster.run(
            "given.sh", "a b", "$(touch /tmp/no)", "*", env={"COLOUR": "red ; ls"}, cwd="below",
            stdin="aGVsbG8K")

        self.assertEqual(output.decode().splitlines(), [
            "a b|$(touch /tmp/no)|*|", "hello", str(self.cluster.scripts / "below"), "red ; ls",
            f"{job['job_id']} 1 {self.cluster.worker_id()} w1",
            "4"])  # 0, 1, 2 and the folder that ls reads

    def test_lists(self):
        ids = [self.cluster.start("count.sh", 1, name="listed") for _ in range(5)]
        for job_id in ids:
            self.cluster.wait(job_id)
        newest_first = list(reversed(ids))

        def page(query):
            answer = self.cluster.http.get(f"/v1/jobs?{query}").json()
            return [job["job_id"] for job in answer["jobs"]], answer["next_page_token"]

        self.assertEqual(page("name=listed"), (newest_first, ""))
        self.assertEqual(page("name=listed&state=SUCCEEDED&worker_id=w1"), (newest_first, ""))
        self.assertEqual(page("name=listed&state=FAILED"), ([], ""))
        first, token = page("name=listed&page_size=2")
        self.assertEqual(first, newest_first[:2])
        self.assertEqual(page(f"name=listed&page_size=3&page_token={token}"),
                         (newest_first[2:], ""))
        self.assertEqual(self.cluster.http.get("/v1/jobs?page_token=x").status, 400)
        of_worker = self.cluster.http.get("/v1/workers/w1/jobs?name=listed").json()["jobs"]
        self.assertEqual([job["job_id"] for job in of_worker], newest_first)

    def test_wait_answers_when_the_time_has_passed(self):
        self.cluster.script("forever.sh", "sleep 1000\n")
        job_id = self.cluster.start("forever.sh")
        answer = self.cluster.http.get(f"/v1/jobs/{job_id}/wait?timeout=0.2s")
        self.assertEqual(answer.status, 200)
        self.assertIn(answer.json()["state"], ("STARTING", "RUNNING"))
        self.assertEqual(self.cluster.http.post(f"/v1/jobs/{job_id}/stop", {}).status, 200)
        self.assertEqual(self.cluster.wait(job_id)["state"], "STOPPED")

    def test_waiting_for_many_jobs(self):
        self.cluster.script("forever.sh", "sleep 1000\n")
        long = self.cluster.start("forever.sh")
        short = self.cluster.start("count.sh", 1)

        def wait(query):
            answer = self.cluster.http.get(f"/v1/wait?{query}")
            return answer.status, answer.json()

        status, answer = wait(f"job_id={long}&job_id={short}&until=ANY&timeout=60s")
        self.assertEqual(status, 200, answer)
        self.assertEqual([job["job_id"] for job in answer["jobs"]], [long, short])
        self.assertEqual([job["state"] for job in answer["jobs"]], ["RUNNING", "SUCCEEDED"])
        status, answer = wait(f"job_id={long}&job_id={short}&timeout=0.2s")
        self.assertEqual([job["state"] for job in answer["jobs"]], ["RUNNING", "SUCCEEDED"])
        self.assertEqual(self.cluster.http.post(f"/v1/jobs/{long}/stop", {}).status, 200)
        status, answer = wait(f"job_id={long}&job_id={short}&timeout=60s")
        self.assertEqual([job["state"] for job in answer["jobs"]], ["STOPPED", "SUCCEEDED"])
        begin = time.monotonic()
        status, answer = wait(f"job_id={short}&job_id=nobody&job_id={long}&timeout=60s")
        self.assertEqual(status, 404, answer)
        self.assertLess(time.monotonic() - begin, 30)
        status, answer = wait("timeout=1s")
        self.assertEqual((status, answer["field"]), (400, "job_id"))

    def test_stopping_an_ended_job_changes_nothing(self):
        _, job = self.cluster.run("count.sh", 1)
        answer = self.cluster.http.post(f"/v1/jobs/{job['job_id']}/stop", {})
        self.assertEqual((answer.status, answer.json()), (200, job))

    def test_probes_and_cluster(self):
        self.assertEqual(self.cluster.http.get("/healthz").status, 200)
        self.assertEqual(self.cluster.http.get("/readyz").status, 200)
        self.assertEqual(self.cluster.http.get("/v1/cluster").json()["worker_counts"]["ALIVE"], "1")
        self.assertEqual(self.cluster.http.get("/v1/cluster").json()["leader"], self.cluster.grpc_address)
        worker = self.cluster.http.get("/v1/workers/w1").json()
        self.assertEqual((worker["name"], worker["capacity"]["slots"]), ("w1", 8))

    def test_the_dashboard_and_the_description_are_served(self):
        page = self.cluster.http.get("/")
        self.assertEqual(page.status, 200)
        self.assertIn("text/html", page.headers["content-type"])
        self.assertIn("default-src 'none'", page.headers["content-security-policy"])
        again = self.cluster.http.get("/", {"If-None-Match": page.headers["etag"]})
        self.assertEqual((again.status, again.body), (304, b""))
        self.assertNotIn("content-length", again.headers)
        module = re.search(rb'src="(/web/[^"]+)"', page.body).group(1).decode()
        self.assertIn("immutable", self.cluster.http.get(module).headers["cache-control"])
        self.assertEqual(self.cluster.http.post("/", {}).status, 405)
        self.assertEqual(self.cluster.http.get("/", {"Host": "evil.example"}).status, 403)
        described = self.cluster.http.get("/openapi.json").json()
        self.assertEqual(described["openapi"], "3.1.0")
        self.assertIn("/v1/jobs/{job_id}/output", described["paths"])

    def test_a_connection_serves_many_requests(self):
        connection = HttpConnection(self.cluster.http_address)
        self.addCleanup(connection.close)
        for _ in range(20):
            answer = connection.request("GET", "/v1/workers")
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.body)


class QueueTest(unittest.TestCase):
    def test_a_full_worker_queues_and_a_stopped_job_never_starts(self):
        with Cluster() as cluster:
            ran = cluster.folder / "ran"
            cluster.script("gated.sh", 'read -r _ < "$1"\n')
            cluster.script("mark.sh", 'echo "$1" >> "$2"\n')
            gate = cluster.folder / "gate"
            os.mkfifo(gate)
            cluster.start_worker(slots=1)
            blocking = cluster.start("gated.sh", gate, worker="w1")

            directed = cluster.start("mark.sh", "directed", ran, worker="w1")
            anywhere = cluster.start("mark.sh", "anywhere", ran)
            cancelled = cluster.start("mark.sh", "cancelled", ran)
            for job_id in (directed, anywhere, cancelled):
                self.assertEqual(cluster.job(job_id)["state"], "QUEUED")
            self.assertEqual(cluster.output(directed), b"")
            stopped = cluster.http.post(f"/v1/jobs/{cancelled}/stop", {})
            self.assertEqual(stopped.status, 200)
            gate.write_text("go\n")

            self.assertEqual(cluster.wait(blocking)["state"], "SUCCEEDED")
            self.assertEqual(cluster.wait(directed)["state"], "SUCCEEDED")
            self.assertEqual(cluster.wait(anywhere)["state"], "SUCCEEDED")
            job = cluster.wait(cancelled)
            self.assertEqual((job["state"], job["end"]["reason"]),
                             ("STOPPED", "CANCELLED_BEFORE_START"))
            self.assertEqual(sorted(ran.read_text().split()), ["anywhere", "directed"])

    def test_a_job_waits_for_the_first_worker(self):
        with Cluster() as cluster:
            cluster.script("count.sh", COUNT)
            job_id = cluster.start("count.sh", 1)
            self.assertEqual(cluster.job(job_id)["state"], "QUEUED")
            cluster.start_worker()
            self.assertEqual(cluster.wait(job_id)["state"], "SUCCEEDED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
