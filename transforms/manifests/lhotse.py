"""Lhotse's manifests: cuts, and supervisions with the recordings that lie beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from transforms import reasons
from transforms.errors import ClipRejected, UserError
from transforms.manifests.keyed import Table, first_files, has_pairs
from transforms.manifests.lines import CERTAIN, UNLIKE
from transforms.manifests.row import ALIASES, Fields, Row
from transforms.manifests.tool import Beside, Retell, RowsOf, Tool, parted, stop
from transforms.manifests.words import are_splits, split_of
from transforms.storage import Storage, uris

_FILE = re.compile(r"(?:.*[._-])?(recordings|supervisions|cuts)(?:[._-].*)?\.(?:jsonl|json)(?:\.gz)?")
_AUDIO = frozenset(ALIASES["audio"])
# Times are rounded when they are written.
_TOLERANCE_SECONDS = 0.001
# What changes the level or the rate, which Cliptune sets itself.
_HARMLESS = ("Resample", "Volume")
# Counted from 0, as Cliptune spells it whatever the rows of other manifests say.
_CHANNEL = "#{}"


def _wrote_cuts(row: Row) -> bool:
    return str(row.fields.get("type")) in ("MonoCut", "MultiCut", "MixedCut", "PaddingCut", "DataCut") or (
        {"supervisions", "recording", "start"} <= row.fields.keys()
    )


def _wrote_supervisions(row: Row) -> bool:
    return {"id", "recording_id", "start", "duration"} <= row.fields.keys() and not _AUDIO & row.fields.keys()


def _wrote_recordings(row: Row) -> bool:
    return {"id", "sources", "sampling_rate", "num_samples"} <= row.fields.keys()


def _retell_cuts(beside: Beside) -> Retell:
    return parted(_of_cut, beside)


def _of_cut(row: Row) -> Iterator[Row]:
    """A row for every supervision of a cut, with its times in the recording."""
    cut = row.fields
    kind = cut.get("type", "MonoCut")
    if kind in ("MixedCut", "PaddingCut"):
        why = f"a {kind} mixes or pads audio, which Cliptune does not; save such cuts with CutSet.save_audios first"
        raise ClipRejected(reasons.BAD_FIELD, why)
    recording, supervisions = cut.get("recording"), cut.get("supervisions")
    if not isinstance(recording, dict):
        raise ClipRejected(reasons.MISSING_AUDIO, "the cut has no recording, only features")
    if not supervisions:
        raise ClipRejected(reasons.MISSING_TEXT, "the cut has no supervision")
    for supervision in supervisions:
        start = float(cut.get("start") or 0) + float(supervision["start"])
        yield _told(row, supervision, recording, start)


def _told(row: Row, supervision: Mapping[str, Any], recording: Mapping[str, Any], start: float) -> Row:
    """A supervision as a row, or as one that is at fault."""
    custom = supervision.get("custom")
    own = {key: value for key, value in custom.items() if key not in _NAMES} if isinstance(custom, dict) else {}
    fields: Fields = {
        "id": supervision.get("id"),
        "recording": recording.get("id"),
        "audio": None,
        **_span(start, float(supervision["duration"]), recording),
        "text": supervision.get("text"),
        "speaker": supervision.get("speaker"),
        "language": supervision.get("language"),
        "gender": supervision.get("gender"),
        **own,
    }
    try:
        fields["audio"], channel = _source(recording, supervision.get("channel", 0))
    except ClipRejected as fault:
        return replace(row, fields=fields, fault=fault)
    if channel is not None:
        fields["channel"] = _CHANNEL.format(channel)
    return replace(row, fields=fields)


_NAMES = frozenset(
    {"id", "recording", "audio", "offset", "duration", "text", "speaker", "language", "gender", "channel"}
)


def _span(start: float, duration: float, recording: Mapping[str, Any]) -> Fields:
    """The part of its recording; {} for all of it. Rounding may put a time a hair outside."""
    length = recording.get("duration")
    if isinstance(length, int | float):
        if abs(start) <= _TOLERANCE_SECONDS and abs(duration - length) <= _TOLERANCE_SECONDS:
            return {}
        if 0 < start + duration - length <= _TOLERANCE_SECONDS:
            duration = length - start
    start = 0.0 if -_TOLERANCE_SECONDS <= start < 0 else start
    return {"offset": round(start, 6), "duration": round(duration, 6)}


def _source(recording: Mapping[str, Any], channel: object) -> tuple[str, int | None]:
    """The file that has a channel, or all channels, of a recording, and the channel in it; None for all that it has.

    Raises:
      ClipRejected: the recording is no file as it is, or no one file has these channels.
    """
    changed = [each.get("name") for each in recording.get("transforms") or () if isinstance(each, dict)]
    if others := [str(name) for name in changed if name not in _HARMLESS]:
        why = f"the recording is to be changed by {', '.join(others)}, which Cliptune does not do; write it to a file"
        raise ClipRejected(reasons.BAD_FIELD, why)
    wanted = channel if isinstance(channel, list) else [channel]
    for source in recording.get("sources") or ():
        channels = source.get("channels") or [0]
        if set(wanted) <= set(channels):
            path = _path(source)
            if len(wanted) == len(channels):
                return path, None
            if len(wanted) == 1:
                return path, channels.index(wanted[0])
    raise ClipRejected(reasons.BAD_FIELD, f"channels {wanted} of recording {recording.get('id')!r} are not of one file")


def _path(source: Mapping[str, Any]) -> str:
    kind, path = source.get("type"), source.get("source")
    if kind == "command":
        raise ClipRejected(reasons.NOT_A_PATH, "a command, not a path: Cliptune runs none; write its output to a file")
    if kind == "memory":
        raise ClipRejected(reasons.EMBEDDED_AUDIO, "the manifest holds the recording itself; write it to a file")
    if kind not in ("file", "url") or not isinstance(path, str):
        raise ClipRejected(reasons.NOT_A_PATH, f"the source is a {str(kind)[:40]!r}, not a file")
    return path


@dataclass(slots=True)
class _Joined:
    """Supervisions with their recordings, which wait on the disk."""

    recordings: Table

    def __call__(self, row: Row) -> list[Row]:
        found = self.recordings.get(str(row.fields["recording_id"]))
        if found is None:
            named = row.fields["recording_id"]
            raise ClipRejected(reasons.MISSING_AUDIO, f"there is no recording {named!r} beside the supervisions")
        return [_told(row, row.fields, orjson.loads(found), float(row.fields["start"]))]


def _recordings(rows: Iterator[Row]) -> Iterator[tuple[int, str, str]]:
    for row in rows:
        if row.fault is None and "id" in row.fields:
            yield row.line, str(row.fields["id"]), orjson.dumps(row.fields).decode()


def _retell_supervisions(beside: Beside) -> Retell:
    folder, _, name = beside.uri.rpartition("/")
    names = [name.replace("supervisions", "recordings"), *(f"recordings.{end}" for end in _ENDS)]
    others = [f"{each.rpartition('.json')[0]}.{end}" for each in names[:1] for end in _ENDS]
    for each in dict.fromkeys([*names, *others]):
        if each != name and beside.storage.exists(f"{folder}/{each}"):
            rows = beside.rows_of(f"{folder}/{each}", each)
            return parted(_Joined(beside.stack.enter_context(Table(_recordings(rows)))), beside)
    raise stop(
        beside,
        "supervisions by Lhotse, without the recordings that they are of",
        f"put {names[0]} beside them, or write cuts: CutSet.from_manifests(…).to_file('cuts.jsonl.gz')",
    )


_ENDS = ("jsonl.gz", "jsonl", "json", "json.gz")


def _refuse_recordings(beside: Beside) -> Retell:
    raise stop(
        beside,
        "recordings by Lhotse, which have no texts",
        "name the supervisions, the cuts, or the folder that has both",
    )


CUTS = Tool("lhotse_cuts", "Lhotse's cuts", "Lhotse cuts", _wrote_cuts, _retell_cuts)
SUPERVISIONS = Tool(
    "lhotse_supervisions",
    "Lhotse's supervisions, with the recordings beside them",
    "Lhotse supervisions",
    _wrote_supervisions,
    _retell_supervisions,
)
RECORDINGS = Tool(
    "lhotse_recordings", "Lhotse's recordings: refused", "Lhotse recordings", _wrote_recordings, _refuse_recordings
)


def likeness(folder: str, storage: Storage) -> int:
    """Certain from supervisions beside recordings, or from cuts."""
    files = list(first_files(folder, storage))
    kinds = {found[1] for file in files if "/" not in file and (found := _FILE.fullmatch(file))}
    is_one = {"supervisions", "recordings"} <= kinds or "cuts" in kinds
    return CERTAIN if is_one and not has_pairs(files) else UNLIKE


def read(folder: str, name: str, storage: Storage, rows_of: RowsOf) -> Iterator[Row]:
    """The rows of all supervisions; of all cuts, where there are none. Files that are named after splits are splits.

    Args:
      folder: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: reads the files.
      rows_of: reads one file.
    """
    named = [file for file in first_files(folder, storage) if "/" not in file and _FILE.fullmatch(file)]
    kinds = {kind: [file for file in named if _FILE.fullmatch(file)[1] == kind] for kind in ("supervisions", "cuts")}  # type: ignore[index]
    # Packed and not, a file is the same.
    files = list({_stem(file): file for file in kinds["supervisions"] or kinds["cuts"]}.values())
    by_split = are_splits(map(_stem, files))
    for file in files:
        if by_split and split_of(_stem(file)) is None:
            raise UserError(f"{name}/{file}: names no split, while other files beside it do")
        for row in rows_of(uris.join(folder, file), uris.join(name, file)):
            fields = {**row.fields, "split": _stem(file)} if by_split and row.fields else row.fields
            yield replace(row, fields=fields, file=file)


def _stem(file: str) -> str:
    return file.partition(".json")[0]
