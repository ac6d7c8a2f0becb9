"""Recordings that would take all memory or time: headers that lie, tables without end, silence that is packed well.

Most are small, or long on paper only.
"""

from __future__ import annotations

import functools
import gzip
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from tests.sounds import BY_NAME, encoded, run_ffmpeg, tone

MB = 1 << 20
RATE = 48_000
# Bytes, and so many zeros for a number, which take no room on most disks.
Parts = Iterable[bytes | int]


@dataclass(frozen=True)
class Bomb:
    """A recording, and what becomes of it.

    Attributes:
      parts: makes it, when it is written.
      reasons: any of which its clip is rejected for; "" for one that is accepted.
      is_quick: whether it is tried with all other tests.
    """

    parts: Callable[[], Parts]
    reasons: frozenset[str]
    is_quick: bool = False

    def write(self, path: Path) -> None:
        """Writes the recording."""
        with path.open("wb") as file:
            for part in self.parts():
                if isinstance(part, int):
                    file.seek(part, os.SEEK_CUR)
                else:
                    file.write(part)
            file.truncate(file.tell())


@functools.cache
def sound(name: str) -> bytes:
    """A second of a tone in a format of `tests.sounds`."""
    return encoded(tone(440, BY_NAME[name].rate, 1.0), BY_NAME[name])


@functools.cache
def silence(extension: str, seconds: int, channels: int, *options: str) -> bytes:
    """Zeros, as ffmpeg packs them."""
    made = io.BytesIO()
    soundfile.write(made, np.zeros((RATE, channels), np.int16), RATE, format="WAV")
    return run_ffmpeg(made.getvalue(), "-af", f"aloop={seconds - 1}:{RATE}", *options, "-f", extension)


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """A chunk of RIFF."""
    return name + struct.pack("<I", len(content) if size is None else size) + content


def wav(*, kind: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, align: int | None = None,
        data: int = 64_000, extra: bytes = b"", before: bytes = b"") -> Parts:  # fmt: skip
    """A WAV of zeros: what its header says, and so many bytes of data."""
    align = min(channels * bits // 8, 0xFFFF) if align is None else align
    form = struct.pack("<HHIIHH", kind, channels, rate, min(rate * align, 0xFFFFFFFF), align, bits) + extra
    head = chunk(b"fmt ", form) + before + chunk(b"data", b"", min(data, 0xFFFFFFFF))
    return chunk(b"RIFF", b"WAVE" + head, min(len(head) + 4 + data, 0xFFFFFFFF)), data


def box(name: bytes, *content: bytes) -> bytes:
    """A box of MP4."""
    inner = b"".join(content)
    return struct.pack(">I", len(inner) + 8) + name + inner


def nested(wrap: Callable[[bytes], bytes], depth: int) -> bytes:
    """Something within itself."""
    inner = b""
    for _ in range(depth):
        inner = wrap(inner)
    return inner


def mp4(table: bytes, count: int, entries: bytes, form: str = "m4a aac") -> Parts:
    """An MP4 in which one table claims so many entries, and holds these."""
    content = sound(form)
    at = content.index(table) - 4
    size = int.from_bytes(content[at : at + 4], "big")
    old = content[at : at + size]
    # stsz has the size of all samples in front of their number.
    ahead = 16 if table == b"stsz" else 12
    new = box(table, old[8:ahead], struct.pack(">I", count), entries)
    grown = len(new) - size
    found = bytearray(content[:at] + new + content[at + size :])
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"):
        where = content.find(parent, 0, at)
        if where >= 4:
            (length,) = struct.unpack_from(">I", content, where - 4)
            if where - 4 + length >= at + size:
                struct.pack_into(">I", found, where - 4, length + grown)
    return [bytes(found)]


def fragments_that_go_back(count: int) -> Parts:
    """An MP4 of fragments, each of which claims to be from before the last."""
    yield sound("mp4 aac, fragmented")
    for time in range(count, 0, -1):
        head = box(b"tfhd", b"\0\2\0\x38", struct.pack(">IIII", 1, 1, 1, 0))
        run = box(b"tfdt", bytes(4), struct.pack(">I", time)), box(b"trun", bytes(4), struct.pack(">I", 1))
        yield box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", head, *run))


def ebml(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """An element of Matroska, with a size of eight bytes."""
    return name + (0x01 << 56 | (len(content) if size is None else size)).to_bytes(8, "big") + content


CLUSTER, SEGMENT, VOID = b"\x1f\x43\xb6\x75", b"\x18\x53\x80\x67", b"\xec\x80"


def matroska(within: Callable[[], bytes], form: str = "matroska flac") -> Callable[[], Parts]:
    """A Matroska file with more elements in front of its first cluster, its segment as long as it happens to be."""

    def parts() -> Parts:
        content = sound(form)
        at, start = content.index(CLUSTER), content.index(SEGMENT) + 4
        unknown = b"\x01" + b"\xff" * 7
        return [content[:start], unknown, content[start + 8 : at], within(), content[at:]]

    return parts


def ogg_page(content: bytes, serial: int = 1, flags: int = 0, granule: int = 0, number: int = 0) -> bytes:
    """A page of Ogg."""
    lacing = bytes([255] * (len(content) // 255) + [len(content) % 255])
    head = struct.pack("<4sBBQIIIB", b"OggS", 0, flags, granule & (1 << 64) - 1, serial, number, 0, len(lacing))
    page = head + lacing + content
    return page[:22] + struct.pack("<I", _ogg_crc(page)) + page[26:]


@functools.cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x04C11DB7 if crc & 1 << 31 else 0)
        table.append(crc & 0xFFFFFFFF)
    return tuple(table)


def _ogg_crc(page: bytes) -> int:
    table, crc = _crc_table(), 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ table[crc >> 24 ^ byte]
    return crc


def synchsafe(size: int) -> bytes:
    """A size of ID3."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def id3(size: int) -> bytes:
    """The head of an ID3 tag."""
    return b"ID3\x04\0\0" + synchsafe(size)


def flac(blocks: Iterable[bytes], streaminfo: Callable[[bytearray], object] = lambda info: None) -> list[bytes]:
    """A FLAC file with more blocks of metadata."""
    content = sound("flac 16-bit")
    info = bytearray(content[4:42])
    info[0] &= 0x7F
    streaminfo(info)
    at, last = 42, bool(content[4] & 0x80)
    while not last:
        last = bool(content[at] & 0x80)
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
    return [b"fLaC", bytes(info), *blocks, b"\x81\0\0\0", content[at:]]


def flac_block(kind: int, content: bytes) -> bytes:
    """A block of metadata."""
    return bytes([kind]) + len(content).to_bytes(3, "big") + content


def put(at: int, content: bytes) -> Callable[[bytearray], object]:
    """Writes over some bytes."""

    def change(whole: bytearray) -> None:
        whole[at : at + len(content)] = content

    return change


def changed(name: str, at: int, content: bytes) -> Callable[[], Parts]:
    """A sound with other bytes at a place."""

    def parts() -> Parts:
        whole = bytearray(sound(name))
        put(at, content)(whole)
        return [bytes(whole)]

    return parts


def behind(name: str, size: int) -> Callable[[], Parts]:
    """A sound, and so many zeros."""
    return lambda: [sound(name), size]


def aiff(channels: int, frames: int, rate: bytes, data: int) -> Parts:
    """An AIFF of zeros."""
    common = struct.pack(">HIH", channels, frames, 16) + rate
    ssnd = b"SSND" + struct.pack(">III", min(data + 8, 0xFFFFFFFF), 0, 0)
    body = b"AIFF" + b"COMM" + struct.pack(">I", len(common)) + common + ssnd
    return [b"FORM" + struct.pack(">I", min(len(body) + data, 0xFFFFFFFF)) + body, min(data, 64_000)]


def caf(rate: float, channels: int, *chunks: tuple[bytes, int, bytes], data: int = 64_000) -> Parts:
    """A CAF of zeros, with further chunks, whose sizes may lie."""
    desc = struct.pack(">d4sIIIII", rate, b"lpcm", 0, min(2 * channels, 0xFFFFFFFF), 1, channels, 16)
    parts = [b"caff\0\1\0\0", b"desc", struct.pack(">q", len(desc)), desc]
    for name, size, content in chunks:
        parts += [name, struct.pack(">q", size), content]
    return [b"".join(parts), b"data", struct.pack(">q", data + 4), bytes(4), data]


def chained_ogg(count: int) -> Parts:
    """Streams that follow one another, each with a serial number of its own in one page."""
    return (ogg_page(b"\x01vorbis" + bytes(23), serial, 2) + ogg_page(b"", serial, 4) for serial in range(count))


def asf_object(guid: bytes, content: bytes, size: int | None = None) -> bytes:
    """An object of ASF."""
    return guid + struct.pack("<Q", len(content) + 24 if size is None else size) + content


ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_EXTENSION = bytes.fromhex("b503bf5f2ea9cf118ee300c00c205365")


def cues_that_go_back(count: int) -> bytes:
    """An index of Matroska whose every entry belongs in front of all before it."""
    place = ebml(b"\xb7", b"\xf7\x81\x01\xf1\x81\x10")
    cues = (ebml(b"\xbb", b"\xb3\x84" + time.to_bytes(4, "big") + place) for time in range(count, 0, -1))
    return ebml(b"\x1c\x53\xbb\x6b", b"".join(cues))


def zlib_blocks() -> bytes:
    """A track of Matroska whose blocks are compressed, and one that unpacks to a hundred times its size."""
    settings = ebml(b"\x50\x34", b"\x42\x54\x81\x00")
    encodings = ebml(b"\x6d\x80", ebml(b"\x62\x40", settings))
    audio = ebml(b"\xe1", ebml(b"\xb5", struct.pack(">d", 48_000.0)) + b"\x9f\x81\x02" + ebml(b"\x62\x64", b"\x10"))
    entry = b"\xd7\x81\x01\x73\xc5\x81\x01\x83\x81\x02" + ebml(b"\x86", b"A_PCM/INT/LIT") + audio + encodings
    block = ebml(b"\xa3", b"\x81\0\0\x80" + zlib.compress(bytes(400 * MB), 9))
    tracks, cluster = ebml(b"\x16\x54\xae\x6b", ebml(b"\xae", entry)), ebml(CLUSTER, b"\xe7\x81\x00" + block)
    head = ebml(b"\x1a\x45\xdf\xa3", b"\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08"
                + ebml(b"\x42\x82", b"matroska") + b"\x42\x87\x81\x04\x42\x85\x81\x02")  # fmt: skip
    return head + ebml(SEGMENT, tracks + cluster)


def a_day_of_mp3() -> Parts:
    """Frames of 8 kbit/s, of which a few fill a second."""
    content = sound("mp3 without a header")
    return [content[content.index(b"\xff\xfb") :] * (60 * MB // len(content))]


def seconds_of_flac(rate: int, channels: int, seconds: int) -> Parts:
    """Zeros, of which a second is a few hundred bytes."""
    made = io.BytesIO()
    with soundfile.SoundFile(made, "w", rate, channels, "PCM_24", format="FLAC") as file:
        for _ in range(seconds):
            file.write(np.zeros((rate, channels), np.int32))
    return [made.getvalue()]


def any_of(*reasons: str) -> frozenset[str]:
    return frozenset(reasons)


DAMAGED = any_of("decode_failed", "truncated")
INFINITE_RATE = b"\x7f\xff\x80" + bytes(7)
RATE_16K = b"\x40\x0c\xfa" + bytes(7)


WAV_BOMBS = {
    "wav, 65,535 channels": Bomb(lambda: wav(channels=65_535), DAMAGED, True),
    "wav, 1,024 channels of double": Bomb(lambda: wav(kind=3, channels=1_024, bits=64, data=MB), DAMAGED, True),
    "wav, no channel": Bomb(lambda: wav(channels=0, align=2), DAMAGED, True),
    "wav, 1 Hz": Bomb(lambda: wav(rate=1), any_of("bad_sample_rate"), True),
    "wav, 0 Hz": Bomb(lambda: wav(rate=0), DAMAGED | {"bad_sample_rate"}, True),
    "wav, 4 GHz": Bomb(lambda: wav(rate=0xFFFFFFFF), DAMAGED | {"bad_sample_rate"}, True),
    "wav, samples of 65,535 bits": Bomb(lambda: wav(bits=65_535), DAMAGED | {"unsupported_format"}, True),
    "wav, blocks of nothing": Bomb(lambda: wav(align=0), DAMAGED | {"silent"}, True),
    "wav, ADPCM in blocks of 65,535": Bomb(
        lambda: wav(kind=2, bits=4, align=65_535, extra=struct.pack("<HHH", 4, 65_535, 65_535)),
        any_of("silent"),
        True,
    ),
    "wav, a million chunks of nothing": Bomb(lambda: wav(before=chunk(b"junk", b"") * 1_000_000), any_of("silent")),
    "wav, lists in lists": Bomb(
        lambda: wav(before=nested(lambda inner: chunk(b"LIST", b"INFO" + inner), 10_000)), any_of("silent"), True
    ),
    "wav, a format of 100 MB": Bomb(
        lambda: [chunk(b"RIFF", b"WAVE", 200 * MB) + chunk(b"fmt ", b"\1\0\1\0", 100 * MB), 100 * MB], DAMAGED
    ),
    "wav, 4 GB on paper": Bomb(lambda: [next(iter(wav(data=0xFFFFFFFF))), 64_000], any_of("silent"), True),
    "wav, hours of zeros": Bomb(lambda: wav(data=500 * MB), any_of("too_long")),
    "wav, 64 channels of double": Bomb(
        lambda: wav(kind=3, channels=64, bits=64, rate=192_000, data=500 * MB),
        any_of("silent", "file_too_large", "too_long"),
    ),
    "wav, over 512 MiB": Bomb(lambda: wav(data=513 * MB), any_of("file_too_large", "too_long")),
    "wav, as long as may be": Bomb(
        lambda: wav(data=512 * MB - 44, channels=2, rate=768_000, bits=32, kind=3), any_of("too_long", "file_too_large")
    ),
    "wav, behind 300 MB of zeros": Bomb(lambda: [300 * MB, *wav()], any_of("not_audio", "unsupported_format")),
    "rf64, without end": Bomb(
        lambda: [
            b"RF64\xff\xff\xff\xffWAVE" + chunk(b"ds64", struct.pack("<QQQI", 1 << 63, 1 << 63, 1 << 62, 0xFFFFFFFF)),
            *[part[12:] if isinstance(part, bytes) else part for part in wav(data=0xFFFFFFFF)][:1],
            64_000,
        ],
        any_of("silent"),
        True,
    ),
    "w64, a chunk of no length": Bomb(changed("w64", 16 + 8 + 16 + 16, bytes(8)), DAMAGED, True),
    "w64, a chunk of 2^63": Bomb(
        changed("w64", 16 + 8 + 16 + 16, b"\0" * 7 + b"\x80"), DAMAGED | {"unsupported_format"}, True
    ),
    "aiff, 65,535 channels": Bomb(lambda: aiff(65_535, 1_000, RATE_16K, 64_000), DAMAGED, True),
    "aiff, an infinite rate": Bomb(lambda: aiff(1, 32_000, INFINITE_RATE, 64_000), DAMAGED | {"bad_sample_rate"}, True),
    "aiff, 4 G frames": Bomb(lambda: aiff(1, 0xFFFFFFFF, RATE_16K, 0xFFFFFFFF), any_of("silent"), True),
    "caf, an infinite rate": Bomb(lambda: caf(float("inf"), 1), DAMAGED | {"bad_sample_rate"}, True),
    "caf, no rate": Bomb(lambda: caf(float("nan"), 1), DAMAGED | {"bad_sample_rate"}, True),
    "caf, 2^31 channels": Bomb(lambda: caf(16_000.0, 1 << 31), DAMAGED, True),
    "caf, a packet table of 2^62": Bomb(
        lambda: caf(16_000.0, 1, (b"pakt", 1 << 62, struct.pack(">qqii", 1 << 62, 1 << 62, 0, 0))), DAMAGED, True
    ),
    "caf, a chunk that goes back": Bomb(lambda: caf(16_000.0, 1, (b"free", -12, b"")), DAMAGED, True),
    "caf, a million chunks": Bomb(lambda: caf(16_000.0, 1, *[(b"free", 0, b"")] * 1_000_000), any_of("silent")),
    "au, data from 4 GB on": Bomb(changed("au", 4, b"\xff" * 4), DAMAGED, True),
    "nist, 10^11 samples": Bomb(
        lambda: [sound("nist sphere").replace(b"sample_count -i 48000", b"sample_count -i 99999")[:1_024], 64_000],
        DAMAGED | {"silent"},
        True,
    ),
    "voc, millions of blocks": Bomb(
        lambda: [sound("voc")[:26], b"\x03\0\0\0" * 12 * MB], DAMAGED | {"too_short", "silent"}
    ),
    "voc, 128 million blocks": Bomb(
        lambda: [sound("voc")[:26], *[b"\x03\0\0\0" * MB] * 120], DAMAGED | {"too_short", "silent"}
    ),
}
FLAC_BOMBS = {
    "flac, a minute of 8 channels": Bomb(lambda: seconds_of_flac(192_000, 8, 60), any_of("file_too_large")),
    "flac, an hour of nothing": Bomb(lambda: seconds_of_flac(8_000, 1, 3_600), any_of("too_long")),
    "flac, 2^36 samples": Bomb(
        lambda: flac([], lambda info: put(17, bytes([info[17] | 0x0F, 255, 255, 255, 255]))(info)), DAMAGED, True
    ),
    "flac, a million blocks of nothing": Bomb(lambda: flac([b"\x02\0\0\0" * 1_000_000]), any_of("", "decode_failed")),
    "flac, padding of 500 MB": Bomb(
        lambda: (
            [*flac([])[:2], *[part for _ in range(31) for part in (b"\x01\xff\xff\xff", (1 << 24) - 1)], *flac([])[2:]]
        ),
        any_of(""),
    ),
    "flac, a seek table of 16 MB": Bomb(lambda: flac([flac_block(3, b"\xff" * 18 * 900_000)]), any_of(""), True),
    "flac, 4 G comments": Bomb(
        lambda: flac([flac_block(4, b"\0\0\0\0\xff\xff\xff\xff")]), any_of("", "decode_failed"), True
    ),
    "flac, pictures": Bomb(
        lambda: flac([flac_block(6, struct.pack(">8I", 3, 0, 0, 9, 9, 24, 0, 16_000_000) + bytes(16_000_000))] * 12),
        any_of(""),
    ),
    "flac, blocks of 65,535 samples": Bomb(lambda: flac([], put(4, b"\xff\xff\xff\xff")), any_of("", *DAMAGED), True),
}
PACKED_BOMBS = {
    "alac, silence": Bomb(
        lambda: [silence("ipod", 1_000, 2, "-c:a", "alac")], any_of("silent", "too_long", "file_too_large")
    ),
    "wavpack, silence": Bomb(
        lambda: [silence("wv", 1_000, 2, "-c:a", "wavpack")], any_of("silent", "too_long", "file_too_large")
    ),
    "true audio, silence": Bomb(lambda: [silence("tta", 1_000, 2, "-c:a", "tta")], any_of("silent", "too_long")),
    "opus, silence": Bomb(
        lambda: [silence("ogg", 3_000, 1, "-c:a", "libopus", "-b:a", "6k")], any_of("silent", "too_long")
    ),
    "wavpack, a block of 4 G samples": Bomb(changed("wavpack", 20, b"\xff" * 4), DAMAGED | {"file_too_large"}, True),
    "wavpack, millions of blocks": Bomb(
        lambda: [(b"wvpk" + struct.pack("<I", 24) + b"\x10\x04" + bytes(22)) * 2 * MB], DAMAGED | {"too_short"}
    ),
    "ape, 4 G frames": Bomb(
        lambda: [
            b"MAC "
            + struct.pack("<HHIIIIIII", 3_990, 0, 52, 24, 0xFFFFFFFF, 44, 0, 0, 0)
            + bytes(16)
            + struct.pack("<HHIIIHHI", 2_000, 0, 73_728, 1, 0xFFFFFFFF, 16, 2, 44_100),
            MB,
        ],
        DAMAGED | {"file_too_large"},
        True,
    ),
    "true audio, 4 G samples": Bomb(changed("true audio", 14, b"\xff" * 4), DAMAGED | {"file_too_large"}, True),
    "true audio, a megahertz": Bomb(changed("true audio", 10, struct.pack("<I", 10**9)), DAMAGED | {"bad_sample_rate"}),
    "gzip, a thousand times": Bomb(lambda: [gzip.compress(bytes(140 * MB), 9)], any_of("file_too_large")),
    "gzip in gzip": Bomb(
        lambda: [gzip.compress(gzip.compress(bytes(100 * MB)))], any_of("unsupported_format", "not_audio"), True
    ),
    "gzip, a thousand members": Bomb(
        lambda: [gzip.compress(sound("wav 16-bit")), gzip.compress(bytes(MB)) * 1_000],
        any_of("joined_files", "decode_failed", "", "unsupported_format"),
    ),
}
MP4_BOMBS = {
    "mp4, 4 G sizes": Bomb(lambda: mp4(b"stsz", 0xFFFFFFFF, b""), DAMAGED, True),
    "mp4, 10 million sizes": Bomb(lambda: mp4(b"stsz", 10_000_000, bytes(40_000_000)), DAMAGED | {"too_short"}),
    "mp4, 4 G times": Bomb(lambda: mp4(b"stts", 0xFFFFFFFF, b""), DAMAGED, True),
    "mp4, 10 million times": Bomb(lambda: mp4(b"stts", 10_000_000, bytes(80_000_000)), DAMAGED | {"too_short", ""}),
    "mp4, a sample 4 G times": Bomb(lambda: mp4(b"stts", 1, b"\xff" * 8), DAMAGED | {"", "too_short"}, True),
    "mp4, 4 G places": Bomb(lambda: mp4(b"stco", 0xFFFFFFFF, b""), DAMAGED, True),
    "mp4, 4 G samples in a place": Bomb(
        lambda: mp4(b"stsc", 1, struct.pack(">III", 1, 0xFFFFFFFF, 1)), DAMAGED | {"", "file_too_large"}, True
    ),
    "mp4, 5 million edits": Bomb(
        lambda: mp4(b"elst", 5_000_000, struct.pack(">IIHH", 1, 0, 1, 0) * 5_000_000), DAMAGED | {"", "too_short"}
    ),
    "mp4, an edit of 2^32": Bomb(
        lambda: mp4(b"elst", 1, struct.pack(">IIHH", 0xFFFFFFFF, 0, 1, 0)), DAMAGED | {"", "too_long"}, True
    ),
    "mp4, boxes in boxes": Bomb(
        lambda: [sound("m4a aac"), nested(lambda inner: box(b"moov", inner), 5_000)],
        any_of("", "joined_files", *DAMAGED),
        True,
    ),
    "mp4, a million boxes of nothing": Bomb(
        lambda: [sound("m4a aac"), b"\0\0\0\x08free" * 1_000_000], any_of("", *DAMAGED)
    ),
    "mp4, 60 million boxes of nothing": Bomb(
        lambda: [sound("m4a aac"), *[b"\0\0\0\x08free" * MB] * 60], any_of("", *DAMAGED)
    ),
    "mp4, a million fragments": Bomb(
        lambda: [sound("mp4 aac, fragmented"), box(b"moof", box(b"mfhd", bytes(8))) * 1_000_000], any_of("", *DAMAGED)
    ),
    "mp4, a million fragments that go back": Bomb(lambda: fragments_that_go_back(1_000_000), DAMAGED),
    "mp4, a cover of 200 MB": Bomb(
        lambda: [sound("m4a aac"), struct.pack(">I", 200 * MB + 8) + b"free", 200 * MB], any_of("")
    ),
    "mp4, a box that goes on for ever": Bomb(
        lambda: [sound("m4a aac"), struct.pack(">I4sQ", 1, b"free", 1 << 63)], any_of("", *DAMAGED), True
    ),
}
MATROSKA_BOMBS = {
    "matroska, a million voids": Bomb(matroska(lambda: VOID * 1_000_000), any_of("", "decode_failed"), True),
    "matroska, 50 million voids": Bomb(matroska(lambda: VOID * 50_000_000), any_of("decode_failed")),
    "matroska, 50 million checksums": Bomb(matroska(lambda: b"\xbf\x80" * 50_000_000), any_of("decode_failed")),
    "matroska, voids behind it": Bomb(
        lambda: [*matroska(bytes)(), VOID * 50_000_000], any_of("decode_failed", "truncated")
    ),
    "matroska, tags in tags": Bomb(
        matroska(lambda: nested(lambda inner: ebml(b"\x12\x54\xc3\x67", inner), 5_000)), any_of("", *DAMAGED), True
    ),
    "matroska, a million tags": Bomb(
        matroska(lambda: ebml(b"\x12\x54\xc3\x67", ebml(b"\x73\x73", b"") * 1_000_000)), any_of("", *DAMAGED)
    ),
    "matroska, a million cues": Bomb(
        matroska(lambda: ebml(b"\x1c\x53\xbb\x6b", ebml(b"\xbb", b"\xb3\x81\x00") * 1_000_000)), any_of("", *DAMAGED)
    ),
    "matroska, half a million cues that go back": Bomb(matroska(lambda: cues_that_go_back(500_000)), any_of("")),
    "matroska, a list that names itself": Bomb(
        matroska(
            lambda: ebml(
                b"\x11\x4d\x9b\x74", ebml(b"\x4d\xbb", b"\x53\xab\x84\x11\x4d\x9b\x74\x53\xac\x81\x00") * 9_000
            )
        ),
        any_of("", *DAMAGED),
        True,
    ),
    "matroska, 10,000 tracks": Bomb(
        matroska(
            lambda: ebml(
                b"\x16\x54\xae\x6b", ebml(b"\xae", b"\xd7\x81\x07\x83\x81\x02\x86\x86A_OPUS\x63\xa2\x80") * 10_000
            )
        ),
        any_of("", "unsupported_format", *DAMAGED),
    ),
    "matroska, an element of 2^56": Bomb(
        matroska(lambda: ebml(b"\x19\x41\xa4\x69", b"", (1 << 56) - 2)), DAMAGED, True
    ),
    "matroska, an attachment of 200 MB": Bomb(matroska(lambda: ebml(b"\xec", bytes(200 * MB))), any_of("")),
    "matroska, packed blocks": Bomb(lambda: [zlib_blocks()], DAMAGED | {"file_too_large", "silent", "too_long"}),
    "matroska, a million clusters": Bomb(
        lambda: [*matroska(bytes)(), ebml(CLUSTER, b"\xe7\x81\x00") * 1_000_000], any_of("", *DAMAGED)
    ),
}
OGG_BOMBS = {
    "ogg, 60,000 streams in a chain": Bomb(lambda: chained_ogg(60_000), any_of("joined_files", *DAMAGED)),
    "ogg, 900 streams in a chain": Bomb(lambda: [sound("ogg opus") * 900], any_of("", "too_long", "joined_files")),
    "ogg, a million empty pages": Bomb(
        lambda: [sound("ogg vorbis"), ogg_page(b"", 7) * 1_000_000], any_of("", "joined_files", *DAMAGED)
    ),
    "ogg, 10,000 streams side by side": Bomb(
        lambda: [b"".join(ogg_page(b"\x7fFLAC\1\0\0\1fLaC", serial, 2) for serial in range(10_000))],
        any_of("joined_files", "unsupported_format", *DAMAGED),
    ),
    "ogg, opus of 255 channels": Bomb(
        lambda: [
            ogg_page(b"OpusHead\1" + bytes([255, 0, 0]) + struct.pack("<IHB", 48_000, 0, 255) + bytes(257), 1, 2),
            ogg_page(b"OpusTags" + bytes(8), 1, 0, 0, 1),
            ogg_page(b"\xf8" * 200, 1, 4, 960, 2),
        ],
        DAMAGED,
        True,
    ),
    "ogg, a clock of 2^62": Bomb(
        lambda: [sound("ogg opus"), ogg_page(b"\xf8\xff\xfe", 1, 0, 1 << 62, 9)],
        any_of("", "too_long", "joined_files", *DAMAGED),
        True,
    ),
    "ogg, a comment of 100 MB": Bomb(
        lambda: [
            ogg_page(b"\x01vorbis" + bytes(4) + b"\x01" + struct.pack("<Iiii", 48_000, 0, 0, 0) + b"\xb8\x01", 1, 2),
            ogg_page(b"\x03vorbis" + b"\xff" * 4 + bytes(50_000), 1, 0, 0, 1) * 2_000,
        ],
        DAMAGED | {"unsupported_format"},
    ),
}
FRAMED_BOMBS = {
    "mp3, a tag of 256 MB": Bomb(lambda: [id3((1 << 28) - 1), (1 << 28) - 1, sound("mp3")], any_of("")),
    "mp3, a tag longer than the file": Bomb(
        lambda: [id3((1 << 28) - 1), sound("mp3")], DAMAGED | {"not_audio", "unsupported_format"}, True
    ),
    "mp3, a million tags": Bomb(lambda: [id3(0) * 1_000_000, sound("mp3")], any_of("", *DAMAGED)),
    "mp3, 20 million tags": Bomb(
        lambda: [*[id3(0) * MB] * 20, sound("mp3")], any_of("", "not_audio", "unsupported_format", *DAMAGED)
    ),
    "mp3, a million tags behind it": Bomb(
        lambda: [sound("mp3"), (b"TAG" + bytes(125)) * 1_000_000], any_of("", *DAMAGED)
    ),
    "mp3, 4 G frames": Bomb(
        lambda: [sound("mp3").replace(b"Info", b"Xing\xff\xff\xff\xff"[:4])], any_of("", *DAMAGED), True
    ),
    "mp3, hours of frames": Bomb(a_day_of_mp3, any_of("too_long")),
    "mp3, 300 MB of zeros behind it": Bomb(behind("mp3", 300 * MB), any_of("", *DAMAGED)),
    "aac, frames of nothing": Bomb(
        lambda: [*[b"\xff\xf1\x50\x40\x00\xe0\x00" * MB] * 8], any_of("too_short", "not_audio", *DAMAGED)
    ),
    "amr, frames of nothing": Bomb(lambda: [b"#!AMR\n", *[b"\x7c" * MB] * 60], DAMAGED | {"too_long", "silent"}),
    "ac3, the shortest frames": Bomb(
        lambda: [(b"\x0b\x77\x00\x00\x00\x80" + bytes(2)) * 4 * MB],
        DAMAGED | {"unsupported_format", "not_audio", "joined_files"},
    ),
    "flv, millions of tags": Bomb(
        lambda: [b"FLV\x01\x04\0\0\0\x09\0\0\0\0", (b"\x08" + bytes(10) + struct.pack(">I", 11)) * 4 * MB],
        DAMAGED | {"too_short"},
    ),
    "mpeg-ts, 100 MB of nothing": Bomb(
        lambda: [sound("mpeg-ts aac"), (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 550_000], any_of("", *DAMAGED)
    ),
    "mpeg-ps, 50 MB of padding": Bomb(
        lambda: [sound("mpeg-ps mp2"), (b"\0\0\1\xbe\0\x08" + b"\xff" * 8) * 3_500_000],
        any_of("", "joined_files", *DAMAGED),
    ),
    "avi, an index of 64 MB": Bomb(
        lambda: [sound("avi mp3"), chunk(b"idx1", (b"01wb" + bytes(12)) * 4 * MB)], any_of("", *DAMAGED)
    ),
    "avi, millions of indices": Bomb(
        lambda: [sound("avi mp3"), chunk(b"idx1", b"01wb" + bytes(12)) * 4 * MB], any_of("decode_failed")
    ),
    "avi, lists in lists": Bomb(
        lambda: [sound("avi mp3"), nested(lambda inner: chunk(b"LIST", b"movi" + inner), 5_000)],
        any_of("", *DAMAGED),
        True,
    ),
    "asf, objects in objects": Bomb(
        lambda: [
            asf_object(
                ASF_HEADER,
                struct.pack("<IBB", 1, 1, 2)
                + nested(lambda inner: asf_object(ASF_EXTENSION, bytes(18) + struct.pack("<I", 1) + inner), 3_000),
            )
        ],
        DAMAGED,
        True,
    ),
    "asf, a million objects": Bomb(
        lambda: [
            asf_object(ASF_HEADER, struct.pack("<IBB", 0xFFFFFFFF, 1, 2) + asf_object(bytes(16), b"") * 1_000_000)
        ],
        DAMAGED,
    ),
    "real audio, 4 G packets": Bomb(changed("real audio", 18, b"\xff" * 8), any_of("", *DAMAGED), True),
}


def beginning(name: str) -> Callable[[], Parts]:
    """The first bytes of a sound, and then zeros."""
    return lambda: [sound(name)[:2_000], 300 * MB]


ZEROS_BEHIND = {
    f"{name}, 300 MB of zeros behind a beginning": Bomb(
        beginning(name),
        DAMAGED | {"", "unsupported_format", "not_audio", "silent", "too_short", "too_long", "bad_sample_rate"},
    )
    for name in ("wav 16-bit", "flac 16-bit", "ogg vorbis", "ogg opus", "webm opus", "m4a aac", "aac adts", "mp2", "aiff",  # noqa: E501
                 "au", "caf", "voc", "wavpack", "true audio", "wma", "amr", "avi mp3", "ac3", "flv mp3", "real audio",
                 "nist sphere", "w64", "dts", "mpeg-ts aac", "sox", "ircam", "matroska flac")
}  # fmt: skip
BOMBS = {
    **WAV_BOMBS,
    **FLAC_BOMBS,
    **PACKED_BOMBS,
    **MP4_BOMBS,
    **MATROSKA_BOMBS,
    **OGG_BOMBS,
    **FRAMED_BOMBS,
    **ZEROS_BEHIND,
    "zeros, 512 MiB": Bomb(lambda: [512 * MB], any_of("not_audio")),
    "zeros, a terabyte": Bomb(lambda: [1 << 40], any_of("file_too_large")),
}
