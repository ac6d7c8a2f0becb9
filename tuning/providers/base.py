"""What every provider offers: base models, rules for the lines of a dataset, and a tuner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any, Protocol

import orjson

from transforms import limits
from transforms.limits import Source

# The label by which a job is found again. A value holds at most 63 lower-case letters, digits, "-" and "_".
REQUEST_LABEL = "cliptune-request"
MAX_LABELS = 64
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"})
GOOD_ENDS = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED"})


@dataclass(frozen=True, slots=True)
class TuningRequest:
    """Everything that the service needs to tune a model.

    Attributes:
      project: the project that pays.
      location: where to tune.
      base_model: name of the base model; with `from_model`, the base model of that model.
      fingerprint: fingerprint of the dataset.
      train_uri: the joined training split.
      validation_uri: the joined validation split; None for no validation.
      epochs: passes over the training split.
      adapter_size: rank of the adapter; None for the service's default.
      learning_rate_multiplier: factor of the service's learning rate; None for the service's default.
      display_name: name of the tuned model, for people.
      from_model: a tuned model to tune further, "projects/…/models/…"; None to tune the base model.
      from_checkpoint: checkpoint of `from_model`; None for its default checkpoint.
      export_last_checkpoint_only: whether only the last checkpoint is kept.
      kms_key: key that encrypts the tuned model; None for the provider's own.
      service_account: account that reads the files; None for the service's agent.
      labels: labels of the job, besides `REQUEST_LABEL`.
      train_examples: how many of the training examples are tuned on, the first; None for all that fit.
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
    train_examples: int | None = None

    @property
    def digest(self) -> str:
        """Identifies the request. Two requests that would tune the same model are equal, wherever their files are."""
        return _digest(self)


def _digest(request: TuningRequest) -> str:
    content = asdict(request)
    for name in ("train_uri", "validation_uri", "display_name", "service_account", "labels"):
        del content[name]
    if request.train_examples is None:  # as requests were before there were fractions
        del content["train_examples"]
    content["validated"] = request.validation_uri is not None
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class TuningJob:
    """A job as the service describes it.

    Attributes:
      name: "projects/…/locations/…/tuningJobs/…".
      state: state without its prefix, e.g. "RUNNING".
      base_model: name of the base model.
      labels: labels of the job.
      tuned_model: resource name of the tuned model; None until it exists.
      endpoint: where the tuned model answers; None until it exists.
      checkpoints: checkpoints of the tuned model, each with id, epoch, step and endpoint.
      data_stats: what the service counted in the dataset; None if not given.
      error: the service's message about a failed job; None without one.
      detail: what a running job does or waits for, e.g. "WAITING_FOR_QUOTA"; None if not given.
      epochs_done: finished epochs; None if not given.
      experiment: resource name of the experiment with the metrics; None if not given.
      display_name: name of the tuned model, for people.
      create_time: ISO 8601; None if not given.
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
        """Whether the job has ended well and its tuned model has an endpoint."""
        return self.state in GOOD_ENDS and self.endpoint is not None

    def as_dict(self) -> dict[str, Any]:
        """For job.json and the line of JSON on stdout."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Question:
    """An example without the model's turn.

    Attributes:
      contents: the turns of the example before the last.
      system_instruction: that of the example; None without one.
      thinking: the settings that switch thinking off, from the base model's row.
      max_output_tokens: the most tokens of the answer; None for the model's own maximum.
    """

    contents: Sequence[Any]
    system_instruction: Any = None
    thinking: Mapping[str, str | int] = field(default_factory=dict)
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a model.

    Attributes:
      text: the model's text; None if it gave none.
      finish_reason: why the model stopped, e.g. "STOP", "MAX_TOKENS", "SAFETY"; None if not given.
      input_tokens: of the question, as the service counts them; None if it does not say.
      output_tokens: of the answer and of what the model thought; None if it does not say.
    """

    text: str | None
    finish_reason: str | None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model that can be tuned.

    Attributes:
      name: the model's name in requests.
      adapter_sizes: ranks it can be tuned with; None if not known.
      locations: where it can be tuned; empty for every region; None if not known.
      serving_locations: where the tuned model answers; empty for the location in which it was tuned; None if not known.
      base_locations: where the model itself, untuned, answers; empty for every region.
      price_per_million: US dollars for a million training tokens; None if not known.
      tuned_prices: US dollars for a million tokens that the tuned model reads, and that it writes; None if not known.
      tuned_factor: the prices of the tuned model, as a multiple of those of the model itself.
      thinking: the client's settings that switch thinking off, or reduce it as far as possible.
      cmek: whether a tuning job can be encrypted with a customer-managed key; None if not known.
      remark: what people should know before they tune it, one sentence; "" for nothing.
      retired_for_new: the first day on which projects that never tuned the model cannot tune it.
      shut_down: the first day on which no project can tune the model.
    """

    name: str
    adapter_sizes: tuple[int, ...] | None
    locations: tuple[str, ...] | None
    serving_locations: tuple[str, ...] | None
    base_locations: tuple[str, ...]
    price_per_million: float | None
    tuned_prices: tuple[float, float] | None
    tuned_factor: float
    thinking: Mapping[str, str | int]
    cmek: bool | None = None
    retired_for_new: date | None = None
    shut_down: date | None = None
    remark: str = ""


ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """An error or a warning about a line.

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
    """The measured contents of a line.

    Attributes:
      seconds: duration of the audio; None if it is not known, as for audio behind a gs:// URI.
      text_chars: characters of all texts, prompt and target together.
      text_bytes: UTF-8 bytes of all texts. No text has more tokens than bytes.
      audio: sha256 of the payload, or the URI; None without audio.
      mime_type: type of the audio behind a URI; "" for inline audio.
      prompt: text of the user turns.
    """

    seconds: float | None = None
    text_chars: int = 0
    text_bytes: int = 0
    audio: str | None = None
    mime_type: str = ""
    prompt: str = ""

    @property
    def tokens(self) -> int:
        """The expected number of tokens. Audio of unknown duration is not counted."""
        return limits.expected_tokens(self.seconds or 0, self.text_chars)

    @property
    def min_tokens(self) -> int:
        """A lower bound of the tokens. Audio of unknown duration is not counted."""
        return int((self.seconds or 0) * limits.MIN_TOKENS_PER_SECOND) + self.text_chars // limits.MAX_CHARS_PER_TOKEN

    @property
    def max_tokens(self) -> int:
        """An upper bound of the tokens. Audio of unknown duration is not counted."""
        return round((self.seconds or 0) * limits.MAX_TOKENS_PER_SECOND) + self.text_bytes


class SchemaError(Exception):
    """The service's schemas refuse a line.

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
    """A parsed line of a dataset.

    Attributes:
      contents: the turns before the last, in the types of the provider's client.
      system_instruction: the system turn, in the same types; None without one.
      target: what the model should answer.
    """

    contents: Sequence[Any]
    system_instruction: Any
    target: str


class Tuner(Protocol):
    """A tuning service. Every method raises `ServiceError`."""

    def submit(self, request: TuningRequest) -> TuningJob:
        """Creates a job. Not idempotent: two calls create two jobs."""

    def body(self, request: TuningRequest) -> dict[str, Any]:
        """The HTTP request that `submit` would send: method, URL and JSON body."""

    def jobs(self) -> Iterator[TuningJob]:
        """All jobs, the newest first."""

    def get(self, name: str) -> TuningJob:
        """The job of this name."""

    def cancel(self, name: str) -> None:
        """Asks the service to cancel the job of this name."""

    def set_default_checkpoint(self, model: str, checkpoint: str) -> None:
        """Sets the checkpoint with which the tuned model's endpoint answers."""

    def ask(self, model: str, question: Question) -> Answer:
        """Asks a model and returns its answer."""


# How an attempt has ended. What is unreachable was not tried, for want of an answer or of credentials.
OK, NOT_TRIED, WRONG, UNREACHABLE = "ok", "not tried", "wrong", "unreachable"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that was tried before a job is sent.

    Attributes:
      what: what was tried, in a word or two.
      outcome: "ok", "not tried" or "wrong".
      detail: what was found; why it was not tried; or what to do.
    """

    what: str
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class ServiceTrial:
    """What was tried of a service.

    Attributes:
      attempts: in order.
      project_number: of the project that pays; None if nothing has told it.
    """

    attempts: tuple[Attempt, ...]
    project_number: str | None


@dataclass(frozen=True, slots=True)
class Deployed:
    """A model that is deployed at an endpoint.

    Attributes:
      number: of the deployment, within its endpoint.
      model: resource name of the model, perhaps with its version behind "@".
      version: of the model; "" if the service does not say.
    """

    number: str
    model: str
    version: str = ""


class Registry(Protocol):
    """What a service keeps of the jobs that have ended: models with versions, and endpoints.

    Every method raises `ServiceError`. One that changes something waits until it is done, and what is missing is.
    """

    def deployed(self, endpoint: str) -> tuple[Deployed, ...] | None:
        """What is deployed at an endpoint; None if there is no such endpoint."""

    def versions(self, model: str) -> tuple[str, ...] | None:
        """The versions of a model, whose name has none; None if there is no such model."""

    def undeploy(self, endpoint: str, deployed: Deployed) -> None:
        """Takes a model off an endpoint."""

    def delete_endpoint(self, endpoint: str) -> None:
        """Deletes an endpoint at which nothing is deployed."""

    def delete_model(self, model: str) -> None:
        """Deletes a model with all its versions."""

    def delete_version(self, model: str, version: str) -> None:
        """Deletes one version of a model that has others."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A tuning service: one row of `tuning.providers.PROVIDERS`. The SDK is imported by the functions that need it.

    Attributes:
      name: the provider's name in requests.
      summary: a few words about the service, for people.
      models: the models that can be tuned, by name.
      default_model: name of the model that is tuned by default.
      default_location: location in which it is tuned by default.
      sources: source of each field of `BaseModel`, by its name.
      find: returns the model of a name, or raises UserError.
      refuse_wrong: raises UserError if the service would refuse the combination of model, location, adapter size,
        day, key and `allow_retired`.
      locate: returns project and location of a resource name, or raises UserError.
      base_location: the location where a model answers untuned that is tuned in another.
      lands_in: the locations in which the model that a location has tuned may lie.
      locate_endpoint: the same of a name that is to be asked; what is no endpoint is refused with what to give instead.
      check_line: returns the problems of a line, and its facts.
      parse: returns the example of a line, or raises SchemaError.
      open: returns the tuner of a project and a location; its last argument is the URL of another server, or None.
      open_registry: returns the registry of all locations. Its arguments are the URL of another server, or None, and
        what sleeps for so many seconds.
      try_service: tries what can be tried of the service without sending a request; its arguments are the request,
        whether a full quota would be waited for, and the URL of another server, or None.
      agents: of the accounts with which the service reads, the form of their names and the name of one, by the number
        of a project.
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
    locate_endpoint: Callable[[str], tuple[str, str]]
    base_location: Callable[[BaseModel, str], str]
    lands_in: Callable[[str], tuple[str, ...]]
    check_line: Callable[[bytes, str], tuple[list[Problem], Facts]]
    parse: Callable[[bytes], Example]
    open: Callable[[str, str, str | None], Tuner]
    open_registry: Callable[[str | None, Callable[[float], None]], Registry]
    try_service: Callable[[TuningRequest, bool, str | None], ServiceTrial]
    agents: Callable[[str], tuple[str, str]]
