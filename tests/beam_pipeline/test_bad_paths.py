"""Paths that nothing can have, and files that the disk cannot read: one row each, never the run."""

import contextlib
import errno
import json
import os

import pytest

from tests.beam_pipeline.conftest import FEW, fill, ledger, write_manifest
from transforms import reasons
from transforms.errors import ClipRejected, StorageError
from transforms.storage import Storage, local, uris

LONG = "x" * 1_025


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("path", "reason", "told"),
    [
        ("gs://${BUCKET}/x.wav", "not_found", "the bucket's name is a variable that was not expanded"),
        ("gs://$BUCKET/x.wav", "not_found", "the bucket's name is a variable that was not expanded"),
        ("gs://../x.wav", "not_found", "no bucket can be named '..'"),
        ("gs:///x.wav", "not_found", "the bucket's name is missing after gs://"),
        ("gs://", "not_found", "the bucket's name is missing after gs://"),
        ("gs://Bucket_With.Bad..Name/x", "not_found", "no bucket can be named 'Bucket_With.Bad..Name'"),
        ("gs://a b/x.wav", "not_found", "no bucket can be named 'a b'"),
        ("gs://bucket/a\0b.wav", "not_found", "no object can have this name"),
        ("gs://bucket/a\nb.wav", "not_found", "no object can have this name"),
        (f"gs://bucket/{LONG}", "not_found", "the object's name has 1,025 bytes, over the limit of 1,024"),
        ("GS://bucket/x.wav", "unsupported_scheme", "write it in small letters, 'gs://bucket/x.wav'"),
        ("https://example.com/x.wav", "unsupported_scheme", "download it (curl -O, wget) to a folder or to gs://"),
        ("s3://bucket/x.wav", "unsupported_scheme", "copy it (gcloud storage cp, aws s3 cp) to a folder or to gs://"),
        ("az://bucket/x.wav", "unsupported_scheme", "copy it (azcopy copy) to a folder or to gs://"),
        ("hdfs://node/x.wav", "unsupported_scheme", "copy it (hdfs dfs -get) to a folder or to gs://"),
        ("file:///data/x.wav", "unsupported_scheme", "write the path itself, '/data/x.wav'"),
        ("sox x.wav -t wav - |", "not_a_path", "write its output to a file"),
        ("data:audio/wav;base64,UklGRg==", "embedded_audio", "write it to a file"),
        ("a\0b.wav", "not_found", "not found: 'a\\x00b.wav'"),
        ("x" * 256 + ".wav", "not_found", "not found: "),
        ("loop.wav", "not_a_regular_file", "a loop of links"),
    ],
)
def test_a_path_that_nothing_can_have_is_one_rejection(tmp_path, prepare, monkeypatch, path, reason, told):
    monkeypatch.chdir(fill(tmp_path, FEW))
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    write_manifest(tmp_path / "m.jsonl", [*FEW, {"id": "odd", "audio_path": path, "text": "x"}])
    run = prepare("m.jsonl", "out", "--max_rejected_fraction=0.5")
    assert (run.status, run.json["reasons"]) == (0, {reason: 1})
    (detail,) = (row["detail"] for row in ledger(tmp_path / "out") if row["status"] == "rejected")
    assert told in detail
    assert str(tmp_path) not in detail


@pytest.mark.parametrize("name", ["a", "ab", "a..b", "-ab", "ab-", "Abc", "a/b", "x" * 64, "a.-b", "ab.", "10.0.0.1"])
def test_names_that_no_bucket_can_have(name):
    assert bool(uris.impossible(f"gs://{name}/x")) == ("/" not in name or len(name.split("/")[0]) < 3)


@pytest.mark.parametrize(
    "name", ["abc", "my-bucket_1", "example.com", "a.b.c", "0abc9", "x" * 63, f"{'x' * 63}.{'y' * 63}"]
)
def test_names_that_a_bucket_can_have(name):
    assert uris.impossible(f"gs://{name}/{'x' * 1_024}#7") == ""


DAMAGED = [errno.EIO, errno.ESTALE, errno.EUCLEAN]


@pytest.mark.parametrize("number", DAMAGED)
@pytest.mark.parametrize("call", ["read", "open"])
def test_a_file_that_the_disk_cannot_read_is_that_rows_fault(tmp_path, monkeypatch, number, call):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    tried = []

    def broken(*_, **__):
        tried.append(number)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(local, "_descriptor", _with_faults(local._faults, broken))
    with pytest.raises(ClipRejected) as refusal:
        storage = Storage()
        storage.read_audio(str(tmp_path / "a.wav"), 99) if call == "read" else storage.open_audio(
            str(tmp_path / "a.wav")
        )
    assert (refusal.value.reason, len(tried)) == (reasons.UNREADABLE, 3)
    assert errno.errorcode[number] in refusal.value.detail
    assert str(tmp_path) not in refusal.value.detail


def _with_faults(faults, call):
    def opened(path, folders):
        with faults(path):
            return call()

    return opened


def test_a_fault_that_passes_is_none(tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    real, left = local._descriptor, [errno.EIO, errno.EIO]

    def flaky(path, folders):
        with local._faults(path):
            if left:
                raise OSError(left.pop(), "x")
        return real(path, folders)

    monkeypatch.setattr(local, "_descriptor", flaky)
    assert Storage().read_audio(str(tmp_path / "a.wav"), 99) == b"RIFF"


def test_the_worlds_fault_stays_the_worlds(tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"RIFF")

    def broken():
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(local, "_descriptor", _with_faults(local._faults, broken))
    with pytest.raises(StorageError, match="too many open files"):
        Storage().read_audio(str(tmp_path / "a.wav"), 99)


@pytest.mark.parametrize(
    ("segment", "reason"), [({}, "unreadable"), ({"offset": 0.1, "duration": 0.5}, "not_a_regular_file")]
)
def test_one_bad_sector_does_not_end_a_run(tmp_path, prepare, monkeypatch, segment, reason):
    """Reads of /proc/self/mem fail with EIO at 0, as a bad sector does; it has no end either."""
    monkeypatch.chdir(fill(tmp_path, FEW))
    (tmp_path / "bad.wav").symlink_to("/proc/self/mem")
    row = {"id": "odd", "audio_path": str(tmp_path / "bad.wav"), "text": "x", **segment}
    write_manifest(tmp_path / "m.jsonl", [*FEW, row])
    run = prepare("m.jsonl", "out", "--max_rejected_fraction=0.5")
    assert run.status == 0
    assert run.json["accepted"] == len(FEW)
    (found,) = (json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines())
    assert found["reject_reason"] == reason


def test_a_segment_in_a_bad_sector_is_that_rows_fault(tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"RIFF" * 100)
    with Storage().open_audio(str(tmp_path / "a.wav")) as stream:
        monkeypatch.setattr(local, "_faults", _always(errno.EIO))
        with pytest.raises(ClipRejected) as refusal:
            stream.read(8)
    assert refusal.value.reason == reasons.UNREADABLE


def _always(number):
    real = local._faults

    @contextlib.contextmanager
    def faults(path):
        with real(path):
            raise OSError(number, os.strerror(number))
            yield

    return faults
