"""Shards and datasets of a few tones, written without a pipeline."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import soundfile

from tests.sounds import tone
from transforms.clip import Clip
from transforms.dataset import shard
from transforms.dataset.conversion import convert, is_as_noted
from transforms.dataset.output import Output, claim
from transforms.dataset.plan import make_plan
from transforms.dataset.prepare_clip import prepare_clip
from transforms.dataset.shard import ClipPool
from transforms.report import finish
from transforms.settings import Settings
from transforms.storage import Storage

RATE = 16_000


def ten_tones(folder):
    """Clips of ten tones and of one file that is none."""
    for index in range(10):
        soundfile.write(folder / f"{index}.wav", tone(300 + 50 * index, RATE, 0.5), RATE, "PCM_16")
    (folder / "bad.wav").write_text("no sound")
    names = [*map(str, range(10)), "bad"]
    return [
        Clip(f"clip-{n}", f"{n}.wav", f"text {n}", f"m.csv:{i + 2}", json.dumps({"id": n})) for i, n in enumerate(names)
    ]


def output_of(tmp_path, **settings):
    num_shards = {"train": 1, "validation": 1, "rejected": 1}
    return Output(str(tmp_path / "out"), str(tmp_path), (str(tmp_path),), num_shards, Settings(**settings), Storage())


def converting(output):
    """The conversion of clips in this process."""
    return partial(convert, settings=output.settings, verify=output.verify)


def prepared(clip, output):
    """What becomes of a clip, in this process: its line and its outcome."""
    made = prepare_clip(clip, output, converting(output))
    return made.line, made.outcome


def write(key, rows, output, window=4, on_outcome=lambda outcome: None):
    as_noted = partial(is_as_noted, settings=output.settings)
    with ThreadPoolExecutor(2) as executor:
        pool = ClipPool(executor, converting(output), window, on_outcome, is_as_noted=as_noted)
        return shard.write_shard(key, rows, output, pool)


def finished(tmp_path, clips, bad=()):
    rows = [*clips, *bad]
    settings = Settings(validation_fraction=0.0)
    plan = make_plan(rows, settings)
    output = replace(output_of(tmp_path), settings=settings, num_shards=plan.num_shards)
    claim(output, plan, overwrite=False)
    results = [write(("train", 0), clips, output), write(("rejected", 0), list(bad), output)]
    return finish.finish(results, plan, output), plan, output, results
