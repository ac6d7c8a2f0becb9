"""The frames and headers of audio files, read without decoding: beginnings, lengths, cuts, joints."""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from transforms.audio import tags
from transforms.audio.walk import steps

_MARKS = (b"Xing", b"Info", b"VBRI")
_JUNK_BYTES = 1 << 16
_FRAMES_IN_A_ROW = 8
# A Xing header begins within so many bytes of its frame, and has all its counts within the shortest.
_XING_END_BYTES = 48
# libmpg123 complains of twice as much.
_SIZE_TOLERANCE = 0.005
_LEAST_RATE_OF_MPEG_1 = 32_000


def flac_total_samples(content: bytes) -> int | None:
    """The total that STREAMINFO, the first block, states; 0 for unknown, None if the block is cut off."""
    return int.from_bytes(content[18:26], "big") & ((1 << 36) - 1) if len(content) >= 26 else None


def flac_without_tags(content: bytes) -> bytes | None:
    """A FLAC file with its STREAMINFO as the only metadata, and the same frames.

    Returns:
      None if it is not laid out as RFC 9639 has it: STREAMINFO once and first, and a frame at once behind the metadata.
      Such files are decoded all the same, but a decoder may find other frames in them with the metadata than without.
    """
    streaminfo, at = content[4:42], 42
    if not content.startswith(b"fLaC") or streaminfo[:4] not in (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22"):
        return None
    last = bool(streaminfo[0] & 0x80)
    for _ in steps():
        if last or at + 4 > len(content) or not content[at] & 0x7F:
            break
        last = bool(content[at] & 0x80)
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
    whole = last and content[at : at + 2] in (b"\xff\xf8", b"\xff\xf9")
    return b"fLaC\x80" + streaminfo[1:] + content[at:] if whole else None


class MpegHeader(NamedTuple):
    """What the header of an MPEG audio frame says: which layer, what rate, how many bytes the frame has."""

    layer: int
    sample_rate: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class MpegFrames:
    """MPEG audio frames that follow one another.

    Attributes:
      starts: where each begins, in bytes.
      headers: of each.
      end: where the last one ends, be it behind the end of the file.
    """

    starts: list[int]
    headers: list[MpegHeader]
    end: int


_BITRATES_V1 = {
    1: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_BITRATES_V2 = {
    1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def mpeg_frames(content: bytes, start: int = 0, limit: int = 1 << 62) -> MpegFrames:
    """The MPEG audio frames (ISO 11172-3) from `start` on, up to the first gap or `limit`."""
    starts: list[int] = []
    headers: list[MpegHeader] = []
    at = start
    for step in steps():
        if step >= limit or (header := _mpeg_header(content[at : at + 4])) is None:
            break
        starts.append(at)
        headers.append(header)
        at += header.num_bytes
    return MpegFrames(starts, headers, at)


def mpeg_start(content: bytes, begin: int = 0) -> int:
    """Where MPEG audio frames begin behind junk (zeros, the rest of a frame in a recorded stream); -1 for nowhere.

    Bytes of chance look like a frame now and then, never like many in a row.
    """
    for found in re.finditer(rb"\xff(?=[\xe2-\xff])", content[begin : begin + _JUNK_BYTES]):
        headers = mpeg_frames(content, begin + found.start(), _FRAMES_IN_A_ROW).headers
        if len(headers) == _FRAMES_IN_A_ROW and len({header[:2] for header in headers}) == 1:
            return begin + found.start()
    return -1


def mp4_begins(content: bytes) -> bool:
    """Whether the first box is one that MP4 and QuickTime files begin with (ISO 14496-12)."""
    return content[4:8] == b"ftyp" or (content[4:8] in (b"moov", b"mdat", b"wide") and b"moov" in content)


def mpeg_begins_later(content: bytes) -> bool:
    """Whether MPEG audio frames begin behind junk."""
    return mpeg_start(content) > 0


def behind_junk(content: bytes) -> int:
    """Where MPEG audio frames begin behind tags and junk; 0 for nowhere."""
    return max(0, mpeg_start(content, tags.audio_start(content)))  # the tags may be longer than what is searched


@functools.lru_cache(maxsize=4096)  # a recording has few different ones, and hundreds of frames
def _mpeg_header(head: bytes) -> MpegHeader | None:
    """What the first four bytes of a frame say; None for bytes that begin no frame."""
    if len(head) < 4:
        return None
    header = int.from_bytes(head, "big")
    version, layer = header >> 19 & 3, 4 - (header >> 17 & 3)
    bitrate_index, rate_index, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if header >> 21 != 0x7FF or version == 1 or layer == 4 or bitrate_index in (0, 15) or rate_index == 3:
        return None
    bitrate = (_BITRATES_V1 if version == 3 else _BITRATES_V2)[layer][bitrate_index] * 1000
    rate = _RATES[version][rate_index]
    if layer == 1:
        return MpegHeader(1, rate, (12 * bitrate // rate + padding) * 4)
    samples = 576 if layer == 3 and version != 3 else 1152
    return MpegHeader(layer, rate, samples // 8 * bitrate // rate + padding)


@dataclass(frozen=True, slots=True)
class Mp3Layout:
    """How an MP3 file is built.

    Attributes:
      start: where its first frame begins, be it the frame of a header.
      end: where the last one ends of those that follow one another, be it behind the end of the file.
      audio_frames: how many of them hold sound.
      claimed_frames: how many the Xing, Info or VBRI header claims; None without one.
      tagged: whether there is such a header.
      vbri: whether it is a VBRI header.
      sized: whether the bytes that it claims are about those that are there; true where it claims none.
      cut: whether the file ends within a frame, or before the bytes that the header claims.
      one_stream: whether nothing else follows, no second header and no change of rate.
    """

    start: int
    end: int
    audio_frames: int
    claimed_frames: int | None
    tagged: bool
    vbri: bool
    sized: bool
    cut: bool
    one_stream: bool


def mp3_layout(content: bytes) -> Mp3Layout:
    """The layout of an MP3 file; its frames begin at once, or behind tags and junk."""
    frames = mpeg_frames(content, tags.audio_start(content))
    if not frames.starts:
        frames = mpeg_frames(content, behind_junk(content))
    start, end = frames.starts[0], frames.end
    head = content[start : start + frames.headers[0].num_bytes]
    tagged = _is_tag(head)
    claimed_frames, claimed_bytes = _xing_claims(head)
    rates = {header.sample_rate for header in frames.headers}
    # A header stands behind the side information. Elsewhere, encoders write their name into the padding.
    later_marks = {content[start + 13 : start + 40].strip(b"\0")[:4] for start in frames.starts[1:]}
    behind, last = tags.tags_end(content, end), tags.audio_end(content)
    return Mp3Layout(
        start=start,
        end=end,
        audio_frames=len(frames.starts) - tagged,
        claimed_frames=claimed_frames,
        tagged=tagged,
        vbri=tagged and b"VBRI" in head,
        sized=claimed_bytes is None or abs(len(content) - start - claimed_bytes) <= len(content) * _SIZE_TOLERANCE,
        cut=end > len(content) or (claimed_bytes or 0) > len(content) - start,
        one_stream=len(rates) == 1 and later_marks.isdisjoint(_MARKS) and tags.is_filling(content, behind, last, b"\0"),
    )


def mp3_mended(content: bytes, layout: Mp3Layout) -> bytes | None:
    """The frames of one stream of MP3, behind a Xing header whose counts are right; None where it has no counts."""
    mended = bytearray(content[layout.start : layout.end])
    at = max(mended.find(mark, 0, _XING_END_BYTES) for mark in (b"Xing", b"Info"))
    if at < 0 or layout.vbri or layout.claimed_frames is None or not layout.one_stream or layout.cut:
        return None
    struct.pack_into(">I", mended, at + 8, layout.audio_frames)
    if mended[at + 7] & 2:
        struct.pack_into(">I", mended, at + 12, len(mended))
    return bytes(mended)


def mpeg_is_tagged(content: bytes) -> bool:
    """Whether the first frame of MPEG audio is a header, which claims a length."""
    start = tags.audio_start(content)
    header = _mpeg_header(content[start : start + 4])
    return header is not None and _is_tag(content[start : start + header.num_bytes])


def mpeg_seconds(content: bytes) -> float | None:
    """The length of MPEG audio frames that follow one another, counted; None if there are none."""
    start = tags.audio_start(content)
    headers = mpeg_frames(content, start).headers or mpeg_frames(content, behind_junk(content)).headers
    if not headers:
        return None
    held = headers[mpeg_is_tagged(content) :]
    return sum(_samples(header) / header.sample_rate for header in held)


def _samples(header: MpegHeader) -> int:
    if header.layer == 3 and header.sample_rate < _LEAST_RATE_OF_MPEG_1:
        return 576
    return 384 if header.layer == 1 else 1152


def mp3_without_tags(content: bytes) -> bytes | None:
    """The frames of an MP3 file; None if it is cut, or more than one stream."""
    layout = mp3_layout(content)
    return content[layout.start : layout.end] if layout.one_stream and not layout.cut else None


def _is_tag(frame: bytes) -> bool:
    return any(mark in frame for mark in _MARKS)


def _xing_claims(head: bytes) -> tuple[int | None, int | None]:
    """Frames and bytes that the first frame claims for the file."""
    if (at := head.find(b"VBRI")) >= 0 and len(head) >= at + 18:
        return struct.unpack_from(">I", head, at + 14)[0], struct.unpack_from(">I", head, at + 10)[0]
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if at < 0 or len(head) < at + 16:
        return None, None
    flags, first, second = struct.unpack_from(">III", head, at + 4)
    frames = first if flags & 1 else None
    size = (second if flags & 1 else first) if flags & 2 else None
    return frames, size


def adts_without_tags(content: bytes) -> bytes:
    """An ADTS stream without the tags in front."""
    return content[tags.audio_start(content) :]


def adts_seconds(content: bytes) -> float | None:
    """The length of an AAC stream in ADTS frames (ISO 13818-7), counted; None if it is none."""
    frames = list(_adts_frames(content))
    index = content[frames[0][0] + 2] >> 2 & 15 if frames else len(_ADTS_RATES)
    if index >= len(_ADTS_RATES):
        return None
    blocks = sum(1 + (content[at + 6] & 3) for at, _ in frames)
    return blocks * _ADTS_SAMPLES / _ADTS_RATES[index]


def adts_end(content: bytes) -> int | None:
    """Where the last frame of an ADTS stream ends, be it one that is cut within its header; None if it is none."""
    end = max((at + length for at, length in _adts_frames(content)), default=None)
    if end is None:
        return None
    rest = content[end : end + _ADTS_HEADER_BYTES]
    begun = 2 <= len(rest) < _ADTS_HEADER_BYTES and rest[0] == 0xFF and rest[1] & 0xF6 == 0xF0
    return end + _ADTS_HEADER_BYTES if begun else end


def _adts_frames(content: bytes) -> Iterator[tuple[int, int]]:
    """Start and length of each frame."""
    at = tags.audio_start(content)
    for _ in steps():
        if at + _ADTS_HEADER_BYTES > len(content) or content[at] != 0xFF or content[at + 1] & 0xF6 != 0xF0:
            return
        length = (content[at + 3] & 3) << 11 | content[at + 4] << 3 | content[at + 5] >> 5
        if length < _ADTS_HEADER_BYTES:
            return
        yield at, length
        at += length


def wma_delay(codec: str, sample_rate: int) -> int:
    """Samples of one frame of WMA, by which its decoder is late; 0 for other codecs."""
    if codec not in ("wmav1", "wmav2"):
        return 0
    sizes = ((16_000, 512), (22_050, 1_024), (48_000, 2_048), (1 << 30, 4_096))
    return next(frame for rate, frame in sizes if sample_rate <= rate)


_ADTS_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_ADTS_SAMPLES = 1_024
_ADTS_HEADER_BYTES = 7
