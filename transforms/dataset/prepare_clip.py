"""One clip: from its manifest row to its line and its outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from transforms import reasons, region, tasks, text
from transforms.clip import Clip, Outcome, rejected
from transforms.dataset import nearest
from transforms.dataset.converted import Converted
from transforms.dataset.output import Output
from transforms.dataset.sources import Ahead, Stored
from transforms.errors import ClipRejected
from transforms.manifests import allowed
from transforms.payloads import Payload
from transforms.settings import TEXT, Settings
from transforms.storage import uris

_OF_OPENING = (reasons.PATH_NOT_ALLOWED, reasons.NOT_FOUND, reasons.UNREADABLE, reasons.NOT_A_FILE)
# `conversion.convert` with the dataset's settings, in this process or in a worker.
Convert = Callable[[Clip, Stored], Converted]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of a clip.

    Attributes:
      line: the example's line; b"" for a rejected clip.
      outcome: still without shard and line.
      cpu_ns: processor time of each of `converted.STAGES`; () for a rejected clip.
    """

    line: bytes
    outcome: Outcome
    cpu_ns: tuple[int, ...] = ()


def prepare_clip(clip: Clip, output: Output, convert: Convert, ahead: Ahead | None = None) -> Prepared:
    """Checks one clip, has it converted, and writes its audio file if it is to have one.

    Args:
      clip: what to prepare.
      output: the dataset it is for.
      convert: converts it.
      ahead: the read of its source, if that was begun before.

    Raises:
      StorageError: the storage failed; the runner may retry.
      UserError: the run cannot go on, for example because a bucket is forbidden.
    """
    prepared, payload = attempt(clip, output, convert, ahead)
    if payload is not None:
        output.write_audio(payload)
    return prepared


def attempt(
    clip: Clip, output: Output, convert: Convert, ahead: Ahead | None = None
) -> tuple[Prepared, Payload | None]:
    """As `prepare_clip`, but writes nothing: the audio that is to be a file of its own is returned."""
    source: Stored | None = None
    try:
        with region.closed():
            target = wanted(clip, output.settings)
        source = Stored(uri_of(clip, output), output.storage_of(clip), ahead)
        converted = convert(target, source)
    except ClipRejected as fault:
        refusal = in_words(fault, clip, output)
        return Prepared(b"", _of_version(rejected(clip, refusal.reason, refusal.detail), source)), None
    return Prepared(converted.line, _of_version(converted.outcome, source), converted.cpu_ns), converted.payload


def _of_version(outcome: Outcome, source: Stored | None) -> Outcome:
    """The outcome, with the version of the source that it is of."""
    version = source.version if source is not None else None
    return outcome if version is None else replace(outcome, source_bytes=version.bytes, source_crc32c=version.crc32c)


def in_words(refusal: ClipRejected, clip: Clip, output: Output) -> ClipRejected:
    """The refusal as the clip's outcome has it: of a file that is not there, it says what is."""
    refusal = _in_its_folders(refusal, clip, output)
    return nearest.refusal(clip, output) if refusal.reason == reasons.NOT_FOUND else refusal


def wanted(clip: Clip, settings: Settings) -> Clip:
    """The clip with its target as its example has it.

    Raises:
      ClipRejected: nothing is left of it.
    """
    task = tasks.find(clip.task, settings.tasks)
    if not settings.normalize_text or (task is not None and task.target != TEXT):
        return clip
    normalized = text.normalize(clip.target, settings.normalize_text)
    if not normalized.strip():
        steps = ",".join(settings.normalize_text)
        raise ClipRejected(reasons.MISSING_TEXT, f"nothing is left of the text {clip.target!r} after {steps}")
    return replace(clip, target=normalized)


def uri_of(clip: Clip, output: Output) -> str:
    """Where the clip's recording is.

    Raises:
      ClipRejected: it lies in a bucket that cannot be read.
    """
    uri = uris.absolute(clip.uri, output.base)
    why = dict(output.unreachable).get(uris.bucket_of(uri)) if uris.is_gcs(uri) else None
    if why is not None:
        raise ClipRejected(reasons.BUCKET_UNREACHABLE, why)
    return uri


def _in_its_folders(refusal: ClipRejected, clip: Clip, output: Output) -> ClipRejected:
    """The refusal of a file in the clip's folders. Of what lies outside of them nothing is told."""
    if refusal.reason not in _OF_OPENING:
        return refusal
    if refusal.reason == reasons.PATH_NOT_ALLOWED or output.storage_of(clip).leads_out(uri_of(clip, output)):
        return allowed.refusal(clip.uri)
    return refusal
