"""Tags before and behind the audio, and what fills files up: what decoders of frames would take for sound."""

from __future__ import annotations

from transforms.audio.walk import steps

# What writers fill files up with.
FILLING = b"\0\xff\r\n"
_BLOCK_BYTES = 1 << 20
_ID3V1_BYTES = 128
_ID3V1_EXTENSION_BYTES = 227
_ID3V2_HEADER_BYTES = 10
_ID3V2_HAS_FOOTER = 0x10
_APE_HEADER_BYTES = _APE_END_BYTES = 32
_APE_HAS_HEADER = 0x80
_LYRICS_END_BYTES = 15
_MAX_OLD_LYRICS_BYTES = 5_120


def audio_start(content: bytes) -> int:
    """Where the tags at a file's beginning end: ID3v2, and APE, which some writers put there, as many as there are."""
    at = 0
    for _ in steps():
        size = _front_tag_bytes(content[at : at + _APE_HEADER_BYTES])
        if not size:
            break
        at += size
    return at


def without_tags(rest: bytes) -> bytes:
    """What follows the tags behind the audio, ID3v1 included: another file that was joined to it, or nothing."""
    return rest[tags_end(rest) :]


def tags_end(content: bytes, at: int = 0) -> int:
    """Where the tags end that stand at a place, ID3v1 included."""
    for _ in steps():
        head = content[at : at + _APE_HEADER_BYTES]
        size = _front_tag_bytes(head) or _ID3V1_BYTES * head.startswith(b"TAG")
        if not size:
            break
        at += size
    return at


def audio_end(content: bytes) -> int:
    """Where the tags at a file's end begin: ID3v1, its extension, ID3v2, APE and Lyrics3, as many as there are."""
    end = len(content)
    for _ in steps():
        size = _tag_bytes(content, end)
        if not size or size > end:
            break
        end -= size
    return end


def is_filling(content: bytes, start: int = 0, end: int | None = None, of: bytes = FILLING) -> bool:
    """Whether the bytes between two places hold nothing: by default zeros, ones, ends of lines."""
    end = len(content) if end is None else end
    # In blocks: half a gigabyte of zeros is not copied.
    blocks = range(start, end, _BLOCK_BYTES)
    return not any(content[at : min(at + _BLOCK_BYTES, end)].strip(of) for at in blocks)


def zeros_end(content: bytes, at: int) -> int:
    """Where the zeros end that stand at a place."""
    for start in range(at, len(content), _BLOCK_BYTES):
        block = content[start : start + _BLOCK_BYTES]
        if kept := block.lstrip(b"\0"):
            return start + len(block) - len(kept)
    return len(content)


def _front_tag_bytes(head: bytes) -> int:
    """The length of the tag that begins like this; 0 for none, and for one whose header is cut off."""
    if head[:3] == b"ID3" and len(head) >= _ID3V2_HEADER_BYTES:
        ends = 2 if head[5] & _ID3V2_HAS_FOOTER else 1
        return ends * _ID3V2_HEADER_BYTES + _seven_bits(head[6:10])
    if head[:8] == b"APETAGEX" and len(head) == _APE_HEADER_BYTES:
        return _APE_HEADER_BYTES + int.from_bytes(head[12:16], "little")
    return 0


def _seven_bits(size: bytes) -> int:
    """A number of 7 bits a byte, as ID3v2 has sizes."""
    first, second, third, fourth = (byte & 0x7F for byte in size)
    return first << 21 | second << 14 | third << 7 | fourth


def _tag_bytes(content: bytes, end: int) -> int:
    """The length of the tag that ends at a place; 0 for none."""
    tail = content[max(0, end - _APE_END_BYTES) : end]
    if content[max(0, end - _ID3V1_BYTES) : end][:3] == b"TAG":
        return _ID3V1_BYTES
    if content[max(0, end - _ID3V1_EXTENSION_BYTES) : end][:4] == b"TAG+":
        return _ID3V1_EXTENSION_BYTES
    if tail.startswith(b"APETAGEX"):
        header = _APE_END_BYTES if tail[23] & _APE_HAS_HEADER else 0
        return int.from_bytes(tail[12:16], "little") + header
    if tail[-10:-7] == b"3DI":
        return 2 * _ID3V2_HEADER_BYTES + _seven_bits(tail[-4:])
    return _lyrics_bytes(content, end)


def _lyrics_bytes(content: bytes, end: int) -> int:
    begin = -1
    size = content[max(0, end - _LYRICS_END_BYTES) : max(0, end - 9)]
    if content.endswith(b"LYRICS200", 0, end) and size.isdigit():
        begin = end - _LYRICS_END_BYTES - int(size)
    elif content.endswith(b"LYRICSEND", 0, end):
        begin = content.rfind(b"LYRICSBEGIN", max(0, end - _MAX_OLD_LYRICS_BYTES), end)
    return end - begin if begin >= 0 and content.startswith(b"LYRICSBEGIN", begin) else 0
