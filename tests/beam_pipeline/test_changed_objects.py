"""Recordings in gs:// that change between two runs: the next run sees it in listings, and fetches nothing for it."""

import gzip
import io
import itertools
import random

import pytest
import soundfile
from google.cloud import storage as gcs_library

from tests.beam_pipeline.conftest import contents, write_manifest
from tests.beam_pipeline.test_gcs import generation_of
from tests.sounds import tone
from transforms.errors import UserError
from transforms.storage import Storage

RATE = 16_000
BUCKET = "gs://cliptune-test"
FLAGS = ("--max_rejected_fraction=1",)
NAMES = [f"{number}.wav" for number in range(6)]
LONG = "long.wav"
FRESH = itertools.count()  # names of outputs to compare with
storage = Storage()


def sound(hertz, seconds=0.5):
    file = io.BytesIO()
    soundfile.write(file, tone(hertz, RATE, seconds), RATE, "PCM_16", format="WAV")
    return file.getvalue()


def rows():
    whole = [{"id": name, "audio": f"{BUCKET}/a/{name}", "text": f"text {name}"} for name in NAMES]
    parts = [
        {"id": f"part {n}", "audio": f"{BUCKET}/a/{LONG}", "offset": n, "duration": 0.5, "text": "a"} for n in (1, 9)
    ]
    return [*whole, *parts]


@pytest.fixture
def place(gcs, tmp_path, small_shards, monkeypatch):
    """The proxy before a bucket with recordings; `m.jsonl` in the current folder names them."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(NAMES):
        storage.write_bytes(f"{BUCKET}/a/{name}", sound(300 + 50 * number))
    storage.write_bytes(f"{BUCKET}/a/{LONG}", sound(900, 40))  # longer than what is fetched at once
    write_manifest(tmp_path / "m.jsonl", rows())
    return gcs


def fetched(proxy):
    """The recordings of which something was downloaded."""
    return {request.place[1] for request in proxy.seen if request.query.get("alt") == "media"}


def dataset(output, tmp_path):
    """Every file of a dataset, local or not."""
    if not output.startswith("gs://"):
        return contents(tmp_path / output)
    return {uri.removeprefix(f"{output}/"): storage.read_bytes(uri) for uri in storage.list_files(output)}


def is_as_new(prepare, tmp_path, output):
    again = prepare("m.jsonl", output, *FLAGS)
    fresh = f"{output}-{next(FRESH)}"
    assert (again.status, prepare("m.jsonl", fresh, *FLAGS).status) == (0, 0), again.stderr
    return dataset(output, tmp_path) == dataset(fresh, tmp_path)


def removed(uri):
    storage.delete(uri)


def replaced(uri):
    storage.write_bytes(uri, sound(1_500, 40 if uri.endswith(LONG) else 0.5))


def emptied(uri):
    storage.write_bytes(uri, b"")


def no_sound(uri):
    storage.write_bytes(uri, b"<html>" * 100)


def written_again(uri):
    storage.write_bytes(uri, storage.read_bytes(uri))


CHANGES = [removed, replaced, emptied, no_sound]


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("change", "name", "output"),
    [
        (removed, NAMES[0], "out"),
        (replaced, NAMES[0], f"{BUCKET}/out"),
        (emptied, NAMES[0], f"{BUCKET}/out"),
        (no_sound, NAMES[0], "out"),
        (removed, LONG, f"{BUCKET}/out"),
        (replaced, LONG, "out"),
    ],
)
def test_a_rerun_sees_it_and_sees_it_mended(place, prepare, tmp_path, change, name, output):
    uri = f"{BUCKET}/a/{name}"
    whole = storage.read_bytes(uri)
    assert prepare("m.jsonl", output, *FLAGS).status == 0
    change(uri)
    assert is_as_new(prepare, tmp_path, output)
    storage.write_bytes(uri, whole)
    assert is_as_new(prepare, tmp_path, output)
    assert prepare("m.jsonl", output, *FLAGS).json["rejected"] == 0


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "asked for one by one"])
@pytest.mark.parametrize("lost", ["", "report.html"], ids=["finished", "not finished"])
def test_what_has_not_changed_is_not_fetched_again(place, prepare, tmp_path, monkeypatch, listed, lost):
    monkeypatch.setattr("transforms.dataset.look.LISTED_FROM", 1 if listed else 10**9)
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    before = contents(tmp_path / "out")
    written_again(f"{BUCKET}/a/0.wav")
    if lost:
        (tmp_path / "out" / lost).unlink()
    place.calm()
    assert prepare("m.jsonl", "out", *FLAGS).json["reused"] == len(rows())
    assert (fetched(place), contents(tmp_path / "out")) == (set(), before)
    asked = {request.place[1] for request in place.seen if request.place[1]}
    first = {"a/0.wav"}  # whether the bucket may be read is asked of one recording
    assert asked == (first if listed else first | {f"a/{name}" for name in (*NAMES, LONG)})


def test_a_folder_of_many_others_is_not_listed_to_its_end(place, prepare, monkeypatch):
    monkeypatch.setattr("transforms.dataset.look.LISTED_FROM", 1)
    for number in range(200):
        storage.write_bytes(f"{BUCKET}/a/.{number}", b"of somebody else")
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    place.calm(page_size=10)
    assert prepare("m.jsonl", "out", *FLAGS).json["reused"] == len(rows())
    listings = [request for request in place.seen if request.place == ("cliptune-test", "")]
    assert len(listings) <= 1 + (len(NAMES) + 1) * 8 // 10
    assert fetched(place) == set()


def test_who_may_not_list_asks_for_each(place, prepare, monkeypatch):
    monkeypatch.setattr("transforms.dataset.look.LISTED_FROM", 1)
    assert prepare("m.jsonl", "out", *FLAGS).status == 0

    def refuse(self, folder, at_most):
        raise UserError("no permission to list")

    monkeypatch.setattr(Storage, "list_objects", refuse)
    assert prepare("m.jsonl", "out", *FLAGS).json["reused"] == len(rows())


def test_a_pinned_object_cannot_change_but_may_be_gone(gcs, prepare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage.write_bytes(f"{BUCKET}/a.wav", sound(300))
    pinned = f"{BUCKET}/a.wav#{generation_of(f'{BUCKET}/a.wav')}"
    write_manifest(tmp_path / "m.jsonl", [{"audio": pinned, "text": "a"}])
    assert prepare("m.jsonl", "out", *FLAGS).json["accepted"] == 1
    assert prepare("m.jsonl", "out", *FLAGS).json["reused"] == 1
    storage.delete(f"{BUCKET}/a.wav")
    assert is_as_new(prepare, tmp_path, "out")
    assert prepare("m.jsonl", "out", *FLAGS).json["rejected"] == 1


def test_an_object_that_is_unpacked_is_compared_as_it_is_read(gcs, prepare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def upload(content):
        blob = gcs_library.Client().bucket("cliptune-test").blob("a.wav")
        blob.content_encoding = "gzip"
        blob.upload_from_string(gzip.compress(content), content_type="audio/wav")

    upload(sound(300))
    write_manifest(tmp_path / "m.jsonl", [{"audio": f"{BUCKET}/a.wav", "text": "a"}])
    assert prepare("m.jsonl", "out", *FLAGS).json["accepted"] == 1
    assert prepare("m.jsonl", "out", *FLAGS).json["reused"] == 1
    upload(sound(400))
    assert is_as_new(prepare, tmp_path, "out")


def test_what_is_near_a_missing_object_is_said_anew(place, prepare, tmp_path):
    storage.delete(f"{BUCKET}/a/0.wav")
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    storage.write_bytes(f"{BUCKET}/a/0.WAV", b"x")
    assert is_as_new(prepare, tmp_path, "out")
    assert b"0.WAV" in contents(tmp_path / "out")["rejected.jsonl"]


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(2))
def test_any_changes(place, prepare, tmp_path, seed):
    chance = random.Random(seed)
    output = chance.choice(["out", f"{BUCKET}/out"])
    assert prepare("m.jsonl", output, *FLAGS).status == 0
    for _ in range(4):
        for _ in range(chance.randint(0, 3)):
            uri = f"{BUCKET}/a/{chance.choice([*NAMES, LONG])}"
            there = storage.exists(uri)
            chance.choice([*CHANGES, written_again] if there else [replaced])(uri)
        assert is_as_new(prepare, tmp_path, output)
