"""How manifests are spelled decides no byte of a shard, and what changes while it is read makes no dataset."""

import shutil

import pytest

from beam_pipeline import embedded
from tests.beam_pipeline.conftest import SOME, contents, ledger, write_manifest
from tests.beam_pipeline.test_rerun import pipelines, state  # noqa: F401 -- a fixture
from transforms.manifests import read

SPELLINGS = [
    lambda folder: ("m.jsonl", "out"),
    lambda folder: ("./m.jsonl", "./out/"),
    lambda folder: (f"../{folder.name}/m.jsonl", "out"),
    lambda folder: (folder / "m.jsonl", folder / "out"),
    lambda folder: (f"{folder}//m.jsonl", "out//"),
    lambda folder: ("*.jsonl", "out"),
]


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_a_finished_dataset_is_found_in_any_spelling(finished, prepare, pipelines, spelled):  # noqa: F811
    before = state(finished)
    run = prepare(*spelled(finished))
    assert (run.status, run.json["reused"]) == (0, len(SOME))
    if len(spelled(finished)) == 2:
        assert (pipelines, state(finished)) == ([], before)


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_begun_in_one_spelling_and_finished_in_another_is_a_clean_run_in_the_second(
    finished, prepare, monkeypatch, spelled
):
    (finished / "out/checksums.json").unlink()
    (finished / "out/dataset.json").unlink()
    manifest, _, *flags = spelled(finished)
    clean = prepare(manifest, "clean", *flags)
    assert clean.status == 0
    run = prepare(*spelled(finished))
    assert (run.status, run.json["reused"]) == (0, len(SOME))
    assert contents(finished / "out") == contents(finished / "clean")
    sources = {row["source"].rpartition(":")[0] for row in ledger(finished / "out")}
    assert len(sources) == 1


def test_manifests_with_equal_relative_names_are_not_taken_for_one_another(finished, prepare):
    """Their rows have the same places: the recordings tell."""
    other = finished / "other"
    other.mkdir()
    shutil.copy(finished / "m.jsonl", other / "m.jsonl")
    for folder in {row["audio_path"].partition("/")[0] for row in SOME}:
        shutil.copytree(finished / folder, other / folder)
    run = prepare("other/m.jsonl", "out")
    assert (run.status, run.json["reused"]) == (0, len(SOME))
    assert {row["source"].rpartition(":")[0] for row in ledger(finished / "out")} == {"other/m.jsonl"}
    first, *others = (other / row["audio_path"] for row in SOME)
    for path in others:
        path.write_bytes(first.read_bytes())
    run = prepare("other/m.jsonl", "out")
    clean = prepare("other/m.jsonl", "clean")
    assert run.status == clean.status
    assert contents(finished / "out") == contents(finished / "clean")


def test_a_folder_of_pairs_is_found_in_any_spelling(finished, prepare):
    pairs = finished / "pairs"
    pairs.mkdir()
    for number, row in enumerate(SOME[:3]):
        shutil.copy(finished / row["audio_path"], pairs)
        (pairs / row["audio_path"].rpartition("/")[2]).with_suffix(".txt").write_text(str(number))
    assert prepare("pairs", "paired").json["reused"] == 0
    for spelled in ("pairs/", "./pairs//", f"{finished}//pairs", "out/../pairs"):
        assert prepare(spelled, "paired").json["reused"] == 3
        (finished / "paired/checksums.json").unlink()
        assert prepare(spelled, "paired").json["reused"] == 3
        assert {row["source"].rpartition(":")[0] for row in ledger(finished / "paired")} == {spelled}


CHANGES = {
    "a row lost": lambda rows: rows[:-1],
    "a row added": lambda rows: [*rows, {**rows[0], "id": "new"}],
    "a text rewritten": lambda rows: [{**rows[0], "text": "other"}, *rows[1:]],
    "reordered": lambda rows: rows[::-1],
    "emptied": lambda rows: [],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_manifest_that_changes_before_the_pipeline_reads_it(folder, prepare, monkeypatch, small_shards, change):
    monkeypatch.chdir(folder)
    run = embedded.run

    def late(job, options, listener):
        write_manifest(folder / "m.jsonl", change(SOME))
        return run(job, options, listener)

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "run", late)
        failed = prepare("m.jsonl", "out")
    assert (failed.status, failed.stdout) == (1, "")
    assert "the manifest m.jsonl changed while it was read; run this command again" in failed.stderr
    assert not any((folder / "out").rglob("*.jsonl"))
    write_manifest(folder / "m.jsonl", SOME[::-1])
    assert prepare("m.jsonl", "out").status == 0


@pytest.mark.parametrize("when", ["survey", "rows"])
@pytest.mark.parametrize("gone", [False, True])
def test_a_manifest_that_changes_while_it_is_counted(folder, prepare, monkeypatch, when, gone):
    monkeypatch.chdir(folder)
    original = getattr(read, when)

    def late(*args):
        found = original(*args)
        (folder / "m.jsonl").unlink()
        if not gone:
            write_manifest(folder / "m.jsonl", SOME[::-1])
        return found

    monkeypatch.setattr(read, when, late)
    run = prepare("m.jsonl", "out")
    assert (run.status, run.stdout, (folder / "out").exists()) == (1, "", False)
    assert "m.jsonl" in run.stderr
