"""Tags behind the audio, found from the file's end: what decoders of frames would take for sound."""

from __future__ import annotations

# What writers fill files up with.
_FILLING = b"\0\xff\r\n"
_ID3V1_BYTES = 128
_ID3V1_EXTENSION_BYTES = 227
_ID3V2_ENDS_BYTES = 20
_APE_END_BYTES = 32
_APE_HAS_HEADER = 0x80
_LYRICS_END_BYTES = 15
_MAX_OLD_LYRICS_BYTES = 5_120


def audio_end(content: bytes) -> int:
    """Where the tags at a file's end begin: ID3v1, its extension, ID3v2, APE and Lyrics3, as many as there are."""
    end = len(content)
    while (size := _tag_bytes(content, end)) and size <= end:
        end -= size
    return end


def is_filling(rest: bytes) -> bool:
    """Whether bytes hold nothing: zeros, ones, ends of lines."""
    return not rest.strip(_FILLING)


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
        return _ID3V2_ENDS_BYTES + (tail[-4] << 21 | tail[-3] << 14 | tail[-2] << 7 | tail[-1])
    return _lyrics_bytes(content, end)


def _lyrics_bytes(content: bytes, end: int) -> int:
    begin = -1
    size = content[max(0, end - _LYRICS_END_BYTES) : max(0, end - 9)]
    if content.endswith(b"LYRICS200", 0, end) and size.isdigit():
        begin = end - _LYRICS_END_BYTES - int(size)
    elif content.endswith(b"LYRICSEND", 0, end):
        begin = content.rfind(b"LYRICSBEGIN", max(0, end - _MAX_OLD_LYRICS_BYTES), end)
    return end - begin if begin >= 0 and content.startswith(b"LYRICSBEGIN", begin) else 0
