"""Reading one clip's source: what is no readable file of a bounded size is refused at once, whatever it is."""

import os
import socket
import stat
import tracemalloc

import pytest

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.storage import Storage, uris

storage = Storage()

LIMIT = 10


@pytest.mark.parametrize("length", [1, LIMIT])
def test_read_audio_up_to_its_limit(root, length):
    uri = uris.join(root, "a.wav")
    storage.write_bytes(uri, b"x" * length)
    assert storage.read_audio(uri, LIMIT) == b"x" * length


def test_a_local_file_takes_the_memory_that_it_has_bytes(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x" * 200_000)
    tracemalloc.start()
    try:
        storage.read_audio(str(tmp_path / "a.wav"), 512 << 20)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_does_not_tell_its_size_is_read(tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_bytes(b"x" * LIMIT)
    sizeless = os.stat_result((stat.S_IFREG, 0, 0, 0, 0, 0, 0, 0, 0, 0))  # as in /proc
    monkeypatch.setattr(os, "fstat", lambda descriptor: sizeless)
    assert storage.read_audio(str(tmp_path / "a.wav"), LIMIT) == b"x" * LIMIT


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, reasons.NOT_FOUND),
        (b"", reasons.EMPTY_FILE),
        (b"x" * (LIMIT + 1), reasons.FILE_TOO_LARGE),
        (b"x" * 1_000_000, reasons.FILE_TOO_LARGE),
    ],
)
def test_read_audio_refuses(root, content, reason):
    uri = uris.join(root, "a.wav")
    if content is not None:
        storage.write_bytes(uri, content)
    with pytest.raises(ClipRejected) as refusal:
        storage.read_audio(uri, LIMIT)
    assert refusal.value.reason == reason
    assert root not in refusal.value.detail  # two machines say the same


def _socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _loop(path):
    path.symlink_to(path)


def _through_a_file(path):
    path.write_bytes(b"x")
    return path / "below.wav"


@pytest.mark.parametrize(
    ("make", "reason", "word"),
    [
        (os.mkfifo, reasons.NOT_A_FILE, "pipe"),  # opened the usual way, it waits for ever
        (_socket, reasons.NOT_A_FILE, "socket"),
        (_loop, reasons.NOT_A_FILE, "loop"),
        (lambda path: path.mkdir(), reasons.NOT_A_FILE, "folder"),
        (lambda path: path.symlink_to("/dev/zero"), reasons.NOT_A_FILE, "device"),
        (lambda path: path.symlink_to("nowhere"), reasons.NOT_FOUND, "no such file"),
        (_through_a_file, reasons.NOT_FOUND, "no such file"),
        (lambda path: path.with_name("x" * 300), reasons.NOT_FOUND, "no such file"),
        (lambda path: f"{path}\0.wav", reasons.NOT_FOUND, "no such file"),
        (lambda path: f"{path}\ud800.wav", reasons.NOT_FOUND, "no such file"),
    ],
)
def test_read_audio_refuses_what_is_no_file_and_does_not_wait(tmp_path, make, reason, word):
    path = tmp_path / "a.wav"
    made = make(path)
    with pytest.raises(ClipRejected, match=word) as refusal:
        storage.read_audio(str(made or path), LIMIT)
    assert refusal.value.reason == reason


@pytest.fixture
def forbidden(tmp_path):
    """A file that may not be read, not even where the tests run as root."""
    path = tmp_path / "a.wav"
    path.touch(mode=0)
    user = os.geteuid()
    os.seteuid(user or 65_534)
    yield str(path)
    os.seteuid(user)


def test_read_audio_refuses_a_forbidden_file(forbidden):
    with pytest.raises(ClipRejected, match="permission") as refusal:
        storage.read_audio(forbidden, LIMIT)
    assert refusal.value.reason == reasons.UNREADABLE
