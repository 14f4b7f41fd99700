"""Refused requests: the status, the name of what is wrong, and nothing left behind."""
import signal
import unittest

from cluster import Cluster

NO_JOB = "01890000-0000-7000-8000-000000000000"


def attempts_on_disk(cluster, worker="w1"):
    """What a worker keeps of jobs: a folder each, below `output`."""
    output = cluster.data_folder(worker) / "output"
    return sorted(output.iterdir()) if output.exists() else []


class RefusalsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("count.sh", "echo ran\n")
        cls.cluster.script("others_may_write.sh", "echo ran\n")
        (cls.cluster.scripts / "others_may_write.sh").chmod(0o777)
        (cls.cluster.scripts / "link.sh").symlink_to("/bin/true")
        (cls.cluster.scripts / "folder").mkdir()
        (cls.cluster.scripts / "not_executable").write_text("#!/bin/sh\n")
        cls.cluster.start_worker()

    def tearDown(self):
        self.assertEqual(self.cluster.job_ids(), [])
        self.assertEqual(attempts_on_disk(self.cluster), [])

    def check_refused(self, answer, status, code, field=None, names=""):
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["content-type"].split(";")[0], "application/problem+json")
        problem = answer.json()
        self.assertEqual((problem["status"], problem["code"]), (status, code))
        self.assertTrue(problem["title"] and problem["type"] and problem["detail"], problem)
        if field is not None:
            self.assertEqual(problem.get("field"), field, problem)
        self.assertIn(names, problem["detail"])

    def start(self, body, worker="w1"):
        return self.cluster.http.post(f"/v1/workers/{worker}/jobs", body)

    def test_unknown_worker(self):
        good = {"path": "count.sh", "command": "bash"}
        self.check_refused(self.start(good, "none"), 404, "NOT_FOUND", names="none")
        self.check_refused(self.cluster.http.post("/v1/jobs", {**good, "worker_id": "none"}),
                           404, "NOT_FOUND", names="none")
        self.check_refused(self.cluster.http.get("/v1/workers/none"), 404, "NOT_FOUND")

    def test_unknown_job(self):
        for job_id in (NO_JOB, "nonsense", "%2e%2e"):
            for method, what in (("GET", ""), ("GET", "/output"), ("GET", "/wait"),
                                 ("POST", "/stop")):
                body = {} if method == "POST" else None
                answer = self.cluster.http.request(method, f"/v1/jobs/{job_id}{what}", body)
                self.check_refused(answer, 404, "NOT_FOUND")

    def test_script_outside_or_missing(self):
        for path in ("../secret.sh", "/bin/true", "folder/../../x", "missing.sh", "link.sh",
                     "folder", "a\0b", "count.sh/x"):
            with self.subTest(path=path):
                self.check_refused(self.start({"path": path, "command": "bash"}),
                                   400, "INVALID_ARGUMENT", "path")

    def test_script_that_others_may_write(self):
        answer = self.start({"path": "others_may_write.sh", "command": "bash"})
        self.assertIn(answer.status, (400, 403), answer.body)
        self.assertEqual(answer.json()["field"], "path")

    def test_script_that_is_not_executable_needs_a_command(self):
        answer = self.start({"path": "not_executable"})
        self.assertIn(answer.status, (400, 403), answer.body)
        self.assertEqual(answer.json()["field"], "path")

    def test_outside_script_for_any_worker(self):
        answer = self.cluster.http.post("/v1/jobs", {"path": "../secret.sh", "command": "bash"})
        self.check_refused(answer, 400, "INVALID_ARGUMENT", "path")

    def test_neither_path_nor_command(self):
        answer = self.cluster.http.post("/v1/jobs", {})
        self.assertEqual(answer.status, 400)
        self.assertIn(answer.json()["field"], ("path", "command"))

    def test_command_not_allowed(self):
        for body in ({"path": "count.sh", "command": "perl"},
                     {"path": "count.sh", "command": "/tmp/bash"},
                     {"command": "true"}, {"command": "/bin/true"}):
            with self.subTest(body=body):
                self.check_refused(self.start(body), 403, "PERMISSION_DENIED", "command",
                                   names=body["command"])

    def test_refused_variables(self):
        for name in ("LD_PRELOAD", "BASH_ENV", "ENV", "PATH", "HOME", "PYTHONPATH", "IFS", "PS4",
                     "GCONV_PATH", "GLIBC_TUNABLES", "CLUSTERD_JOB_ID", "BASH_FUNC_ls%%"):
            with self.subTest(name=name):
                answer = self.start({"path": "count.sh", "command": "bash", "env": {name: "x"}})
                self.check_refused(answer, 403, "PERMISSION_DENIED", names=name)
                self.assertRegex(answer.json()["field"], r"^env\b")

    def test_variable_names_that_cannot_be(self):
        for name in ("", "A=B", "A\0B"):
            answer = self.start({"path": "count.sh", "command": "bash", "env": {name: "x"}})
            self.assertEqual(answer.status, 400, answer.body)
            self.assertRegex(answer.json()["field"], r"^env\b")

    def test_folder_outside_or_missing(self):
        for cwd in ("../", "/tmp", "missing", "count.sh"):
            with self.subTest(cwd=cwd):
                answer = self.start({"path": "count.sh", "command": "bash", "cwd": cwd})
                self.check_refused(answer, 400, "INVALID_ARGUMENT", "cwd")

    def test_malformed_json(self):
        for body, line in ((b'{"path": "count.sh",\n  }', 2), (b"{'path': 1}", 1),
                           (b'{"path": "x"} x', 1), (b"", 1), (b'{\n\n"path": tru}', 3),
                           (b'{"path": "x",}', 1)):
            with self.subTest(body=body):
                answer = self.cluster.http.post("/v1/jobs", body)
                self.check_refused(answer, 400, "INVALID_ARGUMENT")
                self.assertRegex(answer.json()["detail"], rf"line {line}\b.*column \d+")

    def test_not_an_object(self):
        for body in (b"[]", b'"x"', b"5", b"null"):
            self.assertEqual(self.cluster.http.post("/v1/jobs", body).status, 400, body)

    def test_duplicate_key(self):
        answer = self.cluster.http.post("/v1/jobs", b'{"path": "a", "path": "count.sh"}')
        self.check_refused(answer, 400, "INVALID_ARGUMENT", names="path")

    def test_unknown_field(self):
        for body, name in (({"path": "count.sh", "colour": "red"}, "colour"),
                           ({"path": "count.sh", "resources": {"slotz": 1}}, "slotz")):
            answer = self.cluster.http.post("/v1/jobs", body)
            self.check_refused(answer, 400, "INVALID_ARGUMENT")
            self.assertIn(name, answer.json()["field"] + answer.json()["detail"])

    def test_wrong_type(self):
        for body, name in (({"args": "5"}, "args"), ({"path": 5}, "path"), ({"env": []}, "env"),
                           ({"priority": "high"}, "priority"), ({"timeout": 5}, "timeout"),
                           ({"resources": {"slots": -1}}, "slots"), ({"stdin": "*"}, "stdin")):
            with self.subTest(body=body):
                answer = self.cluster.http.post("/v1/jobs", {"command": "bash", **body})
                self.check_refused(answer, 400, "INVALID_ARGUMENT")
                self.assertIn(name, answer.json()["field"])

    def test_reads_with_values_that_cannot_be(self):
        for path, field in ((f"/v1/jobs/{NO_JOB}/wait?timeout=-1s", "timeout"),
                            (f"/v1/jobs/{NO_JOB}/wait?timeout=soon", "timeout"),
                            (f"/v1/jobs/{NO_JOB}/output?offset=-1", "offset"),
                            (f"/v1/jobs/{NO_JOB}/output?stream=both", "stream"),
                            (f"/v1/jobs/{NO_JOB}?colour=red", "colour"),
                            ("/v1/jobs?state=ASLEEP", "state"), ("/v1/jobs?label=", "label"),
                            ("/v1/jobs?label==x", "label"), ("/v1/jobs?page_size=-1", "page_size"),
                            ("/v1/jobs?page_token=x", "page_token"),
                            ("/v1/events?since=-1", "since")):
            with self.subTest(path=path):
                self.check_refused(self.cluster.http.get(path), 400, "INVALID_ARGUMENT", field)

    def test_worker_in_path_and_body_differ(self):
        answer = self.start({"path": "count.sh", "command": "bash", "worker_id": "other"})
        self.check_refused(answer, 400, "INVALID_ARGUMENT", "worker_id")

    def test_values_out_of_range(self):
        for body, field in (({"stop_signal": "NONSENSE"}, "stop_signal"),
                            ({"priority": 1001}, "priority"), ({"timeout": "-1s"}, "timeout"),
                            ({"name": "x" * 257}, "name")):
            with self.subTest(field=field):
                answer = self.start({"path": "count.sh", "command": "bash", **body})
                self.check_refused(answer, 400, "INVALID_ARGUMENT", field)

    def test_unknown_path_and_wrong_method(self):
        self.assertEqual(self.cluster.http.get("/v2/jobs").status, 404)
        answer = self.cluster.http.request("PUT", "/v1/jobs", {})
        self.assertEqual(answer.status, 405)
        self.assertEqual(sorted(answer.headers["allow"].replace(",", " ").split()),
                         ["GET", "HEAD", "POST"])

    def test_foreign_browsers(self):
        good = {"path": "count.sh", "command": "bash"}
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"},
                        {"Sec-Fetch-Site": "cross-site"}):
            with self.subTest(headers=headers):
                self.assertEqual(self.cluster.http.post("/v1/jobs", good, headers).status, 403)
        self.assertEqual(self.cluster.http.get("/v1/jobs", {"Host": "evil.example"}).status, 403)
        self.assertEqual(self.cluster.http.get("/healthz", {"Host": "evil.example"}).status, 200)

    def test_body_that_is_too_large(self):
        answer = self.cluster.http.post("/v1/jobs", {"path": "x" * (5 << 20)})
        self.assertEqual(answer.status, 413)


class OtherWorkersTest(unittest.TestCase):
    def test_unreachable_worker_gets_nothing_and_nothing_is_kept(self):
        with Cluster({"worker_timeout": "2s", "heartbeat_interval": "500ms"}) as cluster:
            cluster.script("count.sh", "echo ran\n")
            worker = cluster.start_worker()
            worker.suspend()
            cluster.wait_for_worker("w1", "UNREACHABLE")

            answer = cluster.http.post("/v1/workers/w1/jobs",
                                       {"path": "count.sh", "command": "bash"})

            self.assertEqual((answer.status, answer.json()["code"]), (503, "UNAVAILABLE"))
            self.assertIn("w1", answer.json()["detail"])
            self.assertEqual(cluster.job_ids(), [])
            worker.process.send_signal(signal.SIGCONT)
            cluster.wait_for_worker("w1", "ALIVE")
            self.assertEqual(cluster.run("count.sh", worker="w1")[0], b"ran\n")

    def test_a_refused_start_is_not_there_after_restarts_either(self):
        with Cluster() as cluster:
            cluster.script("count.sh", "echo ran\n")
            cluster.start_worker()
            for body, status in (({"path": "missing.sh", "command": "bash"}, 400),
                                 ({"path": "../count.sh", "command": "bash"}, 400),
                                 ({"path": "count.sh", "command": "perl"}, 403),
                                 ({"path": "count.sh", "env": {"LD_PRELOAD": "x"}}, 403)):
                self.assertEqual(cluster.http.post("/v1/workers/w1/jobs", body).status, status)

            cluster.scheduler.kill()
            cluster.workers["w1"].kill()
            cluster.start_scheduler()
            cluster.start_worker()

            self.assertEqual(cluster.job_ids(), [])
            self.assertEqual(attempts_on_disk(cluster), [])
            _, job = cluster.run("count.sh", worker="w1")
            self.assertEqual(cluster.job_ids(), [job["job_id"]])
            self.assertEqual([folder.name for folder in attempts_on_disk(cluster)],
                             [job["job_id"]])

    def test_another_workers_job_is_not_found(self):
        with Cluster() as cluster:
            cluster.script("count.sh", "echo ran\n")
            cluster.start_worker("w1")
            cluster.start_worker("w2")
            _, job = cluster.run("count.sh", worker="w1")
            for what in ("", "/output", "/wait"):
                path = f"/jobs/{job['job_id']}{what}"
                self.assertEqual(cluster.http.get(f"/v1/workers/w1{path}").status, 200)
                self.assertEqual(cluster.http.get(f"/v1/workers/w2{path}").status, 404)


if __name__ == "__main__":
    unittest.main(verbosity=2)
