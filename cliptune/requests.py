"""The requests for the whole job, and for its first file: frozen records which check themselves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from beam_pipeline.requests import PrepareRequest
from transforms.errors import UsageError, require
from transforms.storage.uris import is_gcs
from tuning import rules
from tuning.requests import CheckRequest, EvaluateRequest, PredictRequest, TuneRequest

PREPARE, CHECK, TUNE, WATCH, PREDICT, EVALUATE = STEPS = ("prepare", "check", "tune", "watch", "predict", "evaluate")
# The name of the only run, and of the first run's base model, as the evaluation has them.
ONLY, BASE = "tuned", "base"


@dataclass(frozen=True)
class InitRequest:
    """Look at manifests, and write a first cliptune.yaml.

    Attributes:
      manifest: files, globs or folders, local or gs://; () for the only one in the working folder.
      file: to write.
      output: folder or gs:// URI of the dataset; None for one that is made up.
      overwrite: whether a file that is there is replaced.
      audio_root: folder at which relative audio paths start; None for the manifest's folder.
      columns: column names, by their key in `ALIASES`. Other columns are found by their usual names.
      billing_project: project that pays for requests to requester-pays buckets; "" if the buckets' own projects pay.
    """

    manifest: tuple[str, ...] = ()
    file: str = "cliptune.yaml"
    output: str | None = None
    overwrite: bool = False
    audio_root: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    billing_project: str = ""

    def __post_init__(self) -> None:
        require(not isinstance(self.manifest, str), "manifest", "a sequence of names", self.manifest)
        named = all(name.strip() for name in self.manifest)
        require(named, "manifest", "named, none of them empty (an unset variable?)", self.manifest)
        fits = bool(self.file.strip()) and not is_gcs(self.file)
        require(fits, "file", "a file of this machine", self.file)
        require(self.output is None or bool(self.output.strip()), "output", "a name, not empty", self.output)


@dataclass(frozen=True)
class RunRequest:
    """Prepare a dataset, check it, tune models on it, ask them and their base models, and compare them.

    Attributes:
      prepare: how the dataset is made.
      tune: the runs by their names, as the evaluation has them. They are tuned one after another.
      check: how the dataset is checked; None as for the first run.
      predict: how models are asked, each about all clips of its split; None for the defaults.
      evaluate: how answers are scored; None for the defaults. `fail_if` is the gate at the end.
      max_cost: US dollars; refuse what all runs and questions together may still cost over that. None for no limit.
      from_step: the first step; what is before it must be done.
      until: the last step.
      dry_run: whether it is only said what would be done, and what it may cost.
      told: says of an error where the value comes from, by verb and run; None for the error itself.
    """

    prepare: PrepareRequest
    tune: Mapping[str, TuneRequest]
    check: CheckRequest | None = None
    predict: PredictRequest | None = None
    evaluate: EvaluateRequest | None = None
    max_cost: float | None = None
    from_step: str = PREPARE
    until: str = EVALUATE
    dry_run: bool = False
    told: Callable[[str, UsageError, str], UsageError] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        rules.require_positive("max_cost", self.max_cost)
        for name in ("from_step", "until"):
            require(getattr(self, name) in STEPS, name, f"one of {', '.join(STEPS)}", getattr(self, name))
        behind = STEPS.index(self.from_step) <= STEPS.index(self.until)
        require(behind, "until", f"{self.from_step} or a step behind it", self.until)
        require(bool(self.tune), "tune", "one run or more", self.tune)
        named = {request.dataset for request in self.tune.values()} | {self.asking.dataset, self.scoring.dataset}
        others = {*named, self.checking.path} - {self.output}
        require(not others, "tune", f"of the dataset that is prepared, {self.output!r}", ", ".join(others))
        self._refuse_same()
        taken = {BASE, *(request.base_model for request in self.tune.values())} & {*self.tune}
        require(not taken, "tune", "named otherwise than the base models", ", ".join(taken))

    def _refuse_same(self) -> None:
        for (one, request), (other, another) in itertools.combinations(self.tune.items(), 2):
            if request == another:
                raise UsageError(f"runs {one} and {other} are the same request; leave one of them out", "tune")

    @property
    def output(self) -> str:
        """The folder of the dataset."""
        return self.prepare.output

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that are carried out."""
        return STEPS[STEPS.index(self.from_step) : STEPS.index(self.until) + 1]

    @property
    def first(self) -> TuneRequest:
        """The first run."""
        return next(iter(self.tune.values()))

    @property
    def checking(self) -> CheckRequest:
        """How the dataset is checked."""
        first = self.first
        priced = {name: getattr(first, name) for name in ("base_model", "epochs", "price_per_million", "prices")}
        return self.check or CheckRequest(
            self.output, provider=first.provider, billing_project=first.billing_project, **priced
        )

    @property
    def asking(self) -> PredictRequest:
        """How a model is asked."""
        first = self.first
        return self.predict or PredictRequest(
            self.output,
            provider=first.provider,
            billing_project=first.billing_project,
            emulator=first.emulator,
            api_endpoint=first.api_endpoint,
        )

    @property
    def scoring(self) -> EvaluateRequest:
        """How answers are scored."""
        asking = self.asking
        return self.evaluate or EvaluateRequest(self.output, split=asking.split, billing_project=asking.billing_project)
