"""Real files, damaged at random: whatever comes, a clip is accepted whole or refused in words."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.shards import prepared
from transforms.audio.sniff import sniff
from transforms.clip import Clip
from transforms.dataset.output import Output
from transforms.reasons import REASONS
from transforms.settings import Settings
from transforms.storage import Storage

storage = Storage()

CLIPS = Path(__file__).parents[3] / "examples" / "clips"
BATCHES = 8
# Addresses, temporary names and descriptors belong in no detail.
JARGON = re.compile(r"0x[0-9a-f]{4}|/tmp|/dev/fd|errno|\bNone\b|Traceback|Error\b")


def flip(content, rng):
    for _ in range(rng.choice([1, 3, 30, 300])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return content


def flip_header(content, rng):
    for _ in range(rng.choice([1, 2, 8])):
        content[rng.randrange(min(len(content), 256))] = rng.randrange(256)
    return content


def cut(content, rng):
    return content[: rng.randrange(len(content))]


def cut_start(content, rng):
    return content[rng.randrange(len(content)) :]


def double(content, rng):
    at, length = rng.randrange(len(content)), rng.randrange(1, 20_000)
    return content[: at + length] + content[at:]


def drop(content, rng):
    at, length = rng.randrange(len(content)), rng.randrange(1, 20_000)
    return content[:at] + content[at + length :]


def blank(content, rng):
    at, length = rng.randrange(len(content)), rng.randrange(1, 5_000)
    return content[:at] + bytes(min(length, len(content) - at)) + content[at + length :]


def splice(content, rng):
    other = rng.choice(SMALL).read_bytes()
    return content[: rng.randrange(len(content))] + other[rng.randrange(len(other)) :]


DAMAGES = [flip, flip_header, cut, cut_start, double, drop, blank, splice]


def _by_format():
    """A few of the smallest files of each format."""
    files: dict[str, list[Path]] = {}
    for path in sorted(CLIPS.rglob("*.*"), key=lambda path: (path.stat().st_size, path)):
        files.setdefault(sniff(path.read_bytes(), path.name).name + path.suffix, []).append(path)
    return [path for paths in files.values() for path in paths[:3]]


SMALL = _by_format()


@pytest.mark.parametrize("batch", range(BATCHES))
def test_damaged_files_are_accepted_whole_or_refused_in_words(batch, tmp_path, pytestconfig):
    settings = Settings()
    output = Output(str(tmp_path), str(tmp_path), (str(tmp_path),), {"train": 1}, settings, Storage(), verify=True)
    reasons: Counter[str] = Counter()
    for number in range(batch, pytestconfig.getoption("fuzz"), BATCHES):
        rng = random.Random(number)
        source, damage = rng.choice(SMALL), rng.choice(DAMAGES)
        name = f"{number}-{damage.__name__}-{source.name}"
        storage.write_bytes(str(tmp_path / name), bytes(damage(bytearray(source.read_bytes()), rng)))
        offset, duration = rng.choice([(None, None)] * 4 + [(0.1, 0.3), (0.2, None)])
        line, outcome = prepared(Clip(name, name, "a text", offset=offset, duration=duration), output)
        if line:
            assert outcome.num_samples is not None
            assert 0 < outcome.num_samples <= settings.max_duration * settings.sample_rate, name
        else:
            assert outcome.reason in REASONS, name
            assert outcome.detail, name
            assert not JARGON.search(outcome.detail), (name, outcome.detail)
        reasons[outcome.reason or "accepted"] += 1
        (tmp_path / name).unlink()
    print(dict(reasons))
