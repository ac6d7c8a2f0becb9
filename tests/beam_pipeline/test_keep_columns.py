"""Columns that go along into the ledger: by name or all, of their types, bounded; they decide no byte."""

import json

import pytest

from tests.beam_pipeline.conftest import FEW, contents, fill, ledger, write_manifest
from transforms.bounds import MAX_KEPT_BYTES
from transforms.manifests import original
from transforms.manifests.columns import Columns, ManifestSettings

MORE = {"age": 34, "gender": "female", "status": "native", "tags": ["a", "b"], "speaker": "anna"}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A manifest with more columns than a dataset needs; the last row has a recording that is not there."""
    fill(tmp_path)
    rows = [{**row, **MORE} for row in FEW]
    rows[-1]["audio_path"] = "nowhere.wav"
    write_manifest(tmp_path / "m.jsonl", rows)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def columns(folder):
    """What each row of the ledger has kept; None for a ledger without the column."""
    return [json.loads(row["kept_columns"]) if "kept_columns" in row else None for row in ledger(folder)]


def test_named_columns_go_along_with_their_types(kept, prepare):
    flags = ("--keep_columns=age,tags", "--keep_columns", "status", "--max_rejected_fraction=1")
    assert prepare("m.jsonl", "out", *flags).json["rejected"] == 1
    assert columns(kept / "out") == [{"age": 34, "tags": ["a", "b"], "status": "native"}] * 5
    assert {row["status"] for row in ledger(kept / "out")} == {"accepted", "rejected"}  # of that name, too


def test_all_are_those_that_serve_no_other_purpose(kept, prepare):
    prepare("m.jsonl", "out", "--keep_columns=all", "--max_rejected_fraction=1")
    for found in columns(kept / "out"):
        assert found.items() >= {"age": 34, "gender": "female", "status": "native", "tags": ["a", "b"]}.items()
        assert not found.keys() & {"id", "audio_path", "text", "speaker"}


def test_other_names_decode_nothing_and_change_no_byte_but_the_ledgers(kept, prepare):
    prepare("m.jsonl", "plain", "--max_rejected_fraction=1")
    assert columns(kept / "plain") == [None] * 5
    prepare("m.jsonl", "out", "--max_rejected_fraction=1")
    run = prepare("m.jsonl", "out", "--keep_columns=age", "--max_rejected_fraction=1")
    assert run.json["reused"] == 5
    assert columns(kept / "out") == [{"age": 34}] * 5
    shards = [{name: content for name, content in contents(kept / out).items() if name.endswith("of-00001.jsonl")}
              for out in ("plain", "out")]  # fmt: skip
    assert shards[0] == shards[1]
    again = prepare("m.jsonl", "out", "--keep_columns=age", "--max_rejected_fraction=1")
    assert (again.json["reused"], columns(kept / "out")) == (5, [{"age": 34}] * 5)
    prepare("m.jsonl", "out", "--max_rejected_fraction=1")
    assert columns(kept / "out") == [None] * 5


def test_a_merge_keeps_what_its_dataset_keeps(kept, prepare):
    prepare("m.jsonl", "out", "--keep_columns=age,gender", "--max_rejected_fraction=1")
    row = json.loads((kept / "out/rejected.jsonl").read_text(encoding="utf-8"))
    (kept / "mended.jsonl").write_text(json.dumps({**row, "audio_path": FEW[-1]["audio_path"], "age": 35}) + "\n")
    run = prepare("mended.jsonl", "out", "--merge_into=out", "--keep_columns=gender")
    assert (run.status, "contradicts --merge_into out" in run.stderr) == (2, True)
    assert prepare("mended.jsonl", "out", "--merge_into=out").json["rejected"] == 0
    assert sorted(found["age"] for found in columns(kept / "out")) == [34, 34, 34, 34, 35]
    assert {found["gender"] for found in columns(kept / "out")} == {"female"}


def test_a_name_that_no_manifest_has_stops_the_run(kept, prepare):
    run = prepare("m.jsonl", "out", "--keep_columns=agee")
    assert (run.status, run.stderr.count("\n")) == (1, 1)
    assert "--keep_columns: no manifest has a column 'agee'; did you mean 'age'?" in run.stderr
    assert not (kept / "out").exists()
    assert prepare("m.jsonl", "out", "--keep_columns=age,").status == 2


@pytest.mark.parametrize(("length", "is_kept"), [(9_998, True), (9_999, False)])
def test_a_long_value_is_left_out(length, is_kept):
    row = Columns.of({"note": "x" * length, "age": 1}, ManifestSettings(keep_columns=("all",)))
    found = json.loads(original.kept(row))
    assert found == {"note": "x" * length if is_kept else "(10,001 bytes, left out)", "age": 1}


def test_a_row_keeps_no_more_than_its_share():
    row = Columns.of({f"c{index}": "x" * 1_000 for index in range(1_000)}, ManifestSettings(keep_columns=("all",)))
    content = original.kept(row)
    assert MAX_KEPT_BYTES // 2 < len(content) < 2 * MAX_KEPT_BYTES
    wide = Columns.of({f"c{index}": None for index in range(20_000)}, ManifestSettings(keep_columns=("all",)))
    assert len(original.kept(wide)) < 2 * MAX_KEPT_BYTES


def test_what_json_cannot_hold_is_kept_as_text_or_null():
    odd = {"big": 1 << 80, "bytes": b"xy", "half": "\ud800", "nan": float("nan")}
    row = Columns.of(odd, ManifestSettings(keep_columns=("all",)))
    assert json.loads(original.kept(row)) == {
        "big": str(1 << 80),
        "bytes": "(2 bytes, left out)",
        "half": None,
        "nan": None,
    }
