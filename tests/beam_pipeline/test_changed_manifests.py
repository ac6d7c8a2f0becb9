"""Manifests of every kind that change at any moment of a run: what is made is of one of the two, or nothing is."""

import gzip
import io
import json
import random
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from tests.beam_pipeline.conftest import contents
from tests.sounds import tone
from transforms.manifests import formats, read
from transforms.storage import Storage, uris

RATE = 16_000
BUCKET = "gs://cliptune-test"
ELSEWHERE = "--runner=BundleBasedDirectRunner"
FLAGS = ("--max_rejected_fraction=1",)
ROWS = [(f"clip{number}", f"{number}.wav", f"text {number}") for number in range(5)]
storage = Storage()


def _jsonl(rows):
    return "".join(json.dumps({"id": key, "audio": audio, "text": text}) + "\n" for key, audio, text in rows).encode()


def _cells(rows, delimiter):
    return "".join(delimiter.join(row) + "\n" for row in [("id", "audio", "text"), *rows]).encode()


def _parquet(rows):
    file = pa.BufferOutputStream()
    columns = dict(zip(("id", "audio", "text"), map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), file, row_group_size=2)
    return file.getvalue().to_pybytes()


def _json_array(rows):
    return b"[" + b",".join(_jsonl(rows).splitlines()) + b"]"


def _kaldi(rows):
    return {
        "wav.scp": "".join(f"{key} {audio}\n" for key, audio, _ in rows).encode(),
        "text": "".join(f"{key} {text}\n" for key, _, text in rows).encode(),
        "utt2spk": "".join(f"{key} of-{text.replace(' ', '-')}\n" for key, _, text in rows).encode(),
    }


def _kaldi_segments(rows):
    found = {name: content for name, content in _kaldi(rows).items() if name != "wav.scp"}
    found["wav.scp"] = "".join(f"r{key} {audio}\n" for key, audio, _ in rows).encode()
    found["segments"] = "".join(f"{key} r{key} 0.0 0.{3 + len(text) % 2}\n" for key, _, text in rows).encode()
    return found


# By kind: the --manifest, and its files below the folder of the recordings.
KINDS = {
    "jsonl": (["m.jsonl"], lambda rows: {"m.jsonl": _jsonl(rows)}),
    "jsonl.gz": (["m.jsonl.gz"], lambda rows: {"m.jsonl.gz": gzip.compress(_jsonl(rows), mtime=0)}),
    "json array": (["m.json"], lambda rows: {"m.json": _json_array(rows)}),
    "csv": (["m.csv"], lambda rows: {"m.csv": _cells(rows, ",")}),
    "csv.gz": (["m.csv.gz"], lambda rows: {"m.csv.gz": gzip.compress(_cells(rows, ","), mtime=0)}),
    "tsv": (["m.tsv"], lambda rows: {"m.tsv": _cells(rows, "\t")}),
    "list": (["m.txt"], lambda rows: {"m.txt": "".join(f"{a}|{t}\n" for _, a, t in rows).encode()}),
    "parquet": (["m.parquet"], lambda rows: {"m.parquet": _parquet(rows)}),
    "kaldi": ([""], _kaldi),
    "kaldi with segments": ([""], _kaldi_segments),
    "pairs": ([""], lambda rows: {f"{audio[:-4]}.txt": text.encode() for _, audio, text in rows}),
    "several": (["m.jsonl", "n.csv"], lambda rows: {"m.jsonl": _jsonl(rows[:2]), "n.csv": _cells(rows[2:], ",")}),
    "glob": (["*.jsonl"], lambda rows: {"m.jsonl": _jsonl(rows[:2]), "n.jsonl": _jsonl(rows[2:])}),
}


def _each(change):
    return lambda files: {name: change(content) for name, content in files.items()}


# By name: the rows and the bytes that are there afterwards.
ROW_CHANGES = {
    "a row lost": lambda rows: rows[:-1],
    "a row added": lambda rows: [*rows, ("clip5", "5.wav", "text 5")],
    "a text rewritten": lambda rows: [*rows[:-1], (*rows[-1][:2], "other")],
    "another recording": lambda rows: [("clip0", "5.wav", "text 0"), *rows[1:]],
    "another id": lambda rows: [("other", *rows[0][1:]), *rows[1:]],
    "an id doubled": lambda rows: [*rows[:-1], (rows[0][0], *rows[-1][1:])],
    "texts swapped": lambda rows: [(*rows[0][:2], rows[1][2]), (*rows[1][:2], rows[0][2]), *rows[2:]],
    "reordered": lambda rows: rows[::-1],
}
BYTE_CHANGES = {
    "cut": _each(lambda content: content[: len(content) // 2]),
    "emptied": _each(lambda content: b""),
    "removed": lambda files: {},
    "no manifest": _each(lambda content: b"\x00\x01\x02\xff" * 50),
}
CHANGES = {**ROW_CHANGES, **BYTE_CHANGES}


class Place:
    """A folder, on disk or in the bucket, with recordings and a manifest of some kind."""

    def __init__(self, folder, kind):
        self.folder = str(folder)
        names, self.files_of = KINDS[kind]
        self.manifest = [f"{folder}/{name}".rstrip("/") for name in names]
        for number in range(6):
            content = io.BytesIO()
            soundfile.write(content, tone(300 + 50 * number, RATE, 0.3), RATE, "PCM_16", format="WAV")
            storage.write_bytes(f"{folder}/{number}.wav", content.getvalue())
        self.write()

    def write(self, change=""):
        """Writes the manifest, changed or not."""
        files = self.files_of(ROW_CHANGES[change](ROWS) if change in ROW_CHANGES else ROWS)
        files = BYTE_CHANGES[change](files) if change in BYTE_CHANGES else files
        for uri in storage.list_files(self.folder):
            if not uri.endswith(".wav") and uris.below(self.folder, uri) not in files:
                storage.delete(uri)
        for name, content in files.items():
            storage.write_bytes(f"{self.folder}/{name}", content)


class Looks:
    """Counts the moments at which a manifest on disk is asked for, or a row taken from it; one of them is acted at."""

    def __init__(self, place, monkeypatch):
        self.place = place
        self.begin(0)
        for name in ("open_read", "read_bytes", "identity", "exists", "is_folder", "size", "list_files"):
            monkeypatch.setattr(Storage, name, self._asked(getattr(Storage, name)))
        monkeypatch.setattr(read, "read_manifest", self._rows(formats.read_manifest))

    def begin(self, at, change=""):
        self.seen, self.at, self.change = 0, at, change

    def next(self):
        self.seen += 1
        if self.seen == self.at:
            self.at = 0
            self.place.write(self.change)

    def _asked(self, method):
        def call(storage, uri, *args):
            if str(uri).startswith(self.place.folder) and not str(uri).endswith(".wav"):
                self.next()
            return method(storage, uri, *args)

        return call

    def _rows(self, rows):
        def call(*args):
            for row in rows(*args):
                self.next()
                yield row

        return call


class Requests(Looks):
    """The same of a manifest in the bucket, request by request."""

    def __init__(self, place, proxy):
        self.place, self.proxy = place, proxy
        self.begin(0)

    def begin(self, at, change=""):
        self.seen, self.at, self.change = 0, at, change
        self.proxy.watch = self._watch

    def _watch(self, moment, request):
        bucket, name = request.place
        if moment == "before" and bucket and not name.endswith(".wav"):
            self.proxy.watch = lambda *_: False
            self.next()
            self.proxy.watch = self._watch


@pytest.fixture
def attack(prepare, tmp_path):
    """Prepares a manifest that changes at some moments, and holds each time that this is the law.

    What is made is of the manifest as it was or as it is now. Else one line says so, there is nothing, and the same
    command makes the dataset when the manifest is as it was.
    """

    def run(place, output, *flags):
        first, *others = place.manifest
        return prepare(first, output, *(f"--manifest={other}" for other in others), *FLAGS, *flags)

    def is_told(found):
        told = found.stderr.splitlines()[-1]
        assert (found.status, found.stdout) == (1, ""), found.stderr
        assert not any((tmp_path / "out").rglob("*.*"))
        return "changed while it was read; run this command again" in told

    def call(place, looks, changes, chance, *flags):
        looks.begin(0)
        assert run(place, "old", *flags).status == 0
        number, old = looks.seen, contents(tmp_path / "old")
        for change in changes:
            looks.begin(chance.randint(1, number), change)
            found = run(place, "out", *flags)
            looks.begin(0)
            if found.status == 0:
                made = contents(tmp_path / "out")
                assert made == old or (run(place, "new", *flags).status, made) == (0, contents(tmp_path / "new"))
            elif not is_told(found):  # the change came first
                place.write(change)
                said = run(place, "new", *flags).stderr
                assert said == found.stderr or "there is no such manifest" in found.stderr
            place.write()
            if found.status:
                assert run(place, "out", *flags).status == 0
                assert contents(tmp_path / "out") == old
            for output in ("out", "new"):
                shutil.rmtree(tmp_path / output, ignore_errors=True)

    return call


SOME_CHANGES = [[*CHANGES][start::3] for start in range(3)]


@pytest.mark.sweep
@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_on_disk(tmp_path, monkeypatch, small_shards, attack, kind):
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path / "d", kind)
    attack(place, Looks(place, monkeypatch), SOME_CHANGES[[*KINDS].index(kind) % 3], random.Random(kind))


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["jsonl", "parquet", "kaldi with segments", "pairs"])
def test_a_manifest_that_workers_elsewhere_read(tmp_path, monkeypatch, small_shards, attack, kind):
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path / "d", kind)
    changes = ("a row lost", "a text rewritten", "cut")
    attack(place, Looks(place, monkeypatch), changes, random.Random(kind), ELSEWHERE)


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("jsonl", ("a row lost", "a text rewritten", "removed")),
        ("csv.gz", ("a row added", "cut", "emptied")),
        ("parquet", ("a row lost", "removed", "no manifest")),
        ("kaldi with segments", ("an id doubled", "another recording", "removed")),
        ("pairs", ("a text rewritten", "a row lost", "a row added")),
        ("several", ("a row lost", "removed", "reordered")),
    ],
)
def test_a_manifest_in_a_bucket(gcs, tmp_path, monkeypatch, small_shards, attack, kind, changes):
    monkeypatch.chdir(tmp_path)
    place = Place(f"{BUCKET}/d", kind)
    attack(place, Requests(place, gcs), changes, random.Random(kind))


@pytest.mark.parametrize("at", range(1, 6))
def test_an_object_that_goes_between_two_requests(gcs, tmp_path, monkeypatch, prepare, at):
    monkeypatch.chdir(tmp_path)
    place = Place(f"{BUCKET}/d", "jsonl")
    requests = Requests(place, gcs)
    requests.begin(at, "removed")
    run = prepare(place.manifest[0], "out")
    assert (run.status, run.stdout, (tmp_path / "out").exists()) == (1, "", False)
    assert run.stderr.startswith("cliptune prepare: ") and place.manifest[0] in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_packed_manifest_in_a_bucket_is_read(gcs, tmp_path, monkeypatch, prepare):
    monkeypatch.chdir(tmp_path)
    place = Place(f"{BUCKET}/d", "jsonl.gz")
    assert prepare(place.manifest[0], "out", *FLAGS).json["accepted"] == len(ROWS)
