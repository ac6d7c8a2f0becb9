"""Timed Text (TTML, DFXP) as sites and broadcasters have it: each paragraph is a cue."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from transforms.manifests import elan
from transforms.manifests.cues import Cue, Tier, Transcript, fault
from transforms.manifests.subtitles import plain

BEGINS = re.compile(r"(?:<[?!][^\0]{0,4000}?>\s*)?<(?:\w+:)?tt\b")
_CLOCK = re.compile(r"(\d{1,9}):(\d{1,2}):(\d{1,2})(?:(\.\d{1,9})|:(\d{1,3})(?:\.\d+)?)?")
_OFFSET = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(h|m|s|ms|f|t)")
_SECONDS = {"h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
# What the standard says where a file says nothing.
_FRAME_RATE, _TICK_RATE = 30.0, 1.0


def read(content: bytes) -> Transcript:
    """The paragraphs that have times.

    Raises:
      ClipRejected: BAD_FIELD, it is damaged.
    """
    document = _Document()
    elan.parse(content, document.start, document.end, document.text)
    return Transcript((Tier("", tuple(document.cues)),) if document.cues else (), document.language)


@dataclass(slots=True)
class _Document:
    """What is gathered element by element."""

    language: str = ""
    frame_rate: float = _FRAME_RATE
    tick_rate: float = _TICK_RATE
    cues: list[Cue] = field(default_factory=list)
    count: int = 0
    times: tuple[str, str, str] | None = None
    words: list[str] = field(default_factory=list)

    def start(self, name: str, given: dict[str, str]) -> None:
        local = {key.rpartition(":")[2]: value.strip() for key, value in given.items()}
        match name.rpartition(":")[2]:
            case "tt":
                self.language = local.get("lang", "")[:100]
                self.frame_rate = _rate(local.get("frameRate", ""), _FRAME_RATE)
                self.tick_rate = _rate(local.get("tickRate", ""), _TICK_RATE)
            case "p":
                self.count += 1
                self.times = local.get("begin", ""), local.get("end", ""), local.get("dur", "")
                self.words = []
            case "br":
                self.words.append("\n")

    def text(self, content: str) -> None:
        if self.times is not None:
            self.words.append(" ".join(re.split(r"\s+", content)))

    def end(self, name: str) -> None:
        if name.rpartition(":")[2] != "p" or self.times is None:
            return
        (begin, end, length), self.times = self.times, None
        text = plain("".join(self.words))
        if not begin or not re.search(r"\w", text):
            return
        start, stop, lasts = map(self._seconds, (begin, end, length))
        if start is None or (stop is None and (end or (length and lasts is None))):
            said = f"{begin[:40]} to {end[:40] or length[:40]}"
            self.cues.append(fault(self.count, text, said, f"its times are not understood: {said}"))
            return
        stop = stop if stop is not None or lasts is None else round(start + lasts, 6)
        self.cues.append(Cue(self.count, start, stop, text))

    def _seconds(self, time: str) -> float | None:
        if clock := _CLOCK.fullmatch(time):
            hours, minutes, whole, part, frames = clock.groups()
            beside = int(frames) / self.frame_rate if frames else float(part or 0)
            return round(int(hours) * 3_600 + int(minutes) * 60 + int(whole) + beside, 6)
        if offset := _OFFSET.fullmatch(time):
            number, unit = float(offset[1]), offset[2]
            rates = {"f": 1 / self.frame_rate, "t": 1 / self.tick_rate}
            return round(number * (_SECONDS | rates)[unit], 6)
        return None


def _rate(text: str, usual: float) -> float:
    return float(text) if re.fullmatch(r"[1-9]\d{0,9}", text) else usual
