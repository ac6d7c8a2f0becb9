"""Tuning jobs and tuned models, behind one small protocol: another provider is another file like `vertex.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Protocol

import orjson

# Label that finds a job again: values may hold lower-case letters, digits, "-" and "_", 63 at most.
REQUEST_LABEL = "cliptune-request"
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"})
GOOD_ENDS = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED"})


@dataclass(frozen=True, slots=True)
class TuningRequest:
    """All that is asked of the service.

    Attributes:
      project: that pays.
      location: where to tune.
      base_model: its name; of a model that is tuned further, what that one was tuned from.
      fingerprint: of the dataset.
      train_uri: the joined training split.
      validation_uri: the joined validation split; None without one.
      epochs: passes over the training split.
      adapter_size: rank; None for the service's own.
      learning_rate_multiplier: None for the service's own.
      display_name: of the tuned model.
      from_model: a tuned model that is tuned further, "projects/…/models/…"; None for the base model itself.
      from_checkpoint: of `from_model`; None for its default checkpoint.
      export_last_checkpoint_only: whether only the last checkpoint is kept.
      kms_key: that encrypts the tuned model; None for Google's own.
      service_account: that reads the files; None for the service's agent.
      labels: of the job, besides our own.
    """

    project: str
    location: str
    base_model: str
    fingerprint: str
    train_uri: str
    validation_uri: str | None
    epochs: int
    adapter_size: int | None
    learning_rate_multiplier: float | None
    display_name: str
    from_model: str | None = None
    from_checkpoint: str | None = None
    export_last_checkpoint_only: bool = False
    kms_key: str | None = None
    service_account: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Names the request: equal for two requests that would tune the same model, wherever their files are."""
        content = asdict(self)
        for name in ("train_uri", "validation_uri", "display_name", "service_account", "labels"):
            del content[name]
        content["validated"] = self.validation_uri is not None
        return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class TuningJob:
    """A job as the service tells of it.

    Attributes:
      name: "projects/…/locations/…/tuningJobs/…".
      state: without its prefix, e.g. "RUNNING".
      base_model: its name.
      labels: of the job.
      tuned_model: resource name of the model; None until there is one.
      endpoint: where the tuned model answers; None until there is one.
      checkpoints: of the tuned model, with id, epoch, step and endpoint.
      data_stats: what the service counted in the dataset.
      error: its message, of a failed job.
      detail: what a running job waits for or does, e.g. "WAITING_FOR_QUOTA"; None if not told.
      epochs_done: None if not told.
      experiment: where its metrics are; None if not told.
      display_name: of the tuned model.
      create_time: ISO 8601; None if not told.
    """

    name: str
    state: str
    base_model: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    tuned_model: str | None = None
    endpoint: str | None = None
    checkpoints: tuple[dict[str, Any], ...] = ()
    data_stats: dict[str, Any] | None = None
    error: str | None = None
    detail: str | None = None
    epochs_done: int | None = None
    experiment: str | None = None
    display_name: str | None = None
    create_time: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.state in TERMINAL

    @property
    def answers(self) -> bool:
        """Whether there is a tuned model that can be asked."""
        return self.state in GOOD_ENDS and self.endpoint is not None

    def as_dict(self) -> dict[str, Any]:
        """For job.json and the line of JSON on stdout."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Question:
    """An example without its last turn.

    Attributes:
      contents: turns, as in the example.
      system_instruction: as in the example; None without one.
      thinking: how the base model is kept from thinking, from `models`.
    """

    contents: Sequence[Any]
    system_instruction: Any = None
    thinking: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said.

    Attributes:
      text: None if it said nothing.
      finish_reason: e.g. "STOP", "MAX_TOKENS", "SAFETY"; None if not told.
    """

    text: str | None
    finish_reason: str | None


class Tuner(Protocol):
    """A tuning service. Every method raises `ServiceError`."""

    def submit(self, request: TuningRequest) -> TuningJob:
        """Creates a job. Not idempotent: look for the job first."""

    def body(self, request: TuningRequest) -> dict[str, Any]:
        """What `submit` would send: method, URL and JSON body."""

    def jobs(self) -> Iterator[TuningJob]:
        """All jobs, the newest first."""

    def get(self, name: str) -> TuningJob:
        """The job of this name."""

    def cancel(self, name: str) -> None:
        """Asks for the end of the job of this name."""

    def set_default_checkpoint(self, model: str, checkpoint: str) -> None:
        """Makes a checkpoint the one that the tuned model's endpoint answers with."""

    def ask(self, model: str, question: Question) -> Answer:
        """The model's answer."""
