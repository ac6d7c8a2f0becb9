"""The dataset's format, pinned: a change of these hashes changes every user's dataset, and needs a new FORMAT_VERSION."""

import json
from hashlib import sha256

import numpy as np
import pytest
import soundfile

from tests.beam_pipeline.conftest import ledger, write_manifest

SPLITS = ("train", "validation")
GOLDEN: dict[str, dict[str, str]] = {
    "flac": {
        "train": "3f263b945d41c842",
        "validation": "e3b0c44298fc1c14",
        "shards": "e60c378b60f33b83",
        "rejected.jsonl": "b71a02b5756b5f81",
        "ledger": "0112c22bafa70be1",
        "fingerprint": "5fe3739d3a2b348e",
    },
    "wav": {
        "train": "7cb29204d5bd4cc7",
        "validation": "e3b0c44298fc1c14",
        "shards": "e60c378b60f33b83",
        "rejected.jsonl": "b71a02b5756b5f81",
        "ledger": "0ef473ff0ef29391",
        "fingerprint": "c9c4dbdb164fe99b",
    },
}


def digest(content):
    return sha256(content).hexdigest()[:16]


def waves(folder):
    """Integers at 16 kHz, so that neither a resampler nor a float decides a bit; loud from 0.5 to 1.5 s."""
    noise = np.random.default_rng(2026)
    for index in range(24):
        samples = np.zeros(2 * 16_000, np.int16)
        samples[8_000:24_000] = noise.integers(-9_000, 9_000, 16_000)
        soundfile.write(folder / f"{index}.wav", samples, 16_000, "PCM_16")


@pytest.mark.parametrize("audio_format", ["flac", "wav"])
def test_the_format(tmp_path, prepare, small_shards, monkeypatch, audio_format):
    monkeypatch.chdir(tmp_path)
    waves(tmp_path)
    rows = [
        {"id": f"clip-{index}", "audio": f"{index}.wav", "text": f"Größe {index}", "speaker": f"s{index % 7}"}
        for index in range(24)
    ]
    rows[3]["prompt"], rows[4]["system_instruction"] = "Was wird gesagt?", "Be brief."
    rows += [
        {"id": "nowhere", "audio": "nowhere.wav", "text": "x"},
        {"id": "clip-1", "audio": "2.wav", "text": "taken"},
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    names = {"flac": "snake_case", "wav": "camelCase"}[audio_format]
    flags = [f"--audio_format={audio_format}", f"--json_names={names}", "--max_rejected_fraction=1"]
    assert prepare("m.jsonl", "out", *flags).status == 0
    out = tmp_path / "out"
    found = {
        split: digest(b"".join(path.read_bytes() for path in sorted((out / split).glob("*.jsonl")))) for split in SPLITS
    }
    found["shards"] = digest(" ".join(path.name for path in sorted(out.glob("*/*.jsonl"))).encode())
    found["rejected.jsonl"] = digest((out / "rejected.jsonl").read_bytes())
    found["ledger"] = digest(json.dumps(ledger(out), sort_keys=True).encode())
    found["fingerprint"] = json.loads((out / "dataset.json").read_bytes())["fingerprint"][:16]
    assert found == GOLDEN[audio_format]
