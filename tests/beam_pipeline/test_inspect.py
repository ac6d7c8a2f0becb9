"""`cliptune inspect`: every step of a clip with its length and level, and the same payload that the dataset has."""

import json

import numpy as np
import pytest
import soundfile

from beam_pipeline import inspect
from beam_pipeline.requests import InspectRequest
from tests.beam_pipeline.conftest import examples, folder, prepare, write_manifest
from tests.beam_pipeline.test_suspects import run
from tests.sounds import tone
from transforms.dataset import example
from transforms.storage import Storage
from transforms.workers.pool import WorkerDied

__all__ = ["folder", "prepare", "run"]  # fixtures


@pytest.fixture
def stereo(tmp_path, monkeypatch):
    """Two channels at 48 kHz: a tone between silences, and nothing."""
    monkeypatch.chdir(tmp_path)
    left = np.concatenate([np.zeros(48_000), tone(300, 48_000, 1.0), np.zeros(48_000)])
    soundfile.write("two.wav", np.stack([left, 0 * left], 1), 48_000, "PCM_16")
    rows = [
        {"id": "both", "audio": "two.wav", "text": "a"},
        {"id": "left", "audio": "two.wav", "text": "b", "channel": 0},
        {"id": "right", "audio": "two.wav", "text": "c", "channel": 1},
        {"id": "part", "audio": "two.wav", "text": "d", "offset": 1.0, "duration": 0.5},
        {"id": "mute", "audio": "gone.wav", "text": "e"},
        {"id": "bare", "audio": "two.wav"},
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    return tmp_path


def payload(request):
    found = inspect.run(request).payload
    assert found is not None
    return found.content


def steps(tree):
    return {step["name"]: step for step in tree["steps"]}


def test_each_step_has_its_length_its_rate_and_its_level(stereo, run):
    told = run("inspect", "m.jsonl:1")
    found = steps(told.json)
    assert [*found] == ["sniff", "decode", "mono", "resample", "trim", "encode", "example"]
    assert "wav" in found["sniff"]["detail"]
    assert (found["decode"]["samples"], found["decode"]["sample_rate"], found["decode"]["channels"]) == (
        144_000,
        48_000,
        2,
    )
    assert (found["mono"]["samples"], found["mono"]["channels"]) == (144_000, 1)
    assert found["mono"]["peak_dbfs"] == pytest.approx(found["decode"]["peak_dbfs"] - 6.0, abs=0.1)
    assert (found["resample"]["samples"], found["resample"]["sample_rate"]) == (48_000, 16_000)
    assert found["trim"]["seconds"] == pytest.approx(1.2, abs=0.02)  # and a tenth of a second at both ends
    assert found["trim"]["detail"].startswith("0.9")
    assert found["trim"]["rms_dbfs"] > found["resample"]["rms_dbfs"]
    assert (told.status, told.json["reason"]) == (0, "")
    assert all(name in told.stderr for name in found)


@pytest.mark.parametrize(
    ("line", "last", "reason"),
    [
        (2, "example", ""),
        (3, "resample", "silent"),
        (4, "example", ""),
        (5, None, "not_found"),
        (6, None, "missing_text"),
    ],
)
def test_a_refusal_comes_behind_the_steps_that_went_well(stereo, run, line, last, reason):
    told = run("inspect", f"m.jsonl:{line}")
    assert (told.status, told.json["reason"]) == (0, reason)
    assert next(reversed(steps(told.json)), None) == last
    assert (told.json["example"] is not None) == (reason == "")
    assert (f"refused: {reason}" in told.stderr) == bool(reason)


def test_the_payload_is_that_of_the_dataset(stereo, prepare, run):
    prepare("m.jsonl", "out", "--max_rejected_fraction=1", "--validation_fraction=0")
    trees = examples(stereo / "out", "train")
    for number, tree in enumerate(trees, 1):
        told = run("inspect", f"out/train/train-00000-of-00001.jsonl:{number}", "--save", f"{number}.flac")
        line = json.dumps(tree, separators=(",", ":")).encode()
        assert (stereo / f"{number}.flac").read_bytes() == example.payload(line, "audio/flac").content
        assert told.json["outcome"]["line_index"] == number - 1
        assert told.json["outcome"]["status"] == "accepted"
        again = inspect.run(InspectRequest("out", told.json["clip_id"]))
        assert again.report.as_dict() == {
            **{name: value for name, value in told.json.items() if name != "ok"},
            "place": "out",
            "saved": "",
            "steps": again.report.as_dict()["steps"],
        }
        assert payload(InspectRequest("out", told.json["clip_id"])) == (stereo / f"{number}.flac").read_bytes()
        of_row = inspect.run(InspectRequest(told.json["source"]))
        assert of_row.payload == again.payload
        assert of_row.report.example == again.report.example
    assert run("inspect", "out/train-00000-of-00001.jsonl:1").json["clip_id"]
    short = run("inspect", f"out/train/train-00000-of-00001.jsonl:{len(trees) + 1}")
    assert (short.status, "no example there" in short.stderr) == (1, True)


@pytest.mark.parametrize(("clip_id", "reason"), [("mute", "not_found"), ("bare", "missing_text"), ("right", "silent")])
def test_a_rejected_row_is_found_by_its_id(stereo, prepare, run, clip_id, reason):
    prepare("m.jsonl", "out", "--max_rejected_fraction=1")
    told = run("inspect", "out", clip_id)
    assert (told.json["outcome"]["reason"], told.json["reason"], told.json["clip_id"]) == (reason, reason, clip_id)
    assert f"the dataset has rejected it: {reason}" in told.stderr
    saved = run("inspect", "out", clip_id, "--save", "x.flac")
    assert (saved.status, "has no payload" in saved.stderr, (stereo / "x.flac").exists()) == (1, True, False)


def test_a_recording_that_is_right_now_says_what_was_wrong(stereo, prepare, run):
    prepare("m.jsonl", "out", "--max_rejected_fraction=1")
    (stereo / "gone.wav").write_bytes((stereo / "two.wav").read_bytes())
    told = run("inspect", "out", "mute")
    assert (told.json["outcome"]["reason"], told.json["reason"], told.json["example"] is not None) == (
        "not_found",
        "",
        True,
    )


def test_a_dataset_without_its_manifests_still_has_its_examples(stereo, prepare, run):
    prepare("m.jsonl", "out", "--max_rejected_fraction=1")
    (stereo / "m.jsonl").unlink()
    told = run("inspect", "out", "both", "--save", "x.flac")
    assert (told.status, told.json["example"] is not None, told.json["steps"]) == (0, True, [])
    assert "its steps are not known" in told.stderr
    assert soundfile.info(stereo / "x.flac").samplerate == 16_000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.wav"], "none.wav: no such file"),
        (["m.jsonl:9"], "m.jsonl:9: the manifest has no row there"),
        (["none.jsonl:1"], "none.jsonl: there is no such manifest"),
        (["none", "a"], "there is no dataset"),
        (["two.wav", "a"], "there is no dataset"),
        (["."], "a folder, and no dataset"),
    ],
)
def test_what_is_not_there_is_one_line(stereo, run, words, told):
    done = run("inspect", *words)
    assert (done.status, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert told in done.stderr


def test_what_a_worker_dies_of_is_a_reason(stereo, run, monkeypatch):
    def dies(self, task, answer, needs=0):
        raise WorkerDied("killed", hopeless=True)

    monkeypatch.setattr("transforms.workers.pool.Pool.run", dies)
    told = run("inspect", "m.jsonl:1")
    assert (told.status, told.json["reason"], told.json["steps"]) == (0, "decoder_fault", [])


def test_a_file_that_is_no_audio_says_so(stereo, run):
    (stereo / "text.wav").write_text("no audio at all, but words\n" * 9)
    told = run("inspect", "text.wav")
    assert (told.status, told.json["reason"], told.json["steps"]) == (0, "not_audio", [])


def test_in_a_bucket_it_is_the_same(bucket, stereo, prepare, run):
    storage = Storage()
    for name in ("two.wav", "m.jsonl"):
        storage.write_bytes(f"{bucket}/{name}", (stereo / name).read_bytes())
    here, far = run("inspect", "m.jsonl:1").json, run("inspect", f"{bucket}/m.jsonl:1").json
    assert (far["steps"], far["example"]) == (here["steps"], here["example"])
    prepare(f"{bucket}/m.jsonl", f"{bucket}/out", "--max_rejected_fraction=1")
    told = run("inspect", f"{bucket}/out", "part", "--save", f"{bucket}/part.flac")
    assert (told.json["outcome"]["status"], told.json["reason"]) == ("accepted", "")
    assert storage.read_bytes(f"{bucket}/part.flac") == payload(InspectRequest("m.jsonl:4"))


PLAYER = '#!/bin/sh\nfor last; do :; done\ncp "$last" "$HEARD"\n'


def test_a_player_that_is_there_is_given_the_payload(stereo, run, monkeypatch):
    (stereo / "bin").mkdir()
    (stereo / "bin/ffplay").write_text(PLAYER)
    (stereo / "bin/ffplay").chmod(0o755)
    monkeypatch.setenv("PATH", f"{stereo}/bin:/bin:/usr/bin")
    monkeypatch.setenv("HEARD", str(stereo / "heard"))
    assert run("inspect", "m.jsonl:1", "--play").status == 0
    assert (stereo / "heard").read_bytes() == payload(InspectRequest("m.jsonl:1"))
    assert "no payload" in run("inspect", "m.jsonl:3", "--play").stderr


def test_without_a_player_it_says_what_would_do(stereo, run, monkeypatch):
    monkeypatch.setenv("PATH", str(stereo))
    told = run("inspect", "m.jsonl:1", "--play")
    assert (told.status, "none of ffplay, afplay" in told.stderr) == (1, True)
