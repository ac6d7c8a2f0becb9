"""The requests of the tuning half: one frozen record for each verb, which checks its own fields.

Commands, notebooks and Airflow build the same requests. Importing this module imports neither a provider's client nor
a web server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction

from transforms.errors import UsageError, UserError, require
from transforms.storage.uris import is_gcs, nobodys
from tuning import providers, rules
from tuning.evaluation import gate
from tuning.evaluation.normalizers import CLIPTUNE, NORMALIZERS
from tuning.providers import PROVIDERS
from tuning.providers.base import MAX_LABELS, REQUEST_LABEL

DEFAULT_EPOCHS = 3
# No page documents a range of these two for supervised tuning. These bounds are our own, far outside of all that was
# seen, and stop a slip that would be paid for: users saw the service itself choose 40 epochs, and reinforcement tuning
# documents multipliers from 1/4 to 4.
MAX_EPOCHS = 100
MULTIPLIERS = (0.01, 100.0)
# The online quotas of tuned models are small, and a few questions at a time are enough to hide the network's delay.
DEFAULT_CONCURRENCY = 4
MAX_CONCURRENCY = 64
# Tokens of an answer beside twice the characters of the longest target: for one that says more, and for what a model
# thinks although it is asked not to. Thoughts are counted as output.
ROOM_TOKENS = 256
SPLITS = ("train", "validation", "test")
MAX_NAME_CHARS = 128
DEFAULT_NORMALIZER = "none"
# Of real clips with the right text, one in a hundred or two has more.
DEFAULT_MIN_SCORE = 0.3
# Each doubles the one before: what the last doubling gave is what the next one is judged by.
DEFAULT_FRACTIONS = (Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), Fraction(1))
# Each is a paid job.
MAX_FRACTIONS = 12


@dataclass(frozen=True, kw_only=True)
class Request:
    """The fields of every request.

    Attributes:
      provider: the provider of the models and rules: a key of `tuning.providers.PROVIDERS`.
      billing_project: project that pays for requests to requester-pays buckets; "" if the buckets' own projects pay.
    """

    provider: str = providers.DEFAULT
    billing_project: str = ""

    def __post_init__(self) -> None:
        require(self.provider in PROVIDERS, "provider", f"one of {', '.join(PROVIDERS)}", self.provider)


@dataclass(frozen=True, kw_only=True)
class ServiceRequest(Request):
    """A request that uses a tuning service.

    Attributes:
      emulator: whether to start a local emulator and use it as the service.
      api_endpoint: URL of another server, which gets throw-away credentials; None for the provider's own server.
    """

    emulator: bool = False
    api_endpoint: str | None = None

    def __post_init__(self) -> None:
        Request.__post_init__(self)
        if self.api_endpoint is not None:
            require(rules.is_url(self.api_endpoint), "api_endpoint", "http://HOST:PORT or https://…", self.api_endpoint)
            if self.emulator:
                raise UsageError("api_endpoint names another server; leave the emulator out", "api_endpoint")

    @property
    def local(self) -> bool:
        """Whether the service is not the provider's own: an emulator, or another server."""
        return self.emulator or self.api_endpoint is not None

    @property
    def same_service(self) -> str:
        """The flags with which another command uses the same service, each after a space."""
        if self.emulator:
            return " --emulator"
        return f" --api_endpoint={self.api_endpoint}" if self.api_endpoint else ""


@dataclass(frozen=True, kw_only=True)
class PricedRequest(Request):
    """A request with an estimate of the cost.

    Attributes:
      base_model: name of the model that is tuned; "" becomes the provider's default.
      epochs: passes over the training split, 1 to 100.
      price_per_million: US dollars for a million training tokens of `base_model`; None for the known price.
      prices: JSON file of prices by model; None without one.
    """

    base_model: str = ""
    epochs: int = DEFAULT_EPOCHS
    price_per_million: float | None = None
    prices: str | None = None

    def __post_init__(self) -> None:
        Request.__post_init__(self)
        if not self.base_model:
            object.__setattr__(self, "base_model", PROVIDERS[self.provider].default_model)
        epochs = rules.whole("epochs", self.epochs)
        require(epochs >= 1, "epochs", "1 or more", self.epochs)
        far = f"at most {MAX_EPOCHS}, for each epoch is paid and users saw no job with more than 40"
        require(epochs <= MAX_EPOCHS, "epochs", far, self.epochs)
        object.__setattr__(self, "epochs", epochs)
        rules.require_price("price_per_million", self.price_per_million)


@dataclass(frozen=True)
class CheckRequest(PricedRequest):
    """Check whether the service will accept a dataset, and estimate the cost of tuning on it.

    Attributes:
      path: dataset folder or JSONL file, local or gs://.
      offline: whether to skip listing the buckets of the audio that examples refer to.
      estimate: whether to estimate every model, in one to five epochs.
    """

    path: str
    _: KW_ONLY
    offline: bool = False
    estimate: bool = False


@dataclass(frozen=True, kw_only=True)
class JobRequest(PricedRequest, ServiceRequest):
    """A request that submits tuning jobs.

    Attributes:
      project: project that pays; None with a local service.
      location: where to tune; None for the provider's default.
      max_cost: US dollars; what may cost more, or whose price is not known, is refused. None for no limit.
      adapter_size: rank of the adapter; None for the service's default.
      learning_rate_multiplier: factor of the service's learning rate, 0.01 to 100; None for 1.
      no_validation: whether the validation split is left out.
      display_name: name of the tuned model; None for a name made from the fingerprint.
      labels: labels of the job, besides `REQUEST_LABEL`.
      service_account: account that reads the files; None for the service's agent.
      kms_key: key that encrypts the tuned model; None for the provider's own.
      from_model: a tuned model to tune further; None to tune the base model.
      from_checkpoint: checkpoint of `from_model`; None for its default checkpoint.
      export_last_checkpoint_only: whether only the last checkpoint is kept.
      allow_retired: whether this project has tuned the retired model before.
      staging_location: gs:// folder for the joined files of a local dataset; None without one.
      wait_for_quota: whether to wait while the quota is full.
      allow_second_job: whether to send the request at once although an earlier one, whose answer was lost, may still
        become a job. Then there may be two jobs, and both are paid for.
      timeout: seconds to wait for the end of a job; None for no limit.
    """

    project: str | None = None
    location: str | None = None
    max_cost: float | None = None
    adapter_size: int | None = None
    learning_rate_multiplier: float | None = None
    no_validation: bool = False
    display_name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str | None = None
    kms_key: str | None = None
    from_model: str | None = None
    from_checkpoint: str | None = None
    export_last_checkpoint_only: bool = False
    allow_retired: bool = False
    staging_location: str | None = None
    wait_for_quota: bool = False
    allow_second_job: bool = False
    timeout: float | None = None

    def __post_init__(self) -> None:
        ServiceRequest.__post_init__(self)
        PricedRequest.__post_init__(self)
        for name in ("max_cost", "learning_rate_multiplier", "timeout"):
            rules.require_positive(name, getattr(self, name))
        self._check_knobs()
        if self.display_name is not None:
            fits = 0 < len(self.display_name) <= MAX_NAME_CHARS
            require(fits, "display_name", f"of 1 to {MAX_NAME_CHARS} characters", self.display_name)
        if self.service_account is not None:
            is_account = re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", self.service_account) is not None
            require(is_account, "service_account", "NAME@PROJECT.iam.gserviceaccount.com", self.service_account)
        if self.from_checkpoint is not None and self.from_model is None:
            problem = "from_checkpoint needs from_model, the tuned model that has the checkpoint"
            raise UsageError(problem, "from_checkpoint")
        if self.staging_location is not None:
            require(is_gcs(self.staging_location), "staging_location", "a gs:// URI", self.staging_location)
            why = nobodys(self.staging_location)
            require(not why, "staging_location", f"a place that can be ({why})", self.staging_location)
        self._check_labels()

    def _check_knobs(self) -> None:
        """Refuses what is far out of range. Equal knobs become equal values, for the same request is the same job."""
        factor = self.learning_rate_multiplier
        if factor is not None:
            least, most = MULTIPLIERS
            known = f"from {least:g} to {most:g}, for the service's own rate is 1"
            require(least <= factor <= most, "learning_rate_multiplier", known, factor)
            object.__setattr__(self, "learning_rate_multiplier", float(factor))
        if self.adapter_size is not None:
            object.__setattr__(self, "adapter_size", rules.whole("adapter_size", self.adapter_size))

    def _check_labels(self) -> None:
        for key, value in self.labels.items():
            require(rules.is_label(key, value), "label", rules.LABEL_RULE, f"{key}={value}")
        if len(self.labels) >= MAX_LABELS or REQUEST_LABEL in self.labels:
            raise UserError(f"label must be given at most {MAX_LABELS - 1} times, and {REQUEST_LABEL} is taken")


@dataclass(frozen=True)
class TuneRequest(JobRequest):
    """Join, check, price and submit a dataset, and watch the job.

    Attributes:
      dataset: dataset folder, local or gs://.
      fraction: of the examples that are tuned on, the first in hash order, above 0 and at most 1; may be given as text.
      dry_run: whether to return the exact request instead of sending it, with what can be tried before.
      preflight: whether to try what can be tried, and to send nothing.
      no_watch: whether to return once the job is accepted.
      another: whether to send the request although another job of this dataset goes on. Both are paid for.
      default_checkpoint: checkpoint that answers once the model is tuned; None for the last.
    """

    dataset: str
    _: KW_ONLY
    fraction: Fraction = Fraction(1)
    dry_run: bool = False
    preflight: bool = False
    no_watch: bool = False
    another: bool = False
    default_checkpoint: str | None = None

    def __post_init__(self) -> None:
        JobRequest.__post_init__(self)
        object.__setattr__(self, "fraction", rules.fraction("fraction", self.fraction))


@dataclass(frozen=True)
class CurveRequest(JobRequest):
    """Tune on growing parts of a dataset, evaluate each model, and say whether more data would help.

    Attributes:
      dataset: dataset folder, local or gs://.
      fractions: of the examples, each a model; above 0 and at most 1; may be given as text.
      predictions: size and file of answers; then nothing is tuned. A size is a fraction, or a number of examples.
      split: whose clips are asked about: "validation" or "test".
      normalizer: makes texts alike before they are compared: a key of `NORMALIZERS`.
      dry_run: whether to return the plan and its price, and to submit nothing.
      input_price: US dollars for a million tokens that a tuned model reads; None for the known price.
      output_price: US dollars for a million tokens that it writes; None for the known price.
      concurrency: the most questions at a time.
    """

    dataset: str
    _: KW_ONLY
    fractions: tuple[Fraction, ...] = DEFAULT_FRACTIONS
    predictions: tuple[tuple[str, str], ...] = ()
    split: str = "validation"
    normalizer: str = DEFAULT_NORMALIZER
    dry_run: bool = False
    input_price: float | None = None
    output_price: float | None = None
    concurrency: int = DEFAULT_CONCURRENCY

    def __post_init__(self) -> None:
        JobRequest.__post_init__(self)
        rules.require_price("input_price", self.input_price)
        rules.require_price("output_price", self.output_price)
        require(1 <= self.concurrency <= MAX_CONCURRENCY, "concurrency", f"1 to {MAX_CONCURRENCY}", self.concurrency)
        require(self.split in ("validation", "test"), "split", "validation or test", self.split)
        require(self.normalizer in NORMALIZERS, "normalizer", f"one of {', '.join(NORMALIZERS)}", self.normalizer)
        fractions = tuple(sorted({rules.fraction("fractions", one) for one in self.fractions}))
        require(0 < len(fractions) <= MAX_FRACTIONS, "fractions", f"1 to {MAX_FRACTIONS}", len(fractions))
        object.__setattr__(self, "fractions", fractions)
        for size, _ in self.predictions:
            if not re.fullmatch(r"[1-9]\d{0,9}", size):
                rule = "SIZE=FILE, SIZE a fraction such as 1/8 or a number of training examples"
                require(rules.is_fraction(size), "predictions", rule, size)


@dataclass(frozen=True)
class WatchRequest(ServiceRequest):
    """Follow the tuning job of a dataset to its end.

    Attributes:
      dataset: folder of the dataset that was tuned on.
      run: name of the run; None for the newest that goes on, else the newest.
      timeout: seconds to wait for the end of the job; None for no limit.
      default_checkpoint: checkpoint that answers once the model is tuned; None for the last.
    """

    dataset: str
    _: KW_ONLY
    run: str | None = None
    timeout: float | None = None
    default_checkpoint: str | None = None

    def __post_init__(self) -> None:
        ServiceRequest.__post_init__(self)
        rules.require_positive("timeout", self.timeout)


@dataclass(frozen=True)
class JobsRequest(ServiceRequest):
    """List tuning jobs, the newest first.

    Attributes:
      dataset: folder of a dataset that was tuned on, which gives project and location; None without one.
      project: project of the jobs; None for that of the dataset.
      location: location of the jobs; None for that of the dataset, or the provider's default.
      limit: the most jobs to list.
    """

    dataset: str | None = None
    _: KW_ONLY
    project: str | None = None
    location: str | None = None
    limit: int = 20

    def __post_init__(self) -> None:
        ServiceRequest.__post_init__(self)
        require(self.limit >= 1, "limit", "1 or more", self.limit)


@dataclass(frozen=True)
class CancelRequest(ServiceRequest):
    """Cancel a tuning job.

    Attributes:
      job: folder of the dataset that was tuned on, or the job's resource name.
      run: name of the run; None for the one that goes on, else the newest.
    """

    job: str
    _: KW_ONLY
    run: str | None = None


@dataclass(frozen=True)
class DeleteRequest(ServiceRequest):
    """Delete the tuned model of a run, and its endpoints.

    Attributes:
      dataset: folder of the dataset that was tuned on.
      run: name of the run; None for the only one that has a model.
      yes: whether to delete without being asked again.
    """

    dataset: str
    _: KW_ONLY
    run: str | None = None
    yes: bool = False


@dataclass(frozen=True)
class PredictRequest(ServiceRequest):
    """Ask a model about clips of the dataset, or about any recording.

    Attributes:
      dataset: folder of the dataset that was tuned on.
      run: name of the run; None for the newest whose model answers.
      model: endpoint resource, or "base"; None for the tuned model of the run.
      split: "train", "validation" or "test".
      limit: the most clips to ask about; None for all.
      checkpoint: checkpoint of the dataset's job; None for its default checkpoint.
      audio: recordings to ask about instead of clips.
      probe_silence: whether to ask about silence, noise and music made by us instead, in which nobody speaks.
      task: with `audio` or `probe_silence`: the task of the dataset that gives the prompt; "" for the only task.
      prompt: with `audio`: text of the user turn; "" for the dataset's prompt.
      system_instruction: with `audio`: text of the system turn; "" for that of the task, if any.
      max_output_tokens: the most tokens of one answer; None for room above the dataset's longest target.
      max_cost: the most US dollars that the questions may cost; None for no limit.
      input_price: US dollars for a million tokens that the model reads; None for the known price.
      output_price: US dollars for a million tokens that the model writes; None for the known price.
      concurrency: the most questions at a time. There are fewer while the quota is full.
    """

    dataset: str
    _: KW_ONLY
    run: str | None = None
    model: str | None = None
    split: str = "validation"
    limit: int | None = None
    checkpoint: str | None = None
    audio: tuple[str, ...] = ()
    probe_silence: bool = False
    task: str = ""
    prompt: str = ""
    system_instruction: str = ""
    max_output_tokens: int | None = None
    max_cost: float | None = None
    input_price: float | None = None
    output_price: float | None = None
    concurrency: int = DEFAULT_CONCURRENCY

    def __post_init__(self) -> None:
        ServiceRequest.__post_init__(self)
        rules.require_positive("max_cost", self.max_cost)
        rules.require_price("input_price", self.input_price)
        rules.require_price("output_price", self.output_price)
        require(1 <= self.concurrency <= MAX_CONCURRENCY, "concurrency", f"1 to {MAX_CONCURRENCY}", self.concurrency)
        most = self.max_output_tokens
        require(most is None or most >= 1, "max_output_tokens", "1 or more", most)
        require(self.split in SPLITS, "split", f"one of {', '.join(SPLITS)}", self.split)
        require(self.limit is None or self.limit >= 1, "limit", "1 or more", self.limit)
        if self.checkpoint and self.model:
            raise UsageError("checkpoint names a checkpoint of the dataset's own job; leave model out", "checkpoint")
        alone = next((name for name in ("prompt", "system_instruction", "task") if getattr(self, name)), "")
        if self.audio and self.probe_silence:
            raise UsageError("probe_silence asks about sounds of its own; leave audio out", "probe_silence")
        if alone and not self.audio and not (alone == "task" and self.probe_silence):
            raise UsageError(f"{alone} needs audio; clips of the dataset have their own", alone)


@dataclass(frozen=True)
class EvaluateRequest:
    """Score what models and other systems said of held-out clips, and compare them.

    Attributes:
      dataset: folder of the dataset.
      predictions: name and file of other systems' answers; the dataset's own are found.
      split: whose clips were asked about: "train", "validation" or "test".
      run: name of the run whose model is "tuned"; None for the newest that has answers.
      system: name and run of the models to compare, in this order, instead of those of all runs.
      normalizer: makes texts alike before they are compared: a key of `NORMALIZERS`.
      task_normalizer: of single tasks, instead: name of the task, and key of `NORMALIZERS`.
      fail_if: conditions, such as "wer(tuned) > wer(base)".
      billing_project: project that pays for requests to requester-pays buckets; "" if the buckets' own projects pay.
    """

    dataset: str
    _: KW_ONLY
    predictions: tuple[tuple[str, str], ...] = ()
    split: str = "validation"
    run: str | None = None
    system: tuple[tuple[str, str], ...] = ()
    normalizer: str = DEFAULT_NORMALIZER
    task_normalizer: tuple[tuple[str, str], ...] = ()
    fail_if: tuple[str, ...] = ()
    billing_project: str = ""

    def __post_init__(self) -> None:
        require(self.split in SPLITS, "split", f"one of {', '.join(SPLITS)}", self.split)
        rule = f"one of {', '.join(NORMALIZERS)}"
        require(self.normalizer in NORMALIZERS, "normalizer", rule, self.normalizer)
        for _, name in self.task_normalizer:
            require(name in NORMALIZERS, "task_normalizer", f"TASK=NAME, NAME {rule}", name)
        rules.require_systems(self.predictions)
        rules.require_systems(self.system, "system", "RUN")
        if self.system and self.run is not None:
            raise UsageError("system names the runs to compare; leave run out", "system")
        for condition in self.fail_if:
            gate.parse(condition)


@dataclass(frozen=True)
class SuspectsRequest:
    """Rank the clips of a split whose texts do not fit their audio.

    Attributes:
      dataset: folder of the dataset.
      predictions: name and file of other systems' answers; those of base models are found.
      split: whose clips are looked at: "train", "validation" or "test".
      normalizer: makes texts alike before they are compared: a key of `NORMALIZERS`.
      min_score: clips with less are not written.
      billing_project: project that pays for requests to requester-pays buckets; "" if the buckets' own projects pay.
    """

    dataset: str
    _: KW_ONLY
    predictions: tuple[tuple[str, str], ...] = ()
    split: str = "train"
    normalizer: str = CLIPTUNE
    min_score: float = DEFAULT_MIN_SCORE
    billing_project: str = ""

    def __post_init__(self) -> None:
        require(self.split in SPLITS, "split", f"one of {', '.join(SPLITS)}", self.split)
        require(self.normalizer in NORMALIZERS, "normalizer", f"one of {', '.join(NORMALIZERS)}", self.normalizer)
        require(
            rules.is_number(self.min_score) and 0 <= self.min_score <= 1, "min_score", "from 0 to 1", self.min_score
        )
        rules.require_systems(self.predictions)
