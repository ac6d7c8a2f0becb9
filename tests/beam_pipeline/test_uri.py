"""`--audio_part=uri`: clips as files of their own, named by their contents, to which the examples refer."""

import itertools
import json
import os
import signal
from hashlib import sha256

import pytest
from google.cloud import storage as gcs
from google.cloud.aiplatform_v1beta1.types import GeminiExample
from google.cloud.storage import Blob
from google.protobuf import json_format

from tests import forked
from tests.beam_pipeline.conftest import FEW, SOME, prepare_in_small_shards, write_manifest
from transforms.audio import encode
from transforms.dataset.ledger import read_ledger
from transforms.payloads import Payload
from transforms.storage import Storage

storage = Storage()


def files(folder):
    """The contents of every file below a gs:// folder, by its path there."""
    return {uri.removeprefix(f"{folder}/"): storage.read_bytes(uri) for uri in storage.list_files(folder)}


def parts(contents):
    """The audio part of every example, with its ledger's facts left out."""
    for name, content in sorted(contents.items()):
        if name.startswith(("train/", "validation/")) and name.endswith(".jsonl"):
            for line in content.splitlines():
                json_format.Parse(line, GeminiExample.pb()())
                yield json.loads(line)["contents"][0]["parts"][1]


@pytest.mark.parametrize(
    ("names", "part", "keys"),
    [
        ("snake_case", "file_data", ("mime_type", "file_uri")),
        ("camelCase", "fileData", ("mimeType", "fileUri")),
    ],
)
def test_examples_refer_to_files_named_by_their_contents(folder, prepare, bucket, names, part, keys):
    output = f"{bucket}/d"
    run = prepare(folder / "m.jsonl", output, "--audio_part=uri", f"--json_names={names}", "--verify")
    assert (run.status, run.json["accepted"]) == (0, len(SOME))
    found = files(output)
    audio = {name: content for name, content in found.items() if name.startswith("audio/")}
    referred = [each[part] for each in parts(found)]
    assert {each[keys[1]] for each in referred} == {f"{output}/{name}" for name in audio}
    assert {each[keys[0]] for each in referred} == {"audio/flac"}
    for name, content in audio.items():
        digest = sha256(content).hexdigest()
        assert name == f"audio/{digest[:2]}/{digest}.flac"
        samples, rate = encode.decode_payload(Payload(content, "audio/flac"))
        assert (rate, samples.ndim) == (16_000, 1)
    blobs = {f"{bucket}/{blob.name}": blob for blob in gcs.Client().list_blobs("cliptune-test", prefix="d/audio/")}
    for row in read_ledger(f"{output}/ledger", Storage()):
        digest = str(row["audio_sha256"])
        blob = blobs[f"{output}/audio/{digest[:2]}/{digest}.flac"]
        assert (blob.size, blob.content_type) == (row["audio_bytes"], row["mime_type"])
        assert blob.crc32c == row["audio_crc32c"]


def test_the_audio_is_that_of_the_inline_dataset(folder, prepare, bucket):
    prepare(folder / "m.jsonl", f"{bucket}/d", "--audio_part=uri")
    prepare(folder / "m.jsonl", f"{bucket}/inline")
    by_uri, inline = (list(read_ledger(f"{bucket}/{name}/ledger", Storage())) for name in ("d", "inline"))
    facts = ("clip_id", "split", "audio_sha256", "audio_bytes", "num_samples", "mime_type")
    assert [[row[name] for name in facts] for row in by_uri] == [[row[name] for name in facts] for row in inline]


def test_equal_clips_are_one_file(folder, prepare, bucket):
    twice = [{**row, "id": f"{row['id']}-again"} for row in FEW]
    run = prepare(write_manifest(folder / "t.jsonl", [*FEW, *twice]), f"{bucket}/d", "--audio_part=uri")
    assert run.json["accepted"] == 2 * len(FEW)
    assert len(storage.list_files(f"{bucket}/d/audio")) == len(FEW)


@pytest.fixture
def uploads(monkeypatch):
    """The names of the audio files that this process uploads."""
    sent: list[str] = []
    upload = Blob.upload_from_string

    def noted(blob, *args, **options):
        sent.append(blob.name)
        return upload(blob, *args, **options)

    monkeypatch.setattr(Blob, "upload_from_string", noted)
    return sent


def test_a_rerun_uploads_no_audio_again(folder, prepare, bucket, small_shards, uploads):
    output = f"{bucket}/d"
    prepare(folder / "m.jsonl", output, "--audio_part=uri")
    first = files(output)
    assert sorted(uploads) == sorted(f"d/{name}" for name in first if name.startswith("audio/"))
    # A shard to be made again, and one of its files that is gone: only this is sent.
    name = next(name for name in first if name.startswith("train/") and first[name] and name.endswith(".jsonl"))
    line = json.loads(first[name].splitlines()[0])
    uri = line["contents"][0]["parts"][1]["file_data"]["file_uri"]
    storage.delete(f"{output}/{name.replace('.jsonl', '.outcomes.json')}")
    storage.delete(uri)
    uploads.clear()
    again = prepare(folder / "m.jsonl", output, "--audio_part=uri")
    assert again.json["reused"] == len(SOME) - len(first[name].splitlines())
    assert files(output) == first
    assert uploads == [uri.removeprefix(f"{bucket}/")]


def test_a_damaged_file_is_replaced(folder, prepare, bucket, uploads):
    prepare(folder / "m.jsonl", f"{bucket}/d", "--audio_part=uri")
    first = files(f"{bucket}/d")
    (damaged, *_) = storage.list_files(f"{bucket}/d/audio")
    storage.write_bytes(damaged, b"no audio")
    for uri in storage.list_files(f"{bucket}/d/train"):
        storage.delete(uri)
    uploads.clear()
    prepare(folder / "m.jsonl", f"{bucket}/d", "--audio_part=uri")
    assert files(f"{bucket}/d") == first
    assert set(uploads) <= {damaged.removeprefix(f"{bucket}/")}


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_verify_mends_files_that_are_missing_or_changed(folder, prepare, bucket, damage):
    prepare(folder / "m.jsonl", f"{bucket}/d", "--audio_part=uri")
    first = files(f"{bucket}/d")
    (damaged, *_) = storage.list_files(f"{bucket}/d/audio")
    storage.delete(damaged)
    if damage == "changed":
        storage.write_once(damaged, b"no audio", "audio/flac")
    assert prepare(folder / "m.jsonl", f"{bucket}/d", "--audio_part=uri").json["reused"] == len(SOME)
    assert files(f"{bucket}/d") != first
    assert prepare(folder / "m.jsonl", f"{bucket}/d", "--audio_part=uri", "--verify").json["reused"] < len(SOME)
    assert files(f"{bucket}/d") == first


def killed_writing(*words):
    """The command, in a process that kills itself when it has written ten files of audio."""
    write_once, seen = Storage.write_once, itertools.count(1)

    def killed(*args):
        write_once(*args)
        if next(seen) == 10:
            os.kill(os.getpid(), signal.SIGKILL)

    pytest.MonkeyPatch().setattr(Storage, "write_once", killed)
    prepare_in_small_shards(*words)


def test_a_killed_run_is_finished_by_the_next(folder, prepare, bucket, small_shards, uploads, monkeypatch):
    monkeypatch.chdir(folder)
    output = f"{bucket}/d"
    prepare("m.jsonl", output, "--audio_part=uri")
    calm = files(output)
    for uri in storage.list_files(output):
        storage.delete(uri)
    words = ["--manifest", "m.jsonl", "--output", output, "--audio_part=uri"]
    killed = forked.run(killed_writing, *words, folder=folder)
    assert killed.returncode == -signal.SIGKILL
    there = {uri.removeprefix(f"{bucket}/") for uri in storage.list_files(f"{output}/audio")}
    assert len(there) >= 9
    uploads.clear()
    assert prepare("m.jsonl", output, "--audio_part=uri").status == 0
    assert files(output) == calm
    assert not there & set(uploads)


def test_a_local_output_needs_to_know_where_its_audio_will_be(folder, prepare):
    run = prepare(folder / "m.jsonl", folder / "out", "--audio_part=uri")
    assert (run.status, run.stdout) == (1, "")
    assert "--audio_part=uri needs a bucket" in run.stderr
    run = prepare(folder / "m.jsonl", folder / "out", "--audio_part=uri", "--audio_uri=gs://bucket/clips/")
    assert run.status == 0
    content = {
        str(path.relative_to(folder / "out")): path.read_bytes()
        for path in (folder / "out").rglob("*")
        if path.is_file()
    }
    referred = {part["file_data"]["file_uri"] for part in parts(content)}
    assert referred == {
        name.replace("audio/", "gs://bucket/clips/", 1) for name in content if name.startswith("audio/")
    }


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--audio_uri=gs://bucket/x"], "--audio_uri must be left out without audio_part=uri"),
        (["--audio_part=uri", "--audio_uri=http://b/x"], "--audio_uri must be a folder in gs://, got 'http://b/x'"),
    ],
)
def test_flags_that_do_not_go_together(folder, prepare, flags, told):
    run = prepare(folder / "m.jsonl", folder / "out", *flags)
    assert run.status == 2
    assert told in run.stderr
