"""A fake of the Dataflow service: the v1b3 REST that Beam's client speaks, and it really executes what was staged.

It is as strict as the service where that matters: a second active job of one name is refused, listings have no labels,
messages of the last moment are told again, and metrics come twice, the second time tentative.
"""

import json
import re
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.dataflow import environments

ENDED = {"JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}
STATES = ("UNKNOWN", "STOPPED", "RUNNING", "DONE", "FAILED", "CANCELLED")
STATUS = {403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS", 503: "UNAVAILABLE"}
_JOBS = re.compile(r"/v1b3/projects/([^/]+)/locations/([^/]+)/jobs(?:/([^/:]+))?(?:/(messages|metrics))?$")
SUMMARY = "Workflow failed. Causes: S03:Write failed., The job failed because a work item has failed 4 times."
QUOTA = (
    "Startup of the worker pool in zone us-central1-a failed to bring up any of the desired 1 workers."
    " QUOTA_EXCEEDED: Quota 'CPUS' exceeded. Limit: 8.0 in region us-central1."
)


@dataclass
class Fake:
    """What the fake does, and what it was asked.

    Attributes:
      folder: where workers keep what they need.
      environment: of the worker processes.
      mode: "run" executes; "hang" never ends; "quota" fails without a worker; "cancelled" is cancelled at once;
        "done" says that it is done without having done anything; 403 and other numbers refuse the job.
      jobs: as the service has them, by id.
      requests: method and path of each.
      python: the interpreter of all workers; "" to install what was staged.
      flags: those that lead to it.
      away: the GET requests, counted from the first job, that are answered with 503.
      hidden: so many of the next listings are empty.
    """

    folder: Path
    environment: dict
    mode: str = "run"
    jobs: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    python: str = ""
    away: range = range(0)
    gets: int = 0
    hidden: int = 0
    flags: list = field(default_factory=list)
    messages: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    threads: list = field(default_factory=list)

    def start(self):
        """Serves on a free port; the address as Beam must be given it."""
        fake = self

        class Handler(_Handler):
            service = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return f"http://localhost:{self._server.server_port}"

    def stop(self):
        """Ends the server, when its jobs have ended."""
        for thread in self.threads:
            thread.join()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def state(self, job_id, state):
        self.jobs[job_id]["currentState"] = f"JOB_STATE_{state}"

    def say(self, job_id, text, importance="BASIC"):
        said = self.messages.setdefault(job_id, [])
        said.append(
            {
                "id": f"m{len(said)}",
                "time": f"2026-11-26T12:00:{len(said):02d}Z",
                "messageText": text,
                "messageImportance": f"JOB_MESSAGE_{importance}",
            }
        )

    def create(self, job):
        if isinstance(self.mode, int):
            return self.mode, _error(self.mode, "the caller does not have permission dataflow.jobs.create")
        for other in self.jobs.values():
            if other["name"] == job["name"] and other["currentState"] not in ENDED:
                told = f"(8e1): There is already an active job named {job['name']} with id: {other['id']}."
                return 409, _error(409, f"The workflow could not be created. Causes: {told}")
        job_id = f"2026-11-26_{len(self.jobs):04d}"
        self.jobs[job_id] = {**job, "id": job_id, "currentState": "JOB_STATE_PENDING"}
        answer = dict(self.jobs[job_id])
        getattr(self, f"_{self.mode}")(job_id)
        return 200, answer

    def _run(self, job_id):
        self.threads.append(threading.Thread(target=self._execute, args=(job_id,)))
        self.threads[-1].start()

    def _hang(self, job_id):
        self.state(job_id, "RUNNING")
        self.say(job_id, "Worker configuration: e2-standard-4 in us-central1-a.")

    def _quota(self, job_id):
        self.say(job_id, QUOTA, "ERROR")
        self.say(job_id, "Workflow failed.", "ERROR")
        self.state(job_id, "FAILED")

    def _cancelled(self, job_id):
        self.state(job_id, "CANCELLED")

    def _done(self, job_id):
        self.state(job_id, "DONE")

    def _execute(self, job_id):
        place = self.folder / job_id
        place.mkdir(parents=True)
        job_file = place / "job.json"
        job_file.write_text(json.dumps(self.jobs[job_id]), encoding="utf-8")
        staged, work = place / "staged", place / "work"
        staged.mkdir()
        work.mkdir()
        script = str(Path(__file__).with_name("worker.py"))
        options = {"cwd": work, "env": self.environment, "capture_output": True, "text": True}
        try:
            fetch = [str(environments.image() / "bin/python"), script, "fetch", str(job_file), str(staged)]
            subprocess.run(fetch, check=True, **options)
            python = self.python or str(environments.worker(staged))
        except subprocess.CalledProcessError as fault:
            self.say(job_id, f"The worker could not be started: {fault.stderr}", "ERROR")
            self.state(job_id, "FAILED")
            return
        self.say(job_id, "Worker configuration: e2-standard-4 in us-central1-a.")
        self.state(job_id, "RUNNING")
        ran = subprocess.run([python, script, "run", str(job_file), str(staged)], check=False, **options)
        (place / "stderr.txt").write_text(ran.stderr, encoding="utf-8")
        if ran.returncode == 0:
            self.metrics[job_id] = json.loads(ran.stdout)
            self.state(job_id, "DONE")
            return
        for _ in range(4):  # as often as the service tries a bundle
            self.say(job_id, ran.stderr, "ERROR")
        self.say(job_id, SUMMARY, "ERROR")
        self.state(job_id, "FAILED")


def _error(code, message):
    status = {403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS", 503: "UNAVAILABLE"}.get(
        code, "UNKNOWN"
    )
    return {"error": {"code": code, "message": message, "status": status}}


def _metrics(counted):
    """Each metric as the service tells it: once committed, once tentative."""
    for each in counted:
        value = {key: each[key] for key in ("scalar", "distribution") if key in each}
        for extra in ({}, {"tentative": "true"}):
            context = {"namespace": each["namespace"], "step": "s3", **extra}
            yield {"name": {"origin": "user", "name": each["name"], "context": context}, **value}


class _Handler(BaseHTTPRequestHandler):
    service: Fake

    def log_message(self, *args):
        """Says nothing."""

    def do_GET(self):
        if self._away():
            return
        parts = urlsplit(self.path)
        found = _JOBS.match(parts.path)
        job_id, what = (found[3], found[4]) if found else (None, None)
        if not found or (job_id and job_id not in self.service.jobs):
            self._answer(404, _error(404, "no such job"))
        elif what == "messages":
            since = parse_qs(parts.query).get("startTime", [""])[0]
            said = [each for each in self.service.messages.get(job_id, ()) if each["time"] >= since]
            self._answer(200, {"jobMessages": said, "autoscalingEvents": [{"currentNumWorkers": "2"}]})
        elif what == "metrics":
            self._answer(200, {"metrics": [*_metrics(self.service.metrics.get(job_id, ()))]})
        elif job_id:
            self._answer(200, _readable(self.service.jobs[job_id]))
        else:
            brief = ("id", "name", "currentState")
            self.service.hidden -= 1
            jobs = () if self.service.hidden >= 0 else self.service.jobs.values()
            active = [job for job in jobs if job["currentState"] not in ENDED]
            self._answer(200, {"jobs": [{key: job[key] for key in brief} for job in active]})

    def do_POST(self):
        self._note()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            self._answer(200, {"access_token": "x", "token_type": "Bearer", "expires_in": 3600})
            return
        code, answer = self.service.create(json.loads(body))
        self._answer(code, answer if code >= 400 else _readable(answer))

    def do_PUT(self):
        self._note()
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = _JOBS.match(urlsplit(self.path).path)
        assert found
        job = self.service.jobs[found[3]]
        assert asked["requestedState"] in (5, "JOB_STATE_CANCELLED")
        job["currentState"] = "JOB_STATE_CANCELLED"
        self._answer(200, _readable(job))

    def _note(self):
        self.service.requests.append((self.command, urlsplit(self.path).path))

    def _away(self):
        self._note()
        self.service.gets += bool(self.service.jobs)
        if self.service.gets not in self.service.away:
            return False
        self._answer(503, _error(503, "the service is away"))
        return True

    def _answer(self, code, tree):
        content = json.dumps(tree).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _readable(job):
    return {key: job[key] for key in ("id", "name", "currentState", "labels", "clientRequestId") if key in job}
