"""`cliptune` with every recording read from memory and every payload made beforehand: what is left is overhead.

python -m benchmarks.without_audio prepare --manifest M --output OUT
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.replacing import Replacements, replaced
from cliptune import main as cliptune
from transforms.audio import conform, encode
from transforms.audio.conform import Conformed
from transforms.audio.waveform import Waveform
from transforms.dataset import prepare_clip
from transforms.settings import Settings


def stand_ins() -> Replacements:
    """A tone of a second in the place of every recording."""
    tone = (3_000 * np.sin(np.arange(16_000) / 5)).astype(np.int16)
    payload = encode.encode(tone, Settings())
    wave = Waveform((tone[:, None] / 32_768).astype(np.float32), 16_000, "wav/pcm_16")
    return {
        (prepare_clip, "_decoded"): lambda *args: (wave, b"x"),
        (conform, "conform"): lambda *args: Conformed(tone, 0, 0),
        (encode, "pass_through"): lambda *args: payload,
    }


def main(words: Sequence[str]) -> int:
    """Runs the command."""
    with replaced(stand_ins()):
        return cliptune.main(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
