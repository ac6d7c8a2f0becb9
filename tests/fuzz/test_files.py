"""Files of every format, damaged at random: whatever comes, a clip is accepted whole or refused in words."""

import functools
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.damage import damaged
from tests.sounds import FORMATS, encoded, tone
from transforms import reasons
from transforms.audio.sniff import sniff
from transforms.clip import Clip
from transforms.dataset.clip_workers import ClipWorkers
from transforms.dataset.output import Output
from transforms.dataset.prepare_clip import prepare_clip
from transforms.reasons import REASONS
from transforms.settings import Settings
from transforms.storage import Storage
from transforms.workers import pool

storage = Storage()

CLIPS = Path(__file__).parents[2] / "examples" / "clips"
# Addresses, temporary names and descriptors belong in no detail.
JARGON = re.compile(r"0x[0-9a-f]{4}|/tmp|/dev/fd|errno|\bNone\b|Traceback|Error\b")
# An encoder of its own is asked for lossy payloads: slow, so seldom.
PAYLOADS = [("flac", 0)] * 60 + [("wav", 0)] * 4 + [("mp3", 64), ("aac", 64)]
SEGMENTS = [(None, None)] * 4 + [(0.1, 0.3), (0.2, None), (0.0, 0.5), (1e6, 0.1), (0.1, 1e-6)]


def _by_format():
    """A few of the smallest real files of each format."""
    files: dict[str, list[Path]] = {}
    for path in sorted(CLIPS.rglob("*.*"), key=lambda path: (path.stat().st_size, path)):
        files.setdefault(sniff(path.read_bytes(), path.name).name + path.suffix, []).append(path)
    return [path for paths in files.values() for path in paths[:3]]


SMALL = _by_format()


@functools.cache
def sound_of(form):
    """Half a second of a tone and noise, in a format of `tests.sounds`."""
    noise = np.random.default_rng(0).normal(0, 0.02, form.rate // 2)
    return encoded(tone(440, form.rate, len(noise) / form.rate) + noise, form)


def any_file(rng):
    """A file's name and its bytes."""
    if rng.random() < 0.4:
        path = rng.choice(SMALL)
        return path.name, path.read_bytes()
    form = rng.choice(FORMATS)
    return f"{form.name.replace(' ', '-')}.{form.extension}", sound_of(form)


@pytest.fixture(scope="module")
def nursery():
    with pool.running():
        yield


def test_damaged_files_are_accepted_whole_or_refused_in_words(nursery, mutants, tmp_path):
    fates: Counter[str] = Counter()
    outputs = {}
    for audio_format, bitrate in set(PAYLOADS):
        settings = Settings(audio_format=audio_format, bitrate=bitrate)
        folder = str(tmp_path)
        output = Output(folder, folder, (folder,), {"train": 1}, settings, storage, verify=True)
        outputs[audio_format] = output, ClipWorkers(settings, verify=True, size=1)
    try:
        for number, (told, rng) in enumerate(mutants("files")):
            name, content = any_file(rng)
            content, damage = damaged(content, rng, any_file(rng)[1])
            name = f"{number}-{damage}-{name}"[-120:]
            output, workers = outputs[rng.choice(PAYLOADS)[0]]
            offset, duration = rng.choice(SEGMENTS)
            storage.write_bytes(str(tmp_path / name), content)
            made = prepare_clip(Clip(name, name, "a text", offset=offset, duration=duration), output, workers.convert)
            _judge(made, output.settings, f"{told}: {name}, {offset}, {duration}, {output.settings.audio_format}")
            fates[made.outcome.reason or "accepted"] += 1
            (tmp_path / name).unlink()
    finally:
        for _, workers in outputs.values():
            workers.close()
    print(dict(fates))


def _judge(made, settings, told):
    outcome = made.outcome
    if made.line:
        assert outcome.num_samples is not None, told
        assert 0 < outcome.num_samples <= settings.max_duration * settings.sample_rate, told
        return
    assert outcome.reason in REASONS, told
    assert outcome.reason != reasons.DECODER_FAULT.name, (told, outcome.detail)
    assert outcome.detail, told
    assert not JARGON.search(outcome.detail), (told, outcome.detail)
