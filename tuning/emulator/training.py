"""The emulator's "training": it reads the files of a job and decides how the job ends."""

from __future__ import annotations

import itertools
import os
import re
from datetime import UTC, date, datetime
from typing import Any

from transforms import limits
from transforms.dataset import sizes
from transforms.errors import StorageError, UserError
from transforms.storage import Storage, uris
from tuning.check import files
from tuning.check.files import Findings, JsonlFile, SplitFacts
from tuning.dataset import TRAIN, VALIDATION
from tuning.emulator.scenario import Scenario
from tuning.providers.base import Problem, SchemaError
from tuning.providers.vertex import models, rows

# Examples in a training step. The service does not publish its own number.
_BATCH = 16
# Like the service, the emulator names only some of the dropped examples.
_NAMED_DROPPED = 100
_GCS_EMULATOR = "STORAGE_EMULATOR_HOST"
_AUDIO_FIELD = re.compile(rb'"(?:inline_?|file_?)[dD]ata"\s*:')

# The field of a job that is the emulator's own: the model of which it makes a version, and what was deleted since.
OWN = "emulator"

Tree = dict[str, Any]


def end(job: Tree, scenario: Scenario, storage: Storage) -> None:
    """Reads the files and decides how the job ends.

    Args:
      job: the job in the service's JSON form, which is changed.
      scenario: its `end` wins over the contents of the files.
      storage: reads the files.
    """
    job["endTime"] = now()
    if scenario.end is not None and scenario.end not in ("NO_ENDPOINT", "PARTIALLY_SUCCEEDED"):
        job.update(state=f"JOB_STATE_{scenario.end}", error={"code": 13, "message": scenario.error})
        return
    try:
        findings = files.check(
            [JsonlFile(uri, uri, split) for split, uri in _uris(job["supervisedTuningSpec"])], storage.anywhere()
        )
    except (UserError, StorageError) as fault:
        _fail(job, f"Failed to read the dataset: {fault}")
        return
    problems = [problem for problem in findings.problems if problem.severity == "error"]
    whole_file = [problem for problem in problems if problem.source.endswith(":0")]
    if whole_file:
        _fail(job, f"The dataset is invalid: {whole_file[0].detail}")
    elif findings.bad_lines > limits.MAX_DROPPED_FRACTION * findings.examples:
        first = f"{problems[0].source}: {problems[0].detail}"
        _fail(job, f"{findings.bad_lines} examples are invalid, more than 10 %; the first: {first}")
    else:
        _succeed(job, findings, _dropped(job, problems, scenario), scenario)
        _spoil(job, scenario)


def fault_of_files(spec: Tree, storage: Storage) -> str:
    """Why the files of a job are refused at once; "" if they are not, or cannot be read: the end of the job says so.

    Args:
      spec: the job's `supervisedTuningSpec`.
      storage: reads the files.
    """
    splits = {TRAIN: SplitFacts(), VALIDATION: SplitFacts()}
    try:
        for split, uri in _uris(spec):
            if uris.is_gcs(uri) and _GCS_EMULATOR not in os.environ:
                return ""  # nobody is asked for credentials while a job is created
            with storage.anywhere().open_read(uri) as stream:
                for line in stream:
                    splits[split].examples += 1
                    splits[split].bytes += len(line)
                    if _has_several(line):
                        where = f"{uri}:{splits[split].examples}"
                        return f"{where}: an example must have exactly one audio part."
    except (OSError, UserError, StorageError):
        return ""
    faults = (fault for fault in sizes.over(splits[TRAIN], splits[VALIDATION]) if fault.certain)
    return next((f"{fault.detail}." for fault in faults), "")


def _has_several(line: bytes) -> bool:
    """Whether an example has more than one part with audio. Lines that are no examples are dropped later."""
    if len(_AUDIO_FIELD.findall(line)) < 2:
        return False
    try:
        row = rows.parse(line)
    except SchemaError:
        return False
    return sum(bool(part.inline_data or part.file_data) for turn in row.contents for part in turn.parts or []) > 1


def _dropped(job: Tree, problems: list[Problem], scenario: Scenario) -> dict[int, str]:
    """The reason of each dropped example, by its line in the training file, from 1."""
    train = job["supervisedTuningSpec"]["trainingDatasetUri"].removeprefix("file://")
    reasons = dict.fromkeys(scenario.drop, "The example is invalid.")
    for problem in reversed(problems):  # reversed, so that the first problem of a line wins
        file, _, line = problem.source.rpartition(":")
        if file == train:
            reasons[int(line)] = f"{problem.rule}: {problem.detail}"
    return dict(sorted(reasons.items()))


def _spoil(job: Tree, scenario: Scenario) -> None:
    """Applies the two ends after which a model exists although something went wrong."""
    if scenario.end == "PARTIALLY_SUCCEEDED":
        job["state"] = "JOB_STATE_PARTIALLY_SUCCEEDED"
    elif scenario.end == "NO_ENDPOINT":
        del job["tunedModel"]["endpoint"], job["tunedModel"]["checkpoints"]
        _fail(job, f"Failed to create endpoint: {scenario.error}")


def _uris(spec: Tree) -> list[tuple[str, str]]:
    splits = ((VALIDATION, spec.get("validationDatasetUri")), (TRAIN, spec.get("trainingDatasetUri")))
    return [(split, uri.removeprefix("file://")) for split, uri in splits if uri]


def _fail(job: Tree, message: str) -> None:
    job.update(state="JOB_STATE_FAILED", error={"code": 3, "message": message})


def _lands_in(job: Tree, strict: bool) -> str:
    """The parent of what the job makes. Of Gemini 3, that is the multi-region around its location."""
    project, _, location = str(job["name"]).partition("/tuningJobs/")[0].partition("/locations/")
    places = models.MODELS[job["baseModel"]].serving_locations or ()
    around = [place for place in models.lands_in(location) if place in places]
    return f"{project}/locations/{around[0] if strict and around else location}"


def _succeed(job: Tree, findings: Findings, dropped: dict[int, str], scenario: Scenario) -> None:
    number = job["name"].rpartition("/tuningJobs/")[2]
    parent = _lands_in(job, scenario.strict)
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
    model, version = job[OWN]["model"] or f"{parent}/models/{number}", job[OWN]["version"]
    named = dict(itertools.islice(dropped.items(), _NAMED_DROPPED))
    job.update(
        state="JOB_STATE_SUCCEEDED",
        tunedModel={
            "model": f"{model}@{version}",
            "endpoint": checkpoints[-1]["endpoint"],
            "checkpoints": checkpoints,
        },
        tuningDataStats={
            "supervisedTuningDataStats": {
                "tuningDatasetExampleCount": str(train.examples),
                "tuningStepCount": str(epochs * steps),
                "totalBillableTokenCount": str(round(train.tokens.expected * scenario.billed)),
                "totalTruncatedExampleCount": str(len(dropped)),
                "truncatedExampleIndices": [str(line) for line in named],
                "droppedExampleReasons": list(named.values()),
            }
        },
    )


def today() -> date:
    """The day, in UTC, that decides which models are closed."""
    return datetime.now(UTC).date()


def now() -> str:
    """The present time in the service's format."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
