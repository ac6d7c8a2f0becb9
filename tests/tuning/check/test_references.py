"""Audio that examples point to: there, of the right type and with the right checksum, or told with file and line."""

import urllib.request

import pytest
from google.cloud import storage as gcs

from transforms import limits
from transforms.errors import UserError
from transforms.storage import Storage
from tuning.check import references
from tuning.check.references import Reference, check_references
from tuning.providers.base import ERROR, WARNING

storage = Storage()


@pytest.fixture
def put(bucket):
    def upload(name, content=b"audio", mime_type="audio/flac"):
        storage.write_once(f"{bucket}/{name}", content, mime_type)
        return f"{bucket}/{name}"

    return upload


def found(references, ledger=""):
    return [(each.source, each.severity, each.rule) for each in check_references(references, storage, ledger)]


def pointing_to(*names, mime_type="audio/flac"):
    return {uri: Reference(f"t.jsonl:{line}", mime_type) for line, uri in enumerate(names, start=1)}


def test_what_is_there_is_no_problem(put):
    assert found(pointing_to(put("a/b.flac"), put("a/c #?[x].flac"), put("d/é.flac"))) == []


def test_what_is_missing_is_told_by_its_first_line(put, bucket):
    there = put("a/b.flac")
    assert found(pointing_to(there, f"{bucket}/a/c.flac", f"{bucket}/nowhere/d.flac")) == [
        ("t.jsonl:2", ERROR, "missing_audio"),
        ("t.jsonl:3", ERROR, "missing_audio"),
    ]


def test_another_type_is_a_warning_for_files_from_elsewhere(put):
    assert found(pointing_to(put("a.wav", mime_type="audio/x-wav"), mime_type="audio/wav")) == [
        ("t.jsonl:1", WARNING, "audio_type")
    ]


@pytest.mark.parametrize(("limit", "problems"), [(5, []), (4, [("t.jsonl:1", ERROR, "audio")])])
def test_what_is_too_large_for_the_service_is_an_error(put, monkeypatch, limit, problems):
    monkeypatch.setattr(limits, "MAX_AUDIO_BYTES", limit)
    assert found(pointing_to(put("a.flac", b"audio"))) == problems


@pytest.mark.parametrize("name", ["no-such-bucket", "cliptune-test"])
def test_a_bucket_that_cannot_be_listed_is_told_once(bucket, name, monkeypatch):
    if name == "cliptune-test":
        monkeypatch.setattr(references, "MIN_LISTED", 2)
        monkeypatch.setattr(references, "MAX_LISTED_FOR_EACH", 1)
        for index in range(5):
            storage.write_once(f"{bucket}/{index}.flac", b"x", "audio/flac")
    wanted = pointing_to(f"gs://{name}/x.flac", f"gs://{name}/y.flac")
    (problem,) = check_references(wanted, Storage())
    assert (problem.source, problem.severity, problem.rule) == ("t.jsonl:1", WARNING, "audio_not_seen")
    assert problem.detail.startswith("the audio of 2 examples was not looked for: ")


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["a/b.flac", "a/c.flac", "d.flac"], ["gs://k", "gs://k/a"]),
        ([f"x/audio/{index:02x}/y.flac" for index in range(9)], ["gs://k/x/audio"]),
        ([f"x{index}/y.flac" for index in range(9)], ["gs://k"]),
        ([f"x/{index}0/y.flac" for index in range(8)], [f"gs://k/x/{index}0" for index in range(8)]),
    ],
)
def test_few_folders_are_listed_each_and_many_as_one(names, folders):
    assert references._folders([f"gs://k/{name}" for name in names]) == folders


def test_a_thousand_clips_take_few_requests(put, bucket, monkeypatch):
    names = [put(f"audio/{index % 256:02x}/{index}.flac") for index in range(300)]
    lists: list[str] = []
    listed = Storage.list_objects

    def noted(self, folder, at_most):
        lists.append(folder)
        return listed(self, folder, at_most)

    monkeypatch.setattr(Storage, "list_objects", noted)
    assert found(pointing_to(*names)) == []
    assert lists == [f"{bucket}/audio"]


def test_nothing_is_asked_about_no_references(monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", None)
    monkeypatch.setattr(gcs, "Client", None)
    assert found({}, "gs://no-such-bucket/ledger") == []


def test_listed_objects_have_their_facts(put, bucket):
    put("x/a.flac", b"hello")
    put("x/b.wav", b"", "audio/wav")
    assert [
        (each.uri, each.size, each.crc32c, each.content_type) for each in storage.list_objects(f"{bucket}/x", 9)
    ] == [
        (f"{bucket}/x/a.flac", 5, "mnG7TA==", "audio/flac"),
        (f"{bucket}/x/b.wav", 0, "AAAAAA==", "audio/wav"),
    ]
    with pytest.raises(UserError):
        storage.list_objects("gs://no-such-bucket/x", 9)
