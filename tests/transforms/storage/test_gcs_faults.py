"""Every fault on every request of every kind leaves the same answers and the same bytes as a calm run."""

import gzip
import json
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.gcs_proxy import FAULTS
from transforms.errors import ClipRejected, StorageError
from transforms.storage import Storage, gcs, gcs_client, gcs_read
from transforms.storage.gcs_client import GcsClient

storage = Storage()

ROOT = "gs://cliptune-test/some/folder"
SMALL = b"sound " * 500
LARGE = b"".join(b"%07d\n" % number for number in range(4_000))  # several range reads
HUGE = LARGE * 20  # three parts of an upload
CALM = {"small": SMALL, "large": LARGE, "deep/a": b"a", "deep/b": b"b", "deep/c": b"c"}
LIMIT = 1 << 30


@pytest.fixture
def quick(monkeypatch):
    """The client's own retries without their waits; parts of an object, and of an upload, are small."""
    monkeypatch.setattr(gcs_client, "RETRY", gcs_client.RETRY.with_delay(initial=0.001, maximum=0.002))
    monkeypatch.setattr("google.cloud.storage.blob._MAX_MULTIPART_SIZE", 1 << 18)
    monkeypatch.setattr(gcs, "UPLOAD_BYTES", 1 << 18)
    monkeypatch.setattr(gcs_read, "RANGE_BYTES", 1 << 13)


@pytest.fixture
def bucket(gcs, quick):
    """The proxy, with a few objects behind it."""
    for name, content in CALM.items():
        storage.write_bytes(f"{ROOT}/{name}", content)
    gcs.calm(page_size=2)
    return gcs


def range_read():
    with storage.open_audio(f"{ROOT}/large") as file:
        file.seek(10_000)
        return file.read(1_000), file.read(10_000)


def range_read_of_a_small_object():
    with storage.open_audio(f"{ROOT}/small") as file:
        file.seek(1_000)
        return file.read(100)


def read_to_disk():
    with storage.open_read(f"{ROOT}/large") as file:
        return file.read()


KINDS = {
    "whole read": lambda: storage.read_audio(f"{ROOT}/large", LIMIT),
    "whole read to disk": read_to_disk,
    "range read": range_read,
    "range read of a small object": range_read_of_a_small_object,
    "size": lambda: storage.size(f"{ROOT}/large"),
    "exists": lambda: (storage.exists(f"{ROOT}/small"), storage.exists(f"{ROOT}/none")),
    "list": lambda: storage.list_files(ROOT),
    "any": lambda: (storage.is_folder(ROOT), storage.is_folder(f"{ROOT}/none")),
    "glob": lambda: storage.match(f"{ROOT}/**/[ab]"),
    "upload": lambda: storage.write_bytes(f"{ROOT}/new", SMALL),
    "upload of nothing": lambda: storage.write_bytes(f"{ROOT}/new", b""),
    "replace": lambda: storage.write_bytes(f"{ROOT}/small", SMALL[::-1]),
    "resumable upload": lambda: storage.write_bytes(f"{ROOT}/new", HUGE),
    "resumable replace": lambda: storage.write_bytes(f"{ROOT}/large", HUGE),
    "compose": lambda: storage.concatenate([f"{ROOT}/small", f"{ROOT}/large"], f"{ROOT}/new"),
    "delete": lambda: storage.delete(f"{ROOT}/small"),
}


def contents(emulator):
    """Every object, read past the proxy and past our own code."""
    address = emulator[1]
    with urlopen(f"{address}/storage/v1/b/cliptune-test/o") as answer:
        names = [tree["name"] for tree in json.load(answer)["items"]]
    found = {}
    for name in names:
        with urlopen(f"{address}/cliptune-test/{quote(name)}") as answer:
            found[f"gs://cliptune-test/{name}"] = answer.read()
    return found


def restore(emulator, objects):
    there = contents(emulator)
    for uri in there.keys() - objects.keys():
        storage.delete(uri)
    for uri in objects:
        if there.get(uri) != objects[uri]:
            storage.write_bytes(uri, objects[uri])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_nothing(bucket, storage_emulator, monkeypatch, fault, kind):
    before = contents(storage_emulator)
    gcs_client._check_bucket.cache_clear()
    expected, after = KINDS[kind](), contents(storage_emulator)
    requests, fired = list(bucket.seen), []
    for index, request in enumerate(requests):
        restore(storage_emulator, before)
        bucket.calm(page_size=2)
        if fault == "flipped byte" and kind == "range read" and request.query.get("alt") == "media":
            continue  # see test_a_part_of_a_large_object_has_no_checksum
        bucket.faults = {index: fault}
        gcs_client._check_bucket.cache_clear()
        with monkeypatch.context() as patch:
            if fault == "stall":
                patch.setattr(gcs_client, "TIMEOUT", (3.05, 0.2))
            assert KINDS[kind]() == expected, (index, request.target)
        assert contents(storage_emulator) == after, (index, request.target)
        fired += bucket.fired
    # An answer without a body cannot be cut short or garbled.
    assert len(fired) == len(requests) or (fault in ("short body", "flipped byte") and (fired or kind == "delete"))


def test_a_part_of_a_large_object_has_no_checksum(bucket):
    """The service tells none: only over TLS is a flipped byte noticed there."""
    calm = range_read()
    bucket.calm()
    bucket.faults = {1: "flipped byte"}
    assert range_read() != calm


@pytest.mark.parametrize("read", [KINDS["whole read"], KINDS["range read of a small object"]])
def test_what_stays_wrong_is_the_worlds_fault_and_never_decoded(bucket, read):
    calm = read()
    count = len(bucket.seen)
    bucket.calm()
    bucket.faults = dict.fromkeys(range(count - 1, count + 1), "flipped byte")
    with pytest.raises(StorageError, match="the crc32c of what came is"):
        read()
    assert read() == calm


def test_a_download_that_was_resumed_is_compared_too(bucket):
    """The client itself compares nothing that came in two parts."""
    bucket.faults = {0: "short body", 1: "flipped byte"}
    assert storage.read_bytes(f"{ROOT}/large") == LARGE
    assert bucket.fired == ["short body", "flipped byte"]


@pytest.mark.parametrize("length", [len(SMALL), len(HUGE)])
def test_an_upload_that_stays_wrong_leaves_nothing(bucket, storage_emulator, length):
    before = contents(storage_emulator)
    bucket.faults = dict.fromkeys(range(1, 20), "flipped byte")
    with pytest.raises(StorageError):
        storage.write_bytes(f"{ROOT}/new", HUGE[:length])
    assert contents(storage_emulator) == before


@pytest.mark.parametrize("fault", ["503", "reset", "stall"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_world_that_stays_broken_is_told_within_the_deadline(bucket, storage_emulator, monkeypatch, kind, fault):
    before = contents(storage_emulator)
    monkeypatch.setattr(gcs_client, "RETRY", gcs_client.RETRY.with_timeout(0.1))
    monkeypatch.setattr(gcs_client, "TIMEOUT", (3.05, 0.1))
    bucket.faults = dict.fromkeys(range(1_000), fault)
    with pytest.raises(StorageError) as told:
        KINDS[kind]()
    assert "\n" not in str(told.value)
    assert contents(storage_emulator) == before


def test_the_deadlines():
    assert gcs_client.TIMEOUT == (3.05, 30.0)
    assert gcs_client.RETRY.timeout == 120


def test_an_object_that_is_replaced_while_it_is_read_is_read_anew(bucket):
    def replace(moment, request):
        if moment == "after" and len(bucket.seen) == 1:
            storage.write_bytes(f"{ROOT}/large", LARGE[::-1])

    bucket.watch, bucket.faults = replace, {0: "short body"}
    assert storage.read_bytes(f"{ROOT}/large") == LARGE[::-1]


def test_parts_are_of_one_generation(bucket):
    with storage.open_audio(f"{ROOT}/large") as file:
        assert file.read(10) == LARGE[:10]
        storage.write_bytes(f"{ROOT}/large", LARGE[::-1])
        file.seek(20_000)
        with pytest.raises(StorageError, match="was replaced while it was read"):
            file.read(10)


def test_two_writers_do_not_interleave(bucket):
    with pytest.raises(StorageError, match="another process has written or removed this object"):  # noqa: SIM117
        with storage.write(f"{ROOT}/new") as late:
            late.write(b"late")
            storage.write_bytes(f"{ROOT}/new", b"early")
    assert storage.read_bytes(f"{ROOT}/new") == b"early"


def test_two_writers_of_the_same_bytes_agree(bucket):
    with storage.write(f"{ROOT}/new") as late:
        late.write(b"same")
        storage.write_bytes(f"{ROOT}/new", b"same")
    assert storage.read_bytes(f"{ROOT}/new") == b"same"


def test_an_object_that_was_compressed_for_the_way_is_read_as_what_it_stands_for(bucket, storage_emulator):
    blob = GcsClient().blob_of(f"{ROOT}/m.jsonl")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(LARGE))
    assert storage.read_bytes(f"{ROOT}/m.jsonl") == LARGE
    assert storage.read_audio(f"{ROOT}/m.jsonl", LIMIT) == LARGE
    with storage.open_audio(f"{ROOT}/m.jsonl") as file:
        file.seek(100)
        assert file.read(10) == LARGE[100:110]
    with pytest.raises(ClipRejected, match="longer than the limit"):
        storage.read_audio(f"{ROOT}/m.jsonl", len(LARGE) - 1)


def test_no_message_tells_the_address_of_an_upload(bucket, monkeypatch):
    """Who knows it may write."""
    monkeypatch.setattr(gcs_client, "RETRY", gcs_client.RETRY.with_timeout(0.05))
    bucket.faults = dict.fromkeys(range(2, 1_000), "503")
    with pytest.raises(StorageError) as told:
        storage.write_bytes(f"{ROOT}/new", HUGE)
    (upload_id,) = bucket.uploads
    assert "503" in str(told.value)
    assert upload_id not in str(told.value)
