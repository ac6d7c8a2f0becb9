"""Text from elsewhere as people read it: one line that drives no terminal, hides nothing and has an end."""

from __future__ import annotations

import json
import re

# Longer lines lose their middle, so that both their beginning and what is said at their end are seen.
MAX_CHARS = 1_000
_TAIL_CHARS = 300
_HEAD_CHARS = MAX_CHARS - _TAIL_CHARS - len(" … 999,999,999,999 characters … ")

# Emoji that are spelt with tag characters: the flags of England, Scotland and Wales.
_FLAGS = "|".join("".join(chr(0xE0000 + ord(letter)) for letter in flag) for flag in ("gbeng", "gbsct", "gbwls"))
_ESCAPED = re.compile(
    f"(?P<flag>\U0001f3f4(?:{_FLAGS})\U000e007f)|"
    "[\x00-\x1f\x7f-\x9f"  # control characters: escape sequences, and line ends that would forge a line
    "\u00ad\u061c\u180e\u200b\u200e\u200f"  # invisible, or marks of direction
    "\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # line ends, overrides of direction, invisible
    "\ud800-\udfff"  # half a character: it cannot even be written
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff]"  # invisible, tags among them
    # Joiners belong to emoji and to the spelling of Persian or Hindi, where they follow another character.
    "|(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]"
)


def escaped(text: str) -> str:
    r"""The text with an escape such as \x1b, \n or \u202e for every character that is not what it seems.

    Letters of every script, and emoji, stay as they are.
    """
    return _ESCAPED.sub(lambda found: found.group() if found["flag"] else _escape(found.group()), text)


def json_escaped(line: str) -> str:
    """A line of JSON with the same values, in which such characters are spelt as JSON's escapes."""
    return _ESCAPED.sub(lambda found: found.group() if found["flag"] else json.dumps(found.group())[1:-1], line)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()


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
    left_out = len(line) - _HEAD_CHARS - _TAIL_CHARS
    return f"{line[:_HEAD_CHARS]} … {left_out:,} characters … {line[-_TAIL_CHARS:]}"
