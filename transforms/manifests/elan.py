"""ELAN's annotations (.eaf). Of XML no more is read than elements: no entity, no other file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote
from xml.parsers import expat

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.cues import Cue, Tier, Transcript, fault, joined

# Tiers that depend on one another: people have three or four.
_MAX_DEPTH = 50
# Behind a declaration and perhaps a comment.
BEGINS = re.compile(r"<[?!]?[^\0]{0,4000}?<?ANNOTATION_DOCUMENT\b")


def read(content: bytes) -> Transcript:
    """The tiers with text, top-level ones first: other tiers are read if they are named.

    Raises:
      ClipRejected: BAD_FIELD, it is damaged.
    """
    document = _Document()
    parse(content, document.start, document.end, document.text)
    return document.transcript()


def parse(content: bytes, start: object, end: object, text: object) -> None:
    """Reads XML and calls back, as expat does.

    Raises:
      ClipRejected: BAD_FIELD, it is not well-formed, or declares entities.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text  # type: ignore[assignment]
    parser.EntityDeclHandler = _refuse_entities
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as found:  # ValueError: an encoding that is none
        line = getattr(found, "lineno", parser.CurrentLineNumber)
        raise ClipRejected(reasons.BAD_FIELD, f"it is no well-formed XML: see line {line}") from None


def _refuse_entities(*_: object) -> None:
    raise ClipRejected(reasons.BAD_FIELD, "its XML declares entities, which no annotation needs")


@dataclass(slots=True)
class _Annotation:
    """An annotation: between two time slots, or of another annotation."""

    number: int
    slots: tuple[str, str] = ("", "")
    parent: str = ""
    text: str = ""


@dataclass(slots=True)
class _Layer:
    """A tier as it stands."""

    name: str
    speaker: str
    parent: str
    annotations: list[_Annotation] = field(default_factory=list)


@dataclass(slots=True)
class _Document:
    """What is gathered element by element."""

    slots: dict[str, str] = field(default_factory=dict)
    layers: list[_Layer] = field(default_factory=list)
    by_id: dict[str, _Annotation] = field(default_factory=dict)
    media: list[tuple[str, str]] = field(default_factory=list)
    value: list[str] | None = None
    count: int = 0
    current: _Annotation | None = None

    def start(self, name: str, given: dict[str, str]) -> None:
        match name:
            case "TIME_SLOT":
                self.slots[given.get("TIME_SLOT_ID", "")] = given.get("TIME_VALUE", "")
            case "MEDIA_DESCRIPTOR":
                url = given.get("RELATIVE_MEDIA_URL") or given.get("MEDIA_URL", "")
                self.media.append((unquote(url), given.get("TIME_ORIGIN", "")))
            case "TIER":
                layer = given.get("TIER_ID", ""), given.get("PARTICIPANT", "").strip(), given.get("PARENT_REF", "")
                self.layers.append(_Layer(*layer))
            case "ALIGNABLE_ANNOTATION" | "REF_ANNOTATION":
                self.count += 1
                slots = given.get("TIME_SLOT_REF1", ""), given.get("TIME_SLOT_REF2", "")
                self.current = _Annotation(self.count, slots, given.get("ANNOTATION_REF", ""))
                self.by_id[given.get("ANNOTATION_ID", "")] = self.current
                if self.layers:
                    self.layers[-1].annotations.append(self.current)
            case "ANNOTATION_VALUE":
                self.value = []

    def text(self, content: str) -> None:
        if self.value is not None:
            self.value.append(content)

    def end(self, name: str) -> None:
        if name == "ANNOTATION_VALUE" and self.value is not None:
            if self.current is not None:
                self.current.text = " ".join("".join(self.value).split())
            self.value = None

    def transcript(self) -> Transcript:
        tiers = [(bool(layer.parent), Tier(layer.name, tuple(self._cues(layer)))) for layer in self.layers]
        spoken = [(depends, tier) for depends, tier in tiers if tier.cues]
        top = tuple(tier for depends, tier in spoken if not depends)
        name = next((url.replace("\\", "/").rpartition("/")[2] for url, _ in self.media if url), "")
        below = tuple(tier for depends, tier in spoken if depends)
        return Transcript(top, ordered=False, dependent=below, media=name)

    def _cues(self, layer: _Layer) -> Iterable[Cue]:
        """The cues of a tier. Annotations of one other annotation are its text, one after the other."""
        together: defaultdict[int, list[_Annotation]] = defaultdict(list)
        roots: dict[int, _Annotation] = {}
        for annotation in layer.annotations:
            root = self._root(annotation)
            roots[root.number] = root
            together[root.number].append(annotation)
        for number, several in together.items():
            text = joined(annotation.text for annotation in several if annotation.text)
            if text:
                yield self._cue(several[0].number, roots[number], text, layer.speaker)

    def _root(self, annotation: _Annotation) -> _Annotation:
        """The annotation with times that another one is of, or the last that can be found."""
        for _ in range(_MAX_DEPTH):
            above = self.by_id.get(annotation.parent) if annotation.parent else None
            if above is None:
                break
            annotation = above
        return annotation

    def _cue(self, number: int, root: _Annotation, text: str, speaker: str) -> Cue:
        values = [self.slots.get(slot, "") for slot in root.slots]
        if not all(re.fullmatch(r"\d{1,12}", value) for value in values):
            detail = "the annotation has no times of its own: align it in ELAN, or read the tier above it by --tier"
            return fault(number, text, "no time", detail)
        start, end = (int(value) / 1_000 + self._origin() for value in values)
        return Cue(number, start, end, text, speaker)

    def _origin(self) -> float:
        """Where in the recording ELAN's clock begins, in seconds."""
        origin = self.media[0][1] if self.media else ""
        return int(origin) / 1_000 if re.fullmatch(r"\d{1,12}", origin) else 0.0
