"""A user's mistakes: one clear line, the right status, and nothing is written."""

import pytest
from google.api_core import exceptions as api
from google.cloud.storage import Blob

from tests.beam_pipeline.conftest import SOME, contents, write_manifest


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no such manifest"),
        ("", "the manifest is empty"),
        ("id,audio_path,text\n", "the manifest has no rows"),
        ("id,sound,words\n1,a.wav,hello\n", "missing column audio"),
        ("id,audio_path,words\n1,a.wav,hello\n", "missing column text"),
    ],
)
def test_a_manifest_that_is_none(tmp_path, prepare, content, told):
    if content is not None:
        (tmp_path / "m.csv").write_text(content)
    run = prepare(tmp_path / "m.csv", tmp_path / "out")
    assert (run.status, run.stdout) == (1, "")
    assert told in run.stderr
    assert run.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--sample_rate=100", "--sample_rate must be between 8000 and 48000 Hz, got 100"),
        ("--sample_rate=fast", "invalid int value: 'fast'"),
        ("--audio_format=opus", "invalid choice: 'opus'"),
        ("--max_duration=0", "--max_duration must be above 0"),
        ("--validation_fraction=0.9", "--validation_fraction must be from 0 to 0.5, got 0.9"),
        ("--bitrate=64", "--bitrate must be left out: flac is lossless, got 64"),
        ("--clip_threads=0", "--clip_threads must be positive, got 0"),
        ("--sample_rat=16000", "unknown flag --sample_rat; did you mean --sample_rate?"),
    ],
)
def test_a_flag_that_breaks_its_rule(folder, prepare, flag, told):
    run = prepare(folder / "m.jsonl", folder / "out", flag)
    assert (run.status, run.stdout) == (2, "")
    assert told in run.stderr
    assert not (folder / "out").exists()


def test_an_output_that_holds_another_dataset(folder, prepare):
    write_manifest(folder / "m.jsonl", SOME[:4])
    prepare(folder / "m.jsonl", folder / "out")
    before = contents(folder / "out")
    write_manifest(folder / "m.jsonl", SOME[:5])
    refused = prepare(folder / "m.jsonl", folder / "out", "--audio_format=wav")
    assert refused.status == 1
    for word in ("settings.audio_format (flac, now wav)", "manifest.rows (4, now 5)", "--overwrite"):
        assert word in refused.stderr
    assert contents(folder / "out") == before
    assert prepare(folder / "m.jsonl", folder / "out", "--audio_format=wav", "--overwrite").json["accepted"] == 5
    fresh = prepare(folder / "m.jsonl", folder / "fresh", "--audio_format=wav")
    assert fresh.status == 0
    assert contents(folder / "out") == contents(folder / "fresh")


def test_an_output_that_is_not_ours(folder, prepare):
    (folder / "mine").mkdir()
    (folder / "mine/thesis.doc").write_text("years of work")
    run = prepare(folder / "m.jsonl", folder / "mine", "--overwrite")
    assert (run.status, "holds other files" in run.stderr) == (1, True)
    run = prepare(folder / "m.jsonl", folder / "m.jsonl")
    assert (run.status, "names a folder" in run.stderr) == (1, True)
    assert contents(folder / "mine") == {"thesis.doc": b"years of work"}


def test_an_output_that_cannot_be_written(folder, prepare):
    run = prepare(folder / "m.jsonl", "/dev/null/out")
    assert (run.status, run.stdout) == (1, "")
    assert "cannot write '/dev/null/out/run.json'" in run.stderr


def test_an_unreadable_clip_costs_one_row(folder, prepare):
    (folder / SOME[0]["audio_path"]).write_text("this is no sound")
    (folder / SOME[1]["audio_path"]).unlink()
    run = prepare(folder / "m.jsonl", folder / "out", "--max_rejected_fraction=0.5")
    assert (run.status, run.json["reasons"]) == (0, {"not_audio": 1, "not_found": 1})
    assert f"m.jsonl:1: {'not audio'}" in run.stderr


def test_a_forbidden_bucket_stops_the_run_at_once(folder, prepare, bucket, monkeypatch):
    def forbid(*args, **kwargs):
        raise api.Forbidden("no")

    write_manifest(folder / "m.jsonl", [{**row, "audio_path": f"{bucket}/{row['audio_path']}"} for row in SOME])
    monkeypatch.setattr(Blob, "download_to_file", forbid)
    run = prepare(folder / "m.jsonl", folder / "out")
    assert (run.status, run.stdout) == (1, "")
    assert "no permission for gs://cliptune-test: grant this account roles/storage.objectViewer" in run.stderr
    assert not (folder / "out/dataset.json").exists()
