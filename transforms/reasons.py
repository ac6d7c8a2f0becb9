"""The reasons to reject a manifest row, one row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason to reject a manifest row.

    Attributes:
      name: the reason's name in the ledger, the report and `rejected.jsonl`.
      meaning: what is wrong, in one sentence.
      remedy: what the user can do about it.
    """

    name: str
    meaning: str
    remedy: str

    def __str__(self) -> str:
        return self.name


BAD_ROW = Reason(
    "bad_row",
    "The manifest's line is not a row: not JSON, not UTF-8, too many cells.",
    "Repair the manifest line: it must be one valid row of its format in UTF-8.",
)
MISSING_AUDIO = Reason(
    "missing_audio_path",
    "The row names no audio, or a text has no audio file beside it.",
    "Fill the audio column of the row, or name it with --audio_column.",
)
MISSING_TEXT = Reason(
    "missing_text",
    "The row has no text, or an audio file has no text beside it.",
    "Fill the text column of the row, or name it with --text_column.",
)
BAD_FIELD = Reason(
    "bad_field",
    "A field has a type or value that is not allowed.",
    "Give the field the type or value that the detail names.",
)
UNKNOWN_TASK = Reason(
    "unknown_task",
    "The row names no task, or one that the tasks file does not have.",
    "Name a task of the --tasks file in the row's task column.",
)
BAD_TARGET = Reason(
    "bad_target",
    "The text is not one of its task's labels, or not JSON that matches the task's schema.",
    "Correct the text as the detail says, or the task in the --tasks file.",
)
DUPLICATE_ID = Reason(
    "duplicate_id",
    "Another row has the same id; the first by path and text is kept.",
    "Give every row an id of its own.",
)
DUPLICATE_AUDIO = Reason(
    "duplicate_audio",
    "With --dedupe=audio: another clip of the same task has the same audio and is kept.",
    "Nothing to do, unless the other clip is the wrong one: then remove that row.",
)
PATH_NOT_ALLOWED = Reason(
    "path_not_allowed",
    "The path leaves the allowed folders.",
    "Move the file below the manifest's folder, or pass --allow_path=FOLDER.",
)
UNSUPPORTED_SCHEME = Reason(
    "unsupported_scheme",
    "The path is an address other than gs://, such as https:// or s3://, from which nothing is fetched.",
    "Copy the recording to a folder or to gs://, as the detail says, and name the copy.",
)
NOT_A_PATH = Reason(
    "not_a_path",
    "The row has a command or a data: URI in the place of a path.",
    "Write the recording to a file, and name that.",
)
NOT_FOUND = Reason(
    "not_found",
    "There is no file of exactly this name, or no bucket can have such a name.",
    "Correct the path, or pass --audio_root if paths are relative to another folder.",
)
NOT_A_FILE = Reason(
    "not_a_regular_file",
    "The path names a folder, pipe, socket, device, bucket or a loop of links.",
    "Point the row at a regular file, not a folder, pipe, socket or device.",
)
UNREADABLE = Reason(
    "unreadable",
    "The file exists, but this user may not read it, or the disk cannot.",
    "Give this user permission to read the file; if the disk is at fault, restore the file from a copy.",
)
BUCKET_UNREACHABLE = Reason(
    "bucket_unreachable",
    "The bucket does not exist, or this account may not read it.",
    "Mend the bucket's name, or do what the detail says, and merge the rows again.",
)
EMPTY_FILE = Reason(
    "empty_file",
    "The file has zero bytes.",
    "Export or download the recording again: the file has zero bytes.",
)
FILE_TOO_LARGE = Reason(
    "file_too_large",
    "The file, unpacked or decoded, would not fit in memory.",
    "Cut the recording into clips first.",
)
NOT_AUDIO = Reason(
    "not_audio",
    "The contents are not audio, but for example a web page, a picture, a playlist or random bytes.",
    "Replace the file: its contents are not audio.",
)
UNSUPPORTED_FORMAT = Reason(
    "unsupported_format",
    "The file holds headerless raw samples, or is an archive.",
    "Convert the recording to WAV or FLAC.",
)
DECODE_FAILED = Reason(
    "decode_failed",
    "The decoder failed on the contents, crashed, or took too much time or memory.",
    "Export the recording again: its contents are damaged.",
)
TRUNCATED = Reason(
    "truncated",
    "The file, or the segment in it, is shorter than declared.",
    "Fetch the recording again: part of it is missing.",
)
BAD_SAMPLE_RATE = Reason(
    "bad_sample_rate",
    "The header's sample rate is outside 4,000 to 768,000 Hz.",
    "Export the recording with a sample rate from 4,000 to 768,000 Hz.",
)
NOT_FINITE = Reason(
    "not_finite",
    "Some samples are NaN or infinite, or integers are stored as floats.",
    "Export the recording again: it holds NaN, infinite or out-of-scale values.",
)
OPPOSITE_PHASE = Reason(
    "opposite_phase",
    "The channels cancel out: each has sound, but their mean is silent.",
    "Invert one channel, or export a single one: their mean is silence.",
)
SILENT = Reason(
    "silent",
    "The level is below −70 dBFS: silence, dither, DC, or only tones too high for --sample_rate.",
    "Check the recording: nothing audible is left in it.",
)
TOO_SHORT = Reason(
    "too_short",
    "The clip is shorter than --min_duration after trimming, or empty.",
    "Use a longer recording, or lower --min_duration.",
)
TOO_LONG = Reason(
    "too_long",
    "The clip is longer than --max_duration after trimming, or over a minute longer before.",
    "Cut the recording, or pass --over_duration=trim to keep its beginning.",
)
EXAMPLE_TOO_LARGE = Reason(
    "example_too_large",
    "The JSON line would be longer than --max_example_bytes.",
    "Use --audio_format=flac, or shorten the clip or its texts.",
)

# Every reason by its name, in the order of the constants above, which is also that of the documentation.
REASONS: dict[str, Reason] = {row.name: row for row in list(globals().values()) if isinstance(row, Reason)}
