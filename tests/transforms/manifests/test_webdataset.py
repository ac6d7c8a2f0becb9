"""Tar shards: each name is a row, its recording is told by its place, and no archive harms the program."""

import io
import json
import tarfile
import tracemalloc
from typing import BinaryIO, cast

import pytest

from tests.transforms.manifests.written import rows_of
from transforms.clip import Clip
from transforms.errors import UserError
from transforms.manifests import tar
from transforms.storage import inside

WAV = b"RIFF and so on" * 50


def member(name, content=b"", **facts):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, content


def shard(tmp_path, *members, form=tarfile.PAX_FORMAT, name="s.tar"):
    path = tmp_path / name
    with tarfile.open(path, "w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def told(rows):
    """Id and text of each clip, else the reason."""
    return [(row.clip_id, row.target) if isinstance(row, Clip) else row.reason for row in rows]


def contents(path, rows):
    """What lies where the rows say."""
    places = [place for row in rows if (place := inside.place_of(row.uri)) is not None]
    return [path.read_bytes()[place.offset : place.offset + place.size] for place in places]


LONG = "a/" * 90 + "é" * 60
FORMS = {"pax": tarfile.PAX_FORMAT, "GNU": tarfile.GNU_FORMAT}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "key", ["000001", "./000001", "some/folder/000001", LONG, "with blank", "hash#1", "100%", "umlaut-ü"]
)
def test_a_row_is_what_has_one_name(tmp_path, key, form):
    members = member(f"{key}.wav", WAV), member(f"{key}.txt", b"hello\n"), member("b.flac", b"x"), member("b.txt", b"w")
    path = shard(tmp_path, *members, form=FORMS[form])
    rows = rows_of(path)
    assert told(rows) == [(f"s/{key.removeprefix('./')}", "hello"), ("s/b", "w")]
    assert contents(path, rows) == [WAV, b"x"]
    assert inside.name_of(rows[0].uri) == f"{key}.wav"


ROWS = {
    "a text": ([("txt", b"hello")], "hello"),
    "a text with a line end": ([("txt", b"hello\r\n")], "hello"),
    "JSON": ([("json", b'{"text": "hello", "speaker": "x"}')], "hello"),
    "JSON of another name": ([("json", b'{"transcription": "hello"}')], "hello"),
    "a class": ([("cls", b"3")], "3"),
    "both": ([("json", b'{"speaker": "x"}'), ("txt", b"hello")], "hello"),
    "both, and they agree": ([("json", b'{"text": "hello"}'), ("txt", b"hello")], "hello"),
    "both, and they contradict each other": ([("json", b'{"text": "bye"}'), ("txt", b"hello")], "bad_field"),
    "a picture beside": ([("txt", b"hello"), ("png", b"x")], "hello"),
    "endings in capitals": ([("TXT", b"hello")], "hello"),
    "none": ([], "missing_text"),
    "JSON that is none": ([("json", b"{")], "bad_field"),
    "JSON that is a list": ([("json", b"[]")], "bad_field"),
    "no UTF-8": ([("txt", b"\xff\xfe\xff")], "bad_field"),
    "a second recording": ([("txt", b"hello"), ("mp3", b"x")], "bad_field"),
    "a second recording of another part": ([("txt", b"hello"), ("left.wav", b"x")], "bad_field"),
    "one name twice": ([("txt", b"hello"), ("txt", b"hello")], "bad_field"),
}


@pytest.mark.parametrize("kind", ROWS)
def test_what_stands_beside_a_recording(tmp_path, kind):
    others, wanted = ROWS[kind]
    good = member("z.wav", WAV), member("z.txt", b"last")
    path = shard(tmp_path, member("a.wav", WAV), *(member(f"a.{ending}", content) for ending, content in others), *good)
    first, last = told(rows_of(path))
    assert (first[1] if isinstance(first, tuple) else first) == wanted
    assert last == ("s/z", "last")


def test_fields_of_json_are_fields_of_the_row(tmp_path):
    fields = {"text": "hello", "speaker": "x", "id": "own", "language": "de"}
    (clip,) = rows_of(shard(tmp_path, member("a.wav", WAV), member("a.json", json.dumps(fields).encode())))
    assert (clip.clip_id, clip.group, clip.language, clip.target) == ("own", "x", "de", "hello")


ODD = {
    "a link": member("b.wav", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": member("b.wav", type=tarfile.LNKTYPE, linkname="a.wav"),
    "a pipe": member("b.wav", type=tarfile.FIFOTYPE),
    "a device": member("b.wav", type=tarfile.CHRTYPE),
    "sparse": member("b.wav", b"x", type=tarfile.GNUTYPE_SPARSE),
    "sparse by records": member("b.wav", b"x", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_in_the_archive_is_not_read(tmp_path, kind):
    good = member("a.wav", WAV), member("a.txt", b"x"), member("c.wav", WAV), member("c.txt", b"y")
    path = shard(tmp_path, *good[:2], ODD[kind], member("b.txt", b"hello"), *good[2:])
    assert told(rows_of(path)) == [("s/a", "x"), "not_a_regular_file", ("s/c", "y")]


def test_what_systems_put_beside_is_passed_over(tmp_path):
    odd = [member(name, b"x") for name in ("._a.wav", "__MACOSX/._a.txt", ".DS_Store", "__index__.json", "README.md")]
    path = shard(
        tmp_path, odd[0], member("a.wav", WAV), odd[1], member("a.txt", b"x"), *odd[2:], member("d", type=b"5")
    )
    assert told(rows_of(path)) == [("s/a", "x")]


def test_a_name_that_comes_again_is_another_row(tmp_path):
    one = member("a.wav", WAV), member("a.txt", b"x")
    path = shard(tmp_path, *one, member("b.wav", WAV), member("b.txt", b"y"), *one)
    assert [row.clip_id for row in rows_of(path)] == ["s/a", "s/b", "s/a"]  # the run keeps one of them


@pytest.mark.parametrize("cut", [512, 700, 1_024, 1_300, 2_000])
def test_an_archive_that_is_cut_short_costs_what_is_behind(tmp_path, cut):
    path = shard(tmp_path, member("a.wav", WAV), member("a.txt", b"x"), member("b.wav", WAV), member("b.txt", b"y"))
    whole = path.read_bytes().rstrip(b"\0")
    whole += bytes(-len(whole) % 512)
    path.write_bytes(whole[: len(whole) - cut])
    *rows, last = told(rows_of(path))
    assert rows[0] == ("s/a", "x")
    assert last in ("bad_row", "missing_text")


def test_an_archive_may_end_without_the_blocks_that_end_it(tmp_path):
    path = shard(tmp_path, member("a.wav", WAV), member("a.txt", b"x"))
    path.write_bytes(path.read_bytes().rstrip(b"\0"))
    assert told(rows_of(path)) == [("s/a", "x")]


def header(size, kind=b"0", name=b"b.wav"):
    block = bytearray(name.ljust(100, b"\0") + b"0000644\0" * 3 + size.ljust(12, b"\0") + b"0" * 12 + b" " * 8 + kind)
    block += bytes(512 - len(block))
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


HOSTILE = {
    "a size beyond the file": header(b"77777777777"),
    "a size beyond all files": header(b"\x80" + b"\xff" * 11),
    "a negative size": header(b"\xff" * 12),
    "no size": header(b"zzz"),
    "a name of gigabytes": header(b"77777777777", b"L"),
    "a name of megabytes": header(b"%011o" % (2 << 20), b"L") + bytes(2 << 20),
    "an extended header of nothing": header(b"%011o" % 512, b"x") + b"0 x=y\n".ljust(512, b"\0"),
    "an extended header that leads out": header(b"%011o" % 512, b"x") + b"999 x=y\n".ljust(512, b"\0"),
    "an extended header without digits": header(b"%011o" % 512, b"x") + b"x" * 512,
    "an extended header with digits for ever": header(b"%011o" % 512, b"x") + b"9" * 512,
    "an extended size that is no number": header(b"%011o" % 14, b"x")
    + b"14 size=12x45\n".ljust(512, b"\0")
    + header(b"0"),
    "no header": b"x" * 512,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_one_rejected_row(tmp_path, kind):
    path = shard(tmp_path, member("a.wav", WAV), member("a.txt", b"x"))
    whole = path.read_bytes().rstrip(b"\0")
    path.write_bytes(whole + bytes(-len(whole) % 512) + HOSTILE[kind])
    first, last = rows_of(path)
    assert (told([first]), last.reason) == ([("s/a", "x")], "bad_row")
    assert last.detail.startswith("the archive cannot be read from here on: ")


def test_many_members_take_no_memory(tmp_path):
    class Endless(io.RawIOBase):
        """An archive of many folders."""

        at = 0

        def seek(self, offset, whence=0):
            self.at = offset if whence == 0 else (COUNT << 9)
            return self.at

        def read(self, size=-1):
            return FOLDER[:size]

    tracemalloc.start()
    try:
        assert list(tar.members(cast(BinaryIO, Endless()))) == []
        assert tracemalloc.get_traced_memory()[1] < 20 * COUNT
    finally:
        tracemalloc.stop()


COUNT = 5_000
FOLDER = header(b"0", b"5", b"d/")


def test_an_archive_without_recordings_is_no_manifest(tmp_path):
    for members in ([member("m.csv", b"a,b")], [member("a.txt", b"hello")], [member("d", type=b"5")]):
        with pytest.raises(UserError, match="tar: an archive; unpack it"):
            rows_of(shard(tmp_path, *members))


def test_an_archive_of_the_oldest_kind(tmp_path):
    content = (
        header(b"%011o" % 1, b"\0", b"a.wav")
        + b"x".ljust(512, b"\0")
        + header(b"%011o" % 1, b"\0", b"a.txt")
        + b"y".ljust(512, b"\0")
    )
    (tmp_path / "s.tar").write_bytes(content)
    assert told(rows_of(tmp_path / "s.tar")) == [("s/a", "y")]
