"""The models and endpoints that the emulator's jobs have made, and the operations that delete them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tuning.emulator.jobs import EmulatorError, Jobs, endpoints_of, gone
from tuning.emulator.scenario import Stage

PRECONDITION = "FAILED_PRECONDITION"
_EMPTY = "!"  # behind an endpoint's name: nothing is deployed there any more

Tree = dict[str, Any]


@dataclass(slots=True)
class _Operation:
    """Something that takes a while.

    Attributes:
      effect: what it does once it is done.
      reads: how often it is read before.
      done: how it has ended; None before.
    """

    effect: Callable[[], None]
    reads: int
    done: Tree | None = None


class Resources:
    """All models and endpoints of one emulator.

    Args:
      jobs: have made them.
      stage: the scenario that is played.
    """

    def __init__(self, jobs: Jobs, stage: Stage) -> None:
        self._jobs = jobs
        self._stage = stage
        self._operations: dict[str, _Operation] = {}
        self._refused: dict[str, int] = {}  # requests to delete a model that is not deployed any more

    def endpoint(self, name: str) -> Tree:
        """An endpoint, with what is deployed there."""
        job = self._of_endpoint(name)
        model, _, version = str(job["tunedModel"]["model"]).partition("@")
        deployed = {"id": self._number(name), "model": model, "modelVersionId": version}
        return {"name": name, "deployedModels": [] if name + _EMPTY in gone(job) else [deployed]}

    def undeploy(self, name: str, body: Tree) -> Tree:
        """Takes a model off an endpoint."""
        job = self._of_endpoint(name)
        number = str(body.get("deployedModelId"))
        if number not in [one["id"] for one in self.endpoint(name)["deployedModels"]]:
            raise EmulatorError(404, f"DeployedModel {number} was not found at {name}.")
        return self._begun(name, lambda: self._remove(job, name + _EMPTY))

    def delete_endpoint(self, name: str) -> Tree:
        """Deletes an endpoint at which nothing is deployed."""
        job = self._of_endpoint(name)
        numbers = ", ".join(one["id"] for one in self.endpoint(name)["deployedModels"])
        if numbers:
            problem = f"Endpoint {name} has deployed or being-deployed DeployedModel(s): {numbers}"
            raise EmulatorError(400, problem, PRECONDITION)
        return self._begun(name, lambda: self._remove(job, name))

    def versions(self, model: str) -> Tree:
        """The versions of a model."""
        return {"models": [self._model(job) for job in self._of_model(model)]}

    def model(self, name: str) -> Tree:
        """A model: the version that its name says, or the first."""
        model, _, version = name.partition("@")
        return self._model(self._version(model, version) if version else self._of_model(model)[0])

    def delete_model(self, model: str) -> Tree:
        """Deletes a model with all its versions, if none of them is deployed."""
        jobs = self._of_model(model)
        for job in jobs:
            self._refuse_deployed(job)

        def effect() -> None:
            for job in jobs:
                self._remove(job, job["tunedModel"]["model"])

        return self._begun(model, effect)

    def delete_version(self, name: str) -> Tree:
        """Deletes one version of a model that has others, if it is not deployed."""
        model, _, version = name.partition("@")
        job = self._version(model, version)
        if len(self._of_model(model)) == 1:
            raise EmulatorError(400, f"Deleting the only version of {model} is not allowed.", PRECONDITION)
        self._refuse_deployed(job)
        return self._begun(model, lambda: self._remove(job, job["tunedModel"]["model"]))

    def operation(self, name: str) -> Tree:
        """An operation, which is nearer to its end by each call."""
        if name not in self._operations:
            raise EmulatorError(404, f"{name} was not found")
        found = self._operations[name]
        found.reads -= 1
        return self._told(name, found)

    def _begun(self, name: str, effect: Callable[[], None]) -> Tree:
        parent = re.match(r"projects/[^/]+/locations/[^/]+", name)
        number = f"{parent.group() if parent else ''}/operations/{len(self._operations) + 1}"
        self._operations[number] = _Operation(effect, self._stage.scenario.operation_reads)
        return self._told(number, self._operations[number])

    def _told(self, name: str, found: _Operation) -> Tree:
        error = self._stage.scenario.operation_error
        if found.reads > 0:
            return {"name": name}
        if found.done is None:
            if error is None:
                found.effect()
            found.done = {"response": {}} if error is None else {"error": {"code": 13, "message": error}}
        return {"name": name, "done": True, **found.done}

    def _remove(self, job: Tree, name: str) -> None:
        gone(job).append(name)
        self._jobs.keep(job)

    def _refuse_deployed(self, job: Tree) -> None:
        name = job["tunedModel"]["model"]
        places = [place for place in endpoints_of(job) if {place, place + _EMPTY}.isdisjoint(gone(job))]
        if not places:
            self._refused[name] = self._refused.get(name, 0) + 1
            if self._refused[name] <= self._stage.scenario.deployed_for:
                places = endpoints_of(job)
        if places:
            where = f"is deployed or being deployed at the following Endpoint(s): {', '.join(places)}"
            raise EmulatorError(400, f"The Model {name} {where}", PRECONDITION)

    def _of_endpoint(self, name: str) -> Tree:
        for job in self._jobs.tuned():
            if name in endpoints_of(job) and name not in gone(job):
                return job
        raise EmulatorError(404, f"The Endpoint {name} does not exist.")

    def _of_model(self, model: str) -> list[Tree]:
        """The jobs that have made the versions of a model."""
        named = [(job, str(job["tunedModel"]["model"])) for job in self._jobs.tuned()]
        found = [job for job, name in named if name.partition("@")[0] == model and name not in gone(job)]
        if not found:
            raise EmulatorError(404, f"The Model {model} does not exist.")
        return found

    def _version(self, model: str, version: str) -> Tree:
        for job in self._of_model(model):
            if job["tunedModel"]["model"] == f"{model}@{version}":
                return job
        raise EmulatorError(404, f"The Model {model}@{version} does not exist.")

    def _model(self, job: Tree) -> Tree:
        name, _, version = str(job["tunedModel"]["model"]).partition("@")
        places = [place for place in endpoints_of(job) if {place, place + _EMPTY}.isdisjoint(gone(job))]
        deployed = [{"endpoint": place, "deployedModelId": self._number(place)} for place in places]
        return {"name": name, "versionId": version, "deployedModels": deployed}

    @staticmethod
    def _number(endpoint: str) -> str:
        """The number of the one deployment at an endpoint."""
        return endpoint.rpartition("/")[2][-2:]
