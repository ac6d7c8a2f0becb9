"""`cliptune` with workers that read no recording and answer with a payload made beforehand: what is left is overhead.

python -m benchmarks.without_audio prepare --manifest M --output OUT
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.canned import Canned
from benchmarks.replacing import replaced
from cliptune import main as cliptune
from transforms.dataset import clip_workers


def main(words: Sequence[str]) -> int:
    """Runs the command."""
    with replaced({(clip_workers, "_Work"): Canned}):
        return cliptune.main(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
