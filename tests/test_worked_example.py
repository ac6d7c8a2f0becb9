"""docs/evaluate.md's worked example: its commands make the page, and pocketsphinx says what is written down of it."""

import importlib.util
import io
import json
import re
import shlex
import shutil
import sys
from collections import Counter

import pytest
import soundfile

from cliptune.main import main
from examples import recognise, worked
from tests.cliptune.test_commands import run
from tests.tuning.test_tuning_docs import checkout

__all__ = ["checkout", "run"]  # fixtures

PAGE = worked.PAGE.read_text(encoding="utf-8")
ROWS, BUNDLED, HEARD = (
    [json.loads(line) for line in (worked.ROOT / f"examples/{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    for name in ("english", "manifest", "pocketsphinx")
)
HELD_OUT = [row for row in ROWS if row["split"] == "test"]
WITHOUT = "there is no wheel of pocketsphinx for this Python on this machine (setup.py's marker says where)"
needs_pocketsphinx = pytest.mark.skipif(importlib.util.find_spec("pocketsphinx") is None, reason=WITHOUT)


def test_the_rows_are_those_of_the_bundled_recordings():
    bundled = {row["id"]: (row["audio_path"], row["text"]) for row in BUNDLED}
    assert all(bundled[row["id"]] == (row["audio_path"], row["text"]) for row in ROWS)
    assert len({row["id"] for row in ROWS}) == len(ROWS)


def test_only_english_is_held_out_and_no_group_is_on_both_sides():
    assert {row["language"] for row in HELD_OUT} == {"en", "en-US"}
    trained = [row for row in ROWS if row["split"] != "test"]
    assert not {row.get("language", "").partition("-")[0] for row in trained} & {"en"}
    assert not {row["group"] for row in trained} & {row["group"] for row in HELD_OUT}


def test_no_recording_is_held_out_twice():
    """What one speaker says twice is either one recording in two formats, or two of a list of words."""
    said = Counter((row["group"], row["text"]) for row in HELD_OUT)
    assert {key for key, count in said.items() if count > 1} == {("theo", "five"), ("mycroft_precise", "athena")}


def test_the_page_is_what_its_commands_make_word_for_word(run, checkout):
    """All but the recogniser, whose answers are compared below."""
    part = PAGE.partition(worked.BEGIN)[2].partition(worked.END)[0]
    commands = re.findall(r"^    (\w.*)$", part, re.MULTILINE)
    assert commands == [*worked.COMMANDS]
    for command in commands:
        if command == worked.RECOGNISE:
            shutil.copy(worked.HEARD, checkout / "pocketsphinx.jsonl")
            continue
        status, stdout, stderr = run(*shlex.split(command)[1:])
        assert status == 0, f"{command}\n{stderr}"
    evaluation = json.loads(stdout)
    assert list(evaluation["systems"]) == ["tuned", "base", "pocketsphinx"]
    assert worked.part(evaluation) == part, "python -m examples.worked"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("worked") / "english"
    assert main(["prepare", "--manifest", str(worked.ROOT / "examples/english.jsonl"), "--output", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def shown(dataset):
    """The audio of each held-out clip, as a model is shown it."""
    return dict(recognise.recordings(str(dataset), "test"))


def heard(content):
    samples, rate = soundfile.read(io.BytesIO(content), dtype="int16")
    return recognise.pocketsphinx(samples, rate)


def test_every_held_out_clip_has_its_answer(shown):
    assert [answer["clip_id"] for answer in HEARD] == [*shown]


@needs_pocketsphinx
def test_pocketsphinx_hears_what_is_written_down(shown):
    """Of three short clips; all of them take minutes."""
    few = ("google_samples-python_dialogflow_today-wav", "fsdd-5_theo_4-wav", "fsdd-2_yweweler_48-wav")
    assert {name: heard(shown[name]) for name in few} == {
        answer["clip_id"]: answer["prediction"] for answer in HEARD if answer["clip_id"] in few
    }


@needs_pocketsphinx
@pytest.mark.sweep
@pytest.mark.timeout(1_500)
def test_pocketsphinx_hears_all_that_is_written_down(shown):
    assert {name: heard(content) for name, content in shown.items()} == {
        answer["clip_id"]: answer["prediction"] for answer in HEARD
    }


def asked(monkeypatch, folder, file):
    monkeypatch.setattr(sys, "argv", ["recognise", str(folder), str(file), "--split", "test"])
    return recognise.main()


def test_the_command_writes_a_line_for_each_clip(monkeypatch, tmp_path, dataset, shown):
    monkeypatch.setattr(recognise, "pocketsphinx", lambda samples, rate: f"{samples.dtype} {samples.ndim} {rate}")
    assert asked(monkeypatch, dataset, tmp_path / "answers") == 0
    lines = [json.loads(line) for line in (tmp_path / "answers").read_text(encoding="utf-8").splitlines()]
    assert lines == [{"clip_id": name, "prediction": "int16 1 16000"} for name in shown]


def test_what_cannot_be_recognised_is_said_in_one_line(monkeypatch, tmp_path, dataset, capfd):
    assert asked(monkeypatch, tmp_path / "nothing", tmp_path / "answers") == 1
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    assert asked(monkeypatch, dataset, tmp_path / "answers") == 1
    first, *_, last = capfd.readouterr().err.splitlines()
    assert "nothing" in first
    assert last == "pocketsphinx is not installed: pip install pocketsphinx"
    assert not (tmp_path / "answers").exists()


def test_only_what_stands_between_the_marks_is_written():
    before, after = f"# A page\n{worked.BEGIN}", f"{worked.END}more\n"
    assert worked.put(f"{before}old\n{after}", "new\n") == f"{before}new\n{after}"
    with pytest.raises(ValueError, match=r"evaluate\.md must have <!-- made by"):
        worked.put("# A page\n", "new\n")
