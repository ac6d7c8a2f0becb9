"""Tables that are not in UTF-8: Windows-1252 where nothing else can be meant, all others when a flag says so."""

from __future__ import annotations

import codecs
import io
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from transforms.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

WESTERN = "cp1252"
# What people call them.
_TITLES = {
    "cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp1253": "Windows-1253",
    "cp1254": "Windows-1254", "cp1257": "Windows-1257", "cp932": "Shift-JIS", "gb18030": "GBK", "cp949": "EUC-KR",
    "big5": "Big5", "koi8-r": "KOI8-R", "mac-roman": "Mac Roman",
}  # fmt: skip
_ALSO = {"shift_jis": "Shift-JIS", "gbk": "GBK", "gb2312": "GBK", "euc_kr": "EUC-KR", "iso8859-1": "Latin-1"}
# The letters beyond ASCII of the languages that are written in an encoding: one that shows others is another one.
_LATIN = {
    "cp1252": (
        "àâæçéèêëîïôœùûü", "äöüßé", "áéíóúüñçàòèï·", "ãõâêôáéíóúàçü", "àèéìíîòóùú", "æøåéóòôèü", "åäöéèáàü",
        "ëïéèêöüáóíú", "ðþáéíóúýæö", "äöåšž",
    ),
    "cp1250": (
        "ąćęłńóśźż", "áčďéěíňóřšťúůýžö", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţșț", "čćđšž", "čšž", "äöüßé",
    ),
    "mac-roman": ("àâæçéèêëîïôœùûü", "äöüßé", "áéíóúüñç", "ãõâêôáéíóúàç", "àèéìòù", "æøå", "åäöé"),
    "cp1254": ("çğıöşüâîû",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
}  # fmt: skip
_SCRIPTS = {
    "cp1251": re.compile("[\u0400-\u045f\u0490\u0491]"),
    "koi8-r": re.compile("[\u0410-\u044fёЁ]"),
    "cp1253": re.compile("[\u0370-\u03ff]"),
    "cp932": re.compile("[\u3040-\u30ff\u4e00-\u9fff\uff01-\uff9d々ー]"),
    "gb18030": re.compile("[\u4e00-\u9fff\uff01-\uff5e]"),
    "big5": re.compile("[\u4e00-\u9fff\uff01-\uff5e]"),
    "cp949": re.compile("[\uac00-\ud7a3]"),
}
_MARKS = frozenset("“”„‘’‚«»‹›–—…€£°§·¿¡´™©®•×½¼¾²³ºª\u00a0、。「」！？，：；（）・《》〜№")
# A mark between two letters, which writing has not.
_INSIDE = re.compile(r"[^\W\d_][“”„«»–—…€£°§¿¡™©®•×½¼¾²³‚‹›][^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
# Words of Latin languages are mostly ASCII.
_MAX_FOREIGN = 0.8
_WORDS_OF_ONE = frozenset("àáâåäæèéêìíòóôöøúýªº")
# Lines that the decision is made over, and bytes of them.
_MAX_LINES = 1_000
_MAX_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 18
# So many lines of UTF-8 make a file one of it, unless there are this many times as many others.
_ENOUGH_VALID, _FEW = 20, 4
# Where fewer lines are in question, each is a row at fault, and no reason to stop.
_MIN_SHARE = 0.05
_SHOWN_CHARS = 40
_MAX_SHOWN = 4


def title_of(encoding: str) -> str:
    """What people call an encoding."""
    name = codecs.lookup(encoding).name
    return _TITLES.get(encoding) or _TITLES.get(name) or _ALSO.get(name, encoding.upper())


def known(encoding: str) -> bool:
    """Whether a text can be in an encoding of this name."""
    try:
        return encoding == "" or isinstance("a".encode(codecs.lookup(encoding).name), bytes)
    except (LookupError, UnicodeError, ValueError):
        return False


@dataclass(frozen=True, slots=True)
class _Sample:
    """Lines that are no UTF-8, of a file none of whose lines is UTF-8 beyond ASCII.

    Attributes:
      first: number of the first of them.
      lines: the first ones.
      share: of the lines that were looked at.
    """

    first: int
    lines: list[bytes]
    share: float


def detected(stream: BinaryIO, name: str) -> str:
    """The encoding that a table is to be read in: Windows-1252, or "" for UTF-8, and for what cannot be told.

    Raises:
      UserError: much of it is not UTF-8, and it may be read in several ways, or in one that is not certain.
    """
    sample = _sample(stream)
    stream.seek(0)
    if sample is None:
        return ""
    content = b"\n".join(sample.lines)
    readings = {encoding: text for encoding in _TITLES if (text := _plausible(content, encoding))}
    if readings and set(readings.values()) == {readings.get(WESTERN)}:
        return WESTERN
    if readings and sample.share >= _MIN_SHARE:
        _stop(sample, readings, name)
    return ""


def refuse_utf_8(stream: BinaryIO, name: str, encoding: str) -> None:
    """Refuses to read as another encoding what is UTF-8 beyond doubt: it would be garbled.

    Raises:
      UserError: it is.
    """
    if codecs.lookup(encoding).name.startswith("utf"):
        return
    block = stream.read(_MAX_BYTES)
    stream.seek(0)
    whole = block[: block.rfind(b"\n") + 1] or block
    if not whole.isascii() and not any(not _is_valid(line) for line in whole.split(b"\n")):
        raise UserError(f"{name}: it is in UTF-8, and --manifest_encoding={encoding} would garble it; leave that out")


def _is_valid(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _sample(stream: BinaryIO) -> _Sample | None:
    """The lines that are no UTF-8; None of a file in UTF-8, some of whose lines may be damaged."""
    found: list[bytes] = []
    number = first = valid = size = 0
    for number, line in _foreign_lines(stream):
        if not line:
            break
        if _is_valid(line):
            valid += 1
            if valid >= _ENOUGH_VALID and valid * _FEW >= len(found):
                return None
            continue
        first = first or number
        found.append(line)
        size += len(line)
        if len(found) >= _MAX_LINES or size >= _MAX_BYTES:
            break
    # Short lines of other encodings may be UTF-8 by chance.
    return _Sample(first, found, len(found) / number) if found and valid * _FEW < len(found) else None


def _foreign_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Number and content of each line beyond ASCII; of long ones, parts. At the end, how many lines there are."""
    stream.seek(0)
    number, rest = 1, b""
    for block in itertools.chain(iter(lambda: stream.read(_BLOCK_BYTES), b""), [b"\n"]):
        if block.isascii() and not rest:
            number += block.count(b"\n")
            continue
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if not line.isascii():
                yield number, line
            number += 1
        if rest.isascii():
            rest = b""
        elif len(rest) > _BLOCK_BYTES:
            yield number, rest
            rest = b""
    yield number, b""


def _plausible(content: bytes, encoding: str) -> str:
    """The text in an encoding, if it may be one of a language that is written in it; else ""."""
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return ""
    foreign = {char for char in text if ord(char) > 127}
    if _INSIDE.search(text):
        return ""
    letters = {char for char in foreign if char not in _MARKS}
    if encoding in _LATIN:
        is_one = any({char.lower() for char in letters} <= set(alphabet) for alphabet in _LATIN[encoding])
        return text if is_one and _is_mostly_ascii(text) and _has_words(text, encoding) else ""
    if encoding in _SCRIPTS:
        script = _SCRIPTS[encoding]
        return text if letters and all(map(script.match, letters)) and _is_of_one_script(text, script) else ""
    return ""


def _has_words(text: str, encoding: str) -> bool:
    """Whether letters beyond ASCII that stand alone are words: "à" is one, and none is of the east of Europe."""
    alone = {word.lower() for word in _WORD.findall(text) if len(word) == 1 and not word.isascii()}
    return alone <= (_WORDS_OF_ONE if encoding in (WESTERN, "mac-roman") else frozenset())


def _is_mostly_ascii(text: str) -> bool:
    words = [word for word in _WORD.findall(text) if not word.isascii() and len(word) > 1]
    letters = sum(map(len, words))
    foreign = sum(ord(char) > 127 for word in words for char in word)
    turned = sum(bool(re.search("[a-zà-ÿ][A-ZÀ-Þ]", word)) for word in words)
    return foreign <= _MAX_FOREIGN * letters + 1 and turned * 4 <= len(words)


def _is_of_one_script(text: str, script: re.Pattern[str]) -> bool:
    """Whether words are of a script alone, in one case or with a capital in front."""
    words = [word for word in _WORD.findall(text) if script.search(word) and len(word) > 1]
    mixed = sum(any(map(str.isascii, word)) for word in words)
    odd = sum(word != word.lower() and word[1:] != word[1:].lower() and word != word.upper() for word in words)
    return bool(words) and (mixed + odd) * 4 <= len(words)


def _stop(sample: _Sample, readings: dict[str, str], name: str) -> NoReturn:
    line = sample.lines[0]
    by_text: dict[str, str] = {}
    for encoding in readings:
        by_text.setdefault(line.decode(encoding).strip(), encoding)
    shown = " or ".join(f"{text[:_SHOWN_CHARS]!r} in {name_of}" for text, name_of in list(by_text.items())[:_MAX_SHOWN])
    fact = f"it is not in UTF-8; line {sample.first} is {shown}"
    remedy = f"say which it is, such as --manifest_encoding={next(iter(by_text.values()))}, or save it as UTF-8"
    raise UserError(f"{name}: {fact}; {remedy}")


def recoded(stream: BinaryIO, encoding: str) -> BinaryIO:
    """An open file as UTF-8, a block at a time. What is no character in its encoding is none in UTF-8 either."""
    return io.BufferedReader(_Recoded(stream, encoding), _BLOCK_BYTES)


class _Recoded(io.RawIOBase):
    """A file in an encoding as UTF-8; it can be read again from its beginning."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        super().__init__()
        self._stream, self._encoding = stream, encoding
        self._start()

    def _start(self) -> None:
        self._stream.seek(0)
        decoder = codecs.getincrementaldecoder(self._encoding)(errors="surrogateescape")
        self._blocks = self._encoded(decoder)
        self._rest, self._at = memoryview(b""), 0

    def _encoded(self, decoder: codecs.IncrementalDecoder) -> Iterator[bytes]:
        for block in itertools.chain(iter(lambda: self._stream.read(_BLOCK_BYTES), b""), [b""]):
            text = decoder.decode(block, final=not block)
            yield re.sub("[\udc80-\udcff]", "\udcff", text).encode(errors="surrogateescape")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if (offset, whence) == (0, os.SEEK_SET):
            self._start()
        elif (offset, whence) != (0, os.SEEK_CUR):
            raise io.UnsupportedOperation("only to the beginning")
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if not self._rest:
            self._rest = memoryview(next(filter(None, self._blocks), b""))
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        self._at += size
        return size
