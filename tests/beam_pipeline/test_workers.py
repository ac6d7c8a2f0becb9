"""A thousand clips that crash, hang or fill the memory cost a thousand clips, and nothing else."""

import itertools

import pytest

from tests import misbehaving
from tests.beam_pipeline.conftest import SOME, contents, ledger, write_manifest
from transforms.dataset import clip_workers
from transforms.workers.bounds import Bounds
from transforms.workers.pool import Pool

DEEDS = {
    "crash": "SIGSEGV",
    "abort": "SIGABRT",
    "exit": "status 3",
    "killed": "SIGKILL",
    "bomb": "160 MiB of memory",
    "hang in a loop": "0.3 s of processor time",
    "hang in native code": "limit of 2 s",
}
SOUND = [row for row in SOME if row["audio_path"].endswith((".wav", ".flac"))]
A_THOUSAND = [deed for deed, count in zip(DEEDS, (300, 250, 220, 200, 20, 5, 5), strict=True) for _ in range(count)]


@pytest.fixture
def sabotaged(monkeypatch):
    monkeypatch.setattr(clip_workers, "_Work", misbehaving.Saboteur)
    limits = Bounds(cpu_seconds=0.3, wall_seconds=2, memory_bytes=160 << 20)
    monkeypatch.setattr(clip_workers, "Pool", lambda work, size, _: Pool(work, size, limits))


@pytest.mark.sweep
def test_a_thousand_deaths_cost_a_thousand_clips(folder, prepare, sabotaged):
    victims = [{**SOUND[0], "id": f"{deed}-{number}"} for number, deed in enumerate(A_THOUSAND)]
    good = [{**row, "id": f"good-{row['id']}-{n}"} for n, row in itertools.product(range(3), SOUND)]
    write_manifest(folder / "m.jsonl", [*good, *victims])
    run = prepare(folder / "m.jsonl", folder / "out", "--max_rejected_fraction=1", "--validation_fraction=0")
    assert run.json["accepted"] == len(good)
    assert run.json["reasons"] == {"decoder_fault": 1_000}
    rows = {row["clip_id"]: row for row in ledger(folder / "out")}
    for number, deed in enumerate(A_THOUSAND):
        assert rows[f"{deed}-{number}"]["detail"].endswith(DEEDS[deed]), rows[f"{deed}-{number}"]
    write_manifest(folder / "good.jsonl", good)
    assert prepare(folder / "good.jsonl", folder / "calm", "--validation_fraction=0").status == 0
    assert joined(folder / "out") == joined(folder / "calm")


def joined(dataset):
    """All examples in their order."""
    shards = {name: content for name, content in contents(dataset).items() if name.endswith(".jsonl")}
    return b"".join(shards[name] for name in sorted(shards) if name.startswith("train/"))
