"""Praat's TextGrids, long and short, read as Praat does: strings, numbers and flags count, and no other word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.cues import Cue, Tier, Transcript

BEGINS = re.compile(r'(?:File type = )?"ooTextFile')
_TOKEN = re.compile(
    r'(?P<string>"(?:[^"]|"")*")|(?P<flag><\w+>)|(?<!\S)(?P<number>-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)%?(?!\S)|(?P<note>(?<!\S)![^\n\r]*)'
    r"|(?P<quote>\")|[^\s\"<]+|<"
)
_LINE_END = re.compile(r"\r\n|\r|\n")


def read(text: str) -> Transcript:
    """The interval tiers with text; intervals without one are pauses.

    Raises:
      ClipRejected: BAD_FIELD, it is damaged or holds something else.
    """
    tokens = _Tokens(text)
    head, kind = tokens.string(), tokens.string()
    if not head.startswith("ooTextFile") or kind != "TextGrid":
        raise ClipRejected(reasons.BAD_FIELD, f"it holds {kind[:40]!r} of Praat's, not a TextGrid")
    tokens.number()
    tokens.number()
    if tokens.flag() != "<exists>":
        return Transcript(())
    tiers, others = [], []
    for _ in range(tokens.count()):
        kind, name = tokens.string(), tokens.string()
        tokens.number()
        tokens.number()
        if kind == "IntervalTier":
            tiers.append(Tier(name, tuple(_intervals(tokens))))
        elif kind == "TextTier":
            others.append(f"{name} (points)")
            for _ in range(tokens.count()):
                tokens.number()
                tokens.string()
        else:
            raise tokens.damaged(f"a tier of class {kind[:40]!r}")
    return Transcript(tuple(tier for tier in tiers if tier.cues), others=tuple(others))


def _intervals(tokens: _Tokens) -> Iterator[Cue]:
    for _ in range(tokens.count()):
        start, end, text = tokens.number(), tokens.number(), " ".join(tokens.string().split())
        if text:
            yield Cue(tokens.line, start, end, text)


@dataclass(slots=True)
class _Tokens:
    """The strings, numbers and flags of a text.

    Attributes:
      text: of the file.
      at: where the next one is looked for.
      line: 1-based, of the last one.
    """

    text: str
    at: int = 0
    line: int = 1

    def string(self) -> str:
        """The next, which is a string."""
        return self._next("string")[1:-1].replace('""', '"')

    def number(self) -> float:
        """The next, which is a number."""
        return float(self._next("number"))

    def flag(self) -> str:
        """The next, which is a flag."""
        return self._next("flag")

    def count(self) -> int:
        """The next, which counts what follows."""
        number = self.number()
        if not 0 <= number <= len(self.text) or number != int(number):
            raise self.damaged(f"{number:g} in the place of a count")
        return int(number)

    def _next(self, wanted: str) -> str:
        for match in _TOKEN.finditer(self.text, self.at):
            if match.lastgroup not in (None, "note"):
                self.line += len(_LINE_END.findall(self.text, self.at, match.start()))
                self.at = match.start()
                if match.lastgroup != wanted:
                    raise self.damaged(f"a {match.lastgroup}, where a {wanted} is to be")
                self.line += len(_LINE_END.findall(self.text, self.at, match.end()))
                self.at = match.end()
                return match[wanted]
        raise self.damaged(f"its end, where a {wanted} is to be")

    def damaged(self, what: str) -> ClipRejected:
        """The refusal of a file that is not as Praat writes it."""
        return ClipRejected(reasons.BAD_FIELD, f"it is damaged: in line {self.line} there is {what}")
