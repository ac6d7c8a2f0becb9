"""How `watch`, `jobs` and `cancel` follow a job to its end: states, exit statuses, news, examples left out."""

import io
import json

import pytest

from cliptune.console import Console
from cliptune.exits import MEANINGS, Exit
from tests.cliptune.test_commands import only_json, run
from tests.cliptune.test_job_commands import playing
from tests.tuning.conftest import NO_TIME, job_file, submitted
from transforms.storage import Storage
from tuning import dataset, service
from tuning.emulator.scenario import Fault
from tuning.jobs import dropped, watch
from tuning.jobs.clock import Clock, Pace
from tuning.providers.base import TuningJob

__all__ = ["playing", "run"]  # fixtures


@pytest.mark.parametrize(
    ("scenario", "status", "state", "told"),
    [
        ({}, Exit.DONE, "SUCCEEDED", "the tuned model answers at projects/"),
        ({"end": "PARTIALLY_SUCCEEDED"}, Exit.DONE, "PARTIALLY_SUCCEEDED", "the tuned model answers at projects/"),
        ({"end": "FAILED", "error": "Broken."}, Exit.JOB_FAILED, "FAILED", "the job ended as FAILED: Broken."),
        ({"end": "EXPIRED", "error": "Old."}, Exit.JOB_FAILED, "EXPIRED", "the job ended as EXPIRED: Old."),
        ({"end": "CANCELLED", "error": "No."}, Exit.JOB_CANCELLED, "CANCELLED", "the job ended as CANCELLED: No."),
        (
            {"end": "NO_ENDPOINT", "error": "Quota."},
            Exit.NO_ENDPOINT,
            "FAILED",
            "exists but has no endpoint: Failed to create endpoint: Quota.",
        ),
    ],
)
@pytest.mark.parametrize("states", [["RUNNING"], ["QUEUED", "PENDING", "RUNNING", "PAUSED", "UPDATING", "RUNNING"]])
def test_every_end_has_its_status_and_its_words(run, out, playing, scenario, status, state, told, states):
    found, stdout, stderr = run("tune", out, playing(states=states, **scenario))
    assert (found, only_json(stdout)["state"]) == (status, state)
    assert told in stderr.splitlines()[-1]
    seen = [line.rpartition(": ")[2].partition(",")[0] for line in stderr.splitlines() if line.startswith("projects/")]
    assert seen == [*states, state]


def test_every_exit_status_has_a_meaning_in_the_help(run):
    assert MEANINGS.keys() == set(Exit) - {Exit.TOO_MANY_REJECTED, Exit.FAIL_IF}
    _, stdout, _ = run("watch", "--help")
    assert all(f"{status.value} {meaning}" in " ".join(stdout.split()) for status, meaning in MEANINGS.items())


def test_watching_ends_after_its_timeout_and_the_job_goes_on(run, out, playing, monkeypatch):
    seconds = iter(range(0, 10_000, 40))
    monkeypatch.setattr(
        service, "pace", lambda request, timeout, clock: Pace(30, timeout, Clock(lambda: next(seconds), lambda _: None))
    )
    url = playing(states=["RUNNING"] * 100)
    status, stdout, stderr = run("tune", out, url, "--timeout", 60)
    assert (status, only_json(stdout)["state"]) == (Exit.STILL_RUNNING, "RUNNING")
    assert f"not ended after 60 s; the job goes on: cliptune watch {out} {url}\n" in stderr


@pytest.mark.parametrize("command", ["tune", "watch"])
def test_ctrl_c_leaves_the_job_and_says_how_to_attach_or_cancel(run, out, playing, monkeypatch, command):
    url = playing(states=["RUNNING"] * 100)
    if command == "watch":
        run("tune", out, url, "--no_watch")

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "pace", lambda *args: Pace(clock=Clock(lambda: 0.0, interrupt)))
    status, stdout, stderr = run(command, out, url)
    assert (status, stdout) == (Exit.INTERRUPTED, "")
    assert f"cliptune watch {out} {url}," in stderr.splitlines()[-1]
    assert stderr.endswith(f"cliptune cancel {out} {url}\n")
    (job,) = only_json(run("jobs", url)[1])["jobs"]
    assert job["state"] == "RUNNING"


def test_how_to_go_on_names_the_run_that_was_named(run, out, playing, monkeypatch):
    url = playing(states=["RUNNING"] * 100)
    run("tune", out, url, "--no_watch")
    run("tune", out, url, "--epochs", 5, "--another", "--no_watch")
    (name,) = [path.name for path in (out / "tuning/runs").iterdir() if "-3-epochs-" in path.name]

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "pace", lambda *args: Pace(clock=Clock(lambda: 0.0, interrupt)))
    stderr = run("watch", out, url, "--run", name)[2]
    assert f"cliptune watch {out} --run {name} {url}," in stderr.splitlines()[-1]
    assert stderr.endswith(f"cliptune cancel {out} --run {name} {url}\n")
    monkeypatch.setattr(service, "pace", lambda *args: Pace(0, 0.0, Clock(lambda: 0.0, lambda _: None)))
    stderr = run("watch", out, url, "--run", name, "--timeout", 1)[2]
    assert f"the job goes on: cliptune watch {out} --run {name} {url}\n" in stderr


def test_examples_left_out_are_led_back_to_their_clips(run, out, playing):
    status, stdout, stderr = run("tune", out, playing(drop=[1, 9, 22]))
    job = only_json(stdout)
    assert status == 0
    lines = (out / "tuning/train.jsonl").read_text().splitlines()
    assert [each["line"] for each in job["dropped"]] == [1, 9, 22]
    for each in job["dropped"]:
        assert f'"this is text {each["clip_id"][1:]}"' in lines[each["line"] - 1]  # in three different shards
        assert each["source"] == f"m.csv:{int(each['clip_id'][1:]) + 2}"
        assert f"  {each['clip_id']} ({each['source']}): The example is invalid." in stderr
    assert "warning: the service left out 3 of the training examples; it names 3:" in stderr


def test_what_the_dataset_has_no_line_for_is_told_as_it_is(prepared):
    stats = {
        "truncated_example_indices": [23, 2],
        "dropped_example_reasons": ["too long"],
        "total_truncated_example_count": 9,
    }
    job = TuningJob("j", "SUCCEEDED", data_stats=stats)
    first, second = dropped.dropped(job, prepared)
    assert (dropped.count(job), first.line, first.clip_id, first.reason) == (9, 23, "", "too long")
    assert (second.line, bool(second.clip_id), second.reason) == (2, True, "")
    assert dropped.dropped(TuningJob("j", "FAILED"), prepared) == []


def test_jobs_are_listed_of_a_project_and_of_a_dataset(run, out, playing):
    url = playing()
    first = only_json(run("tune", out, url, "--no_watch", "--label", "team=x")[1])
    second = only_json(run("tune", out, url, "--epochs", 2, "--display_name", "two", "--another")[1])
    for words in ([], [out], ["--project", "local-project", "--location", "us-central1"]):
        status, stdout, stderr = run("jobs", *words, url)
        told = only_json(stdout)
        found = told["jobs"]
        assert list(told["runs"].values()) == ([second["name"], first["name"]] if words == [out] else [])
        assert (status, [job["name"] for job in found]) == (0, [second["name"], first["name"]])
        assert f"{second['name']}: SUCCEEDED, 2 checkpoints  two" in stderr
        assert found[1]["labels"]["team"] == "x"
    assert len(only_json(run("jobs", url, "--limit", 1)[1])["jobs"]) == 1
    nothing = {"jobs": [], "runs": {}, "deleted": {}, "format_version": 1, "ok": True}
    assert only_json(run("jobs", url, "--location", "europe-west4")[1]) == nothing
    assert run("jobs")[0] == Exit.USAGE


def test_a_job_is_cancelled_by_its_dataset_or_its_name(run, out, playing):
    url = playing()
    for words in ([], ["--epochs", 2]):
        job = only_json(run("tune", out, url, "--no_watch", *words)[1])
        status, stdout, stderr = run("cancel", job["name"] if words else out, url)
        assert (status, only_json(stdout)["state"]) == (0, "CANCELLED")
        assert f"cancelled: {job['name']}" in stderr
    assert submitted(dataset.load(str(out), Storage()))[1].name == job["name"]
    status, stdout, stderr = run("cancel", out, url)
    assert (status, only_json(stdout)["state"], "had already ended as CANCELLED" in stderr) == (1, "CANCELLED", True)
    status, _, stderr = run("cancel", "projects/p/locations/us-central1/tuningJobs/7", url)
    assert (status, "404 NOT_FOUND" in stderr) == (1, True)


def test_the_default_checkpoint_is_the_one_that_answers(run, out, playing):
    url = playing()
    job = only_json(run("tune", out, url, "--default_checkpoint", "2")[1])
    endpoints = {point["checkpoint_id"]: point["endpoint"] for point in job["checkpoints"]}
    assert job["endpoint"] == endpoints["2"]
    assert only_json(run("predict", out, url)[1])["model"] == endpoints["2"]
    assert only_json(run("predict", out, url, "--checkpoint", "1")[1])["model"] == endpoints["1"]
    status, _, stderr = run("watch", out, url, "--default_checkpoint", "9")
    assert (status, "default_checkpoint must be one of 1, 2, 3, got '9'" in stderr) == (1, True)
    status, _, stderr = run("predict", out, url, "--checkpoint", "9")
    assert (status, "checkpoint must be one of 1, 2, 3, got '9'" in stderr) == (1, True)


def test_a_tuned_model_can_be_tuned_further(run, out, playing):
    url = playing()
    first = only_json(run("tune", out, url)[1])
    words = (
        "--from_model",
        first["tuned_model"],
        "--from_checkpoint",
        "1",
        "--epochs",
        1,
        "--export_last_checkpoint_only",
    )
    second = only_json(run("tune", out, url, *words)[1])
    assert (second["state"], len(second["checkpoints"])) == ("SUCCEEDED", 1)
    assert second["name"] != first["name"]


def test_news_without_a_terminal_come_now_and_then(monkeypatch, tuner, request_):
    stream = io.StringIO()
    people = Console(stream, width=300)
    job = tuner.submit(request_)
    monkeypatch.setattr(tuner, "get", lambda name: job)
    seconds = iter([0, 0, *range(0, 3_000, 100)])
    pace = Pace(30, 2_500, Clock(lambda: next(seconds, 9_999), lambda _: None))
    watch.watch(tuner, job, people, pace, lambda seen: None)
    lines = stream.getvalue().splitlines()
    assert lines[0] == f"{job.name}: QUEUED"
    assert 2 <= len(lines) <= 5
    assert all(line.startswith(f"{job.name}: QUEUED, for ") for line in lines[1:])


def test_on_a_terminal_there_is_the_state_and_the_time(tuner, request_):
    stream = io.StringIO()
    people = Console(stream, 200, terminal=True)
    watch.watch(tuner, tuner.submit(request_), people, Pace(0), lambda seen: None)
    assert "Ctrl-C leaves the job running" in stream.getvalue()


def test_watching_a_service_with_faults_by_the_real_client(run, out, playing, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(service, "pace", lambda *args: Pace(0, None, Clock(lambda: 0.0, waits.append)))
    faults = (
        Fault(method="get", status=503, count=2),
        Fault(method="get", first=4, cut="before"),
        Fault(method="get", first=5, status=500),
    )
    status, _, stderr = run("tune", out, playing(faults=faults))
    assert status == 0
    assert stderr.count("asking again in") == 4
    assert sum(wait > 0 for wait in waits) == 4


def test_watch_waits_for_a_service_that_is_away_from_the_beginning(run, out, playing, monkeypatch):
    monkeypatch.setattr(service, "pace", lambda *args: Pace(0, None, NO_TIME))
    url = playing(faults=(Fault(method="get", status=503, count=3),))
    run("tune", out, url, "--no_watch")
    status, _, stderr = run("watch", out, url)
    assert (status, stderr.count("asking again in")) == (0, 3)


def test_a_note_of_another_version_is_read_as_far_as_it_goes(run, out, playing):
    url = playing()
    job = only_json(run("tune", out, url)[1])
    path = job_file(out)
    note = json.loads(path.read_text())
    note["job"] = {"name": job["name"], "endpoint": job["endpoint"], "colour": "blue"}
    path.write_text(json.dumps(note))
    assert only_json(run("predict", out, url)[1])["model"] == job["endpoint"]
    assert only_json(run("watch", out, url)[1])["state"] == "SUCCEEDED"
