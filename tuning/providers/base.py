"""What every provider offers: models, rules for a line, a tuner of jobs and tuned models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any, Protocol

import orjson

from transforms import limits
from transforms.limits import Source

# Label that finds a job again: values may hold lower-case letters, digits, "-" and "_", 63 at most.
REQUEST_LABEL = "cliptune-request"
MAX_LABELS = 64
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
    state: str = "UNSPECIFIED"
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


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model that can be tuned.

    Attributes:
      name: as requests name it.
      adapter_sizes: ranks it can be tuned with.
      locations: where it can be tuned; empty for every regional location.
      serving_locations: where the tuned model answers; empty for where it was tuned.
      price_per_million: US dollars for a million training tokens; None if not known.
      thinking: how to switch thinking off, or nearly, in the words of the provider's client.
      cmek: whether a tuning job can be encrypted with a key of the customer's.
      retired_for_new: from this day on projects that never tuned it cannot.
      shut_down: from this day on nobody can.
    """

    name: str
    adapter_sizes: tuple[int, ...]
    locations: tuple[str, ...]
    serving_locations: tuple[str, ...]
    price_per_million: float | None
    thinking: Mapping[str, str | int]
    cmek: bool = True
    retired_for_new: date | None = None
    shut_down: date | None = None


ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a line, or worth a warning.

    Attributes:
      source: "FILE:LINE".
      severity: "error" or "warning".
      rule: short name of the rule.
      detail: what was found, with field and value.
    """

    source: str
    severity: str
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a line holds, as far as it can be told.

    Attributes:
      seconds: of audio; None where it is not in the line (a gs:// URI) or cannot be told.
      text_chars: of all texts, prompt and target together.
      text_bytes: the same in UTF-8: no text has more tokens than bytes.
      audio: sha256 of the payload, or the URI; None without audio.
      mime_type: of audio that a URI points to; "" of audio in the line.
      prompt: the user turn's text.
    """

    seconds: float | None = None
    text_chars: int = 0
    text_bytes: int = 0
    audio: str | None = None
    mime_type: str = ""
    prompt: str = ""

    @property
    def tokens(self) -> int:
        """The expected number of tokens, audio of unknown length not counted."""
        return round((self.seconds or 0) * limits.TOKENS_PER_SECOND) + -(-self.text_chars // limits.CHARS_PER_TOKEN)

    @property
    def min_tokens(self) -> int:
        """A bound from below, audio of unknown length not counted."""
        return int((self.seconds or 0) * limits.MIN_TOKENS_PER_SECOND) + self.text_chars // limits.MAX_CHARS_PER_TOKEN

    @property
    def max_tokens(self) -> int:
        """A bound from above, audio of unknown length not counted."""
        return round((self.seconds or 0) * limits.MAX_TOKENS_PER_SECOND) + self.text_bytes


class SchemaError(Exception):
    """A line that the service's own schemas refuse.

    Attributes:
      rule: short name of the rule.
      detail: what was found, with field and value.
    """

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail)
        self.rule = rule
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Example:
    """A line of a dataset, taken apart.

    Attributes:
      contents: the turns before the last, in the types of the provider's client.
      system_instruction: likewise; None without one.
      target: what the model should answer.
    """

    contents: Sequence[Any]
    system_instruction: Any
    target: str


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


@dataclass(frozen=True, slots=True)
class Provider:
    """A tuning service: one row of `tuning.providers.PROVIDERS`. Nothing here imports its SDK before it is called.

    Attributes:
      name: as requests name it.
      summary: what it is, for people.
      models: that can be tuned, by name.
      default_model: name of one of them.
      default_location: where it is tuned.
      sources: who says what is said of the models, by field of `BaseModel`.
      find: the model of a name, or UserError.
      refuse_wrong: raises UserError for a model, location, adapter size, day, key and leave to use a retired model
        that the service would refuse.
      locate: project and location of a resource name, or UserError.
      check_line: everything that is wrong with a line, and what it holds.
      parse: the example of a line, or SchemaError.
      open: the tuner of a project and a location; its last argument is the URL of another server, or None.
    """

    name: str
    summary: str
    models: Mapping[str, BaseModel]
    default_model: str
    default_location: str
    sources: Mapping[str, Source]
    find: Callable[[str], BaseModel]
    refuse_wrong: Callable[[BaseModel, str, int | None, date, str | None, bool], None]
    locate: Callable[[str], tuple[str, str]]
    check_line: Callable[[bytes, str], tuple[list[Problem], Facts]]
    parse: Callable[[bytes], Example]
    open: Callable[[str, str, str | None], Tuner]
