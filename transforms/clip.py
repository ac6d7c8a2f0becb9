"""The records that travel through Cliptune, and the reasons a clip is refused."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter

import orjson


class RejectReason(StrEnum):
    """Why a manifest row did not become an example: `MEANINGS` explains each, `REMEDIES` says what to do."""

    BAD_ROW = "bad_row"
    MISSING_AUDIO = "missing_audio_path"
    MISSING_TEXT = "missing_text"
    BAD_FIELD = "bad_field"
    UNKNOWN_TASK = "unknown_task"
    BAD_TARGET = "bad_target"
    DUPLICATE_ID = "duplicate_id"
    DUPLICATE_AUDIO = "duplicate_audio"
    PATH_NOT_ALLOWED = "path_not_allowed"
    NOT_FOUND = "not_found"
    NOT_A_FILE = "not_a_regular_file"
    UNREADABLE = "unreadable"
    EMPTY_FILE = "empty_file"
    FILE_TOO_LARGE = "file_too_large"
    NOT_AUDIO = "not_audio"
    UNSUPPORTED_FORMAT = "unsupported_format"
    DECODE_FAILED = "decode_failed"
    TRUNCATED = "truncated"
    BAD_SAMPLE_RATE = "bad_sample_rate"
    NOT_FINITE = "not_finite"
    OPPOSITE_PHASE = "opposite_phase"
    SILENT = "silent"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    EXAMPLE_TOO_LARGE = "example_too_large"


MEANINGS: dict[RejectReason, str] = {
    RejectReason.BAD_ROW: "The manifest's line is not a row: not JSON, not UTF-8, too many cells.",
    RejectReason.MISSING_AUDIO: "The row names no audio, or a text has no audio file beside it.",
    RejectReason.MISSING_TEXT: "The row has no text, or an audio file has no text beside it.",
    RejectReason.BAD_FIELD: "A field has another type or value than it may have.",
    RejectReason.UNKNOWN_TASK: "The row names no task, or one that the tasks file does not have.",
    RejectReason.BAD_TARGET: "The text is not what its task expects: one of its labels, or JSON as its schema says.",
    RejectReason.DUPLICATE_ID: "Another row has the same id; the first by path and text is kept.",
    RejectReason.DUPLICATE_AUDIO: "With --dedupe=audio: another clip of the same task has the same audio.",
    RejectReason.PATH_NOT_ALLOWED: "The path leaves the allowed folders, or has a scheme other than gs://.",
    RejectReason.NOT_FOUND: "There is no file of exactly this name.",
    RejectReason.NOT_A_FILE: "The path names a folder, pipe, socket, device, bucket or a loop of links.",
    RejectReason.UNREADABLE: "The file exists and may not be read.",
    RejectReason.EMPTY_FILE: "The file has zero bytes.",
    RejectReason.FILE_TOO_LARGE: "The file, unpacked or decoded, would not fit in memory.",
    RejectReason.NOT_AUDIO: "The contents are no audio: a web page, a picture, a playlist, noise.",
    RejectReason.UNSUPPORTED_FORMAT: "Headerless raw samples, or an archive.",
    RejectReason.DECODE_FAILED: "The decoder could not make sense of the contents, or took too long.",
    RejectReason.TRUNCATED: "The file, or the segment in it, is shorter than declared.",
    RejectReason.BAD_SAMPLE_RATE: "The header's sample rate is one that no recording has.",
    RejectReason.NOT_FINITE: "Samples are NaN or infinite, or integers stored as floats.",
    RejectReason.OPPOSITE_PHASE: "Each channel has sound and their mean has none.",
    RejectReason.SILENT: "The level is below −70 dBFS: silence, dither, DC, or only tones above the limit.",
    RejectReason.TOO_SHORT: "Less sound than --min_duration, or none at all.",
    RejectReason.TOO_LONG: "More sound than --max_duration after trimming, or over a minute more before.",
    RejectReason.EXAMPLE_TOO_LARGE: "The JSON line would be longer than --max_example_bytes.",
}

REMEDIES: dict[RejectReason, str] = {
    RejectReason.BAD_ROW: "Repair the manifest line: it must be one valid row of its format in UTF-8.",
    RejectReason.MISSING_AUDIO: "Fill the audio column of the row, or name it with --audio_column.",
    RejectReason.MISSING_TEXT: "Fill the text column of the row, or name it with --text_column.",
    RejectReason.BAD_FIELD: "Give the field the type or value that the detail names.",
    RejectReason.UNKNOWN_TASK: "Name a task of the --tasks file in the row's task column.",
    RejectReason.BAD_TARGET: "Correct the text as the detail says, or the task in the --tasks file.",
    RejectReason.DUPLICATE_ID: "Give every row an id of its own.",
    RejectReason.DUPLICATE_AUDIO: "Nothing to do, unless the other clip is the wrong one: then remove that row.",
    RejectReason.PATH_NOT_ALLOWED: "Move the file below the manifest's folder, or pass --allow_path=FOLDER.",
    RejectReason.NOT_FOUND: "Correct the path, or pass --audio_root if paths are relative to another folder.",
    RejectReason.NOT_A_FILE: "Point the row at a regular file, not a folder, pipe, socket or device.",
    RejectReason.UNREADABLE: "Give this user permission to read the file.",
    RejectReason.EMPTY_FILE: "Export or download the recording again: the file has zero bytes.",
    RejectReason.FILE_TOO_LARGE: "Cut the recording into clips first.",
    RejectReason.NOT_AUDIO: "Replace the file: its contents are not audio.",
    RejectReason.UNSUPPORTED_FORMAT: "Convert the recording to WAV or FLAC.",
    RejectReason.DECODE_FAILED: "Export the recording again: its contents are damaged.",
    RejectReason.TRUNCATED: "Fetch the recording again: part of it is missing.",
    RejectReason.BAD_SAMPLE_RATE: "Export the recording with a sample rate from 4,000 to 768,000 Hz.",
    RejectReason.NOT_FINITE: "Export the recording again: it holds NaN, infinite or out-of-scale values.",
    RejectReason.OPPOSITE_PHASE: "Invert one channel, or export a single one: their mean is silence.",
    RejectReason.SILENT: "Check the recording: nothing audible is left in it.",
    RejectReason.TOO_SHORT: "Use a longer recording, or lower --min_duration.",
    RejectReason.TOO_LONG: "Cut the recording, or pass --over_duration=trim to keep its beginning.",
    RejectReason.EXAMPLE_TOO_LARGE: "Use --audio_format=flac, or shorten the clip or its texts.",
}


class ClipRejected(Exception):
    """This clip cannot become an example; the run goes on without it.

    Attributes:
      reason: one of `RejectReason`.
      detail: what was found, with the rule and the value, in words of our own.
    """

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(reason, detail)  # args match __init__, so it pickles
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class UserError(Exception):
    """The run cannot go on and the user can mend it: printed as one line, exit status 1."""


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
      split: "train" or "validation" when the manifest says so, else "".
      offset: seconds from the start of the recording where the clip begins; None for the whole recording.
      duration: seconds that the clip lasts; None for up to the recording's end.
      confined: whether `uri` must lie in an allowed folder, for the row does not name an absolute path.
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one manifest row: one row of the ledger.

    Rejected rows hold None where nothing is known. Counts are in samples, bytes or characters.

    Attributes:
      clip_id: the row's id; "" when the row had none that could be read.
      source: "manifest:line".
      uri: the audio as the clip named it.
      status: "accepted" or "rejected".
      reason: a `RejectReason` value of a rejected row.
      detail: what was found, for a person.
      split: "train" or "validation".
      shard_index: number of the shard within its split.
      line_index: 0-based line within the shard file.
      line_bytes: bytes of the example, its newline included.
      line_sha256: of the example, its newline included, hexadecimal.
      mime_type: of the payload.
      audio_bytes: size of the payload before base64.
      audio_sha256: of the payload, hexadecimal.
      audio_crc32c: of the payload, base64 as in gs:// metadata; None unless it is a file of its own.
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
    row: str | None = None


_CLIP_VALUES = attrgetter(*(field.name for field in fields(Clip)))
_OUTCOME_VALUES = attrgetter(*(field.name for field in fields(Outcome)))


def pack(row: Clip | Outcome) -> bytes:
    """The row as few bytes, to wait in a shuffle: the records themselves would take ten times as much memory there."""
    values = _CLIP_VALUES(row) if isinstance(row, Clip) else _OUTCOME_VALUES(row)
    # Half of a clip's bytes repeat what its original row says.
    return zlib.compress(orjson.dumps([type(row).__name__, *values]), level=1)


def unpack(content: bytes) -> Clip | Outcome:
    """The inverse of `pack`."""
    kind, *values = orjson.loads(zlib.decompress(content))
    return Clip(*values) if kind == Clip.__name__ else Outcome(*values)


def rejected(clip: Clip, reason: RejectReason, detail: str) -> Outcome:
    """The outcome of a clip that cannot become an example."""
    return Outcome(
        clip_id=clip.clip_id,
        source=clip.source,
        uri=clip.uri,
        status="rejected",
        reason=reason.value,
        detail=detail,
        target_chars=len(clip.target),
        task=clip.task or None,
        group=clip.group or None,
        row=clip.row,
    )
