"""The benchmarks measure what they say: each stand-in replaces something, and is what the run then uses."""

import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks import bare, canned, clip, replacing, timed, without_audio, workers
from benchmarks.corpus import MIX, Corpus
from benchmarks.scale import write_manifest
from transforms.audio import conform, decode, encode, sniff
from transforms.dataset import example, read_ahead
from transforms.dataset.converted import STAGES
from transforms.settings import Settings


@pytest.fixture
def words(tmp_path):
    write_manifest(tmp_path / "m.jsonl", 12)
    return ["prepare", f"--manifest={tmp_path}/m.jsonl", f"--output={tmp_path}/out", "--validation_fraction=0"]


@pytest.fixture
def sources_read(monkeypatch):
    """Whether sources were read ahead, shard by shard."""
    seen, begin = [], read_ahead.begin

    def noted(clips, base, storage, reader, reads, *more):
        seen.append((reader is not None, reads))
        return begin(clips, base, storage, reader, reads, *more)

    monkeypatch.setattr(read_ahead, "begin", noted)
    return seen


def test_a_stand_in_for_what_is_not_there_is_an_error():
    module: Any = ModuleType("module")
    module.there = 1
    with replacing.replaced({(module, "there"): 2}):
        assert module.there == 2
    assert module.there == 1
    with pytest.raises(AttributeError, match="gone"), replacing.replaced({(module, "gone"): 2}):
        pass
    assert not hasattr(module, "gone")


def test_without_audio_no_recording_is_read(words, tmp_path, capfd):
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("/clips/", "/nowhere/"), encoding="utf-8")
    assert without_audio.main(words) == 0
    lines = [json.loads(line) for line in (tmp_path / "out/train/train-00000-of-00001.jsonl").read_text().splitlines()]
    assert json.loads(capfd.readouterr().out)["accepted"] == len(lines) == 12
    payloads = {line["contents"][0]["parts"][1]["inline_data"]["data"] for line in lines}
    assert len(payloads) == 1  # the tone's


def test_the_stand_in_for_a_recording_is_a_second_of_sound():
    samples, rate = encode.decode_payload(canned.Canned(Settings(), verify=False)._payload)
    assert (len(samples), rate, int(np.abs(samples).max())) == (16_000, 16_000, 2_999)


@pytest.mark.parametrize(("variant", "ahead"), [("overlap", True), ("plain", False)])
def test_a_timed_run_overlaps_or_does_not(words, sources_read, capfd, variant, ahead):
    assert timed.main(variant, words) == 0
    summary, figures = (json.loads(line) for line in capfd.readouterr().out.splitlines())
    assert summary["accepted"] == 12
    assert len(figures) == 2
    assert all(figure > 0 for figure in figures)
    assert [reader for reader, _ in sources_read] == [ahead]


@pytest.mark.parametrize("form", clip.FORMATS, ids=lambda form: form.name)
def test_the_bare_calls_do_the_same_work(form):
    content = clip.clip_of(form)
    wave = decode.decode(content, max_duration=30.0)
    ours = conform.conform(wave, Settings(trim_silence=False)).samples
    theirs, rate = encode.decode_payload(example.payload(bare.prepare(content), "audio/flac"))
    assert rate == 16_000
    if sniff.sniff(content).sndfile:
        assert np.array_equal(theirs, ours)
    else:  # another libav may read them, and nobody drops the priming
        assert len(theirs) == pytest.approx(len(ours), abs=0.1 * rate)


def test_the_table_of_a_clip_has_each_format_with_the_stages_of_a_conversion():
    head, rule, *rows = clip.table(rounds=1)
    assert head == "| format | conversion to bare calls | read | decode | conform | encode | line |"
    assert rule.count("|") == head.count("|")
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [form.name for form in clip.FORMATS]


def test_product_and_bare_calls_have_the_same_stages(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(clip.clip_of(clip.FORMATS[0]))
    assert tuple(clip.by_bare_calls(str(path))) == STAGES


def test_clips_are_the_same_wherever_they_are_converted(tmp_path):
    paths = [str(recording.path) for recording in Corpus(tmp_path, 1).of(MIX)]
    results = {name: b"".join(way(paths, size)) for name, (way, size) in workers.WAYS.items()}
    assert len({*results.values()}) == 1
    assert next(iter(results.values())).count(b"\n") == len(MIX)
