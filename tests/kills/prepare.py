"""Kills of `cliptune prepare`: the next runs end with the files of a run that nobody killed, and nothing besides."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq

from tests.kills import scenes
from tests.kills.deaths import Death, Ended, run
from tests.kills.places import Place, files, restore
from tests.kills.scenes import SCENES, Scene
from tests.kills.trial import Trial, fate, of_killed
from transforms.dataset.sidecar import Sidecar
from transforms.storage import Storage

MOST_KILLS = 3
# What a command may leave behind, by how its path begins. It is counted, and fails no trial.
TOLERATED: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calm:
    """A run that nobody kills.

    Attributes:
      ended: what the command did.
      before: the files that it found.
      after: the files that it left.
    """

    ended: Ended
    before: dict[str, bytes]
    after: dict[str, bytes]


class PrepareTrials:
    """Kills in some places; what an undisturbed run does is asked once for each command."""

    def __init__(self, folder: Path, places: Mapping[str, Place]) -> None:
        self._folder = folder
        self._places = places
        self._calm: dict[tuple[str, str], Calm] = {}
        for place in places.values():
            scenes.fill(place)

    def one(self, seed: str, number: int) -> Trial:
        """The trial of this number: the same for the same seed, but for what the machine's speed decides."""
        dice = random.Random(f"{seed} prepare {number}")
        place = self._places[("local", "gs")[number % 2]]
        name = dice.choice(sorted(SCENES))
        deaths = [Death.drawn(dice) for _ in range(dice.choice([1, 1, 1, 2, MOST_KILLS]))]
        trial = Trial(f"seed {seed} number {number}: {name}, {place.name}, {'; '.join(map(str, deaths))}")
        try:
            self._judge(trial, SCENES[name], place, self.calm(name, place), deaths, dice)
        except subprocess.TimeoutExpired as fault:
            trial.wrong.append(str(fault))
        return trial

    def calm(self, name: str, place: Place) -> Calm:
        """What the command does if nobody kills it."""
        key = (name, place.name)
        if key not in self._calm:
            scene = SCENES[name]
            restore(place, {})
            shutil.rmtree(self._folder / "tmp", ignore_errors=True)
            if scene.before:
                _well(run(scene.words_before(place), place, self._folder))
            before = files(place)
            if scene.merges:
                Storage().write_bytes(f"{place.folder}/{scene.manifest}", scenes.mended(before["rejected.jsonl"]))
            ended = _well(run(scene.words(place), place, self._folder))
            self._calm[key] = Calm(ended, before, files(place))
            assert accounted(ended, self._calm[key].after)
            assert not self._temporary()
        return self._calm[key]

    def _judge(
        self, trial: Trial, scene: Scene, place: Place, calm: Calm, deaths: list[Death], dice: random.Random
    ) -> None:
        restore(place, calm.before)
        shutil.rmtree(self._folder / "tmp", ignore_errors=True)
        words = scene.words(place)
        for death in deaths:
            ready = committed(files(place), calm.after)
            killed = run(words, place, self._folder, death, calm.ended, dice)
            trial.counts[f"{place.name}: {fate(death, killed)}"] += 1
            trial.wrong += of_killed(death, killed)
            if killed.status == 0:
                trial.wrong += self._of_whole(killed, ready, place, calm)
        ready = committed(files(place), calm.after)
        trial.wrong += self._of_whole(run(words, place, self._folder), ready, place, calm)

    def _of_whole(self, ended: Ended, ready: int, place: Place, calm: Calm) -> list[str]:
        """What is wrong with a run that came to its end, and with what it left."""
        if ended.status:
            return [f"exit status {ended.status}: {ended.stderr[-5_000:]}"]
        found = files(place)
        report, expected = json.loads(ended.stdout), json.loads(calm.ended.stdout)
        wrong = [f"{name}: {report[name]}" for name in ("rows", "reasons") if report[name] != expected[name]]
        wrong += [
            f"{name} differs" for name in sorted(found.keys() & calm.after.keys()) if found[name] != calm.after[name]
        ]
        wrong += [f"{name} is missing" for name in sorted(calm.after.keys() - found.keys())]
        left = [*sorted(found.keys() - calm.after.keys()), *self._temporary(), *ended.left]
        wrong += [f"{name} is left" for name in left if not name.startswith(TOLERATED)]
        if report["reused"] < ready:
            wrong.append(f"{report['reused']} clips reused, {ready} were committed")
        if not accounted(ended, found):
            wrong.append("rows are lost or doubled in the ledger")
        return wrong

    def _temporary(self) -> list[str]:
        return [f"tmp/{path.name}" for path in (self._folder / "tmp").iterdir()]


def _well(ended: Ended) -> Ended:
    assert ended.status == 0, ended.stderr
    assert not ended.left
    return ended


def committed(found: Mapping[str, bytes], whole: Mapping[str, bytes]) -> int:
    """The clips of finished shards that a run with these whole files need not decode again."""
    count = 0
    for name in found.keys() & whole.keys():
        if not name.endswith(".outcomes.json") or name.startswith("rejected/"):
            continue
        mine, theirs = Sidecar.load(found[name]), Sidecar.load(whole[name])
        shard = found.get(name.removesuffix(".outcomes.json") + ".jsonl", b"")
        if mine.fingerprint == theirs.fingerprint and mine.sha256 == sha256(shard).hexdigest():
            count += len(mine.outcomes)
    return count


def accounted(ended: Ended, found: Mapping[str, bytes]) -> bool:
    """Whether every row is in the ledger, once."""
    rows = [row for name in found if name.startswith("ledger/") for row in _ledger(found[name])]
    told: int = json.loads(ended.stdout)["rows"]
    return len({row["source"] for row in rows}) == len(rows) == told


def _ledger(content: bytes) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = pq.read_table(BytesIO(content), columns=["source"]).to_pylist()
    return rows
