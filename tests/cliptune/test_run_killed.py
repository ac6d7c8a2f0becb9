"""`cliptune run`, killed at any moment and run again: the same table, and one job for each run."""

import json
import random
import signal
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from tests.beam_pipeline.conftest import FEW, fill
from tests.kills.deaths import Death, run
from tests.kills.places import Local
from tests.kills.tune import Service
from tuning.emulator.scenario import Scenario
from tuning.jobs.submit import SETTLE_SECONDS
from tuning.providers.base import REQUEST_LABEL
from tuning.providers.vertex.tuner import VertexTuner

# Two kills each.
TRIALS = 10
SEED = "2026"
VICTIMS = ("program SIGKILL", "program SIGINT", "everything SIGKILL", "group SIGINT")
FILE = """\
manifest: m.jsonl
output: ../out
project: p
max_cost: 5
prepare: {validation_fraction: 0.5}
runs:
  short: {epochs: 1}
  long: {epochs: 3}
"""


class Job:
    """The whole job in a folder, with a service that outlives the command."""

    def __init__(self, base: Path) -> None:
        (base / "in").mkdir(parents=True)
        fill(base / "in", FEW)
        (base / "in/cliptune.yaml").write_text(FILE, encoding="utf-8")
        self.base, self.place = base, Local(base)
        self.service = Service(self.place)

    def run(self, url, death=None, calm=None, dice=None):
        return run(["run", "in/cliptune.yaml", f"--api_endpoint={url}"], self.service, self.base, death, calm, dice)

    def table(self):
        return json.loads((self.base / "out/evaluation/evaluation.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The job undisturbed: what it ended with, and its table."""
    job = Job(tmp_path_factory.mktemp("calm"))
    with served(job) as url:
        ended = job.run(url)
        assert ended.status == 0, ended.stderr
        assert jobs(url) == [1, 1]
    return ended, job.table()


@contextmanager
def served(job):
    """The service, whose jobs end at the second look, and whose requests are steps, too."""
    quick = mock.patch("tests.kills.tune.Scenario", lambda listed_after: Scenario(states=("RUNNING",)))
    with quick, job.service.running(0) as url:
        yield url


def jobs(url):
    """How many jobs each request has."""
    listed = VertexTuner("p", "us-central1", url).jobs()
    return sorted(Counter(job.labels[REQUEST_LABEL] for job in listed).values())


@pytest.mark.sweep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(TRIALS))
def test_it_ends_with_the_same_table_and_one_job_for_each_run(tmp_path, calm, number):
    ended, table = calm
    dice = random.Random(f"{SEED} {number}")
    job = Job(tmp_path)
    with served(job) as url:
        for victim in dice.sample(VICTIMS, 2):
            killed = job.run(url, Death(victim, "step", dice.random()), ended, dice)
            # Another command may send what this one has, once all is known of it.
            job.place.age("tuning/claims", SETTLE_SECONDS + 1)
            assert killed.status in (0, 130, -signal.SIGKILL, -signal.SIGINT), killed.stderr
            assert "Traceback" not in killed.stderr
            assert not killed.left
        last = job.run(url)
        assert last.status == 0, last.stderr
        assert jobs(url) == [1, 1]
    assert job.table() == table
    assert json.loads(last.stdout)["systems"] == json.loads(ended.stdout)["systems"]
