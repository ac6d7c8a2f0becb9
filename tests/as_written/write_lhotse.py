"""What lhotse writes of two recordings: `python tests/as_written/write_lhotse.py FOLDER`, where lhotse is installed.

Its files lie beside this one. It needs torch only to be imported, so what it asks of torch is put in its place here.
"""

import sys
import types
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import soundfile

TORCH = (
    "torch", "torch.nn", "torch.nn.functional", "torch.utils", "torch.utils.data", "torch.utils.data.dataloader",
    "torch.utils.data.sampler", "torch.distributed", "torch.hub", "torchaudio",
)  # fmt: skip


def pretend_torch() -> None:
    """Modules of torch's names, and classes of those that others are made from."""
    for name in TORCH:
        module = MagicMock(name=name)
        module.__name__, module.__path__, module.__version__ = name, [], "2.2.0"
        module.__spec__ = types.SimpleNamespace(
            name=name, loader=None, submodule_search_locations=[], origin=None, parent=""
        )
        sys.modules[name] = module
    for name in TORCH:
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, sys.modules[name])
    for name, kinds in {
        "torch": ["Tensor"],
        "torch.nn": ["Module"],
        "torch.utils.data": ["Dataset", "Sampler"],
    }.items():
        for kind in kinds:
            setattr(sys.modules[name], kind, type(kind, (), {}))


def write(folder: Path) -> None:
    """Recordings, supervisions and cuts, and cuts as they are before training."""
    pretend_torch()
    from lhotse import CutSet, Recording, RecordingSet, SupervisionSegment, SupervisionSet  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0)
    soundfile.write("mono.wav", noise.integers(-3000, 3000, 16_000 * 5).astype("int16"), 16_000)
    soundfile.write("call.wav", noise.integers(-3000, 3000, (8_000 * 6, 2)).astype("int16"), 8_000)
    recordings = RecordingSet.from_recordings([Recording.from_file("mono.wav"), Recording.from_file("call.wav")])
    supervisions = SupervisionSet.from_segments(
        [
            SupervisionSegment(
                "s1", "mono", 0.5, 1.25, text="hello there", language="en", speaker="anna", custom={"age": "20"}
            ),
            SupervisionSegment("s2", "call", 0, 2, channel=0, text="who is there", speaker="bert"),
            SupervisionSegment("s3", "call", 1, 2, channel=1, text="me", speaker="carl"),
            SupervisionSegment("s4", "call", 3, 2, channel=[0, 1], text="both"),
        ]
    )
    recordings.to_file(folder / "recordings.jsonl.gz")
    supervisions.to_file(folder / "supervisions.jsonl.gz")
    cuts = CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
    cuts.to_file(folder / "cuts.jsonl.gz")
    cuts.trim_to_supervisions(keep_overlapping=False).to_file(folder / "cuts_trimmed.jsonl.gz")
    first = next(iter(cuts))
    CutSet.from_cuts([first.pad(7), first.perturb_speed(1.1), first.resample(8_000)]).to_file(folder / "odd.jsonl")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
