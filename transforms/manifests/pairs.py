"""Folders of pairs: NAME.wav and NAME.txt side by side, at any depth, or NAME.srt and other files of cues."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from transforms import reasons
from transforms.audio.formats import by_extension
from transforms.bounds import MAX_LINE_BYTES
from transforms.errors import ClipRejected, NotARegularFileError, OutsideError, StorageError, TooLongError, UserError
from transforms.manifests import joining, transcripts
from transforms.manifests.cues import JOINED, CueSettings, Transcript
from transforms.manifests.row import Fields, Row
from transforms.manifests.words import are_splits
from transforms.storage import Storage, uris

# What a text beside a recording is named: cues first, which tell more.
_TEXTS = (*transcripts.EXTENSIONS, *transcripts.PLAIN)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
# Folders and files that systems make beside people's own.
_NOT_OURS = {"__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN"}


def likeness(folder: str, storage: Storage) -> int:
    """Any folder may hold pairs: 0, so that every other format of folders comes first."""
    return 0


def read(folder: str, name: str, storage: Storage, settings: CueSettings = JOINED) -> Iterator[Row]:
    """The rows of every pair; one file without the other is a rejected row.

    Args:
      folder: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: reads the files.
      settings: how cues become clips.

    Raises:
      UserError: there is no audio file in the folder, or several tiers of which nobody names one.
    """
    root = folder.rstrip("/") + "/"
    audio: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    for uri in storage.list_files(folder):
        relative = uri.removeprefix(root)
        if is_hidden(relative):
            continue
        stem, _, extension = relative.rpartition(".")
        if stem and by_extension(extension.lower()):
            audio.setdefault(stem, relative)
        elif stem and extension.lower() in _TEXTS:
            texts.setdefault(stem, []).append(relative)
    if not audio:
        raise UserError(f"{name}: a folder must hold pairs such as NAME.wav and NAME.txt; there is no audio file in it")
    beside = _beside(audio, texts)
    by_split = are_splits({folder if inside else "" for folder, inside, _ in (stem.partition("/") for stem in beside)})
    for number, (stem, files) in enumerate(sorted(beside.items()), start=1):
        for row in _pair(number, stem, audio.get(stem), files, _Files(folder, name, storage), settings):
            yield replace(row, fields={**row.fields, "split": stem.partition("/")[0]}) if by_split else row


def _beside(audio: Mapping[str, str], texts: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The texts of each recording, the best first: NAME.srt, NAME.wav.srt, NAME.en.srt; and texts of no recording."""
    found: dict[str, list[str]] = {stem: [] for stem in audio}
    for stem, files in texts.items():
        shorter, _, last = stem.rpartition(".")
        if stem not in audio and shorter in audio and (by_extension(last.lower()) or _LANGUAGE.fullmatch(last)):
            found[shorter] += files
        elif stem in audio or any(_extension(file) not in transcripts.OFTEN_OTHERS for file in files):
            found.setdefault(stem, []).extend(files)
    for stem, files in found.items():
        files.sort(key=lambda file: (_TEXTS.index(_extension(file)), file.rpartition(".")[0] != stem, file))
    return found


def _extension(file: str) -> str:
    return file.rpartition(".")[2].lower()


def is_hidden(relative: str) -> bool:
    """Whether systems keep notes of their own there: .DS_Store, ._a.wav beside a.wav, __MACOSX, @eaDir."""
    return any(part.startswith(".") or part in _NOT_OURS for part in relative.split("/"))


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of a folder."""

    folder: str
    name: str
    storage: Storage

    def content(self, file: str) -> bytes:
        """What a text holds.

        Raises:
          ClipRejected: BAD_FIELD or PATH_NOT_ALLOWED.
        """
        try:
            return self.storage.read_bytes(uris.join(self.folder, file), MAX_LINE_BYTES)
        except OutsideError:
            detail = f"{file} is a link that leads out of the manifest's folder and the allowed ones"
            raise ClipRejected(reasons.PATH_NOT_ALLOWED, detail) from None
        except (FileNotFoundError, IsADirectoryError, PermissionError, NotARegularFileError):
            raise ClipRejected(reasons.BAD_FIELD, f"{file} cannot be read") from None
        except TooLongError:
            raise ClipRejected(reasons.BAD_FIELD, f"{file} is longer than {MAX_LINE_BYTES:,} bytes") from None
        except OSError as fault:
            raise StorageError(f"{self.name}/{file}: cannot be read: {fault.strerror}") from fault


def _pair(
    number: int, stem: str, audio: str | None, texts: list[str], files: _Files, settings: CueSettings
) -> Iterator[Row]:
    """The row of a pair, or those of its cues."""
    fields: Fields = {"id": stem, "audio": audio}
    plain = next((file for file in texts if _extension(file) in transcripts.PLAIN), None)
    try:
        if audio is None:
            raise ClipRejected(reasons.MISSING_AUDIO, f"{texts[0]} has no audio file beside it")
        candidates = [file for file in texts if _extension(file) not in transcripts.PLAIN]
        cued = _cued(candidates, stem, plain, files, settings)
        if cued is None and plain is None:
            raise ClipRejected(reasons.MISSING_TEXT, _without_text(audio, stem, texts))
        if cued is not None:
            file, transcript = cued
            tagged = stem_language(file, stem)
            transcript = replace(transcript, language=transcript.language or tagged)
            yield from joining.rows(transcript, file, audio, settings)
            return
    except ClipRejected as fault:
        yield Row(number, fields, fault)
        return
    yield from _of_text(number, fields, str(plain), files, settings)


def text_of(file: str, folder: str, name: str, storage: Storage) -> str:
    """The text beside a recording.

    Raises:
      ClipRejected: BAD_FIELD or PATH_NOT_ALLOWED.
    """
    return transcripts.said(_Files(folder, name, storage).content(file), file)


def _of_text(number: int, fields: Fields, file: str, files: _Files, settings: CueSettings) -> Iterator[Row]:
    """The row of a recording and its .txt, which may hold cues as well."""
    try:
        content = files.content(file)
        if (transcript := transcripts.read(content, file)) is not None:
            yield from joining.rows(transcript, file, fields["audio"], settings)
            return
        yield Row(number, {**fields, "text": transcripts.said(content, file)})
    except ClipRejected as fault:
        yield Row(number, {**fields, "text": None}, fault)


def _cued(
    candidates: list[str], stem: str, plain: str | None, files: _Files, settings: CueSettings
) -> tuple[str, Transcript] | None:
    """The first file that has cues, and these; None if the .txt counts: alone, or for a recording as long as a clip.

    Raises:
      ClipRejected: it is damaged, or there are several of its kind.
    """
    refused: ClipRejected | None = None
    for file in candidates:
        try:
            transcript = transcripts.read(files.content(file), file)
            if transcript is None:
                raise ClipRejected(reasons.BAD_FIELD, f"{file} holds no cues that are understood")
        except ClipRejected as fault:
            if _extension(file) not in transcripts.OFTEN_OTHERS:
                refused = fault
                break
            refused = refused or fault if fault.reason == reasons.TIMED_TEXT else refused
            continue
        if plain is not None and not settings.tiers and transcript.seconds <= settings.max_duration:
            return None
        _refuse_rivals(file, candidates, stem)
        return file, transcript
    if refused is not None and plain is None:
        raise refused
    return None


def _refuse_rivals(file: str, candidates: list[str], stem: str) -> None:
    """Refuses NAME.en.srt beside NAME.de.srt, of which either may be what is said; NAME.srt is."""
    spoken = _primary(file, stem)
    alike = [each for each in candidates if _extension(each) == _extension(file)]
    if spoken and (other := next((each for each in alike if _primary(each, stem) != spoken), None)):
        detail = f"{file} and {other} may both be what is said: leave one of them beside the recording"
        raise ClipRejected(reasons.BAD_FIELD, detail)


def _primary(file: str, stem: str) -> str:
    return stem_language(file, stem).partition("-")[0].lower()


def stem_language(file: str, stem: str) -> str:
    """The language that the name of a text has, as in NAME.en.srt; "" for none."""
    tag = file.removeprefix(stem).rpartition(".")[0].removeprefix(".")
    # Sites mark captions in the language that is spoken as "en-orig".
    return tag.removesuffix("-orig") if _LANGUAGE.fullmatch(tag) and not by_extension(tag.lower()) else ""


def _without_text(audio: str, stem: str, texts: list[str]) -> str:
    if texts:
        return f"{audio} has only {texts[0]} beside it, which is no transcript"
    return f"{audio} has no {stem}.txt beside it, nor a file of cues such as {stem}.srt"
