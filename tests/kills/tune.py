"""Kills of `cliptune tune`: whatever happens, one request becomes one job."""

from __future__ import annotations

import random
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from starlette.types import ASGIApp, Receive, Scope, Send

from tests.kills.deaths import Death, Ended, run
from tests.kills.places import Bucket, Local, Place, files, restore
from tests.kills.trial import Trial, fate, of_killed
from tests.tuning.conftest import prepare
from tuning.emulator import server
from tuning.emulator.scenario import Scenario
from tuning.jobs.submit import SETTLE_SECONDS
from tuning.providers.vertex.tuner import VertexTuner

MOST_KILLS = 3
# Lists in which a new job is missing.
LATE = 4
# Nothing but the program: it has no workers.
VICTIMS = ("program SIGKILL", "group SIGKILL", "program SIGTERM", "program SIGINT", "group SIGINT")


class Service:
    """A place whose steps are also the requests to an emulated service, before and after each is carried out."""

    def __init__(self, place: Place) -> None:
        self.name, self.folder, self.output = place.name, place.folder, place.output
        self._place = place
        self._called: Callable[[], None] = lambda: None

    @contextmanager
    def counting(self, reached: Callable[[int], None]) -> Iterator[None]:
        """As the place does it."""
        steps, lock = 0, threading.Lock()

        def called() -> None:
            nonlocal steps
            with lock:
                steps += 1
                reached(steps)

        self._called = called
        try:
            with self._place.counting(lambda count: called()):
                yield
        finally:
            self._called = lambda: None

    @contextmanager
    def running(self, late: int) -> Iterator[str]:
        """The service's address."""
        application = server.application

        def counted(*words: Any) -> ASGIApp:
            inner = application(*words)

            async def outer(scope: Scope, receive: Receive, send: Send) -> None:
                self._called()
                await inner(scope, receive, send)
                self._called()

            return outer

        with (
            mock.patch.object(server, "application", counted),
            server.running(played=Scenario(listed_after=late)) as url,
        ):
            yield url


class TuneTrials:
    """Kills in some places, each of a dataset of its own that is like all others."""

    def __init__(self, folder: Path, places: Mapping[str, Local | Bucket]) -> None:
        self._folder = folder
        self._places = places
        made = prepare(folder / "tones")
        self._dataset = files(Local(made.parent))  # as it names its own files: by path, so it can be copied
        self._calm: dict[str, Ended] = {}

    def one(self, seed: str, number: int) -> Trial:
        """The trial of this number."""
        dice = random.Random(f"{seed} tune {number}")
        place = self._places[("local", "gs")[number % 2]]
        drawn = (Death.drawn(dice) for _ in range(100))
        deaths = [death for death in drawn if death.victim in VICTIMS][: dice.choice([1, 1, 2, MOST_KILLS])]
        late = dice.choice([0, LATE])
        trial = Trial(f"seed {seed} number {number}: tune, {place.name}, late by {late}, {'; '.join(map(str, deaths))}")
        try:
            self._judge(trial, place, late, deaths, dice)
        except subprocess.TimeoutExpired as fault:
            trial.wrong.append(str(fault))
        return trial

    def calm(self, place: Local | Bucket) -> Ended:
        """What the command does if nobody kills it."""
        if place.name not in self._calm:
            service = Service(place)
            restore(place, self._dataset)
            with service.running(0) as url:
                self._calm[place.name] = run(self._words(place, url), service, self._folder)
                assert self._calm[place.name].status == 0, self._calm[place.name].stderr
                assert len(_jobs(url)) == 1
        return self._calm[place.name]

    def _words(self, place: Place, url: str) -> list[str]:
        return ["tune", place.output, "--project=p", f"--api_endpoint={url}", "--no_watch"]

    def _judge(self, trial: Trial, place: Local | Bucket, late: int, deaths: list[Death], dice: random.Random) -> None:
        calm, service = self.calm(place), Service(place)
        restore(place, self._dataset)
        with service.running(late) as url:
            words = self._words(place, url)
            for death in deaths:
                killed = run(words, service, self._folder, death, calm, dice)
                trial.counts[f"tune, {place.name}: {fate(death, killed)}"] += 1
                trial.wrong += of_killed(death, killed)
                # Whoever runs it again at once attaches, creates or is told to wait; later, all is known.
                trial.wrong += _ended(run([*words, "--timeout=1"], service, self._folder), {0, 1})
                place.age("tuning/claims", SETTLE_SECONDS + 1)
                for _ in range(late):
                    _jobs(url)
            trial.wrong += _ended(run(words, service, self._folder), {0})
            for _ in range(late):  # the last command may have made the job
                _jobs(url)
            jobs = _jobs(url)
        if len(jobs) != 1:
            trial.wrong.append(f"{len(jobs)} jobs")
        if left := [name for name in files(place) if ".part" in name or ".now-" in name]:
            trial.wrong.append(f"{left} are left")


def _ended(ended: Ended, statuses: set[int]) -> list[str]:
    fine = ended.status in statuses and "Traceback" not in ended.stderr and not ended.left
    return [] if fine else [f"exit status {ended.status}: {ended.stderr[-1_000:]} {ended.left}"]


def _jobs(url: str) -> Counter[str]:
    """The jobs that the service lists, by name."""
    return Counter(job.name for job in VertexTuner("p", "us-central1", url).jobs())
