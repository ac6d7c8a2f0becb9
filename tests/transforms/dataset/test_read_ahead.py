"""Sources read ahead: at once, in order, each fault to its own clip, and not more than the window holds."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from transforms import reasons
from transforms.clip import Clip
from transforms.dataset import read_ahead
from transforms.dataset.sources import Stored
from transforms.errors import ClipRejected, UserError
from transforms.storage import Storage

storage = Storage()

READS = 4


def clips_of(*uris):
    return [Clip(f"c{index}", uri, "t", f"m:{index}") for index, uri in enumerate(uris)]


@pytest.fixture
def reader():
    with ThreadPoolExecutor(READS) as executor:
        yield executor


def contents(clips, reader, window=READS):
    reads = read_ahead.begin(clips, "/", Storage(), reader, window)
    return [ahead.result(30) for ahead in reads]


def test_as_many_reads_as_the_window_run_at_once_and_keep_their_order(reader, monkeypatch):
    """Each read waits for as many others as the window has: one after the other, none would ever end."""
    together = threading.Barrier(READS, timeout=30)

    def read(self, uri, max_bytes):
        together.wait()
        return uri.encode()

    monkeypatch.setattr(Storage, "read_audio", read)
    names = [f"gs://b/{index}" for index in range(2 * READS)]
    assert contents(clips_of(*names), reader) == [name.encode() for name in names]


@pytest.mark.parametrize("window", [1, 3])
def test_no_more_is_begun_than_the_window(reader, monkeypatch, window):
    begun: list[str] = []

    def read(self, uri, max_bytes):
        begun.append(uri)
        return b"x"

    monkeypatch.setattr(Storage, "read_audio", read)
    reads = read_ahead.begin(clips_of(*(f"gs://b/{index}" for index in range(9))), "/", Storage(), reader, window)
    for taken, ahead in enumerate(reads):
        assert ahead.result(30) == b"x"
        assert len(begun) <= taken + window


def test_a_fault_is_raised_for_the_clip_it_belongs_to(bucket, reader):
    storage.write_bytes(f"{bucket}/a.wav", b"sound")
    clips = clips_of(f"{bucket}/a.wav", f"{bucket}/missing.wav", "gs:///nameless", f"{bucket}/a.wav")
    first, missing, nameless, last = read_ahead.begin(clips, "/", Storage(), reader, READS)
    assert Stored(clips[0].uri, Storage(), first).read() == Stored(clips[3].uri, Storage(), last).read() == b"sound"
    with pytest.raises(ClipRejected) as refusal:
        Stored(clips[1].uri, Storage(), missing).read()
    assert refusal.value.reason == reasons.NOT_FOUND
    with pytest.raises(UserError, match="bucket's name"):
        Stored(clips[2].uri, Storage(), nameless).read()


@pytest.mark.parametrize("over", [0, 1])
def test_a_long_file_waits_in_the_bucket(bucket, reader, monkeypatch, over):
    monkeypatch.setattr(read_ahead, "MAX_WAITING_BYTES", 10)
    (clip,) = clips_of(f"{bucket}/a.wav")
    storage.write_bytes(clip.uri, b"x" * (10 + over))
    (ahead,) = read_ahead.begin([clip], "/", Storage(), reader, READS)
    assert ahead.result(30) == (None if over else b"x" * 10)
    assert Stored(clip.uri, Storage(), ahead).read() == b"x" * (10 + over)


def test_files_of_this_machine_and_segments_are_not_read_ahead(tmp_path):
    """With an executor that would refuse."""
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    (tmp_path / "a.wav").write_bytes(b"sound")
    clips = [Clip("a", "a.wav", "t", "m:1"), Clip("b", "gs://b/long.wav", "t", "m:2", offset=1.0)]
    assert [ahead.result(30) for ahead in read_ahead.begin(clips, str(tmp_path), Storage(), closed, READS)] == [
        None,
        None,
    ]
    assert Stored(str(tmp_path / "a.wav"), Storage(), None).read() == b"sound"
