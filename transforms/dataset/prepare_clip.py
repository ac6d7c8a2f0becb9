"""One clip: from its manifest row to its line and its outcome."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from transforms import reasons, tasks, text
from transforms.audio import conform, decode, encode
from transforms.audio.waveform import Waveform
from transforms.clip import Clip, Outcome, rejected
from transforms.dataset import example, read_ahead
from transforms.dataset.output import Output
from transforms.dataset.read_ahead import Ahead
from transforms.errors import ClipRejected
from transforms.manifests import allowed
from transforms.settings import TEXT, Settings
from transforms.storage import crc32c, uris


def prepare_clip(clip: Clip, output: Output, ahead: Ahead | None = None) -> tuple[bytes, Outcome]:
    """Reads, decodes, conforms and encodes one clip.

    Args:
      clip: what to prepare.
      output: the dataset it is for.
      ahead: the read of its source, if that was begun before.

    Returns:
      The example's line and its outcome, still without shard and line; b"" and the outcome for a rejected clip.

    Raises:
      StorageError: the storage failed; the runner may retry.
      UserError: the run cannot go on, for example because a bucket is forbidden.
      PayloadError: with `output.verify`, the payload does not decode to the clip's samples.
    """
    try:
        return _accept(clip, output, ahead)
    except ClipRejected as refusal:
        return b"", rejected(clip, refusal.reason, refusal.detail)


def _accept(clip: Clip, output: Output, ahead: Ahead | None) -> tuple[bytes, Outcome]:
    settings = output.settings
    clip = _normalized(clip, settings)
    uri = uris.absolute(clip.uri, output.base)
    if clip.confined:
        allowed.check_allowed(uri, output.allowed)
    wave, content = _decoded(clip, uri, output, ahead)
    conformed = conform.conform(wave, settings)
    payload = encode.pass_through(content, wave, conformed, settings) or encode.encode(conformed.samples, settings)
    if output.verify:
        encode.verify(payload, conformed.samples, settings)
    line = example.line(clip, payload, settings)
    by_uri = settings.audio_part == "uri"
    if by_uri:
        output.write_audio(payload)
    return line, Outcome(
        clip_id=clip.clip_id,
        source=clip.source,
        uri=clip.uri,
        status="accepted",
        line_bytes=len(line),
        line_sha256=sha256(line).hexdigest(),
        mime_type=payload.mime_type,
        audio_bytes=len(payload.content),
        audio_sha256=payload.sha256,
        audio_crc32c=crc32c(payload.content) if by_uri else None,
        source_format=wave.source_format,
        source_sample_rate=wave.sample_rate,
        source_channels=wave.samples.shape[1],
        source_samples=wave.samples.shape[0],
        num_samples=len(conformed.samples),
        trimmed_start_samples=conformed.trimmed_start_samples,
        trimmed_end_samples=conformed.trimmed_end_samples,
        target_chars=len(clip.target),
        task=clip.task or None,
        group=clip.group or None,
        # A clip may be dropped later; its dead letter then holds the row.
        row=clip.row if settings.dedupe == "audio" else None,
    )


def _normalized(clip: Clip, settings: Settings) -> Clip:
    task = tasks.find(clip.task, settings.tasks)
    if not settings.normalize_text or (task is not None and task.target != TEXT):
        return clip
    normalized = text.normalize(clip.target, settings.normalize_text)
    if not normalized.strip():
        steps = ",".join(settings.normalize_text)
        raise ClipRejected(reasons.MISSING_TEXT, f"nothing is left of the text {clip.target!r} after {steps}")
    return replace(clip, target=normalized)


def _decoded(clip: Clip, uri: str, output: Output, ahead: Ahead | None) -> tuple[Waveform, bytes]:
    """The clip's waveform and its source file; b"" for a segment of a recording."""
    name_hint = uris.without_generation(uri)
    if clip.offset is None:
        content = read_ahead.read(uri, output.storage, ahead)
        return decode.decode(content, max_duration=output.settings.max_duration, name_hint=name_hint), content
    with output.storage.open_audio(uri) as recording:
        wave = decode.decode_segment(
            recording,
            offset=clip.offset,
            duration=clip.duration,
            max_duration=output.settings.max_duration,
            name_hint=name_hint,
        )
    return wave, b""
