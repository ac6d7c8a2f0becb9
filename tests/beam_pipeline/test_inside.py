"""Recordings inside other files: what a rerun sees, where they may lie, and rejected rows that run again."""

import json
import os
import shutil
import tarfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from tests import hub
from tests.beam_pipeline.conftest import SOME, contents, ledger, write_manifest
from transforms.storage import Storage

ROWS = [row for row in SOME if row["audio_path"].endswith((".wav", ".flac", ".mp3"))][:6]
storage = Storage()


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table of recordings, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "t.parquet", [hub.content(row) for row in ROWS])


def write(path, recordings, texts=None, names=None):
    cells = [
        {"bytes": each, "path": name} for each, name in zip(recordings, names or [None] * len(recordings), strict=True)
    ]
    form = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"audio": pa.array(cells, form), "text": texts or [row["text"] for row in ROWS]}), path)
    return path


def old(path):
    """Writes a file's times back, so that they may be trusted."""
    past = time.time() - 10
    os.utime(path, (past, past))


def test_a_rerun_sees_that_the_table_has_changed(table, prepare):
    assert prepare("t.parquet", "out").json["accepted"] == len(ROWS)
    assert prepare("t.parquet", "out").json["reused"] == len(ROWS)
    os.utime(table)  # the same contents at another time
    assert prepare("t.parquet", "out").json["reused"] == len(ROWS)
    before = contents(table.parent / "out" / "train")
    recordings = [hub.content(row) for row in ROWS]
    write(table, [recordings[1], recordings[0], *recordings[2:]])
    again = prepare("t.parquet", "out").json
    assert (again["accepted"], again["reused"]) == (len(ROWS), 0)
    assert contents(table.parent / "out" / "train") != before
    fresh = prepare("t.parquet", "fresh").json
    assert fresh["splits"] == again["splits"]
    assert contents(table.parent / "out" / "train") == contents(table.parent / "fresh" / "train")


def test_a_rerun_sees_that_an_object_has_changed(bucket, prepare, tmp_path):
    path = write(tmp_path / "t.parquet", [hub.content(row) for row in ROWS])
    storage.write_bytes(f"{bucket}/t.parquet", path.read_bytes())
    assert prepare(f"{bucket}/t.parquet", tmp_path / "out").json["accepted"] == len(ROWS)
    assert prepare(f"{bucket}/t.parquet", tmp_path / "out").json["reused"] == len(ROWS)
    recordings = [hub.content(row) for row in ROWS]
    write(path, [recordings[1], recordings[0], *recordings[2:]])
    storage.write_bytes(f"{bucket}/t.parquet", path.read_bytes())
    assert prepare(f"{bucket}/t.parquet", tmp_path / "out").json["reused"] == 0


def test_rejected_recordings_are_not_copied_and_run_again(table, prepare, tmp_path):
    broken = b"no audio" * 10_000
    recordings = [hub.content(row) for row in ROWS]
    write(table, [recordings[0], broken, *recordings[2:]])
    run = prepare("t.parquet", "out", "--max_rejected_fraction=1")
    assert run.json["reasons"] == {"not_audio": 1}
    (line,) = (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["audio"], row["reject_source"]) == ("t.parquet#row=2:audio.bytes:/", "t.parquet:2")
    assert (len(line) < 1_000, "no audiono" in line) == (True, False)
    assert max(len(str(each)) for each in ledger(tmp_path / "out")) < 3_000
    # From another folder, it is refused again; when the table is mended, it is taken.
    (tmp_path / "else").mkdir()
    shutil.copy(tmp_path / "out" / "rejected.jsonl", tmp_path / "else" / "r.jsonl")
    again = prepare("else/r.jsonl", "again", "--max_rejected_fraction=1")
    assert again.json["reasons"] == {"not_audio": 1}
    write(table, recordings)
    assert prepare("else/r.jsonl", "mended").json["accepted"] == 1


def test_a_merge_takes_mended_rows_of_a_table(table, prepare, tmp_path):
    texts = [row["text"] for row in ROWS]
    write(table, [hub.content(row) for row in ROWS], ["", *texts[1:]])
    run = prepare("t.parquet", "out", "--max_rejected_fraction=1")
    assert run.json["reasons"] == {"missing_text": 1}
    (line,) = (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()
    (tmp_path / "r.jsonl").write_text(json.dumps({**json.loads(line), "text": texts[0]}) + "\n")
    from cliptune.main import main  # noqa: PLC0415

    assert main(["prepare", "--manifest", "r.jsonl", "--merge_into", "out"]) == 0
    found = ledger(tmp_path / "out")
    assert [each["status"] for each in found] == ["accepted"] * len(ROWS)


@pytest.mark.parametrize("place", ["#row=1:audio.bytes:a.wav/", "#bytes=0+100:a.wav/"])
def test_a_manifest_opens_no_file_outside_by_what_is_inside_it(table, prepare, tmp_path, place):
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.move(table, outside / "t.parquet")
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "link.parquet").symlink_to(outside / "t.parquet")
    rows = [{"id": name, "audio": f"{name}{place}", "text": "x"} for name in ("../outside/t.parquet", "link.parquet")]
    write_manifest(inside / "m.jsonl", rows)
    run = prepare("in/m.jsonl", "out", "--max_rejected_fraction=1")
    assert run.json["reasons"] == {"path_not_allowed": 2}
    allowed = prepare("in/m.jsonl", "out2", "--max_rejected_fraction=1", f"--allow_path={outside}")
    assert "path_not_allowed" not in allowed.json["reasons"]


def test_shards_of_a_folder_may_be_no_links_to_outside(prepare, tmp_path, table):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "a.parquet").symlink_to(table)
    run = prepare(tmp_path / "hub", tmp_path / "out")
    assert (run.status, "a link that leads out of the folder" in run.stderr) == (1, True)


MISSING = {
    "no such table": ("gone.parquet#row=1:audio.bytes:/", "not_found"),
    "no such row": ("t.parquet#row=7:audio.bytes:/", "empty_file"),
    "no such column": ("t.parquet#row=1:sound:/", "decode_failed"),
    "a column of texts": ("t.parquet#row=1:number:/", "decode_failed"),
    "no table": ("m.jsonl#row=1:audio.bytes:/", "decode_failed"),
    "beyond the end": ("t.parquet#bytes=99999999+10:/", "truncated"),
    "nothing": ("t.parquet#bytes=0+0:/", "empty_file"),
    "too much": ("t.parquet#bytes=0+999999999999:/", "file_too_large"),
    "no audio": ("t.parquet#bytes=0+100:/", "not_audio"),
    "a folder": ("sub#bytes=0+100:/", "not_a_regular_file"),
}


def test_places_where_nothing_is_cost_their_rows(table, prepare, tmp_path):
    (tmp_path / "sub").mkdir()
    rows = [{"id": kind, "audio": place, "text": "x"} for kind, (place, _) in MISSING.items()]
    write_manifest(tmp_path / "m.jsonl", rows)
    assert prepare("m.jsonl", "out", "--max_rejected_fraction=1").json["accepted"] == 0
    assert {each["clip_id"]: each["reason"] for each in ledger(tmp_path / "out")} == {
        kind: reason for kind, (_, reason) in MISSING.items()
    }
    assert prepare("m.jsonl", "out", "--max_rejected_fraction=1").json["reused"] == len(MISSING)


def test_segments_of_a_recording_in_an_archive(prepare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(7).normal(0, 0.1, 4 * 16_000)
    soundfile.write(tmp_path / "long.wav", noise, 16_000)
    with tarfile.open("s.tar", "w") as archive:
        archive.add("long.wav")
    with tarfile.open("s.tar") as archive:
        (member,) = archive.getmembers()
    place = f"s.tar#bytes={member.offset_data}+{member.size}:long.wav/"
    for file, audio in (("plain", "long.wav"), ("inside", place)):
        rows = [{"id": f"{at}", "audio": audio, "text": f"x{at}", "start": at, "end": at + 1} for at in (0, 2)]
        write_manifest(tmp_path / f"{file}.jsonl", rows)
        run = prepare(f"{file}.jsonl", file)
        assert run.json["accepted"] == 2, run.stderr
    payloads = [
        {each["clip_id"]: each["audio_sha256"] for each in ledger(tmp_path / file)} for file in ("plain", "inside")
    ]
    assert payloads[0] == payloads[1]
    assert prepare("inside.jsonl", "inside").json["reused"] == 2


def test_little_of_an_object_is_fetched(gcs, prepare, tmp_path):
    """A shard is not downloaded to read its rows, and of its members each alone."""
    filler = os.urandom(6 << 20)
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for number, row in enumerate(ROWS):
            for ending, content in (
                (row["audio_path"].rpartition(".")[2], hub.content(row)),
                ("txt", row["text"].encode()),
                ("npy", filler),
            ):
                path = tmp_path / f"{number}.{ending}"
                path.write_bytes(content)
                archive.add(path, path.name)
    storage.write_bytes("gs://cliptune-test/s.tar", (tmp_path / "s.tar").read_bytes())
    gcs.calm()
    run = prepare("gs://cliptune-test/s.tar", tmp_path / "out")
    assert run.json["accepted"] == len(ROWS)
    reads = [request for request in gcs.seen if request.query.get("alt") == "media"]
    assert reads
    assert all("range" in {name.lower() for name in request.headers} for request in reads)
