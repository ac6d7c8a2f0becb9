"""Suspects are mended where they lie and merged back: the same bytes as if the texts had been right from the start."""

import csv
import json
import shutil

import pytest

from cliptune.main import main
from tests.beam_pipeline.conftest import ROWS, Run, contents, fill, ledger
from tests.beam_pipeline.test_merge import OF_MERGES
from tests.envelopes import report_of
from transforms.storage import Storage

# Two texts that have changed places, of a row with columns of every name that a suspect has, too.
FIRST, SECOND = 3, 28
EVALUATION = ("suspects.jsonl",)


def rows():
    return [
        {
            "clip_id": row["id"],
            "file": row["audio_path"],
            "score": number,
            "text": row["text"],
            "why": "asked" if number % 2 else None,
            "source": row["source"],
        }
        for number, row in enumerate(ROWS[:40])
    ]


def wrong(right):
    texts = {FIRST: right[SECOND]["text"], SECOND: right[FIRST]["text"]}
    return [{**row, "text": texts.get(number, row["text"])} for number, row in enumerate(right)]


def jsonl(path, some):
    path.write_text("".join(json.dumps(row) + "\n" for row in some))


def table(path, some):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(some[0]))
        writer.writeheader()
        writer.writerows(some)


FORMATS = {"m.jsonl": jsonl, "m.csv": table}


@pytest.fixture
def folder(tmp_path, monkeypatch, small_shards):
    fill(tmp_path, ROWS[:40])
    heard = ({"id": row["id"], "prediction": row["text"]} for row in ROWS[:40])
    jsonl(tmp_path / "heard.jsonl", heard)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capfd):
    def call(*words):
        capfd.readouterr()
        status = main([*words])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Run(status, report_of(captured.out, status), captured.err)

    return call


def suspects_of(output):
    return [json.loads(line) for line in (output / "evaluation/suspects.jsonl").read_text().splitlines()]


FLAGS = ("--validation_fraction=0", "--max_rejected_fraction=1")
MERGE = ("prepare", "--manifest=out/evaluation/suspects.jsonl", "--merge_into=out", "--max_rejected_fraction=1")
LOOK = ("suspects", "out", "--predictions=heard=heard.jsonl")


@pytest.mark.parametrize("name", ["m.jsonl", pytest.param("m.csv", marks=pytest.mark.sweep)])
def test_suspects_are_mended_and_merged_back(folder, run, name):
    right = rows()
    FORMATS[name](folder / name, wrong(right))
    assert run("prepare", f"--manifest={name}", "--output=out", *FLAGS).status == 0
    before = contents(folder / "out")
    looked = run(*LOOK)
    assert (looked.status, looked.json["suspects"], looked.json["without_row"]) == (
        0,
        len(suspects_of(folder / "out")),
        0,
    )

    merged = run(*MERGE)  # as they are
    assert (merged.status, merged.json["reused"]) == (0, merged.json["accepted"])
    assert contents(folder / "out", EVALUATION) == before

    found = suspects_of(folder / "out")
    assert {row["source"] for row in found[:2]} == {f"{name}:{n + 1 + (name == 'm.csv')}" for n in (FIRST, SECOND)}
    texts = {row["clip_id"]: row["text"] for row in right}
    jsonl(folder / "out/evaluation/suspects.jsonl", [{**row, "text": texts[row["clip_id"]]} for row in found])
    assert run(*MERGE).status == 0
    FORMATS[name](folder / name, right)
    assert run("prepare", f"--manifest={name}", "--output=right", *FLAGS).status == 0
    assert contents(folder / "out", (*OF_MERGES, *EVALUATION)) == contents(folder / "right", OF_MERGES)

    FORMATS[name](folder / name, wrong(right))
    again = run(*LOOK)
    assert {row["clip_id"] for row in found[:2]}.isdisjoint(row["clip_id"] for row in suspects_of(folder / "out"))
    assert again.json["without_row"] == 0


def prepared(folder, run, some=None):
    jsonl(folder / "m.jsonl", wrong(rows()) if some is None else some)
    assert run("prepare", "--manifest=m.jsonl", "--output=out", *FLAGS).status == 0
    assert run(*LOOK).status == 0
    return suspects_of(folder / "out")


def test_a_line_has_the_original_row_and_what_is_suspect(folder, run):
    first = prepared(folder, run)[0]
    assert list(first)[:1] == ["clip_id"]
    number = int(first["source"].rpartition(":")[2]) - 1
    original = wrong(rows())[number]
    assert {name: first[name] for name in ("clip_id", "file", "text")} == {
        name: original[name] for name in ("clip_id", "file", "text")
    }
    assert first["reject_covered"] == {name: original[name] for name in ("score", "why", "source")}
    assert 0.5 < first["score"] <= 1
    assert first["why"].startswith("heard heard ")
    assert first["reject_heard"] == {"heard": ROWS[number]["text"]}


@pytest.mark.sweep
def test_a_suspect_without_a_text_is_taken_out(folder, run):
    found = prepared(folder, run)
    jsonl(folder / "out/evaluation/suspects.jsonl", [{**found[0], "text": ""}])
    assert run(*MERGE).json["reasons"] == {"missing_text": 1}
    (rejected,) = (row for row in ledger(folder / "out") if row["status"] == "rejected")
    assert rejected["source"] == found[0]["source"]


@pytest.mark.sweep
def test_suspects_alone_are_a_manifest_of_their_own_from_any_folder(folder, run):
    found = prepared(folder, run)
    (folder / "deep/er").mkdir(parents=True)
    shutil.copy(folder / "out/evaluation/suspects.jsonl", folder / "deep/er/s.jsonl")
    alone = run("prepare", "--manifest=deep/er/s.jsonl", "--output=alone", *FLAGS)
    assert (alone.json["accepted"], alone.json["rejected"]) == (len(found), 0)
    # And that dataset's own suspects have its rows, not what was beside them.
    assert run("suspects", "alone", "--min_score=0", "--predictions=heard=heard.jsonl").status == 0
    merged = run(
        "prepare", "--manifest=alone/evaluation/suspects.jsonl", "--merge_into=alone", "--max_rejected_fraction=1"
    )
    assert (merged.status, merged.json["reused"]) == (0, len(found))


def test_rows_that_their_manifest_does_not_have_any_more_are_told(folder, run):
    prepared(folder, run)
    jsonl(folder / "m.jsonl", rows())  # mended there, and not prepared anew
    looked = run(*LOOK)
    assert (looked.status, looked.json["without_row"]) == (0, 2)
    assert "2 suspects are not what their manifests have now" in looked.stderr
    (folder / "m.jsonl").unlink()
    gone = run(*LOOK)
    assert gone.json["without_row"] == gone.json["suspects"]
    assert "suspects cannot be merged back: m.jsonl: there is no such manifest" in gone.stderr
    assert all(row.keys() == {"clip_id", "source", "score", "why"} for row in suspects_of(folder / "out"))


def test_a_whole_manifest_off_by_one_is_said_with_its_lines(folder, run):
    right = rows()
    texts = [right[-1]["text"], *(row["text"] for row in right[:-1])]
    prepared(folder, run, [{**row, "text": text} for row, text in zip(right, texts, strict=True)])
    looked = run(*LOOK)
    sentence = (
        "m.jsonl:1-40: the texts of 40 rows stand one row too low: what is heard in a row is the text one row below"
    )
    assert [shift["sentence"] for shift in looked.json["shifts"]] == [sentence]
    assert sentence in looked.stderr.splitlines()


def test_in_a_bucket_it_is_the_same(folder, run, bucket):
    """The manifest on this machine, the dataset and its suspects in the bucket."""
    out, storage = "gs://cliptune-test/out", Storage()
    jsonl(folder / "m.jsonl", wrong(rows()))
    assert run("prepare", "--manifest=m.jsonl", f"--output={out}", *FLAGS).status == 0
    looked = run("suspects", out, "--predictions=heard=heard.jsonl")
    assert looked.json["file"] == f"{out}/evaluation/suspects.jsonl"
    found = [json.loads(line) for line in storage.read_bytes(looked.json["file"]).splitlines()]
    assert {row["source"] for row in found[:2]} == {f"m.jsonl:{FIRST + 1}", f"m.jsonl:{SECOND + 1}"}
    texts = {row["clip_id"]: row["text"] for row in rows()}
    mended = "".join(json.dumps({**row, "text": texts[row["clip_id"]]}) + "\n" for row in found)
    storage.write_bytes(looked.json["file"], mended.encode())
    assert run("prepare", f"--manifest={looked.json['file']}", f"--merge_into={out}", *FLAGS[1:]).status == 0
    again = run("suspects", out, "--predictions=heard=heard.jsonl", "--min_score=0.3")
    assert again.json["suspects"] <= len(found) - 2
    assert again.json["without_row"] == 0
