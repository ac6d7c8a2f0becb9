"""The two records of a manifest row: the clip that it describes, and the outcome of preparing it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import orjson

from transforms.printable import printable
from transforms.reasons import Reason

# Of rows that all say "1": counted from 0 or from 1, it is the channel of a recording that has one.
ONLY_CHANNEL = -1


@dataclass(frozen=True, slots=True)
class Clip:
    """A manifest row: where the audio is and what the model should answer.

    Attributes:
      clip_id: unique in the dataset; alone decides shard and order.
      uri: local path (as written, so perhaps relative) or gs:// URI of the source audio.
      target: the text the tuned model should produce.
      source: "manifest:line", so that a rejection leads back to its row.
      row: the original row as one JSON object, for `rejected.jsonl`.
      prompt: what the user turn says beside the audio.
      system_instruction: text of the system turn; "" for none.
      task: what the example teaches, of a dataset with several tasks; "" for the only one.
      group: clips of one group (speaker, recording) share a split; "" for the clip alone.
      split: "train", "validation" or "test" when the manifest says so, else "".
      offset: seconds from the start of the recording where the clip begins; None for the whole recording.
      duration: seconds that the clip lasts; None for up to the recording's end.
      confined: whether `uri` must lie in an allowed folder, for the row does not name an absolute path.
      channel: the one that is meant, from 0; None for the mean of all; `ONLY_CHANNEL` if the recording must have one.
      folders: the allowed folders of a confined clip, absolute and without links; None for those of the run.
      language: that is spoken, as the row writes it; "" if it says none. It decides no byte and no split.
      kept_columns: columns of the row that go along into the ledger, as one JSON object; "" for none. Likewise.
      cut_start: seconds at the start of the segment within which it is cut at the quietest point; 0 for a segment that
        begins where it says.
      cut_end: likewise at its end.
    """

    clip_id: str
    uri: str
    target: str
    source: str = ""
    row: str = ""
    prompt: str = ""
    system_instruction: str = ""
    task: str = ""
    group: str = ""
    split: str = ""
    offset: float | None = None
    duration: float | None = None
    confined: bool = True
    channel: int | None = None
    folders: tuple[str, ...] | None = None
    language: str = ""
    kept_columns: str = ""
    cut_start: float = 0.0
    cut_end: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one manifest row: one row of the ledger.

    Rejected rows hold None where nothing is known. Counts are in samples, bytes or characters.

    Attributes:
      clip_id: the row's id; "" when the row had none that could be read.
      source: "manifest:line".
      uri: the audio as the clip named it.
      status: "accepted" or "rejected".
      reason: the name of a rejected row's `Reason`.
      detail: what was found, for a person.
      split: "train", "validation" or "test".
      shard_index: number of the shard within its split.
      line_index: 0-based line within the shard file.
      line_bytes: bytes of the example, its newline included.
      line_sha256: of the example, its newline included, hexadecimal.
      mime_type: of the payload.
      audio_bytes: size of the payload before base64.
      audio_sha256: of the payload, hexadecimal.
      audio_crc32c: of the payload, base64 as in gs:// metadata; None unless it is a file of its own.
      source_bytes: length of the source file as it was read; None if it was not read, or was replaced meanwhile.
      source_crc32c: of the source file as it was read, base64 as in gs:// metadata; None as `source_bytes`.
      source_format: what the source bytes are, e.g. "wav/pcm_16", "mp4/aac".
      source_sample_rate: Hz.
      source_channels: channels before the downmix.
      source_samples: frames of the source at its own rate, within the clip's segment.
      num_samples: samples of the payload at the dataset's rate.
      trimmed_start_samples: samples cut from the start, at the dataset's rate.
      trimmed_end_samples: samples cut from the end, at the dataset's rate.
      target_chars: characters (code points) of the target.
      task: what the example teaches; None in a dataset without tasks.
      group: of the clip; None for a clip alone.
      language: of the clip, as its row writes it; None if it says none.
      kept_columns: columns of the row that `--keep_columns` names, as one JSON object; None if it names none.
      rms_dbfs: level of the payload's samples before a lossy codec, to a tenth; a sine at full scale has -3.0. None if
        it was not measured.
      peak_dbfs: level of the largest of these samples, to a tenth; None likewise.
      row: the original row as JSON, of rejected rows and of those that may still be dropped.
    """

    clip_id: str
    source: str
    uri: str | None
    status: str
    reason: str | None = None
    detail: str | None = None
    split: str | None = None
    shard_index: int | None = None
    line_index: int | None = None
    line_bytes: int | None = None
    line_sha256: str | None = None
    mime_type: str | None = None
    audio_bytes: int | None = None
    audio_sha256: str | None = None
    audio_crc32c: str | None = None
    source_bytes: int | None = None
    source_crc32c: str | None = None
    source_format: str | None = None
    source_sample_rate: int | None = None
    source_channels: int | None = None
    source_samples: int | None = None
    num_samples: int | None = None
    trimmed_start_samples: int | None = None
    trimmed_end_samples: int | None = None
    target_chars: int | None = None
    task: str | None = None
    group: str | None = None
    language: str | None = None
    kept_columns: str | None = None
    rms_dbfs: float | None = None
    peak_dbfs: float | None = None
    row: str | None = None


_CLIP_VALUES = attrgetter(*(field.name for field in fields(Clip)))
_OUTCOME_VALUES = attrgetter(*(field.name for field in fields(Outcome)))
_OUTCOME_FIELDS = tuple(field.name for field in fields(Outcome))
_CLIP_NAMES, _OUTCOME_NAMES = (sorted(field.name for field in fields(kind)) for kind in (Clip, Outcome))
_SORTED_CLIP_VALUES, _SORTED_OUTCOME_VALUES = attrgetter(*_CLIP_NAMES), attrgetter(*_OUTCOME_NAMES)


def sorted_fields(row: Clip | Outcome) -> dict[str, Any]:
    """The row's fields in the order of their names, for digests; a tenth of the time of `dataclasses.asdict`."""
    if isinstance(row, Clip):
        named = dict(zip(_CLIP_NAMES, _SORTED_CLIP_VALUES(row), strict=True))
        del named["language"], named["kept_columns"]  # the original row has them, and they decide no byte
        for name in ("channel", "folders"):  # digests of datasets without them are as they were before there were any
            if named[name] is None:
                del named[name]
        for name in ("cut_start", "cut_end"):
            if not named[name]:
                del named[name]
        return named
    named = dict(zip(_OUTCOME_NAMES, _SORTED_OUTCOME_VALUES(row), strict=True))
    for name in ("source_bytes", "source_crc32c", "language", "kept_columns", "rms_dbfs", "peak_dbfs"):
        if named[name] is None:
            del named[name]  # digests of rows are as they were before these were noted
    return named


def known_fields(outcome: Outcome) -> dict[str, Any]:
    """The outcome's fields in their order, without those that are None."""
    named = zip(_OUTCOME_FIELDS, _OUTCOME_VALUES(outcome), strict=True)
    return {name: value for name, value in named if value is not None}


def dump(row: Clip | Outcome) -> bytes:
    """The row as one line of JSON, its newline included."""
    values = _CLIP_VALUES(row) if isinstance(row, Clip) else _OUTCOME_VALUES(row)
    return orjson.dumps([type(row).__name__, *values], option=orjson.OPT_APPEND_NEWLINE)


def pack(lines: bytes | bytearray) -> bytes:
    """Rows from `dump`, one after the other, as few bytes for a shuffle. As records, they would take ten times as many.

    A clip repeats much of its original row, and rows repeat much of each other.
    """
    return zlib.compress(lines, level=1)


def unpack(content: bytes) -> list[Clip | Outcome]:
    """The inverse of `dump` and `pack`."""
    lines = zlib.decompress(content).replace(b"\n", b",")  # no text has one: JSON writes it as \\n
    return [
        Clip(*values) if kind == Clip.__name__ else Outcome(*values)
        for kind, *values in orjson.loads(b"[%s]" % lines[:-1])
    ]


def rejected(clip: Clip, reason: Reason, detail: str) -> Outcome:
    """The outcome of a clip that cannot become an example."""
    return Outcome(
        clip_id=clip.clip_id,
        source=clip.source,
        uri=clip.uri,
        status="rejected",
        reason=reason.name,
        detail=printable(detail),
        target_chars=len(clip.target),
        task=clip.task or None,
        group=clip.group or None,
        language=clip.language or None,
        kept_columns=clip.kept_columns or None,
        row=clip.row,
    )
