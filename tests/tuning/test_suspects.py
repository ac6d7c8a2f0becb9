"""`cliptune suspects` on a small dataset: what is written, counted and said."""

import json
import shutil

import numpy as np
import pytest

from tests.tuning.conftest import prepare
from tests.tuning.test_evaluate import Told
from transforms.errors import UsageError, UserError
from transforms.storage import Storage
from tuning import dataset, predictions, suspects
from tuning.evaluation import clips
from tuning.predictions import Prediction
from tuning.requests import DEFAULT_MIN_SCORE, SuspectsRequest


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("suspected"), count=40, validation_fraction=0.2)


@pytest.fixture
def prepared(whole, tmp_path):
    return dataset.load(str(shutil.copytree(whole, tmp_path / "out")), Storage())


def train(prepared):
    return clips.of(prepared, "train")


def suspected(prepared, **fields):
    told = Told()
    report = suspects.run(SuspectsRequest(prepared.uri, **fields), told)
    written = prepared.storage.read_bytes(f"{prepared.uri}/evaluation/suspects.jsonl").splitlines()
    return report, [json.loads(line) for line in written], told.lines


def said(tmp_path, prepared, name, answer):
    file = tmp_path / f"{name}.jsonl"
    rows = ({"clip_id": clip.clip_id, "prediction": answer(clip)} for clip in train(prepared))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return (name, str(file))


def other(clip):
    return "something else was said here" if clip.clip_id in ("c3", "c8") else clip.target


def test_without_answers_equal_tones_and_texts_are_no_suspects(prepared):
    report, written, told = suspected(prepared)
    assert (report.ok, report.split, report.suspects, written) == (True, "train", 0, [])
    assert report.clips == report.judged == len(train(prepared))
    assert any("no system was heard; far more is found with answers: cliptune predict" in line for line in told)
    assert any(line.startswith("warning: suspects cannot be merged back: ") for line in told)


def test_what_another_system_heard_is_the_first_suspect(prepared, tmp_path):
    wrong = [clip for clip in train(prepared) if other(clip) != clip.target]
    report, written, told = suspected(prepared, predictions=(said(tmp_path, prepared, "whisper", other),))
    assert [row["clip_id"] for row in written] == [clip.clip_id for clip in wrong]
    assert all(row["score"] > DEFAULT_MIN_SCORE for row in written)
    assert written[0]["source"] == wrong[0].source
    assert written[0]["why"].startswith('whisper heard "something else was said here" (CER ')
    assert (report.suspects, report.without_row) == (len(wrong), len(wrong))
    assert report.as_dict()["systems"] == {"whisper": {"answers": report.clips, "strangers": 0, "tells": True}}
    assert any(wrong[0].source in line and "whisper heard" in line for line in told)


def test_the_base_model_is_found_and_the_tuned_one_has_learnt_the_texts(prepared):
    """Asked about "train", a tuned model says what it was taught; about "validation" it does not know the texts."""
    for split in ("train", "validation"):
        for name in (f"predictions-{split}-gemini-3.5-flash", f"runs/r/predictions-{split}-tuned-1"):
            answered_in(prepared, name, split)
    report, _, _ = suspected(prepared)
    assert list(report.systems) == ["base"]


def answered_in(prepared, name, split):
    lines = [
        predictions.dump(Prediction(clip.clip_id, clip.source, clip.target, clip.target, "STOP", "m", clip.line_sha256))
        for clip in clips.of(prepared, split)
    ]
    prepared.storage.write_bytes(prepared.tuning_uri(f"{name}.jsonl"), b"".join(lines))


def test_min_score_0_writes_all_that_can_be_judged_and_1_none(prepared):
    report, written, _ = suspected(prepared, min_score=0)
    assert report.suspects == len(written) == report.judged
    assert [row["score"] for row in written] == sorted((row["score"] for row in written), reverse=True)
    assert suspected(prepared, min_score=1)[0].suspects == 0


def test_the_same_command_writes_the_same_bytes(prepared, tmp_path):
    pair = said(tmp_path, prepared, "w", other)
    first = suspected(prepared, predictions=(pair,), min_score=0)
    assert suspected(prepared, predictions=(pair,), min_score=0) == first


def test_another_split_is_looked_at(prepared):
    report, written, _ = suspected(prepared, split="validation", min_score=0)
    ids = {clip.clip_id for clip in clips.of(prepared, "validation")}
    assert report.clips == len(ids)
    assert {row["clip_id"] for row in written} <= ids


def test_few_clips_are_left_out_with_a_count(tmp_path):
    out = prepare(tmp_path, count=6, validation_fraction=0)
    report, written, told = suspected(dataset.load(str(out), Storage()))
    assert (report.judged, report.left_out, written) == (0, {"text": 6}, [])
    assert any(line.startswith("6 of 6 clips left out: too few") for line in told)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"split": "test"}, "has no test clips to look at"),
        ({"predictions": (("w", "/nowhere.jsonl"),)}, "--predictions w=/nowhere.jsonl: there is no such file"),
    ],
)
def test_what_is_not_there_is_told(prepared, fields, problem):
    with pytest.raises(UserError, match=problem):
        suspected(prepared, **fields)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"split": "dev"}, "split"),
        ({"normalizer": "x"}, "normalizer"),
        ({"min_score": -0.1}, "min_score"),
        ({"min_score": 1.1}, "min_score"),
        ({"min_score": np.nan}, "min_score"),
        ({"min_score": "0.5"}, "min_score"),
        ({"predictions": (("a b", "f"),)}, "predictions"),
        ({"predictions": (("a", "f"), ("a", "g"))}, "predictions"),
    ],
)
def test_a_request_checks_itself(fields, field):
    with pytest.raises(UsageError) as fault:
        SuspectsRequest("out", **fields)
    assert fault.value.field == field
