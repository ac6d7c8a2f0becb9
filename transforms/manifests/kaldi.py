"""Kaldi data folders: `wav.scp` and `text`; `segments` and `utt2spk` may be there too."""

from __future__ import annotations

from collections.abc import Iterator

from transforms import reasons
from transforms.errors import ClipRejected, UserError
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

    Raises:
      UserError: a file of the folder cannot be read as a whole.
    """
    texts = {key: (number, text) for number, key, text in _lines(folder, "text", name, storage)}
    speakers = {key: speaker for _, key, speaker in _lines(folder, "utt2spk", name, storage)}
    if storage.exists(uris.join(folder, "segments")):
        recordings = {key: path for _, key, path in _lines(folder, "wav.scp", name, storage)}
        utterances = (
            (n, key, _segment(rest, recordings)) for n, key, rest in _lines(folder, "segments", name, storage)
        )
        file = "segments"
    else:
        utterances = ((n, key, {"audio": path}) for n, key, path in _lines(folder, "wav.scp", name, storage))
        file = "wav.scp"
    left = dict.fromkeys(texts)
    for number, key, fields in utterances:
        left.pop(key, None)
        text = texts[key][1] if key in texts else None
        row = {"id": key, **fields, "text": text, "speaker": speakers.get(key)}
        yield Row(number, row, _fault(fields), file=file)
    for key in left:
        number, text = texts[key]
        fault = ClipRejected(reasons.MISSING_AUDIO, f"the utterance {key!r} is not in {file}")
        yield Row(number, {"id": key, "text": text}, fault, file="text")


def _lines(folder: str, file: str, name: str, storage: Storage) -> Iterator[tuple[int, str, str]]:
    """Number, key and the rest of each line; nothing for a file that is not there."""
    uri = uris.join(folder, file)
    if not storage.exists(uri):
        return
    with storage.open_read(uri) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                key, _, rest = line.decode("utf-8-sig").strip("\r\n").partition(" ")
            except UnicodeDecodeError:
                raise UserError(f"{name}/{file}:{number}: the line is not valid UTF-8") from None
            if key.strip():
                yield number, *_split(key, rest)


def _split(key: str, rest: str) -> tuple[str, str]:
    first, tab, more = key.partition("\t")  # some files have a tab after the key
    return (first, f"{more} {rest}".strip()) if tab else (key, rest.strip())


def _segment(rest: str, recordings: dict[str, str]) -> Fields:
    """The part of a recording that "RECORDING START END" names; END may be -1."""
    recording, start, end = [*rest.split(), "", "", ""][:3]
    fields: Fields = {"recording": recording, "audio": recordings.get(recording), "offset": start}
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
