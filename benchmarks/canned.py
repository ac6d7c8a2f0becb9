"""Work for clip workers that takes no time: every recording is a tone of a second, and encoded beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from transforms.audio import encode
from transforms.clip import Outcome
from transforms.dataset import clip_workers, example
from transforms.dataset.converted import STAGES, Converted
from transforms.settings import Settings
from transforms.workers.worker import Parent

TONE = (3_000 * np.sin(np.arange(16_000) / 5)).astype(np.int16)


class Canned:
    """What a worker does: a tone of a second is what it has found, whatever the recording."""

    def __init__(self, settings: Settings, verify: bool) -> None:
        self._settings = settings
        self._payload = encode.encode(TONE, settings)

    def __call__(self, task: bytes, parent: Parent) -> Sequence[bytes]:
        """The parts of the same result for every clip but for its texts."""
        clip, *_ = clip_workers.unpacked(task)
        line = example.line(clip, self._payload, self._settings)
        outcome = Outcome(
            clip_id=clip.clip_id,
            source=clip.source,
            uri=clip.uri,
            status="accepted",
            line_bytes=len(line),
            line_sha256=sha256(line).hexdigest(),
            mime_type=self._payload.mime_type,
            audio_bytes=len(self._payload.content),
            audio_sha256=sha256(clip.clip_id.encode()).hexdigest(),  # as if no two clips were alike
            source_format="wav/pcm_16",
            source_sample_rate=16_000,
            source_channels=1,
            source_samples=len(TONE),
            num_samples=len(TONE),
            trimmed_start_samples=0,
            trimmed_end_samples=0,
            target_chars=len(clip.target),
            group=clip.group or None,
        )
        return clip_workers.packed(Converted(line, outcome, None, (0,) * len(STAGES)))
