"""One request, one job: submitted safely, found again, followed to its end, and believed by what it has written."""

import json
import os
import signal
import sys
from pathlib import Path

import jsonschema
import pytest

from beam_pipeline.job import Names
from cliptune.main import main
from tests import processes
from tests.beam_pipeline.conftest import SOME
from tests.dataflow import environments
from tests.dataflow.conftest import OUT, fill_bucket, objects
from tests.envelopes import report_of
from transforms.storage import Storage

HERE = "gs://cliptune-test/here"
SCHEMAS = Path(__file__).parents[2] / "docs/schemas"


def created(run):
    """The id that tools such as Airflow's operators look for."""
    (line,) = (line for line in run.stderr.splitlines() if line.startswith("Created job with id: ["))
    return line.removeprefix("Created job with id: [").removesuffix("]")


def told(run):
    return run.stderr.splitlines()


def follows(run, schema):
    jsonschema.validate(run.json, json.loads((SCHEMAS / f"{schema}.schema.json").read_text(encoding="utf-8")))
    return run.json


# A job that is done.


def test_workers_that_have_only_what_was_staged_make_the_bytes_of_a_run_here(launch, fake, prepare):
    here = prepare("gs://cliptune-test/m.jsonl", HERE)
    run = launch()
    assert run.status == 0, run.stderr
    assert objects() == objects(HERE)
    assert run.json == {**here.json, "output": OUT}
    (job_id,) = fake.jobs
    assert created(run) == job_id
    assert f"job {job_id} is DONE" in told(run)
    console = f"console: https://console.cloud.google.com/dataflow/jobs/us-central1/{job_id}?project=test-project"
    assert {console, "2 workers"} <= {*told(run)}
    counted = {each["name"]: each.get("scalar") for each in fake.metrics[job_id]}
    assert counted["clips_accepted"] == run.json["accepted"]
    samples = sum(split["audio_samples"] for split in run.json["splits"].values())
    assert counted["audio_samples"] == samples
    assert {"cpu_us_decode", "cpu_us_write"} <= counted.keys()
    # The same command again: the dataset is finished, and nobody is asked to make it.
    again = launch()
    assert (again.status, len(fake.jobs), again.json["reused"]) == (0, 1, len(SOME))


def test_rejected_rows_are_counted_by_their_reason_and_decide_the_status(launch, fake, run_report):
    fill_bucket([*SOME[:6], {"id": "gone", "audio_path": "gone.wav", "text": "x"}], only_manifest="b.jsonl")
    run = launch("--max_rejected_fraction=0.1", manifest="gs://cliptune-test/b.jsonl")
    assert (run.status, run.json["reasons"]) == (3, {"not_found": 1})
    (job_id,) = fake.jobs
    assert {"name": "clips_rejected_not_found", "namespace": "cliptune", "scalar": 1} in fake.metrics[job_id]
    # From the finished dataset alone: the same line, and the same status where it is asked for.
    assert (run_report("--gate", "--max_rejected_fraction=0.1").status, run_report().status) == (3, 0)
    envelope = {"ok", "error"}
    assert {**run_report().json, **{name: run.json[name] for name in envelope}} == run.json


def test_what_workers_get_is_pinned_and_needs_no_checkout(launch, fake, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # no setup.py
    run = launch()
    assert (run.status, "No module named" in run.stderr) == (0, False)  # as Beam says while it makes a package
    (job,) = fake.jobs.values()
    packages = [package["name"] for package in job["environment"]["workerPools"][0]["packages"]]
    assert [name for name in packages if name.endswith(".whl")] == ["cliptune-0.1.0-py3-none-any.whl"]
    run_json = json.loads(Storage().read_bytes(f"{OUT}/run.json"))
    described = json.loads(Storage().read_bytes(f"{OUT}/dataset.json"))
    assert run_json["decoders"] == described["decoders"]
    assert run_json["decoders"]["numpy"] != environments.OTHER_NUMPY


def test_other_decoders_are_refused_before_anything_is_claimed(launch, fake):
    first = launch()
    before = objects()
    assert first.status == 0
    # A worker that brings its own numpy, as an image may.
    requirements = Path(fake.folder) / "mine.txt"
    requirements.write_text("".join(f"{pin}\n" for pin in environments.pins(numpy=environments.OTHER_NUMPY)))
    run = launch(f"--requirements_file={requirements}", "--requirements_cache=skip", "--overwrite", "--prompt=other")
    assert run.status == 1
    assert f"numpy {environments.OTHER_NUMPY}, not {environments.locked('numpy')}" in told(run)[-1]
    assert objects() == before


# A job that is refused, or fails.


@pytest.fixture
def complete(prepare, fake):
    """A finished dataset in OUT, of other settings, and its bytes."""
    assert prepare("gs://cliptune-test/m.jsonl", OUT, "--prompt=before").status == 0
    return objects()


def test_a_refused_job_leaves_everything_as_it_was(launch, fake, complete):
    fake.mode = 403
    run = launch("--overwrite")
    assert (run.status, run.stdout) == (1, "")
    assert "HTTP 403" in told(run)[-1]
    assert "roles/dataflow.developer" in told(run)[-1]
    assert "nothing was changed" in told(run)[-1]
    assert objects() == complete


def test_a_merge_is_written_by_the_worker_that_claims(launch, fake, prepare, tmp_path, capfd):
    """Rows of this machine go with the job; a job that is refused has written none of them."""
    fill_bucket([*SOME, {**SOME[0], "id": "mute", "text": ""}], only_manifest="w.jsonl")
    assert prepare("gs://cliptune-test/w.jsonl", OUT).json["rejected"] == 1
    before = objects()
    letter = json.loads(before["rejected.jsonl"])
    (tmp_path / "mended.jsonl").write_text(json.dumps({**letter, "text": "heard"}))
    words = ["prepare", f"--manifest={tmp_path}/mended.jsonl", f"--merge_into={OUT}", *fake.flags]
    fake.mode = 403
    assert (main([*words, "--dry_run"]), main(words), objects()) == (0, 1, before)
    fake.mode = "run"
    capfd.readouterr()
    assert main(words) == 0
    assert json.loads(capfd.readouterr().out)["accepted"] == len(SOME) + 1
    assert json.loads(objects()["mended.jsonl"])["row"]["text"] == "heard"


@pytest.mark.parametrize("mode", ["quota", "cancelled", "done"])
def test_a_job_that_does_nothing_is_no_success_whatever_its_state(launch, fake, complete, mode):
    """An old report.json lies there, complete with its dataset."""
    fake.mode = mode
    run = launch("--overwrite")
    assert (run.status, run.stdout) == (1, "")
    assert objects() == complete
    reason = {
        "quota": "QUOTA_EXCEEDED: Quota 'CPUS'",
        "cancelled": "was cancelled",
        "done": "the run has ended without finishing",
    }
    assert reason[mode] in told(run)[-1]
    assert "Workflow failed" not in told(run)[-1]
    # A repetition of the finished request asks nothing of its job, either.
    fake.mode = mode
    again = launch("--prompt=before", "--verify")
    assert (again.status, objects()) == (1, complete)


def test_the_first_cause_of_a_failure_is_told_in_one_line(launch, fake):
    fake.python = str(environments.image() / "bin/python")  # on which nothing was installed
    run = launch()
    assert (run.status, run.stdout) == (1, "")
    assert "ended as FAILED: ModuleNotFoundError: No module named '" in told(run)[-1]
    assert sum("ModuleNotFoundError" in line for line in told(run)) == 2  # when it came, and at the end
    assert not any("Traceback" in line for line in told(run))
    assert objects() == {}


def test_a_service_that_is_away_for_a_while_ends_nothing(launch, fake):
    fake.away = range(4, 8)
    run = launch()
    assert run.status == 0, run.stderr
    assert any("does not answer (HTTP 503)" in line for line in told(run))
    assert len(fake.jobs) == 1


# One request, one job.


def test_no_wait_returns_the_job_to_which_the_same_command_attaches(launch, fake):
    fake.mode = "hang"
    first = follows(launch("--no_wait"), "stdout-prepare-job")
    (job,) = fake.jobs.values()
    assert (first["id"], first["attached"], first["runner"]) == (job["id"], False, "DataflowRunner")
    again = launch("--no_wait")
    assert follows(again, "stdout-prepare-job") == {**first, "attached": True, "state": "RUNNING"}
    assert f"Submitted job: {job['id']} by an earlier command, and RUNNING: attached to it" in told(again)
    assert len(fake.jobs) == 1
    assert objects() == {}  # not even claimed
    assert job["labels"].keys() == {"cliptune_output", "cliptune_request"}
    assert job["name"] == f"cliptune-{job['labels']['cliptune_output']}-{job['labels']['cliptune_request']}"


def test_a_name_of_ones_own_is_kept_and_the_job_found_by_its_labels(launch, fake):
    fake.mode = "hang"
    names = ("speech-1a2b3c4d", "speech-5e6f7a8b")  # as Airflow makes them, new at every try
    ids = [launch("--no_wait", f"--job_name={name}", "--labels=team=speech").json["id"] for name in names]
    assert (len(fake.jobs), ids[0]) == (1, ids[1])
    (job,) = fake.jobs.values()
    assert (job["name"], job["labels"]["team"]) == (names[0], "speech")


def test_a_409_attaches_to_the_job_that_was_there_first(launch, fake, monkeypatch):
    fake.mode = "hang"
    first = launch("--no_wait").json["id"]
    fake.hidden = 1  # from the next listing: another command submits at the very moment
    run = launch("--no_wait")
    assert (run.json["id"], run.json["attached"], len(fake.jobs)) == (first, True, 1)


def test_a_service_that_is_away_when_jobs_are_listed_is_asked_again(launch, fake):
    fake.mode, fake.away = "hang", range(1, 4)
    first = launch("--no_wait").json["id"]
    assert launch("--no_wait").json["id"] == first


def test_a_job_of_another_request_into_the_same_output_is_in_the_way(launch, fake):
    fake.mode = "hang"
    first = launch("--no_wait").json["id"]
    run = launch("--no_wait", "--prompt=another")
    assert (run.status, len(fake.jobs)) == (1, 1)
    assert f"Dataflow job {first}" in told(run)[-1]
    assert "of another request writes into the same output" in told(run)[-1]
    assert f"gcloud dataflow jobs cancel {first} --project=test-project --region=us-central1" in told(run)[-1]


def test_cancel_ends_the_job_of_the_output_and_reads_no_manifest(launch, fake):
    fake.mode = "hang"
    nothing = launch("--cancel")
    assert (nothing.status, nothing.stdout) == (1, "")
    first = launch("--no_wait").json["id"]
    run = launch("--cancel", manifest="gs://cliptune-test/gone.jsonl")
    assert follows(run, "stdout-prepare-job")["state"] == "CANCELLED"
    assert fake.jobs[first]["currentState"] == "JOB_STATE_CANCELLED"
    assert launch("--cancel").status == 1


def test_a_job_that_is_being_cancelled_is_not_attached_to(launch, fake):
    fake.mode = "hang"
    first = launch("--no_wait").json["id"]
    fake.state(first, "CANCELLING")
    run = launch("--no_wait")
    assert (run.status, run.stdout, len(fake.jobs)) == (1, "", 1)
    assert f"Dataflow job {first} of this request is being cancelled; the same command submits" in told(run)[-1]


@pytest.fixture
def follow(launch):
    """`cliptune prepare --follow` of a job, which reads no manifest."""
    return lambda job_id, *flags: launch(f"--follow={job_id}", *flags, manifest="gs://cliptune-test/gone.jsonl")


def test_a_job_is_followed_by_its_id_to_the_dataset_that_it_was_asked_for(launch, fake, follow):
    first = launch("--no_wait").json["id"]
    run = follow(first)
    assert (run.status, run.json["rows"], run.json["reused"]) == (0, len(SOME), 0), run.stderr
    assert f"job {first} is DONE" in told(run)
    again = follow(first, "--max_rejected_fraction=0")
    assert (again.status, again.json, len(fake.jobs)) == (0, run.json, 1)


def test_a_job_that_goes_on_has_a_status_of_its_own_and_so_has_one_that_was_cancelled(launch, fake, follow):
    fake.mode = "hang"
    first = launch("--no_wait").json
    run = follow(first["id"], "--timeout=0.1")
    told_of, goes_on = follows(run, "stdout-prepare-job"), {"attached": True, "state": "RUNNING", "ok": False}
    assert (run.status, told_of.pop("error")["kind"], told_of) == (6, "still_running", {**first, **goes_on})
    assert launch("--cancel").status == 0
    run = follow(first["id"])
    assert (run.status, follows(run, "stdout-prepare-job")["state"], len(fake.jobs)) == (5, "CANCELLED", 1)
    assert told(run)[-1].startswith(f"Dataflow job {first['id']} was cancelled (https://console")


def test_a_service_that_is_away_while_a_job_is_looked_at_says_nothing_of_its_end(launch, fake, follow):
    fake.mode = "hang"
    first = launch("--no_wait").json["id"]
    fake.away = range(fake.gets + 1, fake.gets + 99)
    run = follow(first, "--timeout=0.1")
    assert (run.status, follows(run, "stdout-prepare-job")["state"]) == (6, "UNKNOWN")


def test_a_followed_job_that_failed_is_told_by_its_first_cause_and_not_sent_again(launch, fake, follow):
    fake.mode = "quota"
    first = launch("--no_wait").json["id"]
    run = follow(first)
    assert (run.status, run.stdout, len(fake.jobs)) == (1, "", 1)
    assert "ended as FAILED: Startup of the worker pool" in told(run)[-1]


def test_of_a_followed_job_another_dataset_is_no_result(launch, fake, complete, follow):
    """The dataset was there before; the job says that it is done, and has done nothing."""
    fake.mode = "done"
    first = launch("--no_wait", "--overwrite").json["id"]
    run = follow(first)
    assert (run.status, run.stdout, objects()) == (1, "", complete)
    assert "holds a dataset of another request than the job's" in told(run)[-1]
    elsewhere = launch(f"--follow={first}", output="gs://cliptune-test/other")
    assert (elsewhere.status, elsewhere.stdout) == (1, "")
    assert told(elsewhere)[-1].endswith("does not write into gs://cliptune-test/other")
    assert follow("no-such-job").status == 1


def test_ctrl_c_names_the_job_and_how_to_cancel_it_and_the_next_command_attaches(fake):
    fake.mode = "hang"
    words = [sys.executable, "-m", "cliptune", "prepare", "--manifest=gs://cliptune-test/m.jsonl", f"--output={OUT}"]
    with processes.running([*words, *fake.flags], stderr=-1, stdout=-1, env={**os.environ}) as command:
        assert command.stderr is not None
        seen = []
        for line in command.stderr:
            seen.append(line.rstrip("\n"))
            if line.endswith("is RUNNING\n"):
                break
        command.send_signal(signal.SIGINT)
        stdout, stderr = command.communicate(timeout=processes.LIMIT_SECONDS)
    (job_id,) = fake.jobs
    assert f"Created job with id: [{job_id}]" in seen
    assert (command.returncode, report_of(stdout, 1)) == (1, "")
    named, stopped = stderr.splitlines()[-2:]
    assert named.startswith(f"Dataflow job {job_id} goes on.")
    assert "--cancel" in named
    assert f"gcloud dataflow jobs cancel {job_id}" in named
    assert stopped.startswith("cliptune prepare: stopped; the same command goes on from here, or attaches")
    assert fake.jobs[job_id]["currentState"] == "JOB_STATE_RUNNING"


@pytest.mark.parametrize("moment", ["workers: at most", "Created job with id"])
def test_whenever_ctrl_c_comes_there_is_one_job_at_most_and_nothing_is_changed(launch, fake, complete, moment):
    """While packages are staged, and when the job has just been accepted."""
    fake.mode = "hang"
    words = [sys.executable, "-m", "cliptune", "prepare", "--manifest=gs://cliptune-test/m.jsonl", f"--output={OUT}"]
    with processes.running([*words, *fake.flags, "--overwrite"], stderr=-1, stdout=-1, env={**os.environ}) as command:
        assert command.stderr is not None
        assert any(line.startswith(moment) for line in command.stderr)
        command.send_signal(signal.SIGINT)
        stdout, stderr = command.communicate(timeout=processes.LIMIT_SECONDS)
    assert (command.returncode, report_of(stdout, 1), "Traceback" in stderr) == (1, "", False)
    assert stderr.splitlines()[-1].startswith("cliptune prepare: stopped; the same command goes on from here")
    before = [*fake.jobs]
    again = launch("--overwrite", "--no_wait")
    assert (again.status, again.json["attached"], len(fake.jobs)) == (0, bool(before), 1)
    assert objects() == complete


def test_a_template_is_made_of_a_job_that_then_begins_when_it_is_launched(launch, fake):
    run = launch("--no_wait", "--template_location=gs://cliptune-test/templates/job")
    assert (follows(run, "stdout-prepare-job")["state"], run.json["id"], fake.jobs) == ("DESCRIBED", "", {})
    described = json.loads(Storage().read_bytes("gs://cliptune-test/templates/job"))
    assert (described["name"], described["labels"].keys()) == (
        run.json["name"],
        {"cliptune_output", "cliptune_request"},
    )
    assert launch("--template_location=gs://cliptune-test/templates/job").status == 2
    assert objects() == {}


# Before anything is sent.


@pytest.mark.parametrize("flag", ["--dry_run", "--dry_run=True"])
def test_a_dry_run_changes_nothing_and_says_what_would_be_done(launch, fake, complete, flag):
    run = launch(flag, "--overwrite")
    tree = follows(run, "stdout-prepare-dry-run")
    assert (run.status, tree["found"], tree["rows"], tree["max_workers"]) == (0, "another", len(SOME), 1)
    assert launch(flag, "--prompt=before").json["found"] == "finished"
    assert launch(flag, output="gs://cliptune-test/new").json["found"] == "nothing"
    assert (objects(), fake.jobs, objects("gs://cliptune-test/tmp")) == (complete, {}, {})
    assert launch(flag).status == 1  # without --overwrite


def test_what_a_job_needs_is_tried_before_anything_is_staged(launch, fake, gcs, complete):
    places = ("--temp_location=gs://no-such-bucket/tmp", "--staging_location=gs://nor-this/tmp")
    run = launch(*places, "--overwrite", "--template_location=gs://neither/template", "--no_wait")
    assert (run.status, run.stdout, fake.jobs, objects()) == (1, "", {}, complete)
    flags = ["--temp_location", "--staging_location", "--template_location"]
    assert told(run)[0].startswith("--temp_location: there is no bucket gs://no-such-bucket: create it")
    assert [line.partition(":")[0] for line in told(run)[:3]] == flags
    assert told(run)[-1] == (
        "cliptune prepare: nothing was submitted, for 3 of the things that the job needs are missing"
    )
    assert not [seen for seen in gcs.seen if seen.method == "POST" and seen.target.endswith("/b")]  # to make a bucket


@pytest.mark.parametrize("flag", ["--temp_location", "--staging_location"])
def test_what_is_staged_does_not_lie_in_the_dataset(launch, fake, flag):
    run = launch(f"{flag}={OUT}/tmp")
    assert (run.status, run.stdout, fake.jobs, objects()) == (1, "", {}, {})
    assert told(run)[0] == f"{flag}: {OUT}/tmp lies in the output, where a dataset is and nothing else"


@pytest.mark.parametrize("flag", ["--no_wait", "--dry_run"])
def test_what_only_beam_knows_to_refuse_is_a_line_too(launch, fake, complete, flag):
    run = launch(flag, "--overwrite", "--experiments=disable_runner_v2")
    assert (run.status, run.stdout, fake.jobs, objects()) == (1, "", {}, complete)
    assert told(run)[-1].startswith(
        "cliptune prepare: Beam does not submit the job: Disabling Dataflow Portable Runner"
    )


def test_no_credentials_are_told_at_once(launch, fake, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/account.json")
    run = launch()
    assert (run.status, len(told(run)), fake.jobs) == (1, 1, {})
    assert "no valid Google credentials" in told(run)[0]


def test_defaults_for_workers_are_shown_and_can_be_overridden(launch, fake):
    fake.mode = "hang"
    shown = launch("--no_wait")
    (pool,) = (job["environment"]["workerPools"][0] for job in fake.jobs.values())
    assert (pool["machineType"], pool["diskSizeGb"], pool["numThreadsPerWorker"]) == ("e2-standard-4", 50, 1)
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 1
    assert any(line.startswith("workers: at most 1 × e2-standard-4, 50 GB of disk") for line in told(shown))
    launch("--cancel")
    flags = ["--machine_type=n2-highmem-2", "--disk_size_gb=80", "--max_num_workers=7"]
    assert launch("--no_wait", *flags, "--number_of_worker_harness_threads=3").status == 0
    pool = [*fake.jobs.values()][-1]["environment"]["workerPools"][0]
    assert (pool["machineType"], pool["diskSizeGb"], pool["numThreadsPerWorker"]) == ("n2-highmem-2", 80, 3)
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 7


def test_a_job_name_is_short_enough():
    assert Names("a", "b").job == "cliptune-a-b"
    assert len(Names("0" * 12, "1" * 12).job) < 64
