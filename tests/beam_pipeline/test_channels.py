"""Telephone calls with one speaker a channel: each row gets its own, and nothing of the other."""

import base64
import io

import numpy as np
import pytest
import soundfile

from tests.beam_pipeline.conftest import examples, ledger, write_manifest

RATE = 16_000
SAMPLES = np.stack([np.random.default_rng(seed).integers(-9_000, 9_000, 2 * RATE) for seed in (1, 2)], axis=1)


def payloads(output):
    """The samples of each example, by its target."""
    found = {}
    for split in ("train", "validation"):
        for example in examples(output, split):
            audio = example["contents"][0]["parts"][1]["inline_data"]["data"]
            text = example["contents"][1]["parts"][0]["text"]
            found[text] = soundfile.read(io.BytesIO(base64.b64decode(audio)), dtype="int16")[0]
    return found


@pytest.fixture
def call(tmp_path):
    """Recordings of a call, and the folder that they are in."""
    samples = SAMPLES.astype(np.int16)
    for form in ("wav", "flac"):
        soundfile.write(tmp_path / f"call.{form}", samples, RATE, "PCM_16")
    soundfile.write(tmp_path / "mono.wav", samples[:, :1], RATE, "PCM_16")
    soundfile.write(tmp_path / "opposite.wav", samples[:, :1] * np.array([1, -1], np.int16), RATE, "PCM_16")
    soundfile.write(tmp_path / "half.wav", samples * np.array([1, 0], np.int16), RATE, "PCM_16")
    return tmp_path


@pytest.mark.parametrize("names", [(0, 1), (1, 2), ("left", "right"), ("A", "B")])
@pytest.mark.parametrize("form", ["wav", "flac"])
def test_each_row_gets_its_channel(call, prepare, names, form):
    rows = [{"audio": f"call.{form}", "channel": name, "text": f"said {n}"} for n, name in enumerate(names)]
    run = prepare(write_manifest(call / "m.jsonl", rows), call / "out", "--keep_silence")
    assert run.json["accepted"] == 2
    found = payloads(call / "out")
    for channel in (0, 1):
        assert np.array_equal(found[f"said {channel}"], SAMPLES[:, channel])
    told = {(row["clip_id"], row["source_channels"], row["group"], row["split"]) for row in ledger(call / "out")}
    assert told == {(f"call.{form}#{n}", 2, f"call.{form}", "train") for n in (0, 1)}


def test_a_channel_of_a_segment(call, prepare):
    rows = [
        {"audio": "call.wav", "channel": 1, "start": 0.5, "end": 1.5, "text": "x"},
        {"audio": "call.wav", "channel": 0, "text": "y"},
    ]
    prepare(write_manifest(call / "m.jsonl", rows), call / "out", "--keep_silence")
    found = payloads(call / "out")
    assert np.array_equal(found["x"], SAMPLES[8_000:24_000, 1])
    assert np.array_equal(found["y"], SAMPLES[:, 0])


def test_only_the_channel_that_is_meant_is_judged(call, prepare):
    rows = [
        {"audio": "opposite.wav", "channel": "right", "text": "inverted, and fine alone"},
        {"audio": "half.wav", "channel": "left", "text": "spoken"},
        {"audio": "half.wav", "channel": "right", "text": "silent"},
        {"audio": "mono.wav", "channel": "left", "text": "mono"},
        {"audio": "mono.wav", "channel": "right", "text": "not there"},
        {"audio": "opposite.wav", "text": "all channels"},
    ]
    prepare(write_manifest(call / "m.jsonl", rows), call / "out", "--max_rejected_fraction=1")
    told = {int(row["source"].rpartition(":")[2]): row["reason"] for row in ledger(call / "out")}
    assert told == {1: None, 2: None, 3: "silent", 4: None, 5: "no_such_channel", 6: "opposite_phase"}


def test_a_number_that_tells_nothing_serves_recordings_of_one_channel(call, prepare):
    rows = [{"audio": audio, "channel": 1, "text": "x"} for audio in ("mono.wav", "call.wav")]
    run = prepare(write_manifest(call / "m.jsonl", rows), call / "out", "--max_rejected_fraction=1")
    assert run.json["reasons"] == {"no_such_channel": 1}
    assert "say left or right" in run.stderr
