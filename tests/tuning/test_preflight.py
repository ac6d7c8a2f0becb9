"""`tune --preflight`: each fault is named with what to do, what cannot be tried is said, and nothing is ever sent."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from google.auth import exceptions as auth
from google.cloud import storage as google_storage

from cliptune.exits import Exit
from tests.cliptune.test_commands import only_json, run
from tests.tuning.conftest import NO_TIME
from transforms.storage import gcs_client
from transforms.storage.base import READS, WRITES
from tuning import tune
from tuning.emulator import server
from tuning.emulator.scenario import Fault, Scenario
from tuning.requests import TuneRequest

__all__ = ["run"]  # a fixture
ALL = (*READS, *WRITES)
AGENT = "serviceAccount:service-123@gcp-sa-aiplatform.iam.gserviceaccount.com"
SERVICE = {"credentials": "ok", "API": "ok", "quota": "ok", "base model": "ok"}
GOOD = {"bucket read": "ok", "bucket written": "ok", "bucket location": "ok"}


class Buckets(ThreadingHTTPServer):
    """Tells of buckets what `found` says; counts what else is asked."""

    daemon_threads = True

    def __init__(self):
        self.found: dict[str, Any] = {}
        self.others: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Buckets

    def do_GET(self):
        place, query = urlsplit(self.path).path.split("/")[4:], parse_qs(urlsplit(self.path).query)
        bucket = self.server.found.get(place[0]) if place else None
        status: int = 200
        tree: dict[str, Any] = {}
        if bucket is None:
            status = 404
        elif place[1:] == ["iam", "testPermissions"]:
            held = [name for name in query["permissions"] if name in bucket["held"]]
            status, tree = (200 if held or not bucket.get("strict") else 403), {"permissions": held}
        elif place[1:] == ["iam"]:
            status = 200 if "readers" in bucket else 403
            tree = {"bindings": [{"role": "roles/storage.objectViewer", "members": bucket.get("readers")}]}
        elif place[1:]:
            self.server.others.append(self.path)
        else:
            status = 200 if "location" in bucket else 403
            tree = {"name": place[0], "location": bucket.get("location"), "projectNumber": bucket.get("project", "123")}
        content = json.dumps(tree if status == 200 else {"error": {"code": status, "message": "no"}}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_other(self):
        self.server.others.append(self.path)
        self.send_error(500)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_other

    def log_message(self, *words):
        pass


@pytest.fixture
def buckets(monkeypatch):
    served = Buckets()
    threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{served.server_port}")
    yield served
    served.shutdown()
    served.server_close()


@pytest.fixture
def playing():
    """An emulator that plays a scenario; its address."""
    stack = []

    def start(**scenario):
        context = server.running(played=Scenario(**scenario))
        stack.append(context)
        return context.__enter__()

    yield start
    for context in stack:
        context.__exit__(None, None, None)


def bucket_of(**changes: Any) -> dict[str, Any]:
    return {"held": ALL, "location": "US-CENTRAL1", "readers": [AGENT], **changes}


def attempts_in_bucket(buckets, found, number="123", **settings: Any):
    """What a preflight of a dataset in a bucket tries of the bucket."""
    from tuning import preflight  # noqa: PLC0415
    from tuning.providers.base import ServiceTrial  # noqa: PLC0415

    if found is not None:
        buckets.found["b"] = found
    request = TuneRequest("d", **{"project": "p", **settings})
    location = settings.get("location", "us-central1")
    job_request: Any = type(
        "Job", (), {"project": "p", "location": location, "service_account": request.service_account}
    )
    return [*preflight._bucket(request, job_request, "gs://b/s", ServiceTrial((), number))]


def outcomes(attempts):
    return {attempt.what: attempt.outcome for attempt in attempts}


@pytest.mark.parametrize(
    ("changes", "outcome", "told"),
    [
        ({}, {}, ""),
        ({"held": READS}, {"bucket written": "wrong"}, "grant this account roles/storage.objectUser on gs://b"),
        ({"held": WRITES}, {"bucket read": "wrong"}, "grant this account roles/storage.objectViewer on gs://b"),
        (
            {"held": ()},
            {"bucket read": "wrong", "bucket written": "wrong"},
            "storage.objects.get and storage.objects.list",
        ),
        ({"held": (), "strict": True}, {"bucket read": "wrong", "bucket written": "wrong"}, "missing: grant"),
        ({"location": "US"}, {}, "lies in US, the job in us-central1"),
        ({"location": "US-EAST1"}, {}, "may be charged"),
        ({"location": "NAM4"}, {}, "may be charged"),
        ({"location": "EU"}, {"bucket location": "wrong"}, "use a bucket in us-central1, or a --location near"),
        ({"location": "ASIA-EAST1"}, {"bucket location": "wrong"}, "no page promises"),
        ({"location": "SOUTHAMERICA-EAST1"}, {"bucket location": "wrong"}, "no page promises"),
    ],
)
def test_what_may_be_wrong_with_a_bucket(buckets, changes, outcome, told):
    found = attempts_in_bucket(buckets, bucket_of(**changes))
    assert outcomes(found) == {**GOOD, "service agents": "ok", **outcome}
    assert any(told in attempt.detail for attempt in found)
    assert not buckets.others


@pytest.mark.parametrize("place", ["EU", "EUROPE-WEST4"])
def test_a_bucket_in_europe_fits_a_job_in_europe(buckets, place):
    found = attempts_in_bucket(buckets, bucket_of(location=place), location="europe-west4")
    assert outcomes(found)["bucket location"] == "ok"
    assert "charged" not in found[2].detail


def test_a_bucket_that_is_not_there(buckets):
    (found,) = attempts_in_bucket(buckets, None)
    assert (found.outcome, found.detail) == ("wrong", "there is no bucket gs://b: create it, or mend its name")


def test_a_bucket_of_which_only_the_objects_may_be_seen(buckets):
    """As roles/storage.objectUser gives it: no error, and said."""
    found = attempts_in_bucket(buckets, {"held": ALL})
    expected = {"bucket location": "not tried", "service agents": "not tried"}
    assert outcomes(found) == {"bucket read": "ok", "bucket written": "ok", **expected}
    assert "storage.buckets.get)" in found[2].detail
    assert "storage.buckets.getIamPolicy" in found[3].detail


@pytest.mark.parametrize(
    ("number", "changes", "settings", "outcome", "told"),
    [
        ("123", {}, {}, "ok", "they may read gs://b"),
        (
            "123",
            {"readers": [AGENT.replace("aiplatform", "vertex-tune")]},
            {},
            "ok",
            "they may",
        ),
        ("123", {"readers": ["allUsers"]}, {}, "ok", "they may"),
        ("123", {"readers": [], "project": "123"}, {}, "ok", "of the same project"),
        (
            "123",
            {"readers": [], "project": "9"},
            {},
            "wrong",
            "on gs://b to service-123@gcp-sa-aiplatform.iam",
        ),
        # Another project's agent, and names that only contain the right one.
        ("123", {"readers": [AGENT.replace("123", "1234")], "project": "9"}, {}, "wrong", "of another project"),
        ("123", {"readers": [f"{AGENT}.evil.example"], "project": "9"}, {}, "wrong", "of another project"),
        (None, {}, {}, "not tried", "has had no job in us-central1, and the agents do not exist before"),
        (None, {"readers": ["serviceAccount:s@p.iam"]}, {"service_account": "s@p.iam"}, "ok", "s@p.iam may read"),
        ("123", {}, {"service_account": "s@p.iam"}, "not tried", "perhaps by its project; if not, grant"),
    ],
)
def test_whether_the_service_may_read_the_bucket(buckets, number, changes, settings, outcome, told):
    found = attempts_in_bucket(buckets, bucket_of(**changes), number, **settings)[3]
    assert (found.outcome, told in found.detail) == (outcome, True)


def test_without_credentials_nothing_of_a_bucket_is_tried(monkeypatch, buckets):
    def none():
        raise auth.DefaultCredentialsError("none")

    monkeypatch.setattr(gcs_client, "_client", lambda endpoint: none())
    (found,) = attempts_in_bucket(buckets, bucket_of())
    assert (found.what, found.outcome) == ("bucket read", "unreachable")


def preflight_of(out, url, **settings: Any) -> Any:
    request = TuneRequest(str(out), preflight=True, api_endpoint=url, **{"project": "123", **settings})
    return tune.run(request, clock=NO_TIME)


def requests_of(url):
    return httpx.get(f"{url}/emulator").json()["requests"]


LOCAL = {"bucket read": "not tried", "bucket written": "not tried"}
CLOSED = {"API": "wrong", "quota": "not tried", "base model": "not tried"}


@pytest.mark.parametrize(
    ("scenario", "outcome", "told"),
    [
        ({}, {}, "gemini-3.1-flash-lite answers in us"),
        ({"disabled": True}, CLOSED, "run: gcloud services enable aiplatform.googleapis.com --project 123"),
        ({"faults": (Fault(method="list", status=403),)}, CLOSED, "the account needs roles/aiplatform.user"),
        ({"faults": (Fault(method="count", status=404),)}, {"base model": "wrong"}, "it is closed to this project, or"),
        ({"faults": (Fault(method="count", status=403),)}, {"base model": "not tried"}, "PERMISSION_DENIED"),
        ({"faults": (Fault(method="count", status=429),)}, {"base model": "not tried"}, "RESOURCE_EXHAUSTED"),
        ({"faults": (Fault(method="list", cut="before"),)}, {**CLOSED, "credentials": "not tried"}, "no answer from"),
    ],
)
def test_what_may_be_wrong_with_the_service(out, playing, scenario, outcome, told):
    url = playing(**scenario)
    report = preflight_of(out, url)
    assert outcomes(report.attempts) == {"dataset": "ok", **SERVICE, **LOCAL, **outcome}
    assert report.ok is ("wrong" not in outcome.values())
    assert any(told in attempt.detail for attempt in report.attempts)
    assert not {"create", "generate", "cancel", "update"} & requests_of(url).keys()
    assert not (out / "tuning").exists()


def test_a_job_that_runs_fills_the_quota(out, playing):
    url = playing(quota=1, states=("RUNNING",) * 9)
    tune.run(TuneRequest(str(out), api_endpoint=url, project="123", no_watch=True), clock=NO_TIME)
    told = {}
    for name, settings in {"same": {}, "other": {"epochs": 2}, "waits": {"epochs": 2, "wait_for_quota": True}}.items():
        told[name] = next(one for one in preflight_of(out, url, **settings).attempts if one.what == "quota")
    assert {name: one.outcome for name, one in told.items()} == {"same": "ok", "other": "wrong", "waits": "ok"}
    assert "tune attaches to it" in told["same"].detail
    assert "add --wait_for_quota" in told["other"].detail
    assert requests_of(url)["create"] == 1


def test_a_dataset_that_breaks_a_rule_does_not_hide_the_rest(out, playing):
    shard = next((out / "train").glob("*.jsonl"))
    shard.write_bytes(shard.read_bytes().replace(b'"role":"model"', b'"role":"mode1"', 1))
    report = preflight_of(out, playing())
    assert (report.ok, outcomes(report.attempts)) == (False, {"dataset": "wrong", **SERVICE, **LOCAL})


def test_a_job_that_may_cost_too_much_is_wrong(out, playing):
    report = preflight_of(out, playing(), max_cost=0.001)
    assert (report.attempts[0].outcome, "max_cost must be at least" in report.attempts[0].detail) == ("wrong", True)


@pytest.mark.parametrize(("settings", "status"), [({}, Exit.DONE), ({"disabled": True}, Exit.FAILED)])
def test_the_command_says_each_attempt_and_its_status_tells_a_wrong_one(run, out, playing, settings, status):
    url = playing(**settings)
    found, stdout, stderr = run("tune", out, f"--api_endpoint={url}", "--preflight")
    tree = only_json(stdout)
    assert (found, tree["ok"]) == (status, status == Exit.DONE)
    lines = [f"preflight: {one['what']}: {one['outcome']}: {one['detail']}" for one in tree["attempts"]]
    assert [line for line in stderr.splitlines() if line.startswith("preflight: ")] == lines
    assert "create" not in requests_of(url)


@pytest.mark.parametrize(("settings", "status"), [({}, Exit.DONE), ({"disabled": True}, Exit.FAILED)])
def test_a_dry_run_has_it_beside_the_request(run, out, playing, settings, status):
    found, stdout, _ = run("tune", out, f"--api_endpoint={playing(**settings)}", "--dry_run")
    tree = only_json(stdout)
    assert (found, tree["method"]) == (status, "POST")
    assert ("wrong" in {one["outcome"] for one in tree["preflight"]}) is bool(status)


@pytest.mark.parametrize(("flag", "status"), [("--preflight", Exit.FAILED), ("--dry_run", Exit.DONE)])
def test_a_service_that_is_away_spoils_a_preflight_but_no_dry_run(run, out, flag, status):
    found, _, stderr = run("tune", out, "--api_endpoint=http://127.0.0.1:9", flag)
    assert (found, "preflight: API: " in stderr) == (status, True)


def test_googles_own_client_reads_the_answers_that_are_faked_here(buckets):
    """Else the table of buckets would hold of nothing."""
    buckets.found["b"] = bucket_of()
    bucket = google_storage.Client(project="p").bucket("b")
    bucket.reload()
    assert (bucket.location, bucket.project_number) == ("US-CENTRAL1", 123)
