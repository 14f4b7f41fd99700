#!/usr/bin/env python3
"""A client for clusterd's HTTP API, of Python's standard library alone.

As a module:

    cluster = Clusterd("http://127.0.0.1:3000")
    job_id = cluster.start({"path": "count.sh", "command": "bash", "args": ["5"]})
    for piece in cluster.follow(job_id):
        sys.stdout.buffer.write(piece)
    print(cluster.wait(job_id)["state"])

As a program it starts a script, prints its output and exits with its code:

    clusterd_client.py SCRIPT [ARGUMENT ...]

CLUSTERD_URL says where the HTTP API is, CLUSTERD_TOKEN who we are, where that is asked.
"""
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

LATER = (429, 503)  # and connections that break: the same call again may succeed
PAUSE_SECONDS = 1


class Refused(Exception):
    """The scheduler's answer was an error; `problem` has its fields (RFC 9457)."""

    def __init__(self, status, problem):
        super().__init__(problem.get("detail", str(status)))
        self.status = status
        self.problem = problem


class Clusterd:
    """The jobs of one cluster. Calls wait for a scheduler that is away, `patience` seconds long."""

    def __init__(self, url="", token="", patience=60):
        self.url = url or os.environ.get("CLUSTERD_URL", "http://127.0.0.1:3000")
        self.token = token or os.environ.get("CLUSTERD_TOKEN", "")
        self.patience = patience

    def start(self, job):
        """Starts a job, whose fields are those of a JobSpec, and returns its id. With its key, a
        call that is repeated because its answer was lost starts nothing twice."""
        return self._json("/v1/jobs", job, {"Idempotency-Key": str(uuid.uuid4())})["job_id"]

    def job(self, job_id):
        return self._json(f"/v1/jobs/{job_id}")

    def wait(self, job_id):
        """The job when it has ended."""
        while True:
            job = self._json(f"/v1/jobs/{job_id}/wait?timeout=30s")
            if "end" in job:
                return job

    def stop(self, job_id):
        return self._json(f"/v1/jobs/{job_id}/stop", {})

    def tasks(self, array_id):
        """The tasks of an array, by index."""
        page = ""
        while True:
            answer = self._json(f"/v1/jobs/{array_id}/tasks?page_token={urllib.parse.quote(page)}")
            yield from answer["jobs"]
            page = answer["next_page_token"]
            if not page:
                return

    def follow(self, job_id):
        """Pieces of a job's output until its end: each byte once, whatever breaks meanwhile."""
        offset = 0
        while True:
            with self._open(f"/v1/jobs/{job_id}/output?follow=true&offset={offset}") as answer:
                offset = int(answer.headers["Clusterd-Output-Offset"])
                try:
                    while piece := answer.read1():
                        offset += len(piece)
                        yield piece
                    return
                except (http.client.HTTPException, OSError):  # cut; from `offset` on again
                    time.sleep(PAUSE_SECONDS)

    def _json(self, path, body=None, headers=None):
        with self._open(path, body, headers) as answer:
            return json.load(answer)

    def _open(self, path, body=None, headers=None):
        request = urllib.request.Request(
            self.url + path, data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})})
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        last_try = time.monotonic() + self.patience
        while True:
            try:
                return urllib.request.urlopen(request, timeout=90)
            except urllib.error.HTTPError as error:
                if error.code not in LATER or time.monotonic() > last_try:
                    raise Refused(error.code, json.load(error)) from None
            except (urllib.error.URLError, ConnectionError, http.client.HTTPException):
                if time.monotonic() > last_try:
                    raise
            time.sleep(PAUSE_SECONDS)


def main():
    cluster = Clusterd()
    try:
        job_id = cluster.start({"path": sys.argv[1], "args": sys.argv[2:]})
    except Refused as refused:
        sys.exit(f"{refused.problem.get('field', 'refused')}: {refused}")
    print(f"job {job_id}", file=sys.stderr)
    for piece in cluster.follow(job_id):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    job = cluster.wait(job_id)
    print(job["state"], file=sys.stderr)
    sys.exit(job["end"].get("exit_code", 125))  # unknown is never success


if __name__ == "__main__":
    main()
