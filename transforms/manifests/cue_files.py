"""A file of cues as a manifest of its own: the recording lies beside it, or below --audio_root."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import orjson

from transforms.audio.formats import by_extension
from transforms.bounds import MAX_LINE_BYTES
from transforms.errors import ClipRejected, UserError
from transforms.manifests import elan, joining, pairs, recognized, subtitles, textgrid, timed, transcripts, ttml
from transforms.manifests.cues import CueSettings
from transforms.manifests.lines import BEGINNING_BYTES, Beginning, as_utf_8
from transforms.manifests.row import ALIASES, Row
from transforms.storage import Storage, uris

TITLE = "file of cues"
_LINES = 200
_NAMES_AUDIO = re.compile(rf'"(?:{"|".join(ALIASES["audio"])})"\s*:', re.IGNORECASE)
_FIRST = re.compile(r"\[\s*(\{[^{}\[\]]*\})")


def begins(beginning: Beginning) -> bool:
    """Whether a manifest may be a file of cues: none of its columns could name a recording."""
    text = beginning.text()
    if text[:1] in ("{", "["):
        return _is_recognized(beginning, text)
    if any(
        form.match(text)
        for form in (elan.BEGINS, ttml.BEGINS, textgrid.BEGINS, re.compile(r"WEBVTT\b|\[Script Info\]"))
    ):
        return True
    lines = beginning.lines(_LINES)
    shown = "\n".join(lines)
    if lines and re.fullmatch(r"start\tend\ttext", lines[0], re.IGNORECASE):
        return True
    return bool(timed.labels(shown)) or subtitles.is_lyrics(shown) or any(map(subtitles.is_timed, lines[:3]))


def _is_recognized(beginning: Beginning, text: str) -> bool:
    """Whether JSON is a recognizer's, and no list of recordings."""
    if _NAMES_AUDIO.search(text):
        return False
    if len(beginning.content) < BEGINNING_BYTES:
        return recognized.read(as_utf_8(beginning.content)) is not None
    if text[0] == "[":
        first = _FIRST.match(text)
        return first is not None and recognized.read(f"[{first[1]}]".encode()) is not None
    # The text of hours may come first. A line that is JSON is a row.
    return not _is_json(beginning.first_line())


def _is_json(line: str) -> bool:
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True


def read(stream: BinaryIO, uri: str, name: str, storage: Storage, settings: CueSettings) -> Iterator[Row] | None:
    """The rows of a file of cues; None for one that is none after all.

    Args:
      stream: the file, at its beginning.
      uri: of the file, absolute.
      name: as the user wrote it.
      storage: lists what lies beside it.
      settings: how cues become clips, and where the recording is.

    Raises:
      UserError: it is damaged, has several tiers, or there is no recording.
    """
    content = stream.read(MAX_LINE_BYTES + 1)
    stream.seek(0)
    if len(content) > MAX_LINE_BYTES:
        return None
    file = uri.rpartition("/")[2]
    try:
        transcript = transcripts.read(content, name)
        if transcript is None:
            return None
        audio = _recording(uri, file, name, transcript.media, storage, settings)
        tag = pairs.stem_language(file, audio.rpartition(".")[0])
        transcript = replace(transcript, language=transcript.language or tag)
        return (replace(row, file="") for row in list(joining.rows(transcript, name, audio, settings)))
    except ClipRejected as fault:
        raise UserError(fault.detail if fault.detail.startswith(name) else f"{name}: {fault.detail}") from None


def _recording(uri: str, file: str, name: str, media: str, storage: Storage, settings: CueSettings) -> str:
    """The name of the recording: that of the file with another ending, or what the file names.

    Raises:
      UserError: there is none.
    """
    folder = settings.folder or uris.parent(uri)
    there = [each for each in storage.names(folder) if by_extension(each.rpartition(".")[2].lower())]
    stem = file.removesuffix(".gz").rpartition(".")[0]
    found = next((each for wanted in (stem, stem.rpartition(".")[0]) for each in there if _is_of(each, wanted)), None)
    found = found or next((each for each in there if each in (media, stem)), None)
    if found is None:
        where = "below --audio_root" if settings.folder else "beside it"
        fact = f"{name}: a file of cues, and there is no recording of its name {where}, such as {stem}.wav"
        raise UserError(f"{fact}; put it there, or name its folder with --audio_root")
    return found


def _is_of(recording: str, stem: str) -> bool:
    return bool(stem) and recording.rpartition(".")[0] == stem
