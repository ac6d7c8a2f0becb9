"""Text from elsewhere as people read it: one line that drives no terminal, hides nothing and has an end."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable

# Longer lines lose their middle, so that both their beginning and what is said at their end are seen.
MAX_CHARS = 1_000
_TAIL_CHARS = 300
_HEAD_CHARS = MAX_CHARS - _TAIL_CHARS - len(" … 999,999,999,999 characters … ")

# Control characters, formats, halves, private and unassigned characters, line ends: none is seen for what it is.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Formats that are seen: Arabic signs of numbers, and those of hieroglyphs.
_SEEN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13456)}
# Letters and marks that are not seen (Default_Ignorable_Code_Point): a joiner of graphemes, fillers, Khmer vowels.
_BLANK = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0}
_JOINERS = "\u200c\u200d"
_MONGOLIAN_FORMS = "\u180b-\u180d\u180f"
_BRAILLE_BLANK = "\u2800"
# Emoji that are spelt with tag characters: the flags of England, Scotland and Wales.
_FLAGS = "|".join("".join(chr(0xE0000 + ord(letter)) for letter in flag) for flag in ("gbeng", "gbsct", "gbwls"))
# What is seen in some places only: its neighbours decide.
_BY_PLACE = f"{_JOINERS}{_MONGOLIAN_FORMS}{_BRAILLE_BLANK}\ufe00-\ufe0f\U000e0100-\U000e01ef"
_FLAG = re.compile(f"(\U0001f3f4(?:{_FLAGS})\U000e007f)")
_DECIDED = re.compile(f"[{_BY_PLACE}]")
_CUT_OFF = re.compile(f"^[{_BY_PLACE}\U000e0000-\U000e007f]+|[{_BY_PLACE}\U000e0000-\U000e007f]+$")
# Scripts whose spelling needs joiners, by the first word of the names of their letters.
_JOINING = frozenset(
    (
        *("ARABIC", "SYRIAC", "MANDAIC", "NKO", "MONGOLIAN", "PHAGS-PA", "ADLAM", "HANIFI", "DEVANAGARI", "BENGALI"),
        *("GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "TIBETAN", "MYANMAR"),
        *("KHMER", "BALINESE", "JAVANESE", "SUNDANESE", "GRANTHA", "TIRHUTA", "MODI"),
    )
)
_VIRAMA = 9  # the combining class of the sign after which a joiner may end a word
# A letter has few marks in any language; hundreds of them run over the lines above and below.
MAX_MARKS = 8
_CROWD = re.compile(f"[^\x00-\u02ff]{{{MAX_MARKS + 1},}}")


class _Table(dict[int, str]):
    """A table for `str.translate`, filled when a character is first seen."""

    def __init__(self, spell: Callable[[str], str]) -> None:
        super().__init__()
        self.spell = spell

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = self.spell(char) if _hides(char) and not _DECIDED.fullmatch(char) else char
        return self[code]


def _hides(char: str) -> bool:
    return ord(char) in _BLANK or (unicodedata.category(char) in _HIDDEN and ord(char) not in _SEEN)


_ESCAPES = _Table(lambda char: char.encode("unicode_escape").decode())
_JSON_ESCAPES = _Table(lambda char: json.dumps(char)[1:-1])


def escaped(text: str) -> str:
    r"""The text with an escape such as \x1b, \n or \u202e for every character that is not what it seems.

    Letters of every script, and emoji, stay as they are. What Unicode adds later than Python knows is escaped.
    """
    return _rewritten(text, _ESCAPES)


def json_escaped(line: str) -> str:
    """A line of JSON with the same values, in which such characters are spelt as JSON's escapes."""
    return _rewritten(line, _JSON_ESCAPES)


def _rewritten(text: str, table: _Table) -> str:
    if text.isascii() and text.isprintable():
        return text
    parts = _FLAG.split(text)
    parts[::2] = [_without_flags(part, table) for part in parts[::2]]
    return "".join(parts)


def _without_flags(text: str, table: _Table) -> str:
    text = _CROWD.sub(lambda found: _thinned(found.group(), table.spell), text)
    text = _DECIDED.sub(lambda found: found.group() if _belongs(found) else table.spell(found.group()), text)
    return text.translate(table)


def _thinned(crowd: str, spell: Callable[[str], str]) -> str:
    """The text with an escape for each mark beyond those that a letter may have."""
    marks, parts = 0, []
    for char in crowd:
        if unicodedata.category(char) in ("Mn", "Me"):
            marks += 1
        elif not _DECIDED.fullmatch(char):
            marks = 0
        parts.append(spell(char) if marks > MAX_MARKS else char)
    return "".join(parts)


def _belongs(found: re.Match[str]) -> bool:
    """Whether a character belongs to what is written before and behind it."""
    text, at, char = found.string, found.start(), found.group()
    before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if char in _JOINERS:
        within = _joins(before) and (_joins(after) or unicodedata.combining(before) == _VIRAMA)
        pictured = text[at - 2 : at - 1] if before == "\ufe0f" and at > 1 else before
        return within or (char == "\u200d" and _is_emoji(pictured) and _is_emoji(after))
    if char == _BRAILLE_BLANK:
        return all(_named(beside, "BRAILLE PATTERN DOTS") for beside in (before, after))
    if char in "\ufe0e\ufe0f":
        return _is_emoji(before) or (before in set("0123456789#*") and after == "\u20e3")
    if "\u180b" <= char <= "\u180f":
        return _named(before, "MONGOLIAN LETTER")
    return _named(before, "CJK") or (char == "\ufe00" and _named(before, "MYANMAR LETTER"))


def _joins(char: str) -> bool:
    """Whether this is a letter or mark that is seen, of a script whose spelling needs joiners."""
    shown = char != "" and unicodedata.category(char)[0] in "LM" and not (_hides(char) or _DECIDED.fullmatch(char))
    return shown and unicodedata.name(char, "").partition(" ")[0] in _JOINING


def _is_emoji(char: str) -> bool:
    """Whether this is a picture, or one of the other signs that have a picture."""
    kind = unicodedata.category(char) if char and not char.isascii() and char != _BRAILLE_BLANK else ""
    return kind in ("So", "Sm") or char in set("‼⁉ℹ〰〽") or _named(char, "EMOJI MODIFIER")


def _named(char: str, beginning: str) -> bool:
    return char != "" and unicodedata.name(char, "").startswith(beginning)


def is_unicode(text: str) -> bool:
    """Whether a text holds no half of a surrogate pair, which is no character and can be in no file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """One line for people: `escaped`, and without its middle if it is longer than `MAX_CHARS`. Twice is as once."""
    line = escaped(text)
    if len(line) <= MAX_CHARS:
        return line
    # What belonged to a character that is left out would hide.
    head, tail = _CUT_OFF.sub("", line[:_HEAD_CHARS]), _CUT_OFF.sub("", line[-_TAIL_CHARS:])
    return f"{head} … {len(line) - len(head) - len(tail):,} characters … {tail}"
