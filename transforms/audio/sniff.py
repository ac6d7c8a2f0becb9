"""Sniffing: which of `formats.FORMATS` a file is, by its bytes."""

from __future__ import annotations

from transforms import reasons
from transforms.audio import formats, frames
from transforms.audio.formats import Format
from transforms.errors import ClipRejected

# What stands in place of audio, and what to call it.
_NOT_AUDIO: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer; run git lfs pull"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a list of other files"),
    (b"[playlist]", "a playlist"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a database"),
    (b"PAR1", "a Parquet file"),
)
_ARCHIVES: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
)
_RAW_EXTENSIONS = {"raw", "pcm", "sln", "ulaw", "alaw", "ul", "al", "s16", "lpcm"}


def sniff(content: bytes, name_hint: str = "") -> Format:
    """The format that `content` is in.

    Args:
      content: the whole file.
      name_hint: the file's name, used only for headerless formats.

    Raises:
      ClipRejected: NOT_AUDIO or UNSUPPORTED_FORMAT, with what was found instead.
    """
    body = content[frames.id3_length(content) :]
    form = _by_bytes(body)
    if form is not None:
        return form
    _refuse_known(content)
    extension = name_hint.rpartition(".")[2].lower()
    if _looks_like_text(content):
        raise ClipRejected(reasons.NOT_AUDIO, "not audio: the file is text, in no audio format")
    named = formats.by_extension(extension)
    if named is not None and named.headerless:
        return named
    if extension in _RAW_EXTENSIONS:
        raise ClipRejected(
            reasons.UNSUPPORTED_FORMAT,
            "headerless raw samples: nothing in the file says its rate, width or channels (invalid as an audio format)",
        )
    raise ClipRejected(
        reasons.NOT_AUDIO, "not audio: no known audio format begins like this file (unsupported or invalid)"
    )


def _by_bytes(content: bytes) -> Format | None:
    """The first format that the bytes begin like, as the variant that they are."""
    form = next((form for form in formats.FORMATS if form.begins_like(content)), None)
    return form.variant(form, content) if form is not None and form.variant is not None else form


def _refuse_known(content: bytes) -> None:
    head = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, what in _NOT_AUDIO:
        if head.startswith(magic):
            raise ClipRejected(reasons.NOT_AUDIO, f"not audio: the file is {what} (invalid as an audio format)")
    if head[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ClipRejected(reasons.NOT_AUDIO, "not audio: the file is a web page or XML (invalid as an audio format)")
    for magic, what in _ARCHIVES:
        if content.startswith(magic):
            raise ClipRejected(
                reasons.UNSUPPORTED_FORMAT,
                f"a {what} archive, not an audio format: unpack it and name the file inside",
            )


def _looks_like_text(content: bytes) -> bool:
    head = content[:1024]
    return not any(byte < 9 or 13 < byte < 32 for byte in head) and b"\xff" not in head
