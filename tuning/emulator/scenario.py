"""Scenarios of the emulator: its faults, and the states of its jobs. They come from a file or from a request."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from transforms.errors import UserError
from transforms.storage import Storage, uris

METHODS = ("create", "get", "list", "cancel", "update", "generate", "count", "read", "undeploy", "delete", "operation")
WALK = ("QUEUED", "PENDING", "RUNNING")
STATES = ("QUEUED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "UPDATING")
# The HTTP statuses that an emulated fault may have, with the documented names.
STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Fault(_Strict):
    """A fault that some requests meet.

    Attributes:
      method: one of `METHODS`.
      first: the first request of the method that meets the fault, counted from 1.
      count: the number of requests in a row that meet it.
      status: HTTP status of the error that is answered; None for no error.
      cut: "before" or "after": the answer breaks off, before or after the request has been carried out.
      delay: seconds before the fault.
    """

    method: str
    first: int = pydantic.Field(default=1, ge=1)
    count: int = pydantic.Field(default=1, ge=1)
    status: int | None = None
    cut: str | None = None
    delay: float = pydantic.Field(default=0.0, ge=0, le=3_600, allow_inf_nan=False)

    @pydantic.model_validator(mode="after")
    def _known(self) -> Fault:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if self.status is not None and self.status not in STATUS_NAMES:
            raise ValueError(f"status must be one of {', '.join(map(str, STATUS_NAMES))}, got {self.status}")
        if self.cut not in (None, "before", "after"):
            raise ValueError(f"cut must be 'before' or 'after', got {self.cut!r}")
        return self


class Learns(_Strict):
    """What tuned models know of clips that they were not tuned on: more, the more examples they were tuned on.

    Attributes:
      files: JSONL files of the clips with their targets: local paths or gs:// URIs.
      power: of n training examples, a word is wrong with a probability of n^-power.
    """

    files: tuple[str, ...]
    power: float = pydantic.Field(default=0.5, gt=0, le=10, allow_inf_nan=False)


class Scenario(_Strict):
    """How the emulator differs from a service without faults.

    Attributes:
      faults: the faults; a request meets the first one that applies to it.
      quota: number of jobs of a project that may run at once; None for no limit.
      states: states of a job, which moves one state on each time it is read.
      end: how jobs end: "FAILED", "EXPIRED", "CANCELLED", "PARTIALLY_SUCCEEDED", or "NO_ENDPOINT" (failed, with a
        model but no endpoint); None if the training files decide.
      error: message of a job that ends with an error.
      drop: lines of the training file, from 1, that are left out of the tuning.
      listed_after: a new job is in none of so many lists after it was created, as if the list were late.
      empty_pages: empty pages, each with the token of the next, before every page of a list of jobs.
      operation_reads: how often an operation is read before it is done. Like a job, it moves on when it is read.
      operation_error: message with which operations end, without effect; None if they do what they say.
      deployed_for: after it was undeployed, a model is called deployed for so many requests to delete it.
      learns: what tuned models answer about clips that they were not tuned on; None: that they have learned nothing.
      billed: the tokens that are billed, as a multiple of those counted in the training file.
      disabled: whether the API is not enabled in any project: every request is refused as the service does.
      strict: whether all is refused that the documentation and users say is refused. Without, a base model answers in
        every location, a tuned model lies where it was tuned and is tuned further anywhere, closed models are tuned,
        files are looked at only when a job ends, and questions may have several recordings.
      tuned_before: whether projects have tuned every model before, and may tune those that are closed to others.
    """

    faults: tuple[Fault, ...] = ()
    quota: int | None = pydantic.Field(default=None, ge=1)
    states: tuple[str, ...] = WALK
    end: str | None = None
    error: str = "Internal error."
    drop: tuple[int, ...] = ()
    listed_after: int = pydantic.Field(default=0, ge=0)
    empty_pages: int = pydantic.Field(default=0, ge=0)
    operation_reads: int = pydantic.Field(default=0, ge=0)
    operation_error: str | None = None
    deployed_for: int = pydantic.Field(default=0, ge=0)
    learns: Learns | None = None
    billed: float = pydantic.Field(default=1.0, ge=0, le=1e6, allow_inf_nan=False)
    disabled: bool = False
    strict: bool = True
    tuned_before: bool = False

    @pydantic.model_validator(mode="after")
    def _known(self) -> Scenario:
        wrong = [state for state in self.states if state not in STATES]
        if wrong or not self.states:
            raise ValueError(f"states must be some of {', '.join(STATES)}, got {wrong}")
        ends = ("FAILED", "EXPIRED", "CANCELLED", "PARTIALLY_SUCCEEDED", "NO_ENDPOINT")
        if self.end is not None and self.end not in ends:
            raise ValueError(f"end must be one of {', '.join(ends)}, got {self.end!r}")
        return self


def parse(content: bytes, name: str) -> Scenario:
    """A scenario from JSON.

    Raises:
      UserError: the content is not a scenario; the message names the field.
    """
    try:
        return Scenario.model_validate_json(content)
    except pydantic.ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"scenario {name}: {where}: {first['msg'].removeprefix('Value error, ')}") from None


def load(file: str) -> Scenario:
    """The scenario in a file.

    Raises:
      UserError: the file cannot be read or holds no scenario.
    """
    uri = uris.absolute(file, str(Path.cwd()))
    return parse(Storage().read_settings(uri, f"scenario {file}"), file)


@dataclass(slots=True)
class Stage:
    """A scenario that is being played.

    Attributes:
      scenario: the present scenario.
      requests: the number of requests so far, by method.
      sleep: sleeps for the given number of seconds.
    """

    scenario: Scenario = field(default_factory=Scenario)
    requests: Counter[str] = field(default_factory=Counter)
    sleep: Callable[[float], None] = time.sleep

    def play(self, scenario: Scenario) -> None:
        """Begins another scenario and restarts the count of requests."""
        self.scenario = scenario
        self.requests.clear()

    def fault(self, method: str) -> Fault | None:
        """Counts a request and returns the fault that it meets; None without one."""
        self.requests[method] += 1
        number = self.requests[method]
        return next(
            (
                fault
                for fault in self.scenario.faults
                if fault.method == method and fault.first <= number < fault.first + fault.count
            ),
            None,
        )

    def as_dict(self) -> dict[str, Any]:
        """For the control endpoint."""
        return {"scenario": self.scenario.model_dump(), "requests": dict(self.requests)}
