"""Sniffing: which of `formats.FORMATS` a file is, by its bytes."""

from __future__ import annotations

from transforms import reasons
from transforms.audio import formats, frames, tags, unread
from transforms.audio.format import Format
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
# fmt: off
_RAW_EXTENSIONS = {
    "raw", "pcm", "lpcm", "sln", "sln8", "sln12", "sln16", "sln24", "sln32", "sln44", "sln48", "ulaw", "mulaw", "alaw",
    "ul", "al", "pcmu", "pcma", "g711", "g711a", "g711u", "vox", "adpcm", "g721", "g723", "g726", "g729", "s8", "s16",
    "s16le", "s16be", "s24", "s32", "u8", "u16", "f32", "f32le", "f64", "sb", "sw", "sl", "ub", "uw", "gsm",
}
# fmt: on
# What text is made of, in UTF-8 and older encodings.
_TEXT = bytes(byte for byte in range(255) if 9 <= byte <= 13 or byte >= 32)
_TEXT_BYTES = 1024
TEXT = "not audio: the file is text, in no audio format"
UNKNOWN = (
    "not audio: no known audio format begins like this file; headerless raw samples say neither rate nor codec "
    "(unsupported or invalid)"
)
# What is looked at of a file behind tags.
_BEHIND_TAGS_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 20


def sniff(content: bytes, name_hint: str = "") -> Format:
    """The format that `content` is in.

    Args:
      content: the whole file.
      name_hint: the file's name, used only for headerless formats.

    Raises:
      ClipRejected: NOT_AUDIO or UNSUPPORTED_FORMAT, with what was found instead.
    """
    start = tags.audio_start(content)
    body = content[start : start + _BEHIND_TAGS_BYTES] if start else content  # a slice is a copy
    form = _by_bytes(body)
    if form is not None and form.start is not frames.behind_junk:
        _refuse_unread(body, form)
        return form
    _refuse_known(content)
    if form is not None:
        return form
    extension = name_hint.rpartition(".")[2].lower()
    named = formats.by_extension(extension)
    headerless = named is not None and named.headerless
    # Quiet samples may be text for a while, but not to the end.
    if _looks_like_text(content if headerless else content[:_TEXT_BYTES]):
        raise ClipRejected(reasons.NOT_AUDIO, TEXT)
    if named is not None and headerless:
        return named
    if extension in _RAW_EXTENSIONS:
        raise ClipRejected(
            reasons.UNSUPPORTED_FORMAT,
            "headerless raw samples: nothing in the file says its rate, width or channels (invalid as an audio format)",
        )
    raise ClipRejected(reasons.NOT_AUDIO, UNKNOWN)


def is_raw(content: bytes, refusal: ClipRejected) -> bool:
    """Whether what `sniff` has refused may be headerless samples. Those of eight bits look much like text."""
    return refusal.detail == UNKNOWN or (refusal.detail == TEXT and not (content.isascii() and b"\0" not in content))


def _by_bytes(content: bytes) -> Format | None:
    """The first format that the bytes begin like, as the variant that they are."""
    form = next((form for form in formats.FORMATS if form.begins_like(content)), None)
    return form.variant(form, content) if form is not None and form.variant is not None else form


def _refuse_unread(content: bytes, form: Format) -> None:
    if form.unread is not None and (found := form.unread(content)):
        what, remedy = found
        raise ClipRejected(reasons.UNSUPPORTED_FORMAT, f"{form.name} whose sound is {what} (unsupported): {remedy}")


def _refuse_known(content: bytes) -> None:
    if (found := unread.named(content)) is not None:
        raise ClipRejected(reasons.UNSUPPORTED_FORMAT, f"unsupported format: the file is {found.name}; {found.remedy}")
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
    # In blocks: hours of samples are not copied.
    blocks = (content[at : at + _BLOCK_BYTES] for at in range(0, len(content), _BLOCK_BYTES))
    return bool(content) and not any(block.translate(None, _TEXT) for block in blocks)
