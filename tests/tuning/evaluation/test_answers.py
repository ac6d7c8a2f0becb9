"""Answers of other systems, in the files that they write: each form by example."""

import csv
import json

import pytest

from transforms.errors import UserError
from transforms.storage import Storage
from tuning.evaluation import answers
from tuning.evaluation.answers import Index
from tuning.evaluation.clips import HeldOut

CLIPS = [
    HeldOut("c1", "m.csv:2", "/data/in/de/one.wav", "aa", "eins"),
    HeldOut("c2", "m.csv:3", "/data/in/de/two.flac", "bb", "zwei"),
    HeldOut("c3", "m.csv:4", "gs://b/en/one.wav", "cc", "one"),
]
WHISPER = {"text": " eins ", "segments": [{"start": 0, "end": 1, "text": " eins"}], "language": "de"}


def lines(*rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def read(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return answers.read("x", str(path), Index(CLIPS), Storage())


def said(system):
    return {clip_id: answer.text for clip_id, answer in system.answers.items()}


FILES = {
    "ours": (
        "predictions.jsonl",
        lines(
            {"clip_id": "c1", "prediction": "eins", "finish_reason": "STOP", "line_sha256": "aa", "target": "t"},
            {"clip_id": "c2", "prediction": None, "finish_reason": "SAFETY", "line_sha256": "bb", "target": "t"},
        ),
        {"c1": "eins", "c2": None},
    ),
    "plain": ("x.jsonl", lines({"id": "c1", "text": "eins"}, {"id": "c2", "text": "zwo"}), {"c1": "eins", "c2": "zwo"}),
    "NeMo": (
        "out.json",
        lines({"audio_filepath": "in/de/one.wav", "duration": 1.0, "text": "eins", "pred_text": "heinz"}),
        {"c1": "heinz"},
    ),
    "Hugging Face": ("hf.jsonl", lines({"path": "two.flac", "text": "zwei", "chunks": []}), {"c2": "zwei"}),
    "CSV by path": ("x.csv", "path,prediction\nde/one.wav,eins\nen/one.wav,one\n", {"c1": "eins", "c3": "one"}),
    "TSV by id": ("x.tsv", "id\thypothesis\nc2\tzwei\n", {"c2": "zwei"}),
    "JSON of a list": ("x.json", json.dumps([{"id": "c1", "prediction": "eins"}]), {"c1": "eins"}),
    "trn": ("x.trn", "eins und (c1)\nzwei (c2)\n (c3)\n", {"c1": "eins und", "c2": "zwei", "c3": ""}),
    "ctm": (
        "x.ctm",
        ";; words\nc1 1 0.5 0.2 und 0.9\nc1 1 0.1 0.2 eins 0.9\nc2 A 0 1 zwei\n",
        {"c1": "eins und", "c2": "zwei"},
    ),
    "Kaldi": ("text", "c1 eins und\nc2\n", {"c1": "eins und", "c2": ""}),
    "Whisper": ("two.json", json.dumps(WHISPER), {"c2": "eins"}),
    "faster-whisper": (
        "c1.json",
        json.dumps([{"start": 0, "end": 1, "text": " ein"}, {"start": 1, "end": 2, "text": "s"}]),
        {"c1": "eins"},
    ),
    "a label": ("x.jsonl", lines({"id": "c1", "prediction": {"room": 1}}), {"c1": '{"room":1}'}),
}


@pytest.mark.parametrize("name", FILES)
def test_it_is_read(name, tmp_path):
    file, content, expected = FILES[name]
    system = read(tmp_path, file, content)
    assert said(system) == expected
    assert not system.strangers


def test_a_folder_of_whisper_is_one_system(tmp_path):
    for stem in ("c1", "two", "unknown"):
        (tmp_path / f"{stem}.json").write_text(json.dumps(WHISPER))
    system = answers.read("x", str(tmp_path), Index(CLIPS), Storage())
    assert said(system) == {"c1": "eins", "c2": "eins"}
    assert system.strangers == ("unknown",)


def test_a_prediction_about_another_example_of_the_same_id_is_no_answer(tmp_path):
    old = {"clip_id": "c1", "prediction": "old", "line_sha256": "zz"}
    system = read(tmp_path, "p.jsonl", lines(old, {"clip_id": "c2", "prediction": "zwei", "line_sha256": "bb"}))
    assert said(system) == {"c2": "zwei"}
    assert system.strangers == ("c1",)
    assert "1 predictions are of no clip of the split: c1" in system.stranger_line()


def test_a_name_that_may_mean_two_clips_means_none(tmp_path):
    system = read(tmp_path, "x.csv", "path,prediction\none.wav,?\ntwo.flac,zwei\n")
    assert said(system) == {"c2": "zwei"}
    assert system.strangers == ("one.wav",)


def test_a_later_answer_replaces_an_earlier(tmp_path):
    assert said(read(tmp_path, "x.jsonl", lines({"id": "c1", "text": "a"}, {"id": "c1", "text": "b"}))) == {"c1": "b"}


def test_a_line_that_is_no_row_is_named(tmp_path):
    system = read(tmp_path, "x.jsonl", lines({"id": "c1", "text": "a"}) + '{"id": "c2", "te\n')
    assert system.strangers == (f"{tmp_path}/x.jsonl:2",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", lines({"id": "nobody", "text": "a"}), "none of its 1 names is a clip's, such as 'nobody'"),
        ("x.jsonl", lines({"id": "c1", "words": 3}), "no column of prediction, pred_text"),
        ("x.trn", "no ids here\n", "holds no answer about a clip"),
        ("x.csv", "", "is empty"),
        ("x.wav", "RIFF....WAVE", "holds no answer|no manifest|no column"),
    ],
)
def test_a_file_without_answers_is_one_line(name, content, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read(tmp_path, name, content)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        answers.read("x", str(tmp_path / "none.jsonl"), Index(CLIPS), Storage())


def test_csv_of_pandas_with_an_index(tmp_path):
    path = tmp_path / "p.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["", "clip_id", "prediction"], [0, "c1", 'he said "one", twice']])
    assert said(answers.read("x", str(path), Index(CLIPS), Storage())) == {"c1": 'he said "one", twice'}
