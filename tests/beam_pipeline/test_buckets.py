"""Buckets that cannot be read are known before anything is decoded, and named with the rows that name them."""

import pytest

from tests.beam_pipeline.conftest import EXAMPLES, SOME, fill, ledger, write_manifest
from transforms.storage import Storage, gcs_client

GOOD = SOME[:4]


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    monkeypatch.chdir(fill(tmp_path, GOOD))

    def written(*uris):
        rows = [{"id": f"odd{number}", "audio_path": uri, "text": "x"} for number, uri in enumerate(uris)]
        write_manifest(tmp_path / "m.jsonl", [*GOOD, *rows])
        return "m.jsonl"

    return written


@pytest.mark.parametrize(
    ("bucket", "told"),
    [
        ("nowhere", "there is no bucket gs://nowhere: create it, or mend its name"),
        ("forbidden", "no permission for gs://forbidden: grant "),
        ("signed-out", "no valid Google Cloud credentials for gs://signed-out"),
        ("pays", "gs://pays is a requester-pays bucket: name the project that pays with --billing_project"),
    ],
)
def test_few_rows_in_a_bucket_that_cannot_be_read_are_rejected(gcs, manifest, prepare, tmp_path, bucket, told):
    run = prepare(manifest(f"gs://{bucket}/x.wav"), "out", "--max_rejected_fraction=0.2")
    assert (run.status, run.json["accepted"], run.json["reasons"]) == (0, len(GOOD), {"bucket_unreachable": 1})
    assert told in run.stderr
    assert "1 of 5 rows name this bucket, the first is m.jsonl:5; they are rejected" in run.stderr
    (row,) = (row for row in ledger(tmp_path / "out") if row["status"] == "rejected")
    assert row["detail"].startswith(told)


def test_more_rows_than_may_be_rejected_stop_the_run(gcs, manifest, prepare, tmp_path):
    run = prepare(manifest("gs://nowhere/x.wav", "gs://nowhere/y.wav"), "out", "--max_rejected_fraction=0.33")
    assert (run.status, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert "2 of 6 rows name this bucket, the first is m.jsonl:5" in run.stderr
    assert not (tmp_path / "out").exists()


def test_each_bucket_is_asked_once_and_no_listing_is_needed(gcs, manifest, prepare, tmp_path):
    for row in GOOD:
        Storage().write_bytes(f"gs://cliptune-test/{row['audio_path']}", (EXAMPLES / row["audio_path"]).read_bytes())
    gcs.calm()
    name = manifest(*(f"gs://cliptune-test/{row['audio_path']}" for row in GOOD))
    assert prepare(name, "out", "--validation_fraction=0").json["rejected"] == 0
    asked = [request for request in gcs.seen if request.place[0] == "cliptune-test" and not request.query.get("alt")]
    assert len([request for request in asked if request.place[1]]) <= 1 + len(GOOD)
    assert not [request for request in asked if not request.place[1]]


def test_local_rows_make_no_client(manifest, prepare, monkeypatch):
    def client(*_):
        raise AssertionError("a client was made")

    monkeypatch.setattr(gcs_client, "_client", client)
    assert prepare(manifest(), "out").json["accepted"] == len(GOOD)


def test_a_missing_object_shows_its_nearest(gcs, manifest, prepare, tmp_path):
    Storage().write_bytes("gs://cliptune-test/clips/A1.flac", b"x")
    run = prepare(manifest("gs://cliptune-test/clips/a1.wav", "gs://cliptune-test/clips/a2.wav"), "out")
    assert run.json["reasons"] == {"not_found": 2}
    details = [row["detail"] for row in ledger(tmp_path / "out") if row["status"] == "rejected"]
    assert sorted("nearest that exists is 'gs://cliptune-test/clips/A1.flac'" in detail for detail in details) == [0, 1]
