"""The dataset's format, pinned: who changes these hashes changes every user's dataset, and FORMAT_VERSION too."""

import json
from hashlib import sha256

import numpy as np
import pytest
import soundfile

from tests.beam_pipeline.conftest import ledger, write_manifest

SPLITS = ("train", "validation")
GOLDEN: dict[str, dict[str, str]] = {
    "flac": {
        "train": "fd1420d210452431",
        "validation": "45bb21e5aea50843",
        "shards": "e60c378b60f33b83",
        "rejected.jsonl": "fdf9d64a924104ea",
        "ledger": "796aa82cc2c15570",
        "fingerprint": "f14107123b6f552d",
    },
    "wav": {
        "train": "647ef030b2634d5f",
        "validation": "3ab109512533b83c",
        "shards": "e60c378b60f33b83",
        "rejected.jsonl": "fdf9d64a924104ea",
        "ledger": "fcbdb2cf46ff4845",
        "fingerprint": "c16038a88f153d8e",
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
    rows.append({**rows[0], "id": "nowhere", "audio": "nowhere.wav"})
    rows.append({**rows[2], "id": "clip-1"})
    write_manifest(tmp_path / "m.jsonl", rows)
    names = {"flac": "snake_case", "wav": "camelCase"}[audio_format]
    flags = [f"--audio_format={audio_format}", f"--json_names={names}", "--max_rejected_fraction=1"]
    assert prepare("m.jsonl", "out", *flags).status == 0
    out = tmp_path / "out"
    found = {
        split: digest(b"".join(path.read_bytes() for path in sorted((out / split).glob("*.jsonl")))) for split in SPLITS
    }
    found["shards"] = digest(" ".join(path.name for path in sorted(out.glob("*/*.jsonl"))).encode())
    found["rejected.jsonl"] = digest((out / "rejected.jsonl").read_bytes().replace(str(tmp_path).encode(), b"/home"))
    found["ledger"] = digest(json.dumps(ledger(out), sort_keys=True).encode())
    found["fingerprint"] = json.loads((out / "dataset.json").read_bytes())["fingerprint"][:16]
    assert found == GOLDEN[audio_format]
