"""Runs into one output at the same time, one stopped at each of its operations while another goes to its end.

Whatever the order: a `dataset.json` that exists describes just the files that lie there, and who loses ends with one
line. No threads and no clocks: the other run is made within the operation that is held up. STEP=1 in the environment
tries every operation; else some of them are tried.
"""

import functools
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest
import requests
import soundfile

from tests.shards import converting
from tests.sounds import tone
from transforms.clip import Clip
from transforms.dataset import assign, shard
from transforms.dataset.checksums import Checksums
from transforms.dataset.description import DatasetDescription
from transforms.dataset.output import Output, claim
from transforms.dataset.plan import Plan, make_plan
from transforms.dataset.shard import ClipPool
from transforms.errors import StorageError, UserError
from transforms.report import finish
from transforms.settings import Settings
from transforms.storage import Storage, gcs, local, parts, uris

RATE = 16_000
FEW = Settings(validation_fraction=0.0)


@dataclass(frozen=True)
class Run:
    """A command: its rows and settings, and how it meets what is there."""

    settings: Settings = FEW
    texts: tuple[str, ...] = ("one", "two", "three")
    clips_per_shard: int = 2
    overwrite: bool = False
    merge: bool = False

    def clips(self):
        names = enumerate(self.texts)
        return [Clip(f"c{n}", f"{n}.wav", text, f"m:{n}", json.dumps({"id": n})) for n, text in names]

    def plan(self) -> Plan:
        return make_plan(self.clips(), self.settings, self.clips_per_shard)

    def into(self, folder: str, clips: str) -> None:
        plan = self.plan()
        place = Output(folder, clips, (clips,), plan.num_shards, self.settings, Storage())
        taken = claim(place, plan, self.overwrite, self.merge)
        place = place.claimed(taken)
        with ThreadPoolExecutor(1) as executor:
            pool = ClipPool(executor, converting(place), 1)
            results = [shard.write_shard(key, self.rows(key, plan), place, pool) for key in plan.shard_keys()]
        finish.finish(results, plan, place)

    def rows(self, key, plan):
        split, index = key
        return [
            clip
            for clip in self.clips()
            if split == assign.TRAIN and assign.shard_index(clip.clip_id, plan.num_shards[split]) == index
        ]


FIRST = Run()
OTHER = Run(settings=replace(FEW, sample_rate=8_000), clips_per_shard=1, overwrite=True)
THIRD = Run(settings=replace(FEW, prompt="Another."), clips_per_shard=3, overwrite=True)
AGAIN = replace(FIRST, overwrite=True)
MENDED = Run(texts=("one", "mended", "three"), merge=True)
MENDED_TOO = Run(texts=("also", "two", "three"), merge=True)

# What lies there, who is held up, who goes to the end meanwhile.
CASES = {
    "overtaken": (None, FIRST, OTHER),
    "overtaken by fewer shards": (None, FIRST, THIRD),
    "two that overwrite": (FIRST, OTHER, THIRD),
    "back to what was there": (FIRST, OTHER, AGAIN),
    "equal ones": (None, FIRST, FIRST),
    "equal ones that overwrite": (FIRST, OTHER, OTHER),
    "equal ones on a finished one": (FIRST, FIRST, FIRST),
    "refused": (None, FIRST, replace(OTHER, overwrite=False)),
    "merged meanwhile": (None, FIRST, MENDED),
    "two merges": (FIRST, MENDED, MENDED_TOO),
    "overtaken while merging": (FIRST, MENDED, OTHER),
    "merged while it is replaced": (FIRST, OTHER, MENDED),
    "gone on with while merging": (FIRST, MENDED, FIRST),
}


class KilledError(BaseException):
    """The process ends here: nothing of it happens any more."""


@dataclass
class Schedule:
    """Counts operations, and holds one of them up for something else."""

    check: Callable[[], object]
    at: int
    meanwhile: Callable[[], object]
    count: int = 0
    busy: bool = False
    dead: bool = False

    def step(self):
        if self.dead:
            raise KilledError
        if self.busy:
            return
        self.busy = True
        try:
            self.check()
            if self.count == self.at:
                self.meanwhile()
        except KilledError:
            self.dead = True
            raise
        finally:
            self.busy = False
            self.count += 1


def stepped(function, schedule):
    @functools.wraps(function)
    def call(*args, **kwargs):
        for each in schedule:
            each.step()
        return function(*args, **kwargs)

    return call


@pytest.fixture
def clips(tmp_path):
    for index in range(3):
        soundfile.write(tmp_path / f"{index}.wav", tone(300 + 50 * index, RATE, 0.3), RATE, "PCM_16")
    return str(tmp_path)


@pytest.fixture
def schedules(monkeypatch):
    """Every look, renaming and deletion on disk, and every request to a bucket, asks these first."""
    found: list[Schedule] = []
    for owner, name in [
        *((Path, "replace"), (Path, "unlink"), (Path, "mkdir"), (os, "unlink"), (shutil, "rmtree"), (os, "fsync")),
        *((local, "generation"), (local, "list_files"), (local, "sweep"), (requests.Session, "request")),
    ]:
        monkeypatch.setattr(owner, name, stepped(getattr(owner, name), found))
    for module in (finish, gcs):
        for name in ("SIDECARS_AT_A_TIME", "DELETIONS_AT_A_TIME"):
            monkeypatch.setattr(module, name, 1, raising=False)
    return found


def is_described(folder):
    """Whether there is a dataset, which is then just what its description says."""
    storage = Storage()
    try:
        content = storage.read_bytes(uris.join(folder, "dataset.json"))
    except FileNotFoundError:
        return False
    description = DatasetDescription.load(content)
    listed = {each.path: each.sha256 for split in description.splits.values() for each in split.shards}
    there = {path for path in paths(folder) if path.endswith(".jsonl") and path.count("/") == 1}
    # In a bucket, a run that has lost takes back what came too late: one request later it is gone.
    assert there >= listed.keys() if uris.is_gcs(folder) else there == listed.keys()
    assert {path: digest(folder, path) for path in listed} == listed
    return True


def is_whole(folder):
    """All that `checksums.json` lists, besides."""
    assert is_described(folder)
    known = Checksums.load(Storage().read_bytes(uris.join(folder, "checksums.json"))).sha256
    assert {path: digest(folder, path) for path in known} == known
    assert {*paths(folder)} == {*known, "checksums.json"}


def digest(folder, path):
    return sha256(Storage().read_bytes(uris.join(folder, path))).hexdigest()


def paths(folder):
    return [uris.below(folder, uri) for uri in Storage().list_files(folder)]


def ended(run, folder, clips):
    """What a run said at its end; None if it has made its dataset."""
    try:
        run.into(folder, clips)
    except (UserError, StorageError) as fault:
        assert "\n" not in str(fault)
        return str(fault)
    return None


def left_half_written(folder):
    return [] if uris.is_gcs(folder) else list(Path(folder).rglob(f"{parts.PART_PREFIX}*"))


def tried(case, at, clips, folder, schedules):
    """One run held up at one operation; whether it has that many."""
    before, held_up, meanwhile = CASES[case]
    schedules.clear()
    if before is not None:
        before.into(folder, clips)
    said = []
    schedule = Schedule(lambda: is_described(folder), at, lambda: said.append(ended(meanwhile, folder, clips)))
    schedules.append(schedule)
    said.append(ended(held_up, folder, clips))
    schedules.clear()
    if schedule.count <= at:
        return False
    assert any(each is None for each in said) or "refused" in case, said
    if is_described(folder):
        is_whole(folder)
    assert is_described(folder) or None not in said, said
    assert left_half_written(folder) == []
    return True


@pytest.mark.parametrize("case", CASES)
def test_on_disk(case, clips, tmp_path, schedules):
    at = 0
    while tried(case, at, clips, str(tmp_path / f"out-{at}"), schedules):
        at += int(os.environ.get("STEP", "17"))
    assert at > 20


@pytest.mark.sweep
@pytest.mark.parametrize("case", CASES)
def test_in_a_bucket(case, clips, gcs, schedules):
    at = 0
    while tried(case, at, clips, f"gs://cliptune-test/{case}/{at}".replace(" ", "-"), schedules):
        at += int(os.environ.get("STEP", "83"))
    assert at > 20


def kill():
    raise KilledError


@pytest.mark.sweep
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("root", ["disk", "bucket"])
def test_killed_and_followed_by_another(case, root, clips, tmp_path, schedules, request):
    bucket = request.getfixturevalue("gcs") and "gs://cliptune-test" if root == "bucket" else ""
    before, killed, next_one = CASES[case]
    ended_by_itself, at = False, 0
    while not ended_by_itself:
        folder = f"{bucket or tmp_path}/out-{at}"
        schedules.clear()
        if before is not None:
            before.into(folder, clips)
        schedules.append(Schedule(functools.partial(is_described, folder), at, kill))
        try:
            ended(killed, folder, clips)
            ended_by_itself = True
        except KilledError:
            pass
        schedules.clear()
        said = ended(next_one, folder, clips)
        assert is_described(folder) or said is not None
        if said is None:
            is_whole(folder)
            assert left_half_written(folder) == []
        at += int(os.environ.get("STEP", "127" if bucket else "23"))


THREE = {
    "each overwrites": (FIRST, OTHER, THIRD),
    "the third is the first": (FIRST, OTHER, AGAIN),
    "the second is the first": (FIRST, FIRST, OTHER),
    "two merges and one that overwrites": (MENDED, MENDED_TOO, OTHER),
    "one that overwrites and two merges": (OTHER, MENDED, MENDED_TOO),
}


@pytest.mark.parametrize("case", THREE)
@pytest.mark.parametrize("at", [5, 41])
def test_three_at_once(case, at, clips, tmp_path, schedules):
    """The first is held up for the second, and that one, at each of its operations, for the third."""
    inner = 0
    while three(THREE[case], at, inner, clips, str(tmp_path / f"out-{inner}"), schedules):
        inner += int(os.environ.get("STEP", "37"))


def three(runs, at, inner, clips, folder, schedules):
    first, second, third = runs
    said: list[str | None] = []
    FIRST.into(folder, clips)
    held = Schedule(nothing, inner, lambda: said.append(ended(third, folder, clips)))

    def meanwhile():
        schedules.append(held)
        said.append(ended(second, folder, clips))
        schedules.remove(held)

    schedules.append(Schedule(lambda: is_described(folder), at, meanwhile))
    said.append(ended(first, folder, clips))
    schedules.clear()
    assert None in said, said
    is_whole(folder)
    assert left_half_written(folder) == []
    return held.count > inner


def nothing():
    pass
