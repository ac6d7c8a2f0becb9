"""What `datasets`, pandas and `webdataset` write goes in as it lies: every recording with its text, in its split."""

import pytest

from tests import hub
from tests.beam_pipeline.conftest import SOME, examples, write_manifest
from transforms.storage import Storage

ROWS = list({row["text"]: row for row in SOME}.values())[:14]  # of texts that each belong to one recording
storage = Storage()


@pytest.fixture(scope="module")
def payloads(tmp_path_factory):
    """The payload of each text, of a dataset that is made from files."""
    from cliptune.main import main  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("plain")
    rows = [{**row, "audio_path": str(hub.EXAMPLES / row["audio_path"])} for row in ROWS]
    write_manifest(folder / "m.jsonl", rows)
    assert main(["prepare", "--manifest", str(folder / "m.jsonl"), "--output", str(folder / "out")]) == 0
    return payloads_of(folder / "out", "train") | payloads_of(folder / "out", "validation")


def payloads_of(out, split):
    """The payload of each text in a split."""
    return {
        line["contents"][1]["parts"][0]["text"]: line["contents"][0]["parts"][-1]["inline_data"]["data"]
        for line in examples(out, split)
    }


def copied_to(bucket, folder):
    for path in folder.rglob("*"):
        if path.is_file():
            storage.write_bytes(f"{bucket}/{path.relative_to(folder)}", path.read_bytes())


def rows_for(row):
    return [each for each in ROWS if row.names or not each["audio_path"].endswith((".g722", ".gsm"))]


def check(out, row, rows, payloads):
    found = {split: payloads_of(out, split) for split in ("train", "validation", "test")}
    assert found["train"] | found["validation"] | found["test"] == {
        each["text"]: payloads[each["text"]] for each in rows
    }
    held_out = [each["text"] for each in rows[: row.test + row.validation]]
    assert set(found["test"]) == set(held_out[: row.test])
    if row.validation:
        assert set(found["validation"]) == set(held_out[row.test :])


# The others differ from these in how they are written, not in how they are read.
QUICK = {
    "datasets: to_parquet, a folder of splits",
    "datasets: save_to_disk of a DatasetDict",
    "audiofolder: metadata.csv",
    "webdataset: .txt",
}
KINDS = [pytest.param(kind, marks=[] if kind in QUICK else pytest.mark.sweep) for kind in hub.WRITTEN]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_tool_writes_goes_in_as_it_lies(kind, prepare, payloads, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = hub.WRITTEN[kind]
    rows = rows_for(row)
    name = row.write(rows, tmp_path)
    run = prepare(name, "out")
    assert (run.status, run.json["accepted"], run.json["rejected"]) == (0, len(rows), 0), run.stderr
    check(tmp_path / "out", row, rows, payloads)
    assert prepare(name, "out").json["reused"] == len(rows)


@pytest.mark.sweep
@pytest.mark.parametrize("kind", hub.WRITTEN)
def test_it_goes_in_from_a_bucket_too(kind, prepare, payloads, bucket, tmp_path):
    row = hub.WRITTEN[kind]
    rows = rows_for(row)
    name = row.write(rows, tmp_path / "written")
    copied_to(bucket, tmp_path / "written")
    run = prepare(f"{bucket}/{name}", tmp_path / "out")
    assert (run.status, run.json["accepted"], run.json["rejected"]) == (0, len(rows), 0), run.stderr
    check(tmp_path / "out", row, rows, payloads)
    assert prepare(f"{bucket}/{name}", tmp_path / "out").json["reused"] == len(rows)


def test_each_row_of_the_docs_is_tried():
    text = (hub.EXAMPLES.parent / "docs" / "shards.md").read_text()
    table = text[text.index("| format |") :].partition("\n\n")[0].splitlines()[2:]
    assert {line.split("|")[1].strip() for line in table} == {row.format for row in hub.WRITTEN.values()}
