"""A payload's outline: what its header says, whether there is sound, and whether its bytes are all there.

Nothing is decoded but the last samples of a FLAC file, whose header alone says how many there should be.
"""

from __future__ import annotations

import contextlib
import io

import soundfile

from transforms import reasons
from transforms.audio import frames, libav, sniff
from transforms.audio.format import Format
from transforms.errors import ClipRejected
from transforms.payloads import Outline

# The length of the first block of a FLAC file.
_STREAMINFO_BYTES = b"\x00\x00\x22"


def outline(content: bytes) -> Outline:
    """The outline of a payload.

    Raises:
      ClipRejected: as `sniff.sniff`.
    """
    form = sniff.sniff(content)
    body = content[form.start(content) :]
    cut = _cut(body, form)
    seconds: float | None = None
    fault = ""
    try:
        seconds = _seconds(body, form)
    except ClipRejected as refusal:
        # Of a file whose index was at the end that is missing, nothing can be read, and that it is cut says so.
        fault = "" if cut and refusal.reason == reasons.DECODE_FAILED else refusal.detail
    if not (cut or fault) and form.exact_samples:
        cut = _cut_samples(body)
    return Outline(form.name, tuple(sorted(form.mime_types)), seconds, fault, cut)


def _cut(body: bytes, form: Format) -> str:
    if missing := form.shortfall(body):
        return f"the file declares {missing[0]:,} bytes and has {missing[1]:,}"
    claims = form.claims(body) if form.claims else None
    if claims and claims.missing:
        return f"{claims.missing[0]:,} frames are declared, {claims.missing[1]:,} are there"
    if form.is_whole and not form.is_whole(body):
        return f"a part of the {form.name} file is missing, at its end or before"
    return ""


def _cut_samples(body: bytes) -> str:
    """Whether the last of the samples that the header counts is there."""
    total = frames.flac_total_samples(body)
    if not total:
        return ""
    try:
        with soundfile.SoundFile(io.BytesIO(body)) as file:
            file.seek(total - 1)
            held = len(file.read(1))
    except soundfile.LibsndfileError:
        held = 0
    return "" if held else f"{total:,} samples are declared, and the last of them is not there"


def _seconds(body: bytes, form: Format) -> float | None:
    """The length.

    Raises:
      ClipRejected: there is no sound.
    """
    if form.seconds is not None:
        return form.seconds(body)
    if form.exact_samples:
        return _flac_seconds(body, form)
    with contextlib.suppress(soundfile.LibsndfileError):
        info = soundfile.info(io.BytesIO(body))
        if info.frames:  # none are told of a stream whose end its writer did not know
            return float(info.frames / info.samplerate)
    return libav.declared_seconds(io.BytesIO(body), form)


def _flac_seconds(body: bytes, form: Format) -> float | None:
    """By STREAMINFO, which need not know it."""
    rate, total = int.from_bytes(body[18:21], "big") >> 4, frames.flac_total_samples(body)
    if not rate or total is None or body[5:8] != _STREAMINFO_BYTES:
        raise ClipRejected(reasons.DECODE_FAILED, "its header cannot be read")
    if not total:
        return libav.declared_seconds(io.BytesIO(body), form)
    return total / rate
