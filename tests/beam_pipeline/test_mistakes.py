"""A user's mistakes: one clear line, the right status, and nothing is written."""

import os
import shutil
import sys
import traceback
from pathlib import Path
from unittest.mock import ANY

import pytest
from google.api_core import exceptions as api
from google.cloud.storage import Blob

from beam_pipeline import elsewhere
from beam_pipeline import prepare as prepare_module
from beam_pipeline.options import options_of
from tests import processes
from tests.beam_pipeline.conftest import EXAMPLES, FEW, SOME, Run, contents, write_manifest
from tests.envelopes import report_of
from transforms.dataset.clip_workers import ClipWorkers
from transforms.errors import StorageError, UsageError, UserError
from transforms.listener import SILENT

ENGINES = [[], ["--runner=BundleBasedDirectRunner"]]


def assert_one_line(run, told, status=1):
    assert (run.status, run.stdout) == (status, "")
    assert told in run.stderr
    assert run.stderr.startswith("cliptune prepare: ")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no such manifest"),
        (b"", "the manifest is empty"),
        (b"\xef\xbb\xbf\r\n", "the manifest is empty"),
        (b"id,audio_path,text\n", "the manifest has no rows"),
        (b"id,sound,words\n1,a.wav,hello\n", "missing column audio"),
        (b"id,audio_path,words\n1,a.wav,hello\n", "missing column text"),
        (b"\x1f\x8b\x08\x00 cut short", "the gzip file is damaged"),
        (b"PAR1 cut short", "m.csv: "),
    ],
)
def test_a_manifest_that_is_none(tmp_path, prepare, content, told):
    if content is not None:
        (tmp_path / "m.csv").write_bytes(content)
    assert_one_line(prepare(tmp_path / "m.csv", tmp_path / "out"), told)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ("*.csv", "*.csv: no manifest matches this pattern"),
        ("out of here/*", "no manifest matches this pattern"),
        ("https://example.com/m.jsonl", "https:// is not supported"),
        ("empty", "there is no audio file in it"),
        ("", "--manifest"),  # an unset shell variable; never the current folder
    ],
)
def test_a_manifest_that_is_nowhere(folder, prepare, manifest, told, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    run = prepare(manifest, "out")
    assert (run.status in {1, 2}, run.stdout, told in run.stderr) == (True, "", True)
    assert not (folder / "out").exists()


@pytest.mark.parametrize("column", ["id", "audio", "text"])
def test_a_column_that_is_named_and_not_there(folder, prepare, column):
    run = prepare(folder / "m.jsonl", folder / "out", f"--{column}_column=colour")
    assert_one_line(run, "missing column 'colour'; it has id, audio_path, text")
    assert f"--{column}_column" in run.stderr


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--sample_rate=7999", "--sample_rate must be between 8000 and 48000 Hz, got 7999"),
        ("--sample_rate=fast", "argument --sample_rate: invalid int value: 'fast'"),
        ("--audio_format=opus", "argument --audio_format: invalid choice: 'opus' (choose from 'flac', "),
        ("--max_duration=0", "--max_duration must be above 0 and at most 3600 s, got 0.0"),
        ("--max_duration=nan", "--max_duration must be above 0 and at most 3600 s, got nan"),
        ("--min_duration=30", "--min_duration must be from 0 to max_duration, got 30.0"),
        ("--validation_fraction=0.51", "--validation_fraction must be from 0 to 0.5, got 0.51"),
        ("--max_rejected_fraction=-0.1", "--max_rejected_fraction must be from 0 to 1, got -0.1"),
        ("--max_rejected_fraction=5", "--max_rejected_fraction must be from 0 to 1, got 5"),  # meant as 5 %
        ("--max_rejected_fraction=nan", "--max_rejected_fraction must be from 0 to 1, got nan"),
        ("--max_example_bytes=0", "--max_example_bytes must be positive, got 0"),
        ("--bitrate=64", "--bitrate must be left out: flac is lossless, got 64"),
        ("--prompt= ", "--prompt must be some text, got ' '"),
        ("--clip_workers=0", "--clip_workers must be positive, got 0"),
        ("--sample_rat=16000", "unknown flag --sample_rat; did you mean --sample_rate?"),
        ("--direct_runner_bundle_repeat=x", "--direct_runner_bundle_repeat: invalid int value: 'x'"),
        ("--runner=FnApiRuner", "FnApiRuner"),
        ("--runner=DataflowRunner", "--project"),  # and three more that Dataflow cannot do without
        ("--runner=PortableRunner", "--job_endpoint"),
    ],
)
def test_a_flag_that_breaks_its_rule(folder, prepare, flag, told):
    write_manifest(folder / "m.jsonl", FEW)
    run = prepare(folder / "m.jsonl", folder / "out", flag)
    assert (run.status, run.stdout) == (2, "")
    assert told in run.stderr
    assert not (folder / "out").exists()


def test_an_output_that_holds_another_dataset(finished, prepare):
    (finished / "out/tuning").mkdir()
    (finished / "out/tuning/job.json").write_text("what it cost")
    before = contents(finished / "out")
    write_manifest(finished / "m.jsonl", FEW)
    refused = prepare("m.jsonl", "out", "--audio_format=wav")
    changes = ("settings.audio_format (flac, now wav)", f"manifest.rows ({len(SOME)}, now {len(FEW)})", "--overwrite")
    assert_one_line(refused, "holds a dataset with other ")
    assert [word for word in changes if word not in refused.stderr] == []
    assert contents(finished / "out") == before
    assert prepare("m.jsonl", "out", "--audio_format=wav", "--overwrite").json["accepted"] == len(FEW)
    assert prepare("m.jsonl", "fresh", "--audio_format=wav").status == 0
    # No shard of the larger dataset is left; the jobs that cost money are.
    assert contents(finished / "out") == {**contents(finished / "fresh"), "tuning/job.json": b"what it cost"}


@pytest.mark.parametrize("change", ["settings", "manifest"])
def test_without_overwrite_nothing_of_the_dataset_changes(finished, prepare, change, reference):
    write_manifest(finished / "m.jsonl", SOME if change == "settings" else SOME[1:])
    flags = ["--sample_rate=8000"] if change == "settings" else []
    assert_one_line(prepare("m.jsonl", "out", *flags), f"other {change}.")
    assert contents(finished / "out") == contents(reference)


def test_overwrite_of_the_same_dataset_reuses_it(finished, prepare):
    assert prepare("m.jsonl", "out", "--overwrite").json["reused"] == len(SOME)


def test_overwrite_does_not_delete_the_manifest_that_it_reads(folder, prepare):
    """The dead letters are a manifest; mended where they lie, they may be the only copy."""
    write_manifest(folder / "m.jsonl", [*FEW, {**FEW[0], "id": "nowhere", "audio_path": "nowhere.wav"}])
    prepare(folder / "m.jsonl", folder / "out")
    letters = folder / "out/rejected.jsonl"
    letters.write_text(letters.read_text().replace("nowhere.wav", str(folder / FEW[0]["audio_path"])))
    before = letters.read_bytes()
    run = prepare(letters, folder / "out", "--overwrite")
    assert_one_line(run, "--output")
    assert letters.read_bytes() == before


def test_an_output_with_files_of_others(folder, prepare):
    (folder / "mine").mkdir()
    (folder / "mine/thesis.doc").write_text("years of work")
    for flags in ([], ["--overwrite"]):
        assert_one_line(prepare(folder / "m.jsonl", folder / "mine", *flags), "holds other files, for example ")
    assert contents(folder / "mine") == {"thesis.doc": b"years of work"}


def test_an_output_that_is_a_file(folder, prepare):
    before = (folder / "m.jsonl").read_bytes()
    assert_one_line(
        prepare(folder / "m.jsonl", folder / "m.jsonl", "--overwrite"), "is a file; --output names a folder"
    )
    assert (folder / "m.jsonl").read_bytes() == before


def test_an_output_without_a_name(folder, prepare, monkeypatch):
    """`--output "$OUT"` with OUT unset must not fill the current folder."""
    (folder / "here").mkdir()
    monkeypatch.chdir(folder / "here")
    run = prepare(folder / "m.jsonl", "")
    assert (run.status in {1, 2}, "--output" in run.stderr, list(Path().iterdir())) == (True, True, [])


def test_an_output_below_a_device(folder, prepare):
    assert_one_line(prepare(folder / "m.jsonl", "/dev/null/out"), "cannot write '/dev/null/out/run.json'")


@pytest.fixture
def nobody(tmp_path):
    """A user who may not write, not even where the tests run as root."""
    user = os.geteuid()
    top = tmp_path.parents[2 if "PYTEST_XDIST_WORKER" in os.environ else 1]  # pytest's own folder
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == user and path.is_relative_to(top):
            path.chmod(0o755)
    tmp_path.chmod(0o555)
    os.seteuid(user or 65_534)
    yield
    os.seteuid(user)
    tmp_path.chmod(0o755)


def test_an_output_that_may_not_be_written(folder, prepare, nobody):
    assert_one_line(prepare(folder / "m.jsonl", folder / "out"), "cannot write")
    assert not (folder / "out").exists()


@pytest.mark.parametrize("endpoint", ["localhost:1", "localhost", "nowhere.invalid:80", "localhost:99999"])
def test_a_job_server_that_is_not_there(folder, prepare, endpoint):
    flags = ["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--environment_type=LOOPBACK"]
    run = prepare(folder / "m.jsonl", folder / "out", *flags)
    assert_one_line(run, f"--job_endpoint={endpoint}: no job server answers at this HOST:PORT")
    assert not (folder / "out").exists()


def test_a_bad_clip_costs_one_row(folder, prepare):
    (folder / SOME[0]["audio_path"]).write_text("this is no sound")
    (folder / SOME[1]["audio_path"]).unlink()
    run = prepare(folder / "m.jsonl", folder / "out", "--max_rejected_fraction=0.5")
    assert (run.status, run.json["reasons"]) == (0, {"not_audio": 1, "not_found": 1})
    assert "m.jsonl:1: not audio" in run.stderr


@pytest.mark.parametrize("engine", ENGINES, ids=" ".join)
def test_a_forbidden_bucket_stops_the_run_with_one_line(folder, prepare, bucket, monkeypatch, engine):
    def forbid(*args, **kwargs):
        raise api.Forbidden("no")

    write_manifest(folder / "m.jsonl", [{**row, "audio_path": f"{bucket}/{row['audio_path']}"} for row in FEW])
    monkeypatch.setattr(Blob, "download_to_file", forbid)
    run = prepare(folder / "m.jsonl", folder / "out", *engine)
    assert_one_line(run, "no permission for gs://cliptune-test: grant this account roles/storage.objectViewer")
    assert "while running" not in run.stderr  # a step's name means nothing to a user
    assert not (folder / "out/dataset.json").exists()


def test_on_a_real_stderr_a_workers_fault_is_one_line_too(folder, prepare):
    """In this process pytest takes what Beam logs, tracebacks included."""
    write_manifest(folder / "m.jsonl", FEW)
    prepare(folder / "m.jsonl", folder / "out")
    shutil.rmtree(folder / "out/train")
    (folder / "out/train/train-00000-of-00001.jsonl").mkdir(parents=True)
    (folder / "out/train/train-00000-of-00001.jsonl/x").write_text("in the way of a file")
    words = [sys.executable, "-m", "cliptune", "prepare", "--manifest", folder / "m.jsonl", "--output", folder / "out"]
    done = processes.run(words, cwd=EXAMPLES.parent)
    assert "cliptune prepare: cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert_one_line(
        Run(done.returncode, report_of(done.stdout, done.returncode), done.stderr), "train-00000-of-00001.jsonl"
    )


@pytest.mark.parametrize("fault", [UserError("mend it"), StorageError("the disk is away")])
@pytest.mark.parametrize("engine", ENGINES, ids=" ".join)
def test_faults_of_workers_are_told_in_their_own_words(folder, prepare, monkeypatch, fault, engine):
    def fail(*args):
        raise fault

    write_manifest(folder / "m.jsonl", FEW)
    monkeypatch.setattr(ClipWorkers, "convert", fail)
    run = prepare(folder / "m.jsonl", folder / "out", *engine)
    assert (run.status, run.stderr) == (1, f"cliptune prepare: {fault}\n")


@pytest.mark.parametrize(
    ("fault", "message", "after", "told"),
    [
        (UserError, "mend it", " [while running 'A/B']\n", "mend it"),
        (StorageError, "it's away", "\n\nmore", "it's away"),
        (UserError, "a [b]", " [while running 'A'] with exceptions: [c]", "a [b]"),
        (UsageError, "x must be y", "\n", "x must be y"),
    ],
)
def test_faults_of_workers_elsewhere_are_found_in_their_tracebacks(monkeypatch, fault, message, after, told):
    def fail(*args):
        # As Python prints it, so that a class is found under the name it has.
        raise RuntimeError("".join(traceback.format_exception(fault(message))).rstrip("\n") + after)

    monkeypatch.setattr(elsewhere, "build", fail)
    with pytest.raises(fault) as raised:
        elsewhere.run(ANY, options_of(["--runner=FlinkRunner"]), SILENT)
    assert (type(raised.value), str(raised.value)) == (fault, told)


def test_our_own_faults_stay_tracebacks(monkeypatch):
    def fail(*args):
        raise RuntimeError("ZeroDivisionError: division by zero")

    monkeypatch.setattr(elsewhere, "build", fail)
    with pytest.raises(RuntimeError, match="division by zero"):
        elsewhere.run(ANY, options_of(["--runner=FlinkRunner"]), SILENT)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], ""),
        (["--runner=DirectRunner", "--direct_running_mode=multi_processing"], ""),
        (["--runner=SparkRunner"], "; SparkRunner may still be running its job, so end that first"),
        (["--runner=FlinkRunner"], ", or attaches to the job if there is one; with --cancel it cancels it"),
    ],
)
def test_a_job_that_outlives_its_command_is_named(folder, prepare, monkeypatch, flags, told):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare_module, "run", interrupt)
    run = prepare(folder / "m.jsonl", folder / "out", *flags)
    assert_one_line(run, f"stopped; the same command goes on from here{told}\n")


def test_beams_own_flags_are_kept_and_the_main_session_is_not_pickled():
    """With it, a package that is missing on the workers would go unnoticed until a name is missing."""
    flags = ["--runner=DataflowRunner", "--project", "test", "--dataflow_endpoint=http://localhost:1"]
    options = options_of(flags).get_all_options()
    assert (options["runner"], options["project"], options["save_main_session"]) == ("DataflowRunner", "test", False)
