"""The jobs of the emulator: what is accepted, how it moves on, and how it ends."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import orjson

from transforms import storage
from transforms.clip import UserError
from tuning import check, models
from tuning.check import Findings, JsonlFile
from tuning.dataset import TRAIN, VALIDATION

# D: more than a tenth of the examples dropped fails the job.
MAX_DROPPED_FRACTION = 0.1
# Examples a training step sees; the service does not tell its own.
_BATCH = 16
_ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}
_STATUS = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}

Tree = dict[str, Any]


class EmulatorError(Exception):
    """An error in the service's own words.

    Attributes:
      code: HTTP status.
      message: for a person.
      status: the code's name in Google's APIs.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = _STATUS[code]


class Jobs:
    """All jobs of one emulator.

    Args:
      state_uri: a file that keeps them; None to forget them.
    """

    def __init__(self, state_uri: str | None = None) -> None:
        self._state_uri = state_uri
        self._jobs: dict[str, Tree] = _load(state_uri) if state_uri is not None else {}

    def create(self, parent: str, body: Tree) -> Tree:
        """Accepts a job, or refuses what the service documents as refused at once."""
        body = _camel(body)
        spec = body.get("supervisedTuningSpec") or {}
        _refuse(parent.rpartition("/")[2], body, spec)
        number = 1_000_000_000_000_000_001 + len(self._jobs)
        job = {
            **body,
            "name": f"{parent}/tuningJobs/{number}",
            "state": "JOB_STATE_QUEUED",
            "createTime": _now(),
            "updateTime": _now(),
        }
        return self._save(job)

    def get(self, name: str) -> Tree:
        """The job, one state further than when it was last asked for."""
        job = self._find(name)
        before = dict(job)
        _advance(job)
        return self._save(job) if job != before else job

    def page(self, parent: str, size: int, token: str) -> Tree:
        """A page of jobs, the newest first."""
        mine = [job for name, job in reversed(self._jobs.items()) if name.startswith(f"{parent}/")]
        start = int(token or 0)
        page: Tree = {"tuningJobs": mine[start : start + size]}
        return {**page, "nextPageToken": str(start + size)} if start + size < len(mine) else page

    def cancel(self, name: str) -> Tree:
        """Ends a job that has not ended."""
        job = self._find(name)
        if job["state"] not in _ENDED:
            job.update(state="JOB_STATE_CANCELLED", endTime=_now())
            self._save(job)
        return {}

    def training(self, model: str) -> tuple[str | None, str]:
        """The training file and the job of a tuned endpoint; None and "" for a base model."""
        if "/publishers/google/models/" in model:
            return None, ""
        for job in self._jobs.values():
            tuned = job.get("tunedModel") or {}
            if model == tuned.get("model", "").partition("@")[0]:
                raise EmulatorError(400, f"{model} is a model; generateContent takes its endpoint")
            if model in (tuned.get("endpoint"), *(point["endpoint"] for point in tuned.get("checkpoints", []))):
                return str(job["supervisedTuningSpec"]["trainingDatasetUri"]), str(job["name"])
        raise EmulatorError(404, f"{model} was not found")

    def _find(self, name: str) -> Tree:
        if name not in self._jobs:
            raise EmulatorError(404, f"{name} was not found")
        return self._jobs[name]

    def _save(self, job: Tree) -> Tree:
        self._jobs[job["name"]] = job
        if self._state_uri is not None:
            storage.write_bytes(self._state_uri, orjson.dumps(self._jobs, option=orjson.OPT_INDENT_2))
        return job


def _load(state_uri: str) -> dict[str, Tree]:
    try:
        jobs = orjson.loads(storage.read_bytes(state_uri))
    except FileNotFoundError:
        return {}
    except orjson.JSONDecodeError:
        jobs = None
    if not isinstance(jobs, dict) or not all(isinstance(job, dict) and "state" in job for job in jobs.values()):
        raise UserError(f"{state_uri}, the emulator's jobs, is damaged; delete it")
    return jobs


def _refuse(location: str, body: Tree, spec: Tree) -> None:
    model = models.MODELS.get(str(body.get("baseModel")))
    if model is None:
        raise EmulatorError(400, f"Base model {body.get('baseModel')} is not supported.")
    if location == "global" or (model.locations and location not in model.locations):
        raise EmulatorError(400, f"Tuning of {model.name} is not supported in location {location}.")
    for field in ("trainingDatasetUri", "validationDatasetUri"):
        uri = spec.get(field)
        if field == "trainingDatasetUri" and not uri:
            raise EmulatorError(400, "supervisedTuningSpec.trainingDatasetUri is required.")
        if uri and (not uri.endswith(".jsonl") or re.search(r"[*?]", uri)):
            raise EmulatorError(400, f"{field} must be a single .jsonl file, got {uri}")
    parameters = spec.get("hyperParameters") or {}
    sizes = {f"ADAPTER_SIZE_{word}": size for word, size in _WORDS.items()}
    size = parameters.get("adapterSize")
    if size is not None and sizes.get(size) not in model.adapter_sizes:
        raise EmulatorError(400, f"adapterSize {size} is not supported by {model.name}.")
    if int(parameters.get("epochCount", 1)) < 1:
        raise EmulatorError(400, f"epochCount must be positive, got {parameters['epochCount']}.")


_WORDS = {"ONE": 1, "TWO": 2, "FOUR": 4, "EIGHT": 8, "SIXTEEN": 16}


def _advance(job: Tree) -> None:
    """One state on: queued, pending, running (when the files are read), succeeded or failed."""
    state = job["state"]
    if state in _ENDED:
        return
    job["updateTime"] = _now()
    if state == "JOB_STATE_QUEUED":
        job["state"] = "JOB_STATE_PENDING"
    elif state == "JOB_STATE_PENDING":
        job.update(state="JOB_STATE_RUNNING", startTime=_now())
    else:
        _end(job)


def _end(job: Tree) -> None:
    """Reads the files and decides how the job ends."""
    job["endTime"] = _now()
    spec = job["supervisedTuningSpec"]
    files = [JsonlFile(uri, uri, split) for split, uri in _uris(spec)]
    try:
        findings = check.check(files)
    except (UserError, storage.StorageError) as fault:
        _fail(job, f"Failed to read the dataset: {fault}")
        return
    problems = [problem for problem in findings.problems if problem.severity == "error"]
    whole_file = [problem for problem in problems if problem.source.endswith(":0")]
    dropped = {problem.source: problem for problem in problems}
    if whole_file:
        _fail(job, f"The dataset is invalid: {whole_file[0].detail}")
    elif findings.bad_lines > MAX_DROPPED_FRACTION * findings.examples:
        first = next(iter(dropped.values()))
        told = f"{findings.bad_lines} examples are invalid, more than 10 %; the first: {first.source}: {first.detail}"
        _fail(job, told)
    else:
        _succeed(job, findings, [f"{problem.rule}: {problem.detail}" for problem in dropped.values()])


def _uris(spec: Tree) -> list[tuple[str, str]]:
    both = ((VALIDATION, spec.get("validationDatasetUri")), (TRAIN, spec.get("trainingDatasetUri")))
    return [(split, uri.removeprefix("file://")) for split, uri in both if uri]


def _fail(job: Tree, message: str) -> None:
    job.update(state="JOB_STATE_FAILED", error={"code": 3, "message": message})


def _succeed(job: Tree, findings: Findings, dropped: list[str]) -> None:
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
                "totalTruncatedExampleCount": "0",
                "droppedExampleReasons": dropped,
            }
        },
    )


def _camel(tree: Tree) -> Tree:
    """Names as the service's answers spell them; the client mixes both spellings. Labels stay as they are."""
    return {
        _camel_name(name): _camel(value) if isinstance(value, dict) and name != "labels" else value
        for name, value in tree.items()
    }


def _camel_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
