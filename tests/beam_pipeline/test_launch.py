"""Launches: what is refused before anything is read, staged or changed, and what a finished dataset says of itself."""

import json
import shutil
from typing import Any

import pytest

from beam_pipeline import dataflow as dataflow_engine
from beam_pipeline import elsewhere, embedded
from beam_pipeline import prepare as prepare_module
from beam_pipeline.options import options_of
from beam_pipeline.pipeline import build
from beam_pipeline.requests import PrepareRequest
from cliptune.main import main
from tests.beam_pipeline.conftest import SOME, Run, contents, write_manifest
from tests.envelopes import report_of
from transforms.audio import builds
from transforms.errors import UsageError, UserError
from transforms.storage import Storage

GOOD = {
    "--project": "test-project",
    "--region": "us-central1",
    "--temp_location": "gs://bucket/tmp",
}
ELSEWHERE = "--runner=BundleBasedDirectRunner"
BUCKETS = ("gs://bucket/m.jsonl", "gs://bucket/out")


def dataflow(**others):
    flags = {**GOOD, **{f"--{name}": value for name, value in others.items()}}
    return ["--runner=DataflowRunner", *(f"{name}={value}" for name, value in flags.items() if value is not None)]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"temp_location": "here/tmp"}, "--temp_location=here/tmp must be a gs:// folder"),
        ({"temp_location": "gs://UPPER/tmp"}, "--temp_location=gs://UPPER/tmp must be a gs:// folder"),
        ({"temp_location": None}, "Missing required option: --temp_location"),
        ({"staging_location": "staging"}, "--staging_location=staging must be a gs:// folder"),
        ({"region": "uscentral1"}, "--region=uscentral1 is not spelled like a region"),
        ({"region": "us-central1-a"}, "--region=us-central1-a is not spelled like a region"),
        ({"region": None}, "Missing required option: --region"),
        ({"project": None}, "Missing required option: --project"),
        ({"project": "My Project"}, "Invalid Project ID (My Project)"),
        ({"job_name": "My_Job"}, "--job_name=My_Job must be a-z, 0-9 and -"),
        ({"job_name": "1st"}, "--job_name=1st must be a-z, 0-9 and -"),
        ({"job_name": "cliptune-"}, "--job_name=cliptune- must be a-z, 0-9 and -"),
        ({"template_location": "templates/t"}, "--template_location=templates/t must be a gs:// file"),
        ({"service_account_email": "workers"}, "--service_account_email=workers must be the address of an account"),
        ({"labels": "Team=speech"}, "--labels=Team=speech must be KEY=VALUE of small letters"),
        ({"labels": "team=speech team"}, "--labels=team=speech team must be KEY=VALUE of small letters"),
        ({"labels": "1st=a"}, "--labels=1st=a must be KEY=VALUE of small letters"),
        ({"labels": f"a={'b' * 64}"}, "must be KEY=VALUE of small letters, digits, - and _, each of at most 63"),
        ({"setup_file": "/nowhere/setup.py"}, "--setup_file=/nowhere/setup.py is not there"),
        ({"setup_file": __file__}, f"--setup_file={__file__} must be a setup.py or pyproject.toml"),
        ({"requirements_file": "nowhere.txt"}, "--requirements_file=nowhere.txt is not there"),
        ({"extra_package": "nowhere.whl"}, "--extra_package=nowhere.whl is not there"),
        ({"extra_package": __file__}, f"--extra_package={__file__} must be a .whl, .tar.gz, .tar, .zip"),
        ({"max_num_workers": "0"}, "--max_num_workers=0 must be positive"),
        ({"number_of_worker_harness_threads": "-1"}, "--number_of_worker_harness_threads=-1 must be positive"),
        ({"num_workers": "3", "max_num_workers": "2"}, "--num_workers=3 is above --max_num_workers=2"),
    ],
)
def test_options_of_dataflow_are_checked_without_a_network(prepare, flags, told):
    """Nor does Beam make a bucket of its own for lack of a temporary location."""
    run = prepare(*BUCKETS, *dataflow(**flags))
    assert (run.status, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert told in run.stderr


@pytest.mark.parametrize(
    ("flag", "told"),
    [("--streaming", "--streaming is for pipelines without an end"), ("--update", "--update takes the place of a")],
)
def test_jobs_of_another_kind_are_refused(prepare, flag, told):
    run = prepare(*BUCKETS, *dataflow(), flag)
    assert (run.status, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert told in run.stderr


@pytest.mark.parametrize("label", ["airflow-version=v3-3-2", "team", "team=", '{"team": "speech"}', f"a={'b' * 63}"])
def test_labels_as_airflow_and_others_give_them_are_taken(label):
    dataflow_engine.check(options_of(dataflow(labels=label)))


@pytest.mark.parametrize(
    "spelled", ["dataflow", "DATAFLOWRUNNER", "apache_beam.runners.dataflow.dataflow_runner.DataflowRunner"]
)
def test_a_runner_is_the_same_however_beam_lets_it_be_spelled(prepare, spelled):
    """Else its job would have no name, and nothing would be tried before."""
    run = prepare("m.jsonl", "out", *dataflow(), f"--runner={spelled}")
    assert (run.status, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert "--runner=DataflowRunner: its workers do not have this machine's files" in run.stderr


@pytest.mark.parametrize(
    ("spelled", "name"),
    [("direct", "DirectRunner"), ("flink", "FlinkRunner"), ("my.DataflowRunner", "my.DataflowRunner"), ("Own", "Own")],
)
def test_names_of_runners(spelled, name):
    assert PrepareRequest(("m",), "out", beam_options=(f"--runner={spelled}",)).runner == name


def test_all_that_is_wrong_is_said_at_once(prepare):
    run = prepare(*BUCKETS, "--runner=DataflowRunner", "--job_name=X", "--region=x")
    for told in ("--job_name=X", "--region=x", "option: --project.", "option: --temp_location."):
        assert told in run.stderr


@pytest.mark.parametrize(
    ("manifest", "output", "flags", "told"),
    [
        ("m.jsonl", BUCKETS[1], [], "--manifest m.jsonl"),
        (BUCKETS[0], "out", [], "--output out"),
        (*BUCKETS, ["--audio_root=clips"], "--audio_root clips"),
        ("m.jsonl", "out", ["--manifest=n.csv"], "--manifest m.jsonl, --manifest n.csv, --output out"),
    ],
)
def test_files_of_this_machine_are_refused_where_workers_do_not_have_them(prepare, manifest, output, flags, told):
    run = prepare(manifest, output, *dataflow(), *flags)
    assert (run.status, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert run.stderr.endswith(f"copy them to a bucket and name them as gs://…: {told}\n")


def test_a_recording_of_this_machine_is_refused_with_its_row(bucket, prepare, tmp_path):
    rows = [{"id": "a", "audio": "gs://cliptune-test/a.wav", "text": "x"}, {"id": "b", "audio": "/b.wav", "text": "x"}]
    content = "".join(f"{json.dumps(row)}\n" for row in rows)
    Storage().write_bytes(f"{bucket}/m.jsonl", content.encode())
    run = prepare(f"{bucket}/m.jsonl", f"{bucket}/out", *dataflow(temp_location=f"{bucket}/tmp"), "--allow_path=/")
    assert (run.status, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    told = "m.jsonl:2: /b.wav is a file of this machine, which the workers of DataflowRunner do not have"
    assert told in run.stderr


@pytest.mark.parametrize("flag", ["--no_wait", "--cancel"])
@pytest.mark.parametrize("runner", [[], ["--runner=FnApiRunner"], [ELSEWHERE]])
def test_only_jobs_with_names_can_be_left_to_themselves(prepare, folder, flag, runner):
    run = prepare(folder / "m.jsonl", folder / "out", flag, *runner)
    assert (run.status, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    told = "needs a runner whose jobs can be found again: DataflowRunner, FlinkRunner, PortableRunner"
    assert f"{flag} {told}" in run.stderr
    assert not (folder / "out").exists()


# A dry run.


@pytest.mark.parametrize("runner", [[], ["--runner=BundleBasedDirectRunner"]])
@pytest.mark.parametrize("flag", ["--dry_run", "--dry_run=True"])
def test_a_dry_run_changes_nothing_on_any_runner(finished, prepare, flag, runner, monkeypatch):
    before = contents(finished)
    whole = prepare("m.jsonl", "out", flag, *runner).json
    assert (whole["found"], whole["rows"], whole["job"]) == ("finished", len(SOME), "")
    assert prepare("m.jsonl", "out", flag, "--overwrite", "--prompt=x", *runner).json["found"] == "another"
    assert prepare("m.jsonl", "new", flag, *runner).json["found"] == "nothing"
    refused = prepare("m.jsonl", "out", flag, "--prompt=x", *runner)
    assert (refused.status, "--overwrite" in refused.stderr) == (1, True)
    assert contents(finished) == before
    assert not (finished / "new").exists()


def test_a_dry_run_that_is_none_runs(finished, prepare):
    assert prepare("m.jsonl", "new", "--dry_run=False").status == 0
    assert (finished / "new/dataset.json").exists()


def test_what_an_unfinished_run_has_begun_is_found(finished, prepare):
    (finished / "out/dataset.json").unlink()
    assert prepare("m.jsonl", "out", "--dry_run").json["found"] == "begun"


@pytest.mark.parametrize("name", ["dry_run", "no_wait", "cancel"])
def test_who_calls_the_wrong_function_does_not_run_the_whole(finished, name):
    request: Any = {name: True}
    with pytest.raises(UsageError, match=f"^{name} must be left out here"):
        prepare_module.run(PrepareRequest(("m.jsonl",), "new", **request))
    assert not (finished / "new").exists()


# A submission that fails.


def test_a_runner_that_fails_before_it_begins_has_changed_nothing(finished, prepare):
    before = contents(finished / "out")
    flags = ["--overwrite", "--prompt=another", "--runner=PortableRunner", "--job_endpoint=localhost:9"]
    assert prepare("m.jsonl", "out", *flags).status == 1
    assert contents(finished / "out") == before


@pytest.mark.parametrize("runner", [[], [ELSEWHERE]])
def test_a_dataset_of_other_decoders_is_not_gone_on_with_and_each_is_named(finished, prepare, runner, monkeypatch):
    there, before = builds.builds(), contents(finished / "out")
    monkeypatch.setattr(builds, "builds", lambda: {**there, "numpy": "9.9"})
    again = prepare("m.jsonl", "out", *runner)
    assert (again.status, again.stdout, contents(finished / "out")) == (1, "", before)
    assert f"holds a dataset with other decoders.numpy ({there['numpy']}, now 9.9)" in again.stderr


# Before a merge begins.


@pytest.fixture
def mended(finished, prepare):
    """A finished dataset in `out` with a rejected row, and `mended.jsonl` with that row as it should be; its bytes."""
    wrong = {**SOME[0], "id": "mute", "text": ""}
    write_manifest(finished / "w.jsonl", [*SOME, wrong])
    assert prepare("w.jsonl", "out", "--overwrite").json["rejected"] == 1
    (letter,) = (json.loads(line) for line in (finished / "out/rejected.jsonl").read_text().splitlines())
    write_manifest(finished / "mended.jsonl", [{**letter, "text": "heard"}, {**SOME[1], "id": "added"}])
    return contents(finished / "out")


@pytest.fixture
def merge(capfd):
    def call(*flags):
        capfd.readouterr()
        status = main(["prepare", "--manifest=mended.jsonl", "--merge_into=out", *flags])
        captured = capfd.readouterr()
        return Run(status, report_of(captured.out, status), captured.err)

    return call


@pytest.mark.parametrize("runner", [[], [ELSEWHERE]])
def test_a_dry_run_of_a_merge_changes_nothing(finished, mended, merge, runner):
    found = merge("--dry_run", *runner).json
    assert (found["found"], found["rows"]) == ("unmerged", len(SOME) + 2)
    assert contents(finished / "out") == mended
    assert merge(*runner).json["accepted"] == len(SOME) + 2
    assert merge("--dry_run", *runner).json["found"] == "finished"
    (finished / "out/dataset.json").unlink()
    assert merge("--dry_run", *runner).json["found"] == "begun"


@pytest.mark.parametrize("runner", [[], [ELSEWHERE]])
def test_a_merge_that_is_done_needs_no_pipeline(finished, mended, merge, runner, monkeypatch):
    report = merge(*runner).json
    after = contents(finished / "out")
    monkeypatch.setattr("beam_pipeline.prepare._run_pipeline", None)
    assert merge(*runner).json == {**report, "reused": len(SOME) + 2}
    assert contents(finished / "out") == after


def test_a_row_that_is_still_rejected_is_tried_again(finished, mended, merge):
    """What it lacked may be there now, though the row is as it was."""
    letters = (finished / "out/rejected.jsonl").read_text()
    (finished / "mended.jsonl").write_text(letters)
    for _ in range(2):
        assert merge("--dry_run").json["found"] == "unmerged"
        assert merge().json["rejected"] == 1
    assert contents(finished / "out") == mended


@pytest.mark.parametrize(
    "step",
    [
        "beam_pipeline.elsewhere.build",  # nothing is submitted
        "beam_pipeline.pipeline.builds.refuse_others",  # a worker has begun, and has read all rows
        "transforms.dataset.merging.MergeRecords.write",  # and would claim the output now
    ],
)
def test_a_merge_that_fails_before_the_output_is_claimed_has_changed_nothing(
    finished, mended, merge, monkeypatch, step
):
    def refused(*given):
        raise UserError("refused")

    with monkeypatch.context() as patch:
        patch.setattr(step, refused)
        run = merge(ELSEWHERE)
    assert (run.status, run.stdout, run.stderr.splitlines()[-1]) == (1, "", "cliptune prepare: refused")
    assert contents(finished / "out") == mended
    assert merge(ELSEWHERE).json["accepted"] == len(SOME) + 2
    there = contents(finished / "out")
    assert {"mended.jsonl", "added.jsonl"} <= there.keys()


def test_a_merge_whose_dataset_is_replaced_before_a_worker_begins_writes_nothing(
    finished, mended, merge, prepare, monkeypatch
):
    def late(pipeline, job):
        assert prepare("m.jsonl", "out", "--overwrite", "--prompt=another").status == 0
        replaced.update(contents(finished / "out"))
        build(pipeline, job)

    replaced: dict[str, bytes] = {}
    monkeypatch.setattr(elsewhere, "build", late)
    run = merge(ELSEWHERE)
    assert (run.status, run.stdout) == (1, "")
    assert run.stderr.splitlines()[-1].endswith("while this one ran; nothing is merged")
    assert contents(finished / "out") == replaced


def test_rows_to_be_merged_may_be_of_this_machine_where_the_manifests_may_not(bucket, prepare, merge, finished, capfd):
    """Workers get the rows that are merged with their job; what the dataset was made from they read themselves."""
    assert prepare("m.jsonl", f"{bucket}/out").status == 0
    words = ["prepare", "--manifest=m.jsonl", f"--merge_into={bucket}/out", *dataflow(temp_location=f"{bucket}/tmp")]
    assert main(words) == 1
    (line,) = capfd.readouterr().err.splitlines()[-1:]
    assert "m.jsonl, from which the dataset was made, is a file of this machine" in line


# A report of its own.


@pytest.fixture
def report(capfd):
    def call(*words):
        capfd.readouterr()
        status = main(["report", *map(str, words)])
        captured = capfd.readouterr()
        return Run(status, report_of(captured.out, status), captured.err)

    return call


def test_a_report_says_what_prepare_has_said(folder, prepare, report, monkeypatch):
    monkeypatch.chdir(folder)
    gone = {"id": "gone", "audio_path": "gone.wav", "text": "x"}
    write_manifest(folder / "m.jsonl", [*SOME[:9], gone])
    run = prepare("m.jsonl", "out", "--max_rejected_fraction=0.05")
    assert (run.status, report("out").status) == (3, 0)
    assert report("out", "--gate").json == run.json
    # A tenth of the rows is rejected: both sides of the limit.
    assert report("out", "--gate", "--max_rejected_fraction=0.1").status == 0
    assert report("out", "--gate", "--max_rejected_fraction=0.099").status == 3
    assert report("out", "--gate").status == 3


@pytest.mark.parametrize(
    ("name", "told"),
    [("dataset.json", "dataset.json is not there"), ("report.json", "report.json is not there")],
)
def test_there_is_no_report_of_an_unfinished_dataset(finished, report, name, told):
    (finished / "out" / name).unlink()
    run = report("out", "--gate")
    assert (run.status, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert told in run.stderr


def test_a_report_of_another_run_is_not_believed(finished, prepare, report):
    assert prepare("m.jsonl", "new", "--prompt=another").status == 0
    shutil.copy("new/dataset.json", "out/dataset.json")
    run = report("out")
    assert (run.status, run.stdout) == (1, "")
    assert "out/dataset.json is not of the run that checksums.json lists" in run.stderr
    shutil.copy("new/checksums.json", "out/checksums.json")
    assert "out/report.json is not of the run" in report("out").stderr


def test_an_old_dataset_is_not_taken_for_the_result_of_a_run_that_did_nothing(finished, prepare, monkeypatch):
    run = prepare("m.jsonl", "out", "--verify")
    assert run.status == 0
    before = contents(finished / "out")
    monkeypatch.setattr(embedded, "run", lambda job, options, listener: None)
    monkeypatch.setattr("beam_pipeline.prepare._until_nothing_is_forgotten", lambda *given: _nothing())
    run = prepare("m.jsonl", "out", "--runner=BundleBasedDirectRunner", "--verify")
    assert (run.status, run.stdout) == (1, "")
    assert "has ended without finishing" in run.stderr
    assert contents(finished / "out") == before


def _nothing():
    from beam_pipeline.job import Ran  # noqa: PLC0415 -- imports Beam's neighbours

    return Ran(0)
