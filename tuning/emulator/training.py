"""What the emulator calls training: the files are read, and decide how the job ends."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from transforms.errors import StorageError, UserError
from transforms.storage import Storage
from tuning.check import files
from tuning.check.files import Findings, JsonlFile
from tuning.dataset import TRAIN, VALIDATION
from tuning.emulator.scenario import Scenario
from tuning.providers.base import Problem

# D: more than a tenth of the examples dropped fails the job.
MAX_DROPPED_FRACTION = 0.1
# Examples a training step sees; the service does not tell its own.
_BATCH = 16
# The service names a sample only of the examples that it left out.
_NAMED_DROPPED = 100

Tree = dict[str, Any]


def end(job: Tree, scenario: Scenario, storage: Storage) -> None:
    """Reads the files and decides how the job ends.

    Args:
      job: as the service tells it; changed.
      scenario: an end that it tells goes before what the files say.
      storage: reads the files.
    """
    job["endTime"] = now()
    if scenario.end is not None and scenario.end not in ("NO_ENDPOINT", "PARTIALLY_SUCCEEDED"):
        job.update(state=f"JOB_STATE_{scenario.end}", error={"code": 13, "message": scenario.error})
        return
    try:
        findings = files.check(
            [JsonlFile(uri, uri, split) for split, uri in _uris(job["supervisedTuningSpec"])], storage
        )
    except (UserError, StorageError) as fault:
        _fail(job, f"Failed to read the dataset: {fault}")
        return
    problems = [problem for problem in findings.problems if problem.severity == "error"]
    whole_file = [problem for problem in problems if problem.source.endswith(":0")]
    if whole_file:
        _fail(job, f"The dataset is invalid: {whole_file[0].detail}")
    elif findings.bad_lines > MAX_DROPPED_FRACTION * findings.examples:
        worst = problems[0]
        told = f"{findings.bad_lines} examples are invalid, more than 10 %; the first: {worst.source}: {worst.detail}"
        _fail(job, told)
    else:
        _succeed(job, findings, _dropped(job, problems, scenario))
        _spoil(job, scenario)


def _dropped(job: Tree, problems: list[Problem], scenario: Scenario) -> dict[int, str]:
    """Reasons by line of the training file, from 1."""
    train = job["supervisedTuningSpec"]["trainingDatasetUri"].removeprefix("file://")
    reasons = dict.fromkeys(scenario.drop, "The example is invalid.")
    for problem in reversed(problems):  # of several with one line, the first is told
        file, _, line = problem.source.rpartition(":")
        if file == train:
            reasons[int(line)] = f"{problem.rule}: {problem.detail}"
    return dict(sorted(reasons.items()))


def _spoil(job: Tree, scenario: Scenario) -> None:
    """The two ends that leave a model behind, but not as it should be."""
    if scenario.end == "PARTIALLY_SUCCEEDED":
        job["state"] = "JOB_STATE_PARTIALLY_SUCCEEDED"
    elif scenario.end == "NO_ENDPOINT":
        del job["tunedModel"]["endpoint"], job["tunedModel"]["checkpoints"]
        _fail(job, f"Failed to create endpoint: {scenario.error}")


def _uris(spec: Tree) -> list[tuple[str, str]]:
    both = ((VALIDATION, spec.get("validationDatasetUri")), (TRAIN, spec.get("trainingDatasetUri")))
    return [(split, uri.removeprefix("file://")) for split, uri in both if uri]


def _fail(job: Tree, message: str) -> None:
    job.update(state="JOB_STATE_FAILED", error={"code": 3, "message": message})


def _succeed(job: Tree, findings: Findings, dropped: dict[int, str]) -> None:
    parent, _, number = job["name"].partition("/tuningJobs/")
    train = findings.splits[TRAIN]
    epochs = int((job["supervisedTuningSpec"].get("hyperParameters") or {}).get("epochCount") or 1)
    steps = -(-train.examples // _BATCH)
    checkpoints = [
        {
            "checkpointId": str(epoch),
            "epoch": str(epoch),
            "step": str(epoch * steps),
            "endpoint": f"{parent}/endpoints/{number}{epoch:02d}",
        }
        for epoch in range(1, epochs + 1)
    ]
    if job["supervisedTuningSpec"].get("exportLastCheckpointOnly"):
        checkpoints = checkpoints[-1:]
    named = dict(itertools.islice(dropped.items(), _NAMED_DROPPED))
    job.update(
        state="JOB_STATE_SUCCEEDED",
        tunedModel={
            "model": f"{parent}/models/{number}@1",
            "endpoint": checkpoints[-1]["endpoint"],
            "checkpoints": checkpoints,
        },
        tuningDataStats={
            "supervisedTuningDataStats": {
                "tuningDatasetExampleCount": str(train.examples),
                "tuningStepCount": str(epochs * steps),
                "totalBillableTokenCount": str(epochs * train.tokens.expected),
                "totalTruncatedExampleCount": str(len(dropped)),
                "truncatedExampleIndices": [str(line) for line in named],
                "droppedExampleReasons": list(named.values()),
            }
        },
    )


def now() -> str:
    """The time, as the service writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
