"""What is done to bytes in memory is a closed region: nothing that is raised there ends a run."""

import io
import pickle
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from tests.shards import output_of, prepared, write
from tests.sounds import BY_NAME, encoded, tone
from transforms import reasons, region
from transforms.audio import conform, encode, sndfile, sniff, tags
from transforms.audio.streams import Remembering
from transforms.clip import Clip, Outcome
from transforms.dataset import conversion, example
from transforms.errors import ClipRejected, PayloadError, StorageError, UserError
from transforms.payloads import Payload
from transforms.settings import Settings

# Each step of the region, by where it is looked up.
STEPS = [
    (sniff, "sniff"),
    (tags, "audio_start"),
    (sndfile, "decode"),
    (conform, "conform"),
    (conform, "resample"),
    (encode, "pass_through"),
    (encode, "encode"),
    (encode, "verify"),
    (example, "line"),
]
FAULTS = [
    IndexError("index out of range"),
    KeyError("\x00"),
    ValueError("0x7f3a12345678 in /home/somebody/x.wav"),
    AssertionError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
    OverflowError(),
    ZeroDivisionError(),
    OSError(5, "no world"),
    EOFError(),
    StopIteration(),
    MemoryError(),
    RecursionError(),
    PayloadError("the payload has 1 Hz and shape (0,)"),
]


def raising(fault):
    def step(*_, **__):
        raise fault

    return step


@pytest.fixture
def clip(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(300, 16_000, 0.5), 16_000, "PCM_16")
    return Clip("x", "x.wav", "a text", "m:1", "{}")


@pytest.mark.parametrize("segment", [False, True])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_whatever_a_decoder_raises_is_the_clips_fate(tmp_path, clip, monkeypatch, fault, segment):
    monkeypatch.setattr(sndfile, "decode", raising(fault))
    clip = replace(clip, offset=0.1, duration=0.2) if segment else clip
    line, outcome = prepared(clip, output_of(tmp_path))
    assert (line, outcome.reason) == (b"", reasons.DECODER_FAULT.name)
    name, _, place = outcome.detail.partition(" at ")
    assert name == type(fault).__name__
    assert place.partition(".py:")[0].startswith("transforms/")
    assert "/home" not in outcome.detail
    assert "0x" not in outcome.detail


@pytest.mark.parametrize(("module", "name"), STEPS, ids=lambda part: getattr(part, "__name__", part))
def test_whichever_step_raises_the_other_clips_go_on(tmp_path, clips, monkeypatch, module, name):
    real = getattr(module, name)
    faults = [IndexError()]
    outcomes: list[Outcome] = []

    def at_first(*args, **kwargs):
        if faults:
            raise faults.pop()
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, at_first)
    write(("train", 0), clips, replace(output_of(tmp_path), verify=True), window=1, on_outcome=outcomes.append)
    fates = Counter(outcome.reason for outcome in outcomes)
    assert fates[reasons.DECODER_FAULT.name] == 1
    assert fates[None] in (9, 10)  # accepted: the step may have met the file that is no sound
    assert fates.total() == len(clips) == 11


def test_texts_of_libraries_are_left_out():
    with pytest.raises(ClipRejected) as refusal, region.closed():
        encode.verify_length(Payload(b"RIFF", "audio/wav"), 1, Settings())
    assert refusal.value.reason == reasons.DECODER_FAULT
    assert refusal.value.detail.startswith("LibsndfileError at transforms/audio/encode.py:")
    assert "RIFF" not in refusal.value.detail


def test_a_payload_that_is_not_what_it_was_made_from_is_told_with_what_it_is(tmp_path, clip, monkeypatch):
    real = encode.decode_payload
    monkeypatch.setattr(encode, "decode_payload", lambda payload: (real(payload)[0] + np.int16(1), 16_000))
    _, outcome = prepared(clip, replace(output_of(tmp_path), verify=True))
    assert outcome.reason == reasons.DECODER_FAULT.name
    assert outcome.detail.startswith("PayloadError at transforms/audio/encode.py:")
    assert outcome.detail.endswith(": the payload does not decode to the samples it was made from")


def test_a_stack_that_overflows_is_told_alike_however_deep_it_was_before(tmp_path, clip, monkeypatch):
    def endless(*_, **__):
        return endless()

    def told(depth):
        return told(depth - 1) if depth else prepared(clip, output_of(tmp_path))[1].detail

    monkeypatch.setattr(sniff, "sniff", endless)
    assert re.fullmatch(r"RecursionError at transforms/dataset/conversion\.py:\d+", told(0))
    assert told(0) == told(100) == told(101)


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SystemExit(), GeneratorExit()], ids=repr)
def test_who_ends_the_program_is_not_stopped(fault):
    with pytest.raises(type(fault)), region.closed():
        raise fault


@pytest.mark.parametrize(
    "fault", [StorageError("full"), UserError("mend it"), ClipRejected(reasons.SILENT, "nothing")], ids=repr
)
def test_what_has_a_fate_keeps_it(fault):
    with pytest.raises(type(fault)) as found, region.closed():
        raise fault
    assert found.value is fault


@pytest.mark.parametrize("inside", [None, IndexError(), ClipRejected(reasons.TRUNCATED, "cut"), UserError("mend it")])
def test_what_the_world_did_to_a_stream_goes_first(inside):
    """A decoder takes it for the end of the file, and may finish, refuse or fall."""
    gone = raising(StorageError("the network is away"))
    with pytest.raises(StorageError, match="the network is away"), region.closed(gone):
        if inside is not None:
            raise inside


class Failing(io.BytesIO):
    """A recording of which the world gives a part only."""

    folders = None

    def __init__(self, content, good, fault):
        super().__init__(content)
        self.good, self.fault = good, fault

    def read(self, size=-1):
        if self.tell() + (size if size >= 0 else 1 << 40) > self.good:
            raise self.fault
        return super().read(size)

    def open(self):
        return self

    uri = "gs://bucket/x"


@pytest.mark.parametrize("good", [0, 100, 70_000])
@pytest.mark.parametrize(
    "name", ["wav 16-bit", "flac 16-bit", "mp3", "ogg opus", "m4a aac", "aac adts", "matroska flac"]
)
@pytest.mark.parametrize(
    "fault",
    [StorageError("gone"), UserError("forbidden"), OSError(5, "EIO"), EOFError(), KeyboardInterrupt()],
    ids=repr,
)
def test_the_world_of_a_segment_is_no_clips_fault(name, good, fault):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 96_000)
    content = encoded(noise, replace(BY_NAME[name], channels=1))
    recording = Failing(content, min(good, len(content) - 1), fault)
    with pytest.raises(type(fault)) as found:
        conversion.convert(Clip("x", "x", "a text", offset=1.0, duration=0.5), recording, Settings(), verify=False)
    assert found.value is fault


@pytest.mark.parametrize("at", [-1, -(1 << 40), 1 << 63, 1 << 70])
def test_a_seek_out_of_the_file_is_no_fault_of_the_world(tmp_path, at):
    (tmp_path / "x").write_bytes(b"RIFF")
    for stream in (io.BytesIO(b"RIFF"), (tmp_path / "x").open("rb"), io.BufferedReader(io.FileIO(tmp_path / "x"))):
        with stream:
            heard = Remembering(stream)
            assert heard.seek(at) == -1
            heard.raise_fault()
            assert heard.seek(0) == 0
            assert heard.read() == b"RIFF"


def test_a_refusal_travels():
    with pytest.raises(ClipRejected) as refusal, region.closed():
        raise KeyError("x")
    again = pickle.loads(pickle.dumps(refusal.value))
    assert (again.reason, again.detail) == (refusal.value.reason, "KeyError at an unknown place")
