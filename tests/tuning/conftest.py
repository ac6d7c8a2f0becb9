"""A small finished dataset, made by the preparing half without Beam."""

import contextlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import soundfile

from tests.shards import converting
from tests.sounds import tone
from transforms.clip import Clip
from transforms.dataset import assign, shard
from transforms.dataset.output import Output, claim
from transforms.dataset.plan import make_plan
from transforms.dataset.shard import ClipPool
from transforms.report import finish
from transforms.settings import Settings
from transforms.storage import Storage
from tuning import dataset, join
from tuning.emulator import server
from tuning.jobs import runs
from tuning.jobs.clock import Clock
from tuning.providers.base import TuningRequest
from tuning.providers.vertex.tuner import VertexTuner


def prepare(folder, count=24, clips_per_shard=8, missing=(), **settings):
    """Writes `count` tones, but for those `missing`, and a dataset of them below `folder`."""
    (folder / "clips").mkdir(parents=True)
    for index in sorted({*range(count)} - {*missing}):
        soundfile.write(folder / f"clips/{index}.wav", tone(300 + 20 * index, 16_000, 0.5), 16_000, "PCM_16")
    clips = [Clip(f"c{i}", f"{i}.wav", f"this is text {i}", f"m.csv:{i + 2}") for i in range(count)]
    chosen = Settings(**settings)
    plan = make_plan(clips, chosen, clips_per_shard)
    output = Output(str(folder / "out"), str(folder / "clips"), (str(folder),), plan.num_shards, chosen, Storage())
    claim(output, plan, overwrite=False)
    with ThreadPoolExecutor(2) as executor:
        results = [
            shard.write_shard(key, _rows(clips, key, plan), output, ClipPool(executor, converting(output), 4))
            for key in plan.shard_keys()
        ]
    finish.finish(results, plan, output)
    return folder / "out"


def _rows(clips, key, plan):
    split, index = key
    return [
        clip
        for clip in clips
        if assign.split_of(clip, plan.validation_keys) == split
        and assign.shard_index(clip.clip_id, plan.num_shards[split]) == index
    ]


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("dataset"))


@pytest.fixture
def out(_prepared, tmp_path):
    """A dataset folder of one's own: 22 training examples in 3 shards, 2 for validation."""
    return shutil.copytree(_prepared, tmp_path / "out")


@pytest.fixture
def prepared(out):
    return dataset.load(str(out), Storage())


@pytest.fixture
def url():
    """An emulator's address."""
    with server.running() as address:
        yield address


@pytest.fixture
def tuner(url):
    return VertexTuner("p", "us-central1", url)


@pytest.fixture
def request_(prepared):
    """The request to tune on `prepared`, whose splits are joined."""
    plans = join.plan(prepared, prepared.tuning_uri(""))
    join.join(prepared, plans, prepared.tuning_uri(""))
    return TuningRequest(
        project="p",
        location="us-central1",
        base_model="gemini-3.1-flash-lite",
        fingerprint=prepared.fingerprint,
        train_uri=prepared.tuning_uri("train.jsonl"),
        validation_uri=prepared.tuning_uri("validation.jsonl"),
        epochs=3,
        adapter_size=4,
        learning_rate_multiplier=0.5,
        display_name="ours",
    )


def aging(prepared):
    """A clock for which time passes at once: whoever sleeps finds the claims on a dataset older by as much."""
    now = 1_000_000.0

    def sleep(seconds):
        nonlocal now
        now += seconds
        for path in (Path(prepared.uri) / "tuning/claims").rglob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # another command has taken a step meanwhile
                then = path.stat().st_mtime - seconds
                os.utime(path, (then, then))

    return Clock(lambda: now, sleep)


NO_TIME = Clock(lambda: 0.0, lambda seconds: None)


def answering(tuner, monkeypatch, answer):
    """Makes the real client's requests end in `answer(request)`; the requests that it sent."""
    sent: list[httpx.Request] = []

    def transport(request):
        sent.append(request)
        return answer(request)

    make = tuner._new_client

    def new_client(location, options, credentials):
        options.httpx_client = httpx.Client(transport=httpx.MockTransport(transport))
        return make(location, options, credentials)

    monkeypatch.setattr(tuner, "_new_client", new_client)
    return sent


def job_file(out):
    """The note of the only run of the dataset in this folder."""
    (found,) = out.glob("tuning/runs/*/job.json")
    return found


def answers(out, split):
    """The answers of the only tuned model that was asked about a split."""
    (found,) = out.glob(f"tuning/runs/*/predictions-{split}-tuned-*.jsonl")
    return found


def submitted(prepared):
    """The request of the newest run, and its job."""
    run = runs.pick(prepared, None)
    return run.note.request, run.job


def noted(prepared):
    """The note of the newest run; None without one."""
    run = runs.newest(prepared)
    return run and run.note
