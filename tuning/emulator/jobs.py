"""The jobs of the emulator: which are accepted, and how their states change."""

from __future__ import annotations

import re
from typing import Any, Required, TypedDict

import msgspec
import orjson

from transforms.errors import UserError
from transforms.records import DAMAGES
from transforms.storage import Storage, uris
from tuning.emulator import training
from tuning.emulator.scenario import Scenario, Stage
from tuning.emulator.training import now
from tuning.providers.base import TERMINAL, BaseModel
from tuning.providers.vertex import models

_ENDED = {f"JOB_STATE_{state}" for state in TERMINAL}

Tree = dict[str, Any]


class EmulatorError(Exception):
    """An error that the emulator answers.

    Attributes:
      code: HTTP status.
      message: text for people.
      status: name of the error; "" for the usual one of the code.
    """

    def __init__(self, code: int, message: str, status: str = "") -> None:
        super().__init__(code, message, status)
        self.status = status
        self.code = code
        self.message = message


class Jobs:
    """All jobs of one emulator.

    Args:
      state_uri: file that keeps the jobs; None to forget them.
      stage: the scenario that is played; None for one without faults.
      storage: reads the training files, and keeps the jobs.
    """

    def __init__(self, state_uri: str | None = None, stage: Stage | None = None, storage: Storage = Storage()) -> None:
        self._storage = storage
        self._state_uri = state_uri
        self._stage = stage or Stage()
        self._steps: dict[str, int] = {}  # position in the scenario's states, by job
        self._lists = 0
        self._lists_before: dict[str, int] = {}  # lists that were asked for before a job was created, by job
        self._jobs: dict[str, Tree] = _load(state_uri, storage) if state_uri is not None else {}
        for job in self._jobs.values():
            gone(job)  # kept by an earlier version, it lacks the field

    def create(self, parent: str, body: Tree) -> Tree:
        """Accepts a job, or refuses what the service is documented to refuse at once."""
        body = _camel(body)
        spec = body.get("supervisedTuningSpec") or {}
        base_model = self._base_model(body, parent.rpartition("/")[2])
        _refuse(parent.rpartition("/")[2], base_model, body, spec, self._stage.scenario)
        if self._stage.scenario.strict and (fault := training.fault_of_files(spec, self._storage)):
            raise EmulatorError(400, fault)
        self._refuse_over_quota(parent)
        number = 1_000_000_000_000_000_001 + len(self._jobs)
        job = {
            **body,
            "baseModel": base_model,
            "name": f"{parent}/tuningJobs/{number}",
            "state": f"JOB_STATE_{self._stage.scenario.states[0]}",
            "createTime": now(),
            "updateTime": now(),
        }
        self._lists_before[job["name"]] = self._lists
        job[training.OWN] = self._version(body)
        return _shown(self._save(job))

    def get(self, name: str) -> Tree:
        """The job, one state further than at the last call."""
        job = self._find(name)
        if job["state"] in _ENDED:
            return _shown(job)
        job["updateTime"] = now()
        if job["state"] == "JOB_STATE_CANCELLING":
            job.update(state="JOB_STATE_CANCELLED", endTime=now())
        else:
            self._advance(job)
        return _shown(self._save(job))

    def _advance(self, job: Tree) -> None:
        """Moves a job one state on. After the last state, the files are read and the job ends."""
        states = [f"JOB_STATE_{state}" for state in self._stage.scenario.states]
        # After a restart or a change of scenario, the job goes on from its present state.
        present = states.index(job["state"]) if job["state"] in states else len(states) - 1
        step = self._steps.get(job["name"], present) + 1
        self._steps[job["name"]] = step
        if step >= len(states):
            training.end(job, self._stage.scenario, self._storage)
            return
        job["state"] = states[step]
        if job["state"] == "JOB_STATE_RUNNING":
            job.setdefault("startTime", now())

    def page(self, parent: str, size: int, token: str) -> Tree:
        """A page of jobs, the newest first. A token is the first job of its page, and the empty pages before it."""
        if not token:
            self._lists += 1
        jobs = [
            job for name, job in reversed(self._jobs.items()) if name.startswith(f"{parent}/") and self._listed(name)
        ]
        if not re.fullmatch(r"(\d{1,9}(-\d{1,9})?)?", token, re.ASCII):
            raise EmulatorError(400, "The page token is invalid.")
        start, _, empty = token.partition("-")
        first, shown = int(start or 0), int(empty or 0)
        if shown < self._stage.scenario.empty_pages:
            return {"nextPageToken": f"{first}-{shown + 1}"}
        page: Tree = {"tuningJobs": [_shown(job) for job in jobs[first : first + size]]}
        return {**page, "nextPageToken": f"{first + size}"} if first + size < len(jobs) else page

    def _listed(self, name: str) -> bool:
        """Whether lists have a job already: the scenario may keep a new one out of some."""
        lists = self._lists - self._lists_before.get(name, -self._stage.scenario.listed_after)
        return lists > self._stage.scenario.listed_after

    def cancel(self, name: str) -> Tree:
        """Begins to cancel a job. Like the service, the emulator does not end it at once."""
        job = self._find(name)
        if job["state"] not in _ENDED:
            job["state"] = "JOB_STATE_CANCELLING"
            self._save(job)
        return {}

    def set_default_checkpoint(self, model: str, body: Tree) -> Tree:
        """Sets the checkpoint with which the endpoint of a tuned model answers."""
        job = self._of_model(model)
        wanted = str(_camel(body).get("defaultCheckpointId"))
        points = {point["checkpointId"]: point["endpoint"] for point in job["tunedModel"].get("checkpoints", [])}
        if wanted not in points:
            raise EmulatorError(400, f"Checkpoint {wanted} does not exist in {model}.")
        job["tunedModel"]["endpoint"] = points[wanted]
        self._save(job)
        return {"name": model, "defaultCheckpointId": wanted}

    def training(self, model: str) -> tuple[str | None, str]:
        """The training file and the job of a tuned endpoint; None and "" for a base model."""
        if "/publishers/google/models/" in model:
            self.refuse_base(model)
            return None, ""
        for job in self._jobs.values():
            tuned = job.get("tunedModel") or {}
            if model == tuned.get("model", "").partition("@")[0]:
                raise EmulatorError(400, f"{model} is a model; generateContent takes its endpoint")
            if model in endpoints_of(job) and model not in gone(job):
                return str(job["supervisedTuningSpec"]["trainingDatasetUri"]), str(job["name"])
        raise EmulatorError(404, f"{model} was not found")

    def refuse_base(self, model: str) -> None:
        """Answers 404 for a base model that does not answer here. Lenient scenarios ask every model everywhere."""
        place, _, name = model.partition("/publishers/google/models/")
        location, known = place.rpartition("/")[2], models.MODELS.get(name)
        here = known is not None and (not known.base_locations or location in known.base_locations)
        if self._stage.scenario.strict and not here:
            raise EmulatorError(
                404, f"Publisher Model `{model}` was not found or your project does not have access to it."
            )

    def _base_model(self, body: Tree, location: str) -> str:
        """The base model of a request. For a tuned model that is tuned further, the base model of that model."""
        if not body.get("preTunedModel"):
            return str(body.get("baseModel"))
        earlier = _camel(body["preTunedModel"])
        job = self._of_model(model := str(earlier.get("tunedModelName")))
        places = models.lands_in(location)
        if self._stage.scenario.strict and models.location_of(model)[1] not in places:
            raise EmulatorError(400, f"The pre-tuned model must be in {' or '.join(places)}, got {model}.")
        known = [point["checkpointId"] for point in job["tunedModel"].get("checkpoints", [])]
        wanted = earlier.get("checkpointId")
        if wanted is not None and wanted not in known:
            raise EmulatorError(400, f"Checkpoint {wanted} does not exist.")
        return str(job["baseModel"])

    def tuned(self) -> list[Tree]:
        """The jobs that have made a model, which a caller may change and `keep`."""
        return [job for job in self._jobs.values() if (job.get("tunedModel") or {}).get("model")]

    def keep(self, job: Tree) -> None:
        """Keeps what was changed of a job."""
        self._save(job)

    def _version(self, body: Tree) -> Tree:
        """Which version of which model a job makes: the next one of the model that it tunes further, or a model."""
        if not body.get("preTunedModel"):
            return {"model": None, "version": 1, "gone": []}
        model = str(_camel(body["preTunedModel"]).get("tunedModelName")).partition("@")[0]
        versions = [job[training.OWN]["version"] for job in self._jobs.values() if model in _model_of(job)]
        return {"model": model, "version": max(versions, default=0) + 1, "gone": []}

    def _of_model(self, model: str) -> Tree:
        for job in self._jobs.values():
            name = (job.get("tunedModel") or {}).get("model", "")
            if name and name not in gone(job) and model in (name, name.partition("@")[0]):
                return job
        raise EmulatorError(404, f"{model} was not found")

    def _refuse_over_quota(self, parent: str) -> None:
        # All locations of a project share one quota.
        project = "/".join(parent.split("/")[:2])
        running = [
            job for job in self._jobs.values() if job["name"].startswith(f"{project}/") and job["state"] not in _ENDED
        ]
        quota = self._stage.scenario.quota
        if quota is None or len(running) < quota:
            return
        for job in running:  # jobs move on only when they are read: without this, the quota would never become free
            self.get(job["name"])
        metric = "aiplatform.googleapis.com/global_concurrent_tuning_jobs"
        raise EmulatorError(429, f"The following quota metrics exceed quota limits: {metric}")

    def _find(self, name: str) -> Tree:
        if name not in self._jobs:
            raise EmulatorError(404, f"{name} was not found")
        return self._jobs[name]

    def _save(self, job: Tree) -> Tree:
        self._jobs[job["name"]] = job
        if self._state_uri is not None:
            self._storage.write_bytes(self._state_uri, orjson.dumps(self._jobs, option=orjson.OPT_INDENT_2))
        return job


def gone(job: Tree) -> list[str]:
    """What was deleted of a job: names of endpoints and of the model, and endpoints with "!" behind that are empty."""
    found: list[str] = job.setdefault(training.OWN, {"model": None, "version": 1, "gone": []})["gone"]
    return found


def endpoints_of(job: Tree) -> list[str]:
    """The endpoints of a job, each once."""
    tuned = job.get("tunedModel") or {}
    named = [tuned.get("endpoint"), *(point["endpoint"] for point in tuned.get("checkpoints", []))]
    return list(dict.fromkeys(endpoint for endpoint in named if endpoint))


def _model_of(job: Tree) -> tuple[str | None, str]:
    """The model of which a job makes a version, before and after it was made."""
    return job[training.OWN]["model"], (job.get("tunedModel") or {}).get("model", "").partition("@")[0]


def _shown(job: Tree) -> Tree:
    """The job without what is the emulator's own."""
    return {name: value for name, value in job.items() if name != training.OWN}


def _load(state_uri: str, storage: Storage) -> dict[str, Tree]:
    try:
        jobs = orjson.loads(storage.read_record(state_uri))
    except FileNotFoundError:
        return {}
    except DAMAGES:
        jobs = None
    if not isinstance(jobs, dict) or not all(_is_job(name, job) for name, job in jobs.items()):
        raise UserError(
            f"{state_uri}, the emulator's jobs, is damaged; delete it, and the emulator begins without jobs"
        )
    return jobs


class _Point(TypedDict):
    checkpointId: str
    endpoint: str


class _Tuned(TypedDict, total=False):
    model: str
    endpoint: str
    checkpoints: list[_Point]


class _Own(TypedDict):
    model: str | None
    version: int
    gone: list[str]


class _Spec(TypedDict, total=False):
    trainingDatasetUri: Required[str]
    validationDatasetUri: str | None
    hyperParameters: dict[str, Any] | None


class _Kept(TypedDict, total=False):
    """What the emulator reads of a job that it kept."""

    name: Required[str]
    state: Required[str]
    baseModel: str
    createTime: str
    startTime: str
    updateTime: str
    endTime: str
    tunedModelDisplayName: str | None
    labels: dict[str, str] | None
    supervisedTuningSpec: Required[_Spec]
    tunedModel: _Tuned | None
    emulator: _Own


def _is_job(name: str, job: object) -> bool:
    try:
        kept = msgspec.convert(job, _Kept)
    except msgspec.ValidationError:
        return False
    return kept["name"] == name and kept["state"].startswith("JOB_STATE_")


def _refuse(location: str, base_model: str, body: Tree, spec: Tree, played: Scenario) -> None:
    model = models.MODELS.get(base_model)
    if model is None:
        raise EmulatorError(400, f"Base model {base_model} is not supported.")
    nowhere = location == "global" or (played.strict and location in models.MULTI_REGIONS)
    if nowhere or (model.locations and location not in model.locations):
        raise EmulatorError(400, f"Tuning of {model.name} is not supported in location {location}.")
    for field in ("trainingDatasetUri", "validationDatasetUri"):
        uri = spec.get(field)
        if field == "trainingDatasetUri" and not uri:
            raise EmulatorError(400, "supervisedTuningSpec.trainingDatasetUri is required.")
        if uri and (not uri.endswith(".jsonl") or re.search(r"[*?]", uri)):
            raise EmulatorError(400, f"{field} must be a single .jsonl file, got {uri}")
        if uri and uri.startswith("gs:") and (uris.nobodys(uri) or not re.match(r"gs://[^/]+/.", uri)):
            raise EmulatorError(400, f"{field} must be gs://BUCKET/OBJECT with the name of a bucket, got {uri}")
    parameters = spec.get("hyperParameters") or {}
    sizes = {f"ADAPTER_SIZE_{word}": size for word, size in _WORDS.items()}
    size = parameters.get("adapterSize")
    if size is not None and sizes.get(size) not in (model.adapter_sizes or sizes.values()):
        raise EmulatorError(400, f"adapterSize {size} is not supported by {model.name}.")
    unknown = played.strict and model.adapter_sizes is None  # nothing is known of it for certain
    if body.get("encryptionSpec") and (model.cmek is False or unknown):
        raise EmulatorError(400, f"CMEK is not supported by {model.name}.")
    epochs = parameters.get("epochCount")
    if epochs is not None and int(epochs) < 1:
        raise EmulatorError(400, f"epochCount must be positive, got {epochs}.")
    if played.strict:
        _refuse_closed(model, played)


def _refuse_closed(model: BaseModel, played: Scenario) -> None:
    """Refuses a model that the project cannot tune any more."""
    if model.shut_down and training.today() >= model.shut_down:
        raise EmulatorError(404, f"Base model {model.name} was shut down on {model.shut_down}.")
    if model.retired_for_new and training.today() >= model.retired_for_new and not played.tuned_before:
        since = f"since {model.retired_for_new}"
        raise EmulatorError(400, f"Base model {model.name} is closed to new and inactive projects {since}.")


_WORDS = {"ONE": 1, "TWO": 2, "FOUR": 4, "EIGHT": 8, "SIXTEEN": 16}


def _camel(tree: Tree) -> Tree:
    """Converts keys to camelCase, as the service answers. The client mixes two spellings. Labels are not changed."""
    return {
        _camel_name(name): _camel(value) if isinstance(value, dict) and name != "labels" else value
        for name, value in tree.items()
    }


def _camel_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others)
