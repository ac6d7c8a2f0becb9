"""Kaldi data folders: `wav.scp` and `text`; `segments`, `utt2spk`, `utt2lang`, `reco2file_and_channel` may be there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.keyed import Table, keyed
from transforms.manifests.lines import CERTAIN, UNLIKE
from transforms.manifests.row import Fields, Row
from transforms.storage import Storage, uris


def likeness(folder: str, storage: Storage) -> int:
    """Certain from its two files."""
    files = (uris.join(folder, file) for file in ("wav.scp", "text"))
    return CERTAIN if all(map(storage.exists, files)) else UNLIKE


def read(folder: str, name: str, storage: Storage) -> Iterator[Row]:
    """A row for every utterance, and for every text without one.

    Utterances are the lines of `segments`, else of `wav.scp`. Commands in
    `wav.scp` are not run.

    Args:
      folder: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: reads the files.
    """
    with ExitStack() as stack:
        files = ("text", "utt2spk", "utt2lang")
        texts, speakers, languages = (stack.enter_context(_table(folder, file, storage)) for file in files)
        sides = stack.enter_context(_table(folder, "reco2file_and_channel", storage))
        has_segments = storage.exists(uris.join(folder, "segments"))
        named = _lines(folder, "wav.scp", storage) if has_segments or sides.count > 0 else ()
        recordings = stack.enter_context(Table(named))
        if has_segments:
            file = "segments"
            utterances = ((n, key, _segment(rest, recordings)) for n, key, rest in _lines(folder, file, storage))
        else:
            file = "wav.scp"
            utterances = ((n, key, {"audio": path}) for n, key, path in _lines(folder, file, storage))
        for number, key, fields in utterances:
            text, side = texts.take(key), _side(str(fields.get("recording", key)), sides, recordings)
            channel = {"channel": side} if side else {}
            row = {"id": key, **channel, **fields, "text": text, "speaker": speakers.get(key)}
            if (language := languages.get(key)) is not None:
                row["language"] = language
            yield Row(number, row, _fault(fields), file=file)
        for number, key, text in texts.left():
            fault = ClipRejected(reasons.MISSING_AUDIO, f"the utterance {key!r} is not in {file}")
            yield Row(number, {"id": key, "text": text}, fault, file="text")
    for each in dict.fromkeys(("text", "wav.scp", file)):
        yield from (replace(row, file=each) for row in keyed(folder, each, storage) if isinstance(row, Row))


def _lines(folder: str, file: str, storage: Storage) -> Iterator[tuple[int, str, str]]:
    """Number, key and the rest of each line; nothing for a file that is not there."""
    return (line for line in keyed(folder, file, storage) if not isinstance(line, Row))


def _table(folder: str, file: str, storage: Storage) -> Table:
    return Table(_lines(folder, file, storage))


def _side(recording: str, sides: Table, recordings: Table) -> str | None:
    """The side, A or B, of a recording that shares its file with another; alone in its file, it is all of it."""
    words = (sides.get(recording) or "").split()
    path = recordings.get(recording) if words else None
    return words[-1] if path is not None and recordings.share(path) else None


def _segment(rest: str, recordings: Table) -> Fields:
    """The part of a recording that "RECORDING START END" names; END may be -1, and a channel from 0 may follow."""
    recording, start, end, channel = [*rest.split(), "", "", "", ""][:4]
    fields: Fields = {"recording": recording, "audio": recordings.get(recording), "offset": start}
    if channel:
        fields["channel"] = {"0": "left", "1": "right"}.get(channel, channel)  # named, for numbers may count from 1
    try:
        length = float(end) - float(start)
    except ValueError:
        return {**fields, "duration": f"{start} to {end}"}  # refused later as no number, with the words of the file
    return fields if float(end) < 0 else {**fields, "duration": round(length, 6)}


def _fault(fields: Fields) -> ClipRejected | None:
    audio = fields.get("audio")
    if audio is None:
        return ClipRejected(reasons.MISSING_AUDIO, f"the recording {fields.get('recording')!r} is not in wav.scp")
    if str(audio).rstrip().endswith("|"):
        return ClipRejected(reasons.NOT_A_PATH, "a command, not a path: Cliptune runs none; write its output to a file")
    return None
