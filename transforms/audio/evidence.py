"""What stands for a magic number where a format has none, or a short one: frames that follow one another.

Raw samples look like a frame now and then, and their silence like many: A-law's has GSM's mark in every byte. So a
format is recognised by what raw samples cannot give. Each function is given a file, or the beginning of a long one.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from transforms.audio import frames, lengths, tags

# So many frames in a row are none by chance; fewer must end where the file does.
_IN_A_ROW = 5
_LATM_HEAD_BYTES = 3
_TS_PACKET_BYTES = 188
_GSM_FRAME_BYTES = 33
_GSM_MARK = 0xD
# Of the bytes behind their marks, GSM frames of speech have a sixteenth to an eighth that look like a mark; raw samples
# that look like marks have nearly all.
_GSM_MOST_MARKS = 1 / 4
_GSM_REPEATS = 50
# Of hours of speech, this much tells.
_GSM_MOST_BYTES = 16 << 20
_DTS_SYNCS = (b"\x7f\xfe\x80\x01", b"\x64\x58\x20\x25")
_SDS_HEADER_BYTES = 21


def _chained(content: bytes, length: Callable[[bytes, int], int]) -> bool:
    """Whether frames follow one another: many, or at least two, of which the last ends with the file.

    Args:
      content: begins with a frame.
      length: of a frame that begins at a place; 0 where none does.
    """
    at = found = 0
    while found < _IN_A_ROW and (size := length(content, at)):
        at, found = at + size, found + 1
    if found == _IN_A_ROW:
        return True
    return found >= 2 and at <= len(content) and tags.is_filling(content, tags.tags_end(content, at), of=b"\0")


def adts_begins(content: bytes) -> bool:
    """Whether ADTS frames (ISO 13818-7) begin here, of one kind."""

    def length(content: bytes, at: int) -> int:
        head = content[at : at + 7]
        if len(head) < 7 or head[:3] != content[:3] or head[3] & 0xF0 != content[3] & 0xF0:
            return 0
        size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return size if size > 7 else 0

    known = content[:1] == b"\xff" and len(content) > 7 and content[1] & 0xF6 == 0xF0 and content[2] >> 2 & 15 < 13
    return known and _chained(content, length)


def mp3_begins(content: bytes) -> bool:
    """Whether frames of MPEG audio, layer III, begin here."""
    return _mpeg_begins(content, (3,))


def mp2_begins(content: bytes) -> bool:
    """Whether frames of MPEG audio, layer I or II, begin here."""
    return _mpeg_begins(content, (1, 2))


def _mpeg_begins(content: bytes, layers: tuple[int, ...]) -> bool:
    first = next(iter(frames.mpeg_frames(content, limit=1).headers), None)
    if first is None or first.layer not in layers:
        return False

    def length(content: bytes, at: int) -> int:
        found = frames.mpeg_frames(content, at, limit=1).headers
        return found[0].num_bytes if found and found[0][:2] == first[:2] else 0

    return frames.mpeg_is_tagged(content) or _chained(content, length)


def loas_begins(content: bytes) -> bool:
    """Whether AAC in LATM/LOAS frames (ISO 14496-3) begins here."""

    def length(content: bytes, at: int) -> int:
        head = content[at : at + _LATM_HEAD_BYTES]
        known = len(head) == _LATM_HEAD_BYTES and head[0] == 0x56 and head[1] & 0xE0 == 0xE0
        return _LATM_HEAD_BYTES + ((head[1] & 0x1F) << 8 | head[2]) if known else 0

    return _chained(content, length)


def ac3_begins(content: bytes) -> bool:
    """Whether AC-3 or E-AC-3 frames (ETSI TS 102 366) begin here."""

    def length(content: bytes, at: int) -> int:
        head = content[at : at + 6]
        return lengths.ac3_frame_bytes(head) if len(head) == 6 and head[:2] == b"\x0b\x77" else 0

    return _chained(content, length)


def dts_begins(content: bytes) -> bool:
    """Whether DTS frames (ETSI TS 102 114) begin here, with or without extensions between them."""

    def length(content: bytes, at: int) -> int:
        head = content[at : at + 9]
        if len(head) < 9 or head[:4] not in _DTS_SYNCS:
            return 0
        if head[:4] == _DTS_SYNCS[1]:  # an extension, whose size is in bits that depend on a flag
            wide = head[5] >> 5 & 1
            bits = int.from_bytes(head[5:9] + content[at + 9 : at + 10], "big")
            return (bits >> (6 if wide else 13) & (0xFFFFF if wide else 0xFFFF)) + 1
        return ((head[5] & 3) << 12 | head[6] << 4 | head[7] >> 4) + 1

    return content[:4] == _DTS_SYNCS[0] and _chained(content, length)


def mpegts_begins(content: bytes) -> bool:
    """Whether packets of an MPEG transport stream (ISO 13818-1) begin here: with contents, and not all the same."""

    def length(content: bytes, at: int) -> int:
        head = content[at : at + 4]
        return _TS_PACKET_BYTES if len(head) == 4 and head[0] == 0x47 and not head[1] & 0x80 and head[3] & 0x30 else 0

    heads = {content[at + 1 : at + 4] for at in range(0, _IN_A_ROW * _TS_PACKET_BYTES, _TS_PACKET_BYTES)}
    return len(heads) > 1 and _chained(content, length)


def mpegps_begins(content: bytes) -> bool:
    """Whether a pack of an MPEG program stream (ISO 13818-1, 11172-1) begins here, and behind its header a start."""
    head = content[:14]
    if len(head) < 14 or head[:4] != b"\0\0\x01\xba":
        return False
    second = head[4] & 0xC4 == 0x44 and head[13] & 0xF8 == 0xF8
    first = head[4] & 0xF1 == 0x21 and head[6] & head[8] & head[11] & 1 and head[9] & 0x80
    at = 14 + (head[13] & 7) if second else 12
    return bool(second or first) and content[at : at + 3] == b"\0\0\x01" and content[at + 3 : at + 4] >= b"\xb9"


def sds_begins(content: bytes) -> bool:
    """Whether the header of a MIDI sample dump begins here, and behind it a packet."""
    header, packet = content[:_SDS_HEADER_BYTES], content[_SDS_HEADER_BYTES : _SDS_HEADER_BYTES + 4]
    whole = len(header) == _SDS_HEADER_BYTES and header[:2] == packet[:2] == b"\xf0\x7e"
    return whole and (header[3], header[-1], packet[3:]) == (1, 0xF7, b"\x02")


def ircam_begins(content: bytes) -> bool:
    """Whether the header of a BICSF (IRCAM) file begins here: with a rate and channels that may be."""
    if len(content) < 16 or not (content[:2] == b"\x64\xa3" or content[2:4] == b"\xa3\x64"):
        return False
    for order in "<>":
        rate, channels = struct.unpack_from(f"{order}fI", content, 4)
        if math.isfinite(rate) and 1_000 <= rate <= 1_000_000 and 1 <= channels <= 256:
            return True
    return False


def gsm_begins(content: bytes) -> bool:
    """Whether this is GSM 06.10: frames to the very end, each marked, that vary, and marks in few other bytes."""
    count = min(len(content), _GSM_MOST_BYTES) // _GSM_FRAME_BYTES
    if count < _IN_A_ROW or any(byte >> 4 != _GSM_MARK for byte in set(content[::_GSM_FRAME_BYTES])):
        return False
    whole = content[: count * _GSM_FRAME_BYTES]
    marks = sum(whole.count(bytes([_GSM_MARK << 4 | low])) for low in range(16)) - count
    distinct = {whole[at : at + _GSM_FRAME_BYTES] for at in range(0, len(whole), _GSM_FRAME_BYTES)}
    return marks < _GSM_MOST_MARKS * (len(whole) - count) and len(distinct) >= max(3, count // _GSM_REPEATS)
