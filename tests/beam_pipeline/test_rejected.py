"""`rejected.jsonl` is a manifest: it runs as it is, from any folder, and gives the same reasons again."""

import json
import shutil

import pytest
import soundfile

from tests.beam_pipeline.conftest import ledger
from tests.beam_pipeline.test_hostile_manifests import CASES
from tests.sounds import tone

REFUSED = [case for case in CASES if case.rejected and not case.error]


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """A folder with `audio/a.wav` and `audio/b.wav`, and an empty one, which is the current folder."""
    for folder in ("audio", "elsewhere"):
        (tmp_path / folder).mkdir()
    for index, name in enumerate(("a", "b")):
        soundfile.write(tmp_path / f"audio/{name}.wav", tone(440 * (index + 1), 16_000), 16_000)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def letters(output):
    return [json.loads(line) for line in (output / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]


def reasons(output):
    """The reasons of a dataset's rejected rows, in the order of their manifests' lines."""
    rows = sorted(ledger(output), key=lambda row: int(row["source"].rpartition(":")[2]))
    return [row["reason"] for row in rows]


@pytest.mark.sweep
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_rejected_rows_are_refused_again_for_the_same_reasons(case, recordings, prepare):
    manifest = recordings / f"audio/m.{case.extension}"
    manifest.write_bytes(case.content if isinstance(case.content, bytes) else case.content.encode())
    prepare("../audio/" + manifest.name, recordings / "out", "--max_rejected_fraction=1", "--audio_root=..")
    found = [letter["reject_reason"] for letter in letters(recordings / "out")]
    assert sorted(found) == sorted(case.rejected.values())
    again = prepare(recordings / "out/rejected.jsonl", recordings / "again", "--max_rejected_fraction=1")
    assert again.status == 0
    assert reasons(recordings / "again") == found
    moved = shutil.copy(recordings / "again/rejected.jsonl", recordings / "audio/moved.jsonl")
    assert prepare(moved, "once_more", "--max_rejected_fraction=1").status == 0
    assert reasons(recordings / "elsewhere/once_more") == [x["reject_reason"] for x in letters(recordings / "again")]


def test_each_row_keeps_its_own_root_and_columns(recordings, prepare):
    """After manifests of two folders and formats, with a column that a flag named."""
    (recordings / "csv").mkdir()
    (recordings / "csv/m.csv").write_text("id,audio_path,text,caption\nc,none.wav,not this one,this one\n")
    shutil.copytree(recordings / "audio", recordings / "other")
    (recordings / "other/m.jsonl").write_text(
        '{"id": "j", "audio_path": "nowhere.wav", "caption": "x", "text": "no"}\n'
        '{"id": "n", "audio_path": "a.wav", "text": "no caption"}\n'
    )
    names = ["../csv/m.csv", "--manifest=../other/m.jsonl"]
    prepare(names[0], recordings / "out", names[1], "--text_column=caption")
    found = {each["id"]: each for each in letters(recordings / "out")}
    assert {name: each["reject_reason"] for name, each in found.items()} == {
        "c": "not_found",
        "j": "not_found",
        "n": "missing_text",
    }
    assert {name: each["reject_root"].rpartition("/")[2] for name, each in found.items()} == {
        "c": "csv",
        "j": "other",
        "n": "other",
    }
    # The recordings appear; nothing of the letters is changed.
    shutil.copy(recordings / "audio/a.wav", recordings / "csv/none.wav")
    shutil.copy(recordings / "audio/b.wav", recordings / "other/nowhere.wav")
    run = prepare(recordings / "out/rejected.jsonl", "again")
    assert (run.json["accepted"], run.json["reasons"]) == (2, {"missing_text": 1})


def test_a_line_that_was_no_row_is_mended_by_its_columns(recordings, prepare):
    (recordings / "audio/m.jsonl").write_text(
        '{"id": "a", "audio_path": "a.wav", "text": "x"\n{"id": "b", "audio_path": "b.wav", "text": "y"}\n'
    )
    prepare("../audio/m.jsonl", "out", "--max_rejected_fraction=1")
    (letter,) = letters(recordings / "elsewhere/out")
    again = prepare("out/rejected.jsonl", "again")
    assert again.json["reasons"] == {"bad_row": 1}
    (told,) = letters(recordings / "elsewhere/again")
    assert told["reject_detail"].endswith('it was no row of its manifest: write its columns in the place of "line"')
    mended = json.loads(letter.pop("line") + "}") | letter
    (recordings / "elsewhere/mended.jsonl").write_text(json.dumps(mended))
    assert prepare("mended.jsonl", "mended").json["accepted"] == 1


def test_lists_without_a_header_run_again(recordings, prepare):
    (recordings / "audio/list.csv").write_text("a.wav|hello\nnone.wav|there\nb.wav|\n")
    prepare("../audio/list.csv", "out", "--max_rejected_fraction=1")
    again = prepare("out/rejected.jsonl", "again", "--max_rejected_fraction=1")
    assert again.json["reasons"] == {"missing_text": 1, "not_found": 1}


@pytest.mark.parametrize(
    ("folders", "flags", "reason"),
    [
        (["root"], [], "path_not_allowed"),
        (["root", "secret"], [], None),  # the letter says that the first run allowed the folder
        (["root"], ["--allow_path=../secret"], None),
    ],
)
def test_a_dead_letter_leads_no_further_than_its_manifest(recordings, prepare, folders, flags, reason):
    for name in ("root", "secret"):
        (recordings / name).mkdir()
    shutil.copy(recordings / "audio/a.wav", recordings / "secret/a.wav")
    root, *more = (str(recordings / name) for name in folders)
    letter = {
        "audio_path": "../secret/a.wav",
        "text": "x",
        "reject_reason": "too_long",
        "reject_source": "m.jsonl:1",
        "reject_root": root,
        "reject_allow_path": more,
    }
    (recordings / "root/letters.jsonl").write_text(json.dumps(letter))
    run = prepare("../root/letters.jsonl", "out", *flags)
    assert run.json["reasons"] == ({} if reason is None else {reason: 1})


@pytest.mark.parametrize("change", [{"reject_root": "relative"}, {"reject_root": 7}, {"reject_columns": ["text"]}])
def test_a_dead_letter_that_was_mended_wrongly_is_refused(recordings, prepare, change):
    letter = {"audio_path": "a.wav", "text": "x", "reject_reason": "silent", "reject_source": "m.jsonl:1", **change}
    (recordings / "audio/letters.jsonl").write_text(json.dumps(letter))
    assert prepare("../audio/letters.jsonl", "out").json["reasons"] == {"bad_field": 1}
