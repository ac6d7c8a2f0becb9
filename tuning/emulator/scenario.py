"""What goes wrong in the emulator, and how its jobs go: told by a file, or while it runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from transforms.errors import UserError

METHODS = ("create", "get", "list", "cancel", "update", "generate")
WALK = ("QUEUED", "PENDING", "RUNNING")
STATES = ("QUEUED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "UPDATING")
# The documented names of the codes that an emulated fault may have.
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
    """One thing that goes wrong.

    Attributes:
      method: one of `METHODS`.
      first: the first request of the method that it befalls, from 1.
      count: how many requests in a row.
      status: HTTP status that is answered instead; None for none.
      cut: "before" or "after" the request is done, the connection is cut in the middle of the answer.
      delay: seconds before all that.
    """

    method: str
    first: int = pydantic.Field(default=1, ge=1)
    count: int = pydantic.Field(default=1, ge=1)
    status: int | None = None
    cut: str | None = None
    delay: float = pydantic.Field(default=0.0, ge=0)

    @pydantic.model_validator(mode="after")
    def _known(self) -> Fault:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if self.status is not None and self.status not in STATUS_NAMES:
            raise ValueError(f"status must be one of {', '.join(map(str, STATUS_NAMES))}, got {self.status}")
        if self.cut not in (None, "before", "after"):
            raise ValueError(f"cut must be 'before' or 'after', got {self.cut!r}")
        return self


class Scenario(_Strict):
    """All that differs from a service where nothing goes wrong.

    Attributes:
      faults: in any order; the first that fits a request befalls it.
      quota: jobs of a project that may run at once; None for any number.
      states: that a job walks through, one each time that it is asked about.
      end: None, and the files decide; else "FAILED", "EXPIRED", "CANCELLED", "PARTIALLY_SUCCEEDED", or
        "NO_ENDPOINT": failed with a model that nothing serves.
      error: message of such an end.
      drop: lines of the training file, from 1, that are left out of the tuning.
    """

    faults: tuple[Fault, ...] = ()
    quota: int | None = pydantic.Field(default=None, ge=1)
    states: tuple[str, ...] = WALK
    end: str | None = None
    error: str = "Internal error."
    drop: tuple[int, ...] = ()

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
      UserError: it is none; the text names the field.
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
      UserError: there is none.
    """
    try:
        return parse(Path(file).read_bytes(), file)
    except OSError as fault:
        raise UserError(f"scenario {file}: {fault.strerror}") from None


@dataclass(slots=True)
class Stage:
    """A scenario while it is played.

    Attributes:
      scenario: what is played.
      requests: how many came so far, by method.
      sleep: lets seconds pass.
    """

    scenario: Scenario = field(default_factory=Scenario)
    requests: Counter[str] = field(default_factory=Counter)
    sleep: Callable[[float], None] = time.sleep

    def play(self, scenario: Scenario) -> None:
        """Begins another scenario; requests are counted from the beginning."""
        self.scenario = scenario
        self.requests.clear()

    def fault(self, method: str) -> Fault | None:
        """Counts a request; what befalls it, if anything."""
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
