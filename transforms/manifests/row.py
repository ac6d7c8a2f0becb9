"""One row of a manifest, and the usual names of its columns and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from transforms.errors import ClipRejected

Fields = dict[str, Any]
# Units of times, by the ends of their columns' names: how many make a second.
UNITS = {
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    "ms": 1_000, "msec": 1_000, "msecs": 1_000, "millis": 1_000, "millisecond": 1_000, "milliseconds": 1_000,
    "us": 1_000_000, "usec": 1_000_000, "micros": 1_000_000, "microseconds": 1_000_000,
}  # fmt: skip


def _times(*names: str) -> tuple[str, ...]:
    """The names, and each with every unit behind it, such as "start_ms"."""
    return (*names, *(f"{name}_{unit}" for name in names for unit in UNITS))


# The usual names of each column, tried in this order, in any case; "startTime" and "Start time" count as "start_time".
ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("id", "clip_id", "utt_id", "utterance_id", "uttid", "key", "uid"),
    "audio": (
        "audio", "audio_path", "audio_filepath", "audio_file_name", "file_name", "filename", "path", "wav", "wav_path",
        "uri", "audio_uri", "audio_file", "file", "wav_filename",
    ),
    "text": ("text", "transcript", "transcription", "sentence", "target", "normalized_text", "label"),
    "prompt": ("prompt",),
    "task": ("task", "task_name", "taskname"),
    "group": ("group", "speaker", "speaker_id", "client_id", "spk", "spk_id"),
    "language": (
        "language", "lang", "locale", "language_code", "lang_code", "language_tag", "spoken_language", "audio_language",
        "source_language", "source_lang", "src_lang", "language_id", "lang_id", "iso_639_1", "iso_639_3", "iso639_3",
    ),
    "split": ("split", "subset", "partition", "data_split", "dataset_split", "split_name", "set"),
    "offset": _times(
        "offset", "start", "start_time", "begin", "begin_time", "onset", "time_start", "time_begin", "start_offset",
        "begin_offset", "segment_start", "seg_start", "audio_start", "clip_start", "start_timestamp", "start_at",
        "t_start", "tmin", "xmin", "t0", "starttime", "begintime",
    ),
    "end": _times(
        "end", "end_time", "stop", "stop_time", "time_end", "time_stop", "end_offset", "stop_offset", "segment_end",
        "seg_end", "audio_end", "clip_end", "end_timestamp", "end_at", "t_end", "tmax", "xmax", "t1", "finish",
        "endtime", "stoptime",
    ),
    "duration": _times("duration", "dur", "segment_duration", "seg_duration", "clip_duration"),
    "channel": ("channel", "channel_index", "channel_number", "audio_channel", "channel_id", "chan", "side"),
    "system_instruction": ("system_instruction", "systemInstruction"),
}  # fmt: skip


# Of a segment, seconds at its start and its end within which it is cut at the quietest point (`audio.pauses`).
CUT_START, CUT_END = "cut_start_within", "cut_end_within"


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in its manifest.

    Attributes:
      line: 1-based line (of Parquet and folders: row) where it begins.
      fields: by column name.
      fault: why the line is no row; None for a row.
      text: the line itself, if it is no row.
      file: the file of a folder that it is in; "" for a manifest of one file.
      cells: of a row in a list without a header; () elsewhere. `fields` is then {} if the list does not tell them.
      part: of a line that holds several rows, the number of this one, from 1; 0 for the only row of its line.
      inside: of a row whose file holds recordings: where they are, as `storage.inside` spells it below the folder of
        that file, by column.
      key: names such a row where it has no id.
    """

    line: int
    fields: Fields
    fault: ClipRejected | None = None
    text: str = ""
    file: str = ""
    cells: tuple[str, ...] = ()
    part: int = 0
    inside: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
