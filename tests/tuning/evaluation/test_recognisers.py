"""What recognisers and their users write, as it is found on disks: odd forms, odd encodings, gaps and doubles."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tuning.evaluation.test_answers import CLIPS, lines, read, said
from transforms.errors import UserError
from transforms.storage import Storage
from tuning.evaluation import answers
from tuning.evaluation.answers import Index
from tuning.evaluation.clips import HeldOut

SEGMENT = {"start": 0.0, "end": 1.5, "text": " eins"}
API = {"task": "transcribe", "language": "german", "duration": 1.5, "text": "eins", "segments": [{**SEGMENT, "id": 0}]}
WHISPERX = {"segments": [{**SEGMENT, "text": "eins"}, {**SEGMENT, "text": "zwei"}], "word_segments": []}
CPP = {
    "systeminfo": "", "model": {"type": "base"}, "params": {}, "result": {"language": "de"},
    "transcription": [{"timestamps": {"from": "0"}, "offsets": {"from": 0}, "text": " eins"}],
}  # fmt: skip
CHINESE = {"segments": [{**SEGMENT, "text": "今天"}, {**SEGMENT, "text": "天气"}]}
FORMS = {
    "Whisper's API": ("c1.json", json.dumps(API), {"c1": "eins"}),
    "WhisperX": ("c1.json", json.dumps(WHISPERX), {"c1": "eins zwei"}),
    "whisper.cpp": ("two.flac.json", json.dumps(CPP), {"c2": "eins"}),
    "Chinese segments": ("c1.json", json.dumps(CHINESE), {"c1": "今天天气"}),
    "silence": ("c1.json", json.dumps({"segments": [], "language": "de"}), {"c1": ""}),
    "chunks": ("c1.json", json.dumps({"chunks": [{"timestamp": [0, 1], "text": " eins"}]}), {"c1": "eins"}),
    "an object of ids": ("x.json", json.dumps({"c1": "eins", "c2": None}), {"c1": "eins", "c2": None}),
    "NeMo with a model's name": (
        "x.jsonl",
        lines({"audio_filepath": "de/one.wav", "text": "eins", "pred_text": "heins"}),
        {"c1": "heins"},
    ),
    "Kaldi with tabs": ("hyp.txt", "c1\teins  und\nc2\tzwei\n", {"c1": "eins  und", "c2": "zwei"}),
    "CSV named .txt": ("hyp.txt", "id,prediction\nc1,eins\n", {"c1": "eins"}),
    "JSONL named .txt": ("hyp.txt", lines({"id": "c1", "text": "eins"}), {"c1": "eins"}),
    "semicolons": ("x.csv", "id;prediction\nc1;eins, zwei\n", {"c1": "eins, zwei"}),
    "a BOM": ("x.csv", "\ufeffid,prediction\nc1,eins\n", {"c1": "eins"}),
    "a BOM before lines": ("x.trn", "\ufeffeins (c1)\r\nzwei (c2)\r\n", {"c1": "eins", "c2": "zwei"}),
    "a BOM before JSON": ("c1.json", "\ufeff" + json.dumps(API), {"c1": "eins"}),
    "a line separator in a text": ("text", "c1 eins\u2028und\x85mehr\n", {"c1": "eins\u2028und\x85mehr"}),
    "ctm with words that are none": ("x.ctm", "c1 1 0 1 <eps>\nc1 1 1 1 eins\n", {"c1": "eins"}),
    "capitals in the header": ("x.csv", "ID,Prediction\nc1,eins\n", {"c1": "eins"}),
    "an empty cell": ("x.csv", "id,prediction\nc1,\nc2,zwei\n", {"c1": "", "c2": "zwei"}),
    "a number": ("x.jsonl", lines({"id": "c1", "text": 7}), {"c1": "7"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_it_is_read(name, tmp_path):
    file, content, expected = FORMS[name]
    assert said(read(tmp_path, file, content)) == expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("file", ["x.csv", "x.trn", "c1.json"])
def test_encodings_with_a_mark_are_read(encoding, file, tmp_path):
    content = {"x.csv": "id,prediction\nc1,größe\n", "x.trn": "größe (c1)\n", "c1.json": json.dumps({"text": "größe"})}
    (tmp_path / file).write_bytes(content[file].encode(encoding))
    assert said(answers.read("x", str(tmp_path / file), Index(CLIPS), Storage())) == {"c1": "größe"}


@pytest.mark.parametrize("file", ["x.trn", "text", "x.csv"])
def test_another_encoding_is_refused_not_guessed(file, tmp_path):
    (tmp_path / file).write_bytes("id,prediction\nc1 größe (c1)\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"not valid UTF-8; save it as UTF-8|holds no answer"):
        answers.read("x", str(tmp_path / file), Index(CLIPS), Storage())


def test_lines_that_are_none_are_named(tmp_path):
    assert read(tmp_path, "x.trn", "eins (c1)\nno id\n").strangers == (f"{tmp_path}/x.trn:2",)
    assert read(tmp_path, "x.ctm", "c1 1 0 1 eins\nc2 1 zero 1 zwei\n").strangers == (f"{tmp_path}/x.ctm:2",)


def test_ids_with_blanks_are_found_in_trn(tmp_path):
    clips = [HeldOut("clip 1", "m:1", "/a.wav", "", "")]
    (tmp_path / "x.trn").write_text("eins und (clip 1)\n")
    assert said(answers.read("x", str(tmp_path / "x.trn"), Index(clips), Storage())) == {"clip 1": "eins und"}


def test_clips_that_are_answered_twice_are_named_and_the_last_answer_counts(tmp_path):
    system = read(
        tmp_path, "x.jsonl", lines(*({"id": "c1", "text": text} for text in "abc"), {"id": "c2", "text": "d"})
    )
    assert said(system) == {"c1": "c", "c2": "d"}
    assert system.repeated == {"c1"}
    assert system.repeated_line().endswith("1 clips are answered more than once, the last counts: c1")


def test_a_row_without_an_answer_does_not_fall_back_on_what_should_have_been_said(tmp_path):
    """NeMo's manifest has the target as `text`: a row without `pred_text` would be right to the letter."""
    rows = [{"id": "c1", "text": "target", "pred_text": "eins"}, {"id": "c2", "text": "target"}]
    assert said(read(tmp_path, "x.jsonl", lines(*rows))) == {"c1": "eins", "c2": None}
    with pytest.raises(UserError, match=r"x\.jsonl:2: has 'pred_text', while the rows before it have 'text'"):
        read(tmp_path, "x.jsonl", lines(*reversed(rows)))


def test_a_parquet_with_gaps_of_pandas(tmp_path):
    table = pa.table({"id": ["c1", "c2", "c3"], "prediction": ["eins", None, ""]})
    pq.write_table(table, tmp_path / "x.parquet")
    system = answers.read("x", str(tmp_path / "x.parquet"), Index(CLIPS), Storage())
    assert said(system) == {"c1": "eins", "c2": None, "c3": ""}
    pq.write_table(pa.table({"id": ["c1"], "prediction": [float("nan")]}), tmp_path / "y.parquet")
    assert said(answers.read("x", str(tmp_path / "y.parquet"), Index(CLIPS), Storage())) == {"c1": None}


def test_a_folder_of_folders_tells_clips_of_one_name_apart(tmp_path):
    for name, text in (("de/one.json", "eins"), ("en/one.wav.json", "one"), ("notes.json", None)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"text": text} if text else [1, 2]))
    system = answers.read("x", str(tmp_path), Index(CLIPS), Storage())
    assert said(system) == {"c1": "eins", "c3": "one"}
    assert system.strangers == ("notes.json",)


def test_a_folder_of_texts_is_read_where_there_is_no_json(tmp_path):
    (tmp_path / "two.txt").write_text("zwei\n")
    (tmp_path / "two.srt").write_text("1\n00:00 --> 00:01\nzwei\n")
    assert said(answers.read("x", str(tmp_path), Index(CLIPS), Storage())) == {"c2": "zwei"}


def test_a_file_that_repeats_the_targets_is_suspected():
    clips = [HeldOut(f"c{n}", "m:1", f"/{n}.wav", "", f"this is text {n}") for n in range(10)]
    right = {clip.clip_id: answers.Answer(clip.target) for clip in clips}
    assert Index(clips).is_copied(right)
    assert not Index(clips).is_copied(right | {"c0": answers.Answer("this is text")})
    assert not Index(clips[:9]).is_copied({name: right[name] for name in list(right)[:9]})
    short = [HeldOut(f"c{n}", "m:1", "", "", "yes") for n in range(10)]
    assert not Index(short).is_copied({clip.clip_id: answers.Answer("yes") for clip in short})
