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
EMBEDDED_AUDIO = Reason(
    "embedded_audio",
    "The row holds the recording itself where it is not read: as samples, in a list, as base64, or in a packed table.",
    "Unpack the table, or write the recordings as files or as bytes (with `datasets`: Audio(decode=False)).",
)
TIMED_TEXT = Reason(
    "timed_text",
    "The text beside the recording holds times in a form that is not read, or a row names a file in its place.",
    "Save the times as SRT, VTT, Audacity's labels or a TextGrid, or leave only the words in the .txt.",
)
OVERLAPPING_CUES = Reason(
    "overlapping_cues",
    "Cues of a recording overlap or are out of order: two voices at once, or wrong times.",
    "Correct the times of the cues that the detail names, or read one speaker's tier by --tier.",
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
    "Give every row an id of its own. If the rows are parts of one recording, first name the columns that say which: "
    "--offset_column with --end_column or --duration_column, or --channel_column.",
)
DUPLICATE_AUDIO = Reason(
    "duplicate_audio",
    "With --dedupe=audio: another clip of the same task has the same audio and is kept.",
    "Nothing to do, unless the other clip is the wrong one: then remove that row.",
)
AUDIO_IN_TRAIN = Reason(
    "audio_in_train",
    "The clip is held out, and a clip with the very same audio is trained on, or held out for validation.",
    "Remove one of the two rows, or give both the same group, and the same split if they name one.",
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
    "The file holds headerless raw samples or no sound, is encrypted, an archive, or in a format that is not read.",
    "Convert the recording to WAV or FLAC.",
)
JOINED_FILES = Reason(
    "joined_files",
    "Whole files were appended to one another: decoders would read the first one only.",
    "Split the file where the detail says, or join the parts with a tool that knows the format.",
)
DECODE_FAILED = Reason(
    "decode_failed",
    "The decoder finds the contents damaged.",
    "Export the recording again: its contents are damaged.",
)
DECODER_FAULT = Reason(
    "decoder_fault",
    "The code that prepares clips crashed on this one, hung, took too much memory or failed as it never should.",
    "Report it with the detail and, if you may, the file: this is a fault of Cliptune. Export the recording again.",
)
TRUNCATED = Reason(
    "truncated",
    "The file, or the segment in it, is shorter than declared.",
    "Fetch the recording again if part of it is missing; of a segment, correct where it lies: start and end are "
    "seconds, start_ms and end_ms milliseconds. A file that is the segment already needs no such columns.",
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
NO_SUCH_CHANNEL = Reason(
    "no_such_channel",
    "The recording does not have the channel that the row names, or it cannot be told which one is meant.",
    "Name a channel that the recording has: left or right, or leave the channel empty for the mean of all.",
)
OPPOSITE_PHASE = Reason(
    "opposite_phase",
    "The channels cancel out: each has sound, but their mean is silent.",
    "Invert one channel, or export a single one: their mean is silence.",
)
SILENT = Reason(
    "silent",
    "Below −70 dBFS, and no word stands out: silence, dither, DC, hum, or only tones too high for --sample_rate.",
    "Check the recording: nothing audible is left in it.",
)
TOO_SHORT = Reason(
    "too_short",
    "The clip is shorter than --min_duration after trimming, or empty.",
    "Use a longer recording, or lower --min_duration; of a segment, correct where it lies.",
)
TOO_LONG = Reason(
    "too_long",
    "The clip is longer than --max_duration after trimming, or over a minute longer before.",
    "Cut the recording, name its segments by columns start and end, or put a file with times beside it: subtitles "
    "(NAME.srt, NAME.vtt), labels, a TextGrid, ELAN's .eaf, Whisper's .json. Without times, nothing is guessed. If it "
    "is at most a minute too long, --over_duration=trim keeps its beginning.",
)
EXAMPLE_TOO_LARGE = Reason(
    "example_too_large",
    "The JSON line would be longer than --max_example_bytes, or hold more tokens or audio than the service takes.",
    "Use --audio_format=flac, or shorten the clip or its texts.",
)

# Every reason by its name, in the order of the constants above, which is also that of the documentation.
REASONS: dict[str, Reason] = {row.name: row for row in list(globals().values()) if isinstance(row, Reason)}
