"""What is told of a file, and what a mark on a sidecar holds."""

import os
import shutil
from dataclasses import replace
from typing import Any

import pytest

from tests.shards import output_of, ten_tones, write
from transforms.dataset import look, sources
from transforms.dataset.look import Written
from transforms.dataset.sidecar import Sidecar
from transforms.storage import MARKS, Status, Storage, Version, crc32c

storage = Storage()
KEY = ("train", 0)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A shard of ten tones and of a file that is none, and where it is."""
    monkeypatch.setattr(look, "UNSETTLED_NS", -(10**18))
    output = output_of(tmp_path)
    clips = ten_tones(tmp_path)
    write(KEY, clips, output)
    uri = output.sidecar_uri(KEY)
    content = storage.read_bytes(uri)
    return Written(uri, content, Sidecar.load(content).outcomes), output


@pytest.mark.parametrize("number", [1, 2, 4_999_999, MARKS - 1])
def test_a_mark_changes_no_byte_and_goes_with_the_time(tmp_path, number):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    before = path.stat()
    storage.mark(str(path), number)
    assert (storage.marked(str(path)), path.read_bytes()) == (number, b"abc")
    assert path.stat().st_mtime_ns // 10**9 == before.st_mtime_ns // 10**9
    shutil.copy2(path, tmp_path / "with its time")
    assert storage.marked(str(tmp_path / "with its time")) == number
    os.utime(path, (1, 1))
    assert storage.marked(str(path)) == 0
    assert storage.marked(str(tmp_path / "nowhere")) is None


def test_a_time_that_is_no_mark(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"")
    os.utime(path, ns=(0, 123_456_701))
    assert storage.marked(str(path)) is None


def test_a_shard_is_marked_with_what_its_recordings_are(written):
    shard, output = written
    statuses = look.statuses_of(shard, output)
    assert len(statuses) == 11
    assert look.is_marked(shard, statuses, output)
    assert not look.is_marked(replace(shard, content=shard.content + b" "), statuses, output)
    assert not look.is_marked(shard, statuses, replace(output, allowed=()))
    for uri, status in statuses.items():
        assert status is not None
        values: list[Any] = [*status]
        for at, value in enumerate(values):
            others = [*values]
            others[at] = f"{value}x" if isinstance(value, str) else value + 1
            assert not look.is_marked(shard, {**statuses, uri: Status(*others)}, output)
        assert not look.is_marked(shard, {**statuses, uri: None}, output)


def test_a_recording_of_this_moment_is_not_trusted_to_its_times(written, monkeypatch):
    shard, output = written
    os.utime(shard.uri)
    monkeypatch.setattr(look, "UNSETTLED_NS", 10**18)
    statuses = look.statuses_of(shard, output)
    look.mark(shard, statuses, output)
    assert not look.is_marked(shard, statuses, output)


def test_an_outcome_has_the_version_of_its_source(written, tmp_path):
    shard, _ = written
    for outcome in shard.outcomes:
        content = (tmp_path / str(outcome.uri)).read_bytes()
        assert (outcome.source_bytes, outcome.source_crc32c) == (len(content), crc32c(content))


@pytest.mark.parametrize("length", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_version_is_the_same_however_it_is_read(tmp_path, length):
    (tmp_path / "a").write_bytes(b"x" * length)
    with (tmp_path / "a").open("rb") as file:
        file.seek(length // 2)
        assert Version.of_file(file) == Version.of(b"x" * length) == (length, crc32c(b"x" * length))


def test_a_file_of_one_status_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    status, read, opened = storage.status(str(path)), [], Storage.open_audio

    def counted(self, uri):
        read.append(uri)
        return opened(self, uri)

    monkeypatch.setattr(Storage, "open_audio", counted)
    assert {sources.version_of(str(path), status, storage) for _ in range(3)} == {Version.of(b"abc")}
    assert len(read) == 1
    sources.forget()
    assert sources.version_of(str(path), status, storage) == Version.of(b"abc")
    assert len(read) == 2
    path.write_bytes(b"abd")
    os.utime(path, (1, 1))
    sources.forget()
    assert sources.version_of(str(path), status, storage) is None  # it is another by now


def test_what_is_no_regular_file_has_no_status(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("", "pipe", "loop", "nowhere", "a\0b", "x" * 300, "pipe/x"):
        assert storage.status(str(tmp_path / name)) is None
