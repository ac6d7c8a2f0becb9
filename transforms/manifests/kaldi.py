"""Kaldi data folders: `wav.scp` and `text`; `segments`, `utt2spk`, `utt2lang`, `reco2file_and_channel` may be there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from transforms import reasons
from transforms.bounds import MAX_LINE_BYTES
from transforms.errors import ClipRejected
from transforms.manifests.lines import CERTAIN, UNLIKE, bad_row, numbered
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
    bad: list[Row] = []
    texts = {key: (number, text) for number, key, text in _lines(folder, "text", bad, storage)}
    speakers = {key: speaker for _, key, speaker in _lines(folder, "utt2spk", [], storage)}
    languages = {key: language for _, key, language in _lines(folder, "utt2lang", [], storage)}
    sides = _sides(folder, storage)
    if storage.exists(uris.join(folder, "segments")):
        recordings = {key: path for _, key, path in _lines(folder, "wav.scp", bad, storage)}
        utterances = ((n, key, _segment(rest, recordings)) for n, key, rest in _lines(folder, "segments", bad, storage))
        file = "segments"
    else:
        utterances = ((n, key, {"audio": path}) for n, key, path in _lines(folder, "wav.scp", bad, storage))
        file = "wav.scp"
    left = dict.fromkeys(texts)
    for number, key, fields in utterances:
        left.pop(key, None)
        text = texts[key][1] if key in texts else None
        side = sides.get(str(fields.get("recording", key)))
        row = {"id": key, **({"channel": side} if side else {}), **fields, "text": text, "speaker": speakers.get(key)}
        if key in languages:
            row["language"] = languages[key]
        yield Row(number, row, _fault(fields), file=file)
    for key in left:
        number, text = texts[key]
        fault = ClipRejected(reasons.MISSING_AUDIO, f"the utterance {key!r} is not in {file}")
        yield Row(number, {"id": key, "text": text}, fault, file="text")
    yield from bad


def _lines(folder: str, file: str, bad: list[Row], storage: Storage) -> Iterator[tuple[int, str, str]]:
    """Number, key and the rest of each line; nothing for a file that is not there. Lines that are none go to `bad`."""
    uri = uris.join(folder, file)
    if not storage.exists(uri):
        return
    with storage.open_read(uri) as stream:
        for number, line in numbered(stream):
            if len(line) > MAX_LINE_BYTES:
                text, why = line[:2_000].decode(errors="replace"), f"the line is longer than {MAX_LINE_BYTES:,} bytes"
                bad.append(replace(bad_row(number, text, why), file=file))
                continue
            try:
                key, _, rest = line.decode().partition(" ")
            except UnicodeDecodeError:
                text = line.decode(errors="replace")
                bad.append(replace(bad_row(number, text, "the line is not valid UTF-8"), file=file))
                continue
            if key.strip():
                yield number, *_split(key, rest)


def _split(key: str, rest: str) -> tuple[str, str]:
    first, tab, more = key.partition("\t")  # some files have a tab after the key
    return (first, f"{more} {rest}".strip()) if tab else (key, rest.strip())


def _sides(folder: str, storage: Storage) -> dict[str, str]:
    """The side, A or B, of each recording that shares its file with another; alone in its file, it is all of it."""
    sides = {key: rest.split()[-1:] for _, key, rest in _lines(folder, "reco2file_and_channel", [], storage)}
    if not sides:
        return {}
    files = {key: path for _, key, path in _lines(folder, "wav.scp", [], storage)}
    shared = Counter(files.values())
    return {key: side[0] for key, side in sides.items() if side and shared[files.get(key, "")] > 1}


def _segment(rest: str, recordings: dict[str, str]) -> Fields:
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
