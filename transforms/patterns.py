"""Regular expressions of strangers: what Python's `re` says of them, in a bounded time.

Most expressions cannot take long on a short text, as a look at them tells: they go to `re`. Others go to `regex`, which
knows a time limit. Where that is reached, RE2 answers, whose time grows with the text and no faster. It has no
look-around and no back-reference: of an expression with these, nobody can say in time what it would find.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterable
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

# Of processor time, where RE2 can answer instead, and where it cannot.
SECONDS_BEFORE_RE2, MAX_SECONDS = 0.1, 5.0
# Steps that `re` may take: some milliseconds.
_MAX_STEPS = 1_000_000
# Repeats of so few are choices; of more, they count as if without an end.
_FEW = 16
_FOREVER = 1_000
# What `regex` takes for something else than `re` does: classes of POSIX, fuzzy matches.
_OTHER_SYNTAX = re.compile(r"\[:|\{[^}]*[deis]")
_SPACES = "".join(map(chr, filter(lambda code: chr(code).isspace(), range(0x3001))))
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT)


class TooLongError(Exception):
    """Nobody can say in time whether the expression is found."""


class Pattern:
    """An expression that Python's `re` can read."""

    def __init__(self, text: str) -> None:
        """Looks at the expression."""
        self.text = text
        self._power, self._choices = _shape(text)
        self._searches_slowly = bool(_OTHER_SYNTAX.search(text))
        self._re2: str | None = None
        with contextlib.suppress(ValueError):
            self._re2 = re2(text)

    def is_short(self, text: str) -> bool:
        """Whether `re` certainly takes a moment only."""
        return self._power < _FOREVER and self._choices * (len(text) + 1.0) ** self._power <= _MAX_STEPS

    def is_found(self, text: str) -> bool:
        """Whether `re.search` finds it in a text.

        Raises:
          TooLongError: it would take longer than anybody waits.
        """
        if self.is_short(text):
            return re.search(self.text, text) is not None
        # Of letters and digits outside of ASCII, `regex` and `re` have different ideas.
        if not self._searches_slowly and (text.isascii() or self._re2 is None):
            import regex  # noqa: PLC0415 -- few datasets have a schema with such an expression

            try:
                return (
                    regex.search(self.text, text, timeout=SECONDS_BEFORE_RE2 if self._re2 else MAX_SECONDS) is not None
                )
            except (TimeoutError, MemoryError):
                self._searches_slowly = True
        return self._is_found_by_re2(text)

    def _is_found_by_re2(self, text: str) -> bool:
        import pyarrow as pa  # noqa: PLC0415 -- as above
        import pyarrow.compute as pc  # noqa: PLC0415

        if self._re2 is None:
            raise TooLongError(self.text)
        try:
            return bool(pc.match_substring_regex(pa.array([text]), self._re2)[0].as_py())
        except pa.ArrowInvalid:  # too large for it
            raise TooLongError(self.text) from None


def _shape(pattern: str) -> tuple[int, float]:
    """How the steps of a search grow: with which power of the text's length, and times what."""
    tree = parser.parse(pattern)
    is_anchored = bool(tree) and tree[0] in ((codes.AT, codes.AT_BEGINNING), (codes.AT, codes.AT_BEGINNING_STRING))
    power, choices = _of_all(tree)
    return power + (not is_anchored or bool(tree.state.flags & re.MULTILINE)), choices


def _of_all(nodes: Iterable[Any]) -> tuple[int, float]:
    shapes = [_of_one(code, argument) for code, argument in nodes]
    return sum(power for power, _ in shapes), min(math.prod(choices for _, choices in shapes), 1e300)


def _of_one(code: Any, argument: Any) -> tuple[int, float]:  # noqa: ANN401 -- the parser's, without types
    if code in (*_REPEATS, codes.POSSESSIVE_REPEAT):
        least, most, body = argument
        power, choices = _of_all(body)
        if most > 1 and (power or choices > 1):
            return _FOREVER, 1  # each turn can be taken in several ways
        few = int(most) - int(least) < _FEW
        return (power, choices * (int(most) - int(least) + 1)) if few else (power + 1, choices)
    if code == codes.BRANCH:
        shapes = [_of_all(branch) for branch in argument[1]]
        return max(power for power, _ in shapes), sum(choices for _, choices in shapes)
    inner: dict[Any, Callable[[], Iterable[Any]]] = {
        codes.SUBPATTERN: lambda: argument[-1],
        codes.ASSERT: lambda: argument[-1],
        codes.ASSERT_NOT: lambda: argument[-1],
        codes.ATOMIC_GROUP: lambda: argument,
        codes.GROUPREF_EXISTS: lambda: [*argument[1], *(argument[2] or [])],
    }
    return _of_all(inner[code]()) if code in inner else (int(code == codes.GROUPREF), 1)


def re2(pattern: str) -> str:
    """The pattern as RE2 writes it, with Python's meaning.

    Raises:
      ValueError: RE2 has no such pattern.
    """
    tree = parser.parse(pattern)
    if tree.state.flags & ~re.UNICODE:
        raise ValueError("flags")
    return _sequence(tree)


def _sequence(nodes: Iterable[Any]) -> str:
    parts = list(nodes)
    if (codes.AT, codes.AT_END) in parts[:-1]:  # which may stand before a last line end, which RE2 cannot look at
        raise ValueError("$")
    return "".join(_written(code, argument) for code, argument in parts)


def _written(code: Any, argument: Any) -> str:  # noqa: ANN401 -- as above
    if code in _PARTS:
        return _PARTS[code](argument)
    if code == codes.BRANCH:
        return f"(?:{'|'.join(map(_sequence, argument[1]))})"
    if code == codes.SUBPATTERN and not argument[1] and not argument[2]:
        return f"(?:{_sequence(argument[3])})"
    if code in _REPEATS:
        least, most, body = argument
        return f"(?:{_sequence(body)}){{{least},{'' if most is codes.MAXREPEAT else most}}}"
    if code == codes.AT and argument in _PLACES:
        return _PLACES[argument]
    raise ValueError(str(code))


_PLACES = {
    codes.AT_BEGINNING: r"\A",
    codes.AT_BEGINNING_STRING: r"\A",
    codes.AT_END: r"(?:\n?\z)",
    codes.AT_END_STRING: r"\z",
}


def _letter(code: int) -> str:
    return f"\\x{{{code:x}}}"


_CLASSES = {
    codes.CATEGORY_DIGIT: r"\p{Nd}",
    codes.CATEGORY_NOT_DIGIT: r"\P{Nd}",
    codes.CATEGORY_WORD: r"\p{L}\p{N}_",
    codes.CATEGORY_SPACE: "".join(_letter(ord(space)) for space in _SPACES),
}


def _class(parts: list[Any]) -> str:
    if parts == [(codes.CATEGORY, codes.CATEGORY_NOT_WORD)]:
        return rf"[^{_CLASSES[codes.CATEGORY_WORD]}]"
    if parts == [(codes.CATEGORY, codes.CATEGORY_NOT_SPACE)]:
        return rf"[^{_CLASSES[codes.CATEGORY_SPACE]}]"
    return f"[{''.join(_part(code, argument) for code, argument in parts)}]"


def _part(code: Any, argument: Any) -> str:  # noqa: ANN401 -- as above
    if code == codes.NEGATE:
        return "^"
    if code == codes.LITERAL:
        return _letter(argument)
    if code == codes.RANGE:
        return f"{_letter(argument[0])}-{_letter(argument[1])}"
    if code == codes.CATEGORY and argument in _CLASSES:
        return _CLASSES[argument]
    raise ValueError(str(argument))


_PARTS: dict[Any, Callable[[Any], str]] = {
    codes.LITERAL: _letter,
    codes.NOT_LITERAL: lambda code: f"[^{_letter(code)}]",
    codes.ANY: lambda _: r"[^\n]",
    codes.IN: _class,
}
