"""A few of the kills of `make kills`, in each kind of place; and whether a broken promise would be seen."""

import logging
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kills import places
from tests.kills.batches import landed
from tests.kills.deaths import Death, Ended
from tests.kills.places import restore
from tests.kills.prepare import PrepareTrials
from tests.kills.scenes import SCENES
from tests.kills.trial import fate, of_killed
from tests.kills.tune import TuneTrials
from transforms.storage import Storage

pytestmark = pytest.mark.timeout(300)
CHEAP = next(name for name in SCENES if name.startswith("wav"))
# Words and number of trials of a few seconds, whose kills hit a program, a group and a clip worker.
SEED = "d"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    folder = tmp_path_factory.mktemp("kills")
    with places.both(folder) as both:
        yield folder, both


@pytest.fixture(scope="module")
def trials(found):
    return PrepareTrials(*found)


@pytest.mark.sweep
@pytest.mark.parametrize("number", [0, 1])
def test_a_killed_prepare_ends_as_if_nobody_had_killed_it(trials, number):
    trial = trials.one(SEED, number)
    assert not trial.wrong, trial
    assert trial.counts.total() in (1, 2, 3)


@pytest.fixture(scope="module")
def tuned(found):
    return TuneTrials(*found)


@pytest.mark.sweep
@pytest.mark.parametrize("number", [0, 1])
def test_a_killed_tune_is_one_job(tuned, number):
    trial = tuned.one(SEED, number)
    assert not trial.wrong, trial
    assert trial.counts.total() in (1, 2, 3)


def change(out, calm):
    path = out / "report.json"
    path.write_bytes(calm.after["report.json"][:-2])


def remove(out, calm):
    (out / "checksums.json").unlink()


def leave(out, calm):
    (out / "train/x.part").touch()


def double(out, calm):
    (path,) = (out / "ledger").iterdir()
    (out / "ledger/again.parquet").write_bytes(path.read_bytes())


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (change, ["report.json differs"]),
        (remove, ["checksums.json is missing"]),
        (leave, ["train/x.part is left"]),
        (double, ["ledger/again.parquet is left", "rows are lost or doubled in the ledger"]),
    ],
)
def test_what_a_run_should_not_leave_is_seen(trials, found, harm, told):
    place = found[1]["local"]
    calm = trials.calm(CHEAP, place)
    restore(place, calm.after)
    assert trials._of_whole(calm.ended, 0, place, calm) == []
    harm(Path(place.output), calm)
    assert trials._of_whole(calm.ended, 0, place, calm) == told


def test_shards_that_are_decoded_again_and_processes_that_stay_are_seen(trials, found):
    place = found[1]["local"]
    calm = trials.calm(CHEAP, place)
    restore(place, calm.after)
    assert trials._of_whole(calm.ended, 7, place, calm) == ["0 clips reused, 7 were committed"]
    left = replace(calm.ended, left=["python -c nursery"])
    assert trials._of_whole(left, 0, place, calm) == ["python -c nursery is left"]
    failed = replace(calm.ended, status=1, stderr="cliptune prepare: why")
    assert trials._of_whole(failed, 0, place, calm) == ["exit status 1: cliptune prepare: why"]


@pytest.mark.parametrize(
    ("victim", "status", "stderr", "fine"),
    [
        ("program SIGKILL", -signal.SIGKILL, "", True),
        ("program SIGKILL", 1, "", False),
        ("program SIGINT", 1, "cliptune prepare: stopped; the same command goes on", True),
        ("program SIGINT", 1, "cliptune prepare: no more space", False),
        ("program SIGTERM", -signal.SIGTERM, "Traceback (most recent call last)", False),
        ("clip worker SIGKILL", 0, "", True),
        ("clip worker SIGKILL", 1, "", False),
        ("nursery SIGKILL", -signal.SIGKILL, "", False),
    ],
)
def test_how_a_killed_run_may_end(victim, status, stderr, fine):
    killed = Ended(status, "", stderr, True, 1.0, 1, [])
    assert (not of_killed(Death(victim, "step", 0.5), killed)) == fine
    assert of_killed(Death(victim, "step", 0.5), replace(killed, left=["python"])) != []


def test_a_kill_that_came_too_late_is_none():
    in_time = Death("program SIGKILL", "step", 0.5)
    ended = Ended(0, "", "", False, 1.0, 1, [])
    assert landed(Counter([fate(in_time, ended), fate(in_time, replace(ended, struck=True))])) == 1


def test_old_claims_are_old_in_both_places(found):
    for place in found[1].values():
        restore(place, {"tuning/claims/a/000001.json": b"{}"})
        place.age("tuning/claims", 700)
        age = Storage().age(f"{place.output}/tuning/claims/a/000001.json")
        assert 700 <= age < 820
