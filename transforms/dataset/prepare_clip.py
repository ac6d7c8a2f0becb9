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
from transforms.settings import TEXT, Settings
from transforms.storage import uris

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
    try:
        with region.closed():
            wanted = _normalized(clip, output.settings)
        converted = convert(wanted, Stored(_uri(clip, output), output.storage, ahead))
    except ClipRejected as refusal:
        if refusal.reason == reasons.NOT_FOUND:
            refusal = nearest.refusal(clip, output)
        return Prepared(b"", rejected(clip, refusal.reason, refusal.detail))
    if converted.payload is not None:
        output.write_audio(converted.payload)
    return Prepared(converted.line, converted.outcome, converted.cpu_ns)


def _normalized(clip: Clip, settings: Settings) -> Clip:
    task = tasks.find(clip.task, settings.tasks)
    if not settings.normalize_text or (task is not None and task.target != TEXT):
        return clip
    normalized = text.normalize(clip.target, settings.normalize_text)
    if not normalized.strip():
        steps = ",".join(settings.normalize_text)
        raise ClipRejected(reasons.MISSING_TEXT, f"nothing is left of the text {clip.target!r} after {steps}")
    return replace(clip, target=normalized)


def _uri(clip: Clip, output: Output) -> str:
    """Where the clip's recording is.

    Raises:
      ClipRejected: it lies in no folder that the manifest may name, or in a bucket that cannot be read.
    """
    uri = uris.absolute(clip.uri, output.base)
    why = dict(output.unreachable).get(uris.bucket_of(uri)) if uris.is_gcs(uri) else None
    if why is not None:
        raise ClipRejected(reasons.BUCKET_UNREACHABLE, why)
    if clip.confined:
        allowed.check_allowed(uri, output.allowed, clip.uri)
    return uri
