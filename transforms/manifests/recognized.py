"""JSON of recognizers: Whisper and its kin, services, and captions of video sites. One row a shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from transforms.manifests import times
from transforms.manifests.cues import Cue, Tier, Transcript, fault
from transforms.manifests.subtitles import plain

_STARTS = ("start", "start_time", "startTime", "start_ts", "begin", "ts", "tStartMs", "offsetInTicks")
_ENDS = ("end", "end_time", "endTime", "end_ts", "stop")
_DURATIONS = ("duration", "dur", "dDurationMs", "durationInTicks")
_TEXTS = ("text", "transcript", "sentence", "punctuated_word", "word", "content", "value")
_SPEAKERS = ("speaker", "speaker_label", "speaker_id", "speakerTag", "spk")
# Whole numbers of which people would speak less than this, in characters a second, are milliseconds.
_FEWEST_CHARS = 0.5
_NO_TEXT = re.compile(r"[\W_♪♫]*")

Tree = Any


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the cues of a tool's JSON are.

    Attributes:
      path: keys from the root to the list of cues; () for the root itself.
      elements: makes of the list one of elements with times and text.
      per_second: what a number of time counts; 0 for seconds, unless whole numbers can be none.
    """

    path: tuple[str, ...]
    elements: Callable[[list[Tree]], Iterable[Tree]] = iter
    per_second: int = 0


def _words(items: Iterable[Tree], speaker: object = None) -> Iterator[Tree]:
    """Words with their times; marks of punctuation, which have none, belong to the word before."""
    word: dict[str, Tree] | None = None
    for item in items:
        if not isinstance(item, dict):
            continue
        best = _first(item.get("alternatives"))
        content = best.get("content", item.get("value"))
        if item.get("type") in ("punctuation", "punct"):
            if word is not None and isinstance(content, str):
                word["text"] = f"{word['text']}{content}".rstrip()
            continue
        if word is not None:
            yield word
        who = next((each for each in (speaker, item.get("speaker_label"), best.get("speaker")) if each is not None), "")
        word = {**item, "text": content, "speaker": who}
    if word is not None:
        yield word


def _monologues(monologues: list[Tree]) -> Iterator[Tree]:
    for each in monologues:
        elements = each.get("elements") if isinstance(each, dict) else None
        yield from _words(elements if isinstance(elements, list) else [], each.get("speaker") if elements else None)


def _results(results: list[Tree]) -> Iterator[Tree]:
    """Results whose best alternative has its words with times, or that say where they end."""
    last: object = 0
    for result in results:
        if not isinstance(result, dict):
            continue
        best = _first(result.get("alternatives"))
        words = [word for word in _list(best.get("words")) if isinstance(word, dict)]
        end = result.get("resultEndTime", result.get("result_end_time"))
        if words:
            spoken = {each: words[0].get(each) for each in _STARTS if each in words[0]}
            ends = {each: words[-1].get(each) for each in _ENDS if each in words[-1]}
            yield {**spoken, **ends, "text": best.get("transcript"), "speaker": words[0].get("speakerTag")}
        elif end is not None:
            yield {"start": last, "end": end, "text": best.get("transcript")}
        last = end if end is not None else last


def _phrases(phrases: list[Tree]) -> Iterator[Tree]:
    for phrase in phrases:
        if isinstance(phrase, dict):
            yield {**phrase, "text": _first(phrase.get("nBest")).get("display")}


def _events(events: list[Tree]) -> Iterator[Tree]:
    for event in events:
        if isinstance(event, dict):
            parts = [part.get("utf8") for part in _list(event.get("segs")) if isinstance(part, dict)]
            yield {**event, "text": "".join(part for part in parts if isinstance(part, str))}


# The first that fits counts: sentences before words.
_SHAPES = (
    _Shape(("segments",)),  # Whisper, WhisperX, faster-whisper, OpenAI
    _Shape(("chunks",)),  # Transformers
    _Shape(("transcription",)),  # whisper.cpp
    _Shape(("results", "utterances")),  # Deepgram
    _Shape(("results", "audio_segments")),  # Amazon
    _Shape(("results", "items"), _words),
    _Shape(("utterances",), per_second=1_000),  # AssemblyAI
    _Shape(("monologues",), _monologues),  # Rev
    _Shape(("recognizedPhrases",), _phrases, per_second=10_000_000),  # Azure
    _Shape(("events",), _events, per_second=1_000),  # captions of YouTube, json3
    _Shape(("results",), _results),  # Google
    _Shape(("results",), _words),  # Speechmatics
    _Shape(("snippets",)),
    _Shape(("words",)),
    _Shape(("result",)),  # Vosk
    _Shape(()),
)


def read(content: bytes) -> Transcript | None:
    """The cues of a recognizer's JSON in UTF-8; None for any other JSON, and for what is none."""
    try:
        tree = orjson.loads(content)
    except (ValueError, RecursionError):
        return None
    for shape in _SHAPES:
        found = _at(tree, shape.path)
        if isinstance(found, list) and (cues := _cues(list(shape.elements(found)), shape.per_second)) is not None:
            return Transcript((Tier("", tuple(cues)),) if cues else (), _language(tree))
    if isinstance(tree, dict) and tree.get("segments") == [] and "text" in tree:
        return Transcript(())
    return None


def _at(tree: Tree, path: tuple[str, ...]) -> Tree:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _cues(elements: list[Tree], per_second: int) -> list[Cue] | None:
    """The cues; None if the first element has no times or no text."""
    elements = [each for each in elements if isinstance(each, dict)]
    if not elements or _span(elements[0]) is None or _text(elements[0]) is None:
        return None
    spans = [_span(each) or ("", "", False) for each in elements]
    texts = [plain(_text(each) or "") for each in elements]
    unit = per_second or (1_000 if _are_milliseconds(spans, texts) else 1)
    found: list[Cue] = []
    for number, (each, span, text) in enumerate(zip(elements, spans, texts, strict=True), start=1):
        if not _NO_TEXT.fullmatch(text):
            found.append(_cue(number, span, text, _speaker(each), unit))
    return found


_Span = tuple[Tree, Tree, bool]


def _span(element: dict[str, Tree]) -> _Span | None:
    """Start and end as they stand, and whether the latter is a duration; None for none."""
    pair, offsets = element.get("timestamp"), element.get("offsets")
    if isinstance(pair, list) and len(pair) == 2:
        return pair[0], pair[1], False
    if isinstance(offsets, dict) and {"from", "to"} <= offsets.keys():
        return f"{offsets['from']} ms", f"{offsets['to']} ms", False
    start = next((element[key] for key in _STARTS if key in element), None)
    if start is None:
        return None
    end = next((element[key] for key in _ENDS if key in element), None)
    duration = next((element[key] for key in _DURATIONS if key in element), None)
    return (start, duration, True) if end is None and duration is not None else (start, end, False)


def _text(element: dict[str, Tree]) -> str | None:
    return next((element[key] for key in _TEXTS if isinstance(element.get(key), str)), None)


def _speaker(element: dict[str, Tree]) -> str:
    found = next((element[key] for key in _SPEAKERS if element.get(key) is not None), "")
    return plain(str(found))[:200] if isinstance(found, (str, int)) and not isinstance(found, bool) else ""


def _are_milliseconds(spans: Iterable[_Span], texts: Iterable[str]) -> bool:
    """Whether whole numbers are no seconds: nobody speaks as slowly."""
    total = 0
    for start, end, is_duration in spans:
        if not type(start) is type(end) is int:
            return False
        total += end if is_duration else end - start
    return sum(map(len, texts)) < _FEWEST_CHARS * total


def _cue(number: int, span: _Span, text: str, speaker: str, unit: int) -> Cue:
    try:
        start, end = (times.seconds(each, unit) for each in span[:2])
        if start is None:
            raise ValueError("no start")
    except (ValueError, OverflowError):
        said = f"{span[0]!s:.40} to {span[1]!s:.40}"
        return fault(number, text, said, f"its times are none from 0 s on: {said}")
    if end is not None:
        end = round(start + end if span[2] else end, 6)
    return Cue(number, round(start, 6), end, text, speaker)


def _language(tree: Tree) -> str:
    keys = (("language",), ("result", "language"), ("language_code",), ("params", "language"))
    found = next((value for key in keys if isinstance(value := _at(tree, key), str)), "")
    return found if re.fullmatch(r"[A-Za-z][A-Za-z_ -]{1,40}", found) else ""


def _first(value: Tree) -> dict[str, Tree]:
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}


def _list(value: Tree) -> list[Tree]:
    return value if isinstance(value, list) else []
