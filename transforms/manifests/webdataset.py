"""Tar shards of WebDataset: members of one name but for the ending, side by side, are a row. No audio is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import BinaryIO

import orjson

from transforms import reasons
from transforms.audio.formats import by_extension
from transforms.bounds import MAX_COLUMNS, MAX_LINE_BYTES
from transforms.errors import ClipRejected, UserError
from transforms.manifests import tar
from transforms.manifests.embedded import LEFT_OUT
from transforms.manifests.foreign import ARCHIVE
from transforms.manifests.lines import CERTAIN, UNLIKE, Beginning, as_utf_8, bad_row, readable
from transforms.manifests.pairs import is_hidden
from transforms.manifests.row import ALIASES, Fields, Row
from transforms.manifests.tar import Member
from transforms.manifests.unpacked import is_unpacked
from transforms.storage import uris
from transforms.storage.inside import Place

_TEXTS = ("txt", "text", "transcript", "lab")
_CLASSES = ("cls", "cls2", "label")
# Of one name: more are no row.
_MAX_MEMBERS = 64
_AUDIO = "audio"


def likeness(beginning: Beginning) -> int:
    """Certain from the checksum of the first header."""
    return CERTAIN if tar.is_header(beginning.content[: tar.BLOCK]) else UNLIKE


def read(stream: BinaryIO, name: str) -> Iterator[Row]:
    """A row for each name that has a recording or a text.

    Raises:
      UserError: it is packed once more, or there is no recording in it.
    """
    if is_unpacked(stream):
        fact = "recordings in a packed tar cannot be read one by one"
        raise UserError(f"{name}: a packed tar: {ARCHIVE}; or unpack it to a .tar (gunzip), for {fact}")
    shard = _Shard(stream, name)
    yield from shard.rows()
    if not shard.has_audio:
        raise UserError(f"{name}: no manifest but a tar: {ARCHIVE}; no recording is in it")


@dataclass
class _Shard:
    """A shard that is read.

    Attributes:
      stream: the open file.
      name: of the manifest.
      has_audio: whether a recording was among the members so far.
      damage: why the rest cannot be read.
    """

    stream: BinaryIO
    name: str
    has_audio: bool = False
    damage: str = field(default="", init=False)

    def rows(self) -> Iterator[Row]:
        """The rows, numbered from 1, and one for what is damaged."""
        number = 0
        for key, members in groupby(self._members(), lambda member: _parted(member.name)[0]):
            row = self._row(number + 1, key, list(_first(members)))
            if row is not None:
                number += 1
                yield row
        if self.damage:
            yield bad_row(number + 1, "", f"the archive cannot be read from here on: {self.damage}")

    def _members(self) -> Iterator[Member]:
        try:
            yield from (member for member in tar.members(self.stream) if not is_hidden(_plain(member)))
        except tar.DamagedError as fault:
            self.damage = str(fault)
            self.has_audio = True  # there may have been some

    def _row(self, number: int, key: str, members: list[Member]) -> Row | None:
        """The row of a name; None for one that has neither audio nor text."""
        audio = [member for member in members if by_extension(_ending(member)) is not None]
        told = {ending: member for member in members if (ending := _ending(member)) in (*_TEXTS, *_CLASSES, "json")}
        if not audio and (not told or key.rpartition("/")[2].startswith("__")):
            return None
        self.has_audio |= bool(audio)
        fields: Fields = {}
        try:
            fields = self._fields(key, members, told)
            if not audio:
                raise ClipRejected(reasons.MISSING_AUDIO, f"{key} has a text and no recording in the archive")
            member = _only(key, audio)
            place = Place(uris.last_part(self.name), readable(member.name), member.offset, member.size)
            whole = {"path": readable(member.name), "bytes": LEFT_OUT}
            key = f"{_stem(self.name)}/{readable(key)}"
            return Row(number, {**fields, _AUDIO: whole}, inside={_AUDIO: place.spelled()}, key=key)
        except ClipRejected as fault:
            return Row(number, fields or {"id": key}, fault)

    def _fields(self, key: str, members: list[Member], told: dict[str, Member]) -> Fields:
        if len({member.name for member in members}) < len(members):
            raise ClipRejected(reasons.BAD_FIELD, f"{key} has two members of one name in the archive")
        if len(members) > _MAX_MEMBERS:
            raise ClipRejected(reasons.BAD_FIELD, f"{key} has over {_MAX_MEMBERS} members in the archive")
        fields = self._json(told["json"]) if "json" in told else {}
        texts = [self._text(told[ending]) for ending in _TEXTS if ending in told]
        texts = texts or [
            self._text(told[ending]).strip() for ending in _CLASSES if ending in told and not _has_text(fields)
        ]
        if len(set(texts)) > 1 or (
            texts and isinstance(fields.get("text"), str) and fields["text"].strip() != texts[0].strip()
        ):
            raise ClipRejected(reasons.BAD_FIELD, f"{key} has texts that contradict each other")
        if texts:
            fields = {"text": texts[0], **{column: value for column, value in fields.items() if column != "text"}}
        elif "json" not in told:
            fields = {"text": None}
        return fields

    def _json(self, member: Member) -> Fields:
        try:
            tree = orjson.loads(self._content(member))
        except ValueError:
            raise ClipRejected(reasons.BAD_FIELD, f"{member.name} is not valid JSON in UTF-8") from None
        if not isinstance(tree, dict) or len(tree) > MAX_COLUMNS:
            raise ClipRejected(reasons.BAD_FIELD, f"{member.name} is no JSON object")
        return tree

    def _text(self, member: Member) -> str:
        try:
            return as_utf_8(self._content(member)).decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise ClipRejected(reasons.BAD_FIELD, f"{member.name} is not valid UTF-8") from None

    def _content(self, member: Member) -> bytes:
        if member.kind:
            raise ClipRejected(reasons.BAD_FIELD, f"{member.name} is {member.kind} in the archive, not a file")
        if member.size > MAX_LINE_BYTES:
            raise ClipRejected(reasons.BAD_FIELD, f"{member.name} is longer than {MAX_LINE_BYTES:,} bytes")
        self.stream.seek(member.offset)
        return self.stream.read(member.size)


def _first(members: Iterator[Member]) -> Iterator[Member]:
    """The members of a name, of which the last shows that there are too many to be a row."""
    for number, member in enumerate(members):
        if number <= _MAX_MEMBERS:
            yield member


def _only(key: str, audio: list[Member]) -> Member:
    if len(audio) > 1:
        several = ", ".join(_parted(member.name)[1] for member in audio[:4])
        raise ClipRejected(reasons.BAD_FIELD, f"{key} has several recordings in the archive: {several}")
    if audio[0].kind:
        raise ClipRejected(reasons.NOT_A_FILE, f"{audio[0].name} is {audio[0].kind} in the archive, not a file")
    return audio[0]


def _plain(member: Member) -> str:
    return member.name.removeprefix("./")


def _parted(name: str) -> tuple[str, str]:
    """Key and ending of a member: a key has folders, and ends before the first dot behind them."""
    folder, slash, file = name.removeprefix("./").rpartition("/")
    key, _, ending = file.partition(".") if not file.startswith(".") else (file, "", "")
    return f"{folder}{slash}{key}", ending.lower()


def _ending(member: Member) -> str:
    """The last part of a member's ending: of "mic1.wav", "wav"."""
    return _parted(member.name)[1].rpartition(".")[2]


def _has_text(fields: Fields) -> bool:
    return any(fields.get(column) for column in ALIASES["text"])


def _stem(name: str) -> str:
    return uris.last_part(name).removesuffix(".tar")
