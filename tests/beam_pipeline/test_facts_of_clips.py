"""Language and level of each clip in the ledger, and what a rerun makes of those that an earlier version left out."""

import json

import pytest

from tests.beam_pipeline.conftest import SOME, contents, ledger, write_manifest
from tests.beam_pipeline.test_rerun import pipelines, state  # noqa: F401 -- a fixture
from transforms import records

FACTS = ("language", "rms_dbfs", "peak_dbfs")
LANGUAGES = ["de", "pt_BR", None]


@pytest.fixture
def told(finished, prepare):
    """The same rows with a language each, and a dataset of them."""
    rows = [{**row, "dialect": "bar", "language": LANGUAGES[n % 3]} for n, row in enumerate(SOME)]
    write_manifest(finished / "told.jsonl", rows)
    assert prepare("told.jsonl", "told").status == 0
    return finished


def forget_facts(output):
    """Makes the sidecars of the version that did not know them."""
    for path in output.glob("*/*.outcomes.json"):
        tree = json.loads(path.read_text())
        del tree[records.CHECKSUM_FIELD]
        for outcome in tree["outcomes"]:
            for name in FACTS:
                outcome.pop(name, None)
        path.write_bytes(json.dumps(records.sealed(tree)).encode() + b"\n")


def facts(output, *names):
    return {row["clip_id"]: [row[name] for name in names] for row in ledger(output)}


def test_they_are_in_the_ledger_and_change_no_byte_of_a_shard(told):
    rows = ledger(told / "told")
    assert {row["language"] for row in rows} == {*LANGUAGES}
    assert all(-70 < row["rms_dbfs"] <= row["peak_dbfs"] <= 0 for row in rows if row["status"] == "accepted")
    without, with_ = (
        {name: content for name, content in contents(told / name).items() if name.endswith(".jsonl")}
        for name in ("out", "told")
    )
    del without["rejected.jsonl"], with_["rejected.jsonl"]
    assert without == with_


def test_reused_shards_give_them_back(told, prepare):
    before = contents(told / "told")
    for name in ("dataset.json", "checksums.json"):
        (told / "told" / name).unlink()
    assert prepare("told.jsonl", "told").json["reused"] == len(SOME)
    assert contents(told / "told") == before


def test_another_column_of_languages_is_seen_and_nothing_is_decoded(told, prepare):
    run = prepare("told.jsonl", "told", "--language_column=dialect")
    assert (run.status, run.json["reused"]) == (0, len(SOME))
    assert {row["language"] for row in ledger(told / "told")} == {"bar"}
    assert prepare("told.jsonl", "clean", "--language_column=dialect").status == 0
    assert contents(told / "told") == contents(told / "clean")


def test_of_shards_of_an_earlier_version_languages_are_read_from_the_manifest_and_levels_stay_unknown(told, prepare):
    expected = facts(told / "told", "language")
    forget_facts(told / "told")
    for name in ("dataset.json", "checksums.json"):
        (told / "told" / name).unlink()
    assert prepare("told.jsonl", "told").json["reused"] == len(SOME)
    assert facts(told / "told", "language") == expected
    assert {row["rms_dbfs"] for row in ledger(told / "told")} == {None}


def test_a_finished_dataset_of_an_earlier_version_is_left_as_it_is(finished, prepare, pipelines):  # noqa: F811
    before = state(finished)
    assert prepare("m.jsonl", "out").status == 0
    assert (pipelines, state(finished)) == ([], before)
