"""Checks a dataset and estimates what tuning on it will cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transforms import records
from transforms.listener import SILENT, Listener
from transforms.storage import Storage
from tuning import cost, dataset
from tuning.check import files
from tuning.check.files import Findings, JsonlFile, SplitFacts
from tuning.cost import TABLE_EPOCHS, Estimate, Price, Scale, Tokens
from tuning.dataset import TRAIN, Dataset
from tuning.providers import PROVIDERS
from tuning.providers.base import Problem, Provider
from tuning.requests import CheckRequest, PricedRequest

SHOWN_PROBLEMS = 10
FORMAT_VERSION = 1
_WIDTH = 34


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The report that `cliptune check` prints on stdout.

    Attributes:
      format_version: version of these fields.
      ok: whether no errors were found; warnings are allowed.
      examples: lines of all splits.
      errors: number of problems that are errors.
      counts: number of problems by rule.
      problems: the first 1,000 problems.
      splits: totals of "train", "validation" and, where rows are marked so, "test".
      estimate: the cost of the requested job.
      estimates: the cost of every model in one to five epochs; None if not requested.
      scales: the same for other numbers of examples like these; None if not requested.
    """

    format_version: int
    ok: bool
    examples: int
    errors: int
    counts: dict[str, int]
    problems: tuple[Problem, ...]
    splits: dict[str, SplitFacts]
    estimate: Estimate
    estimates: tuple[Estimate, ...] | None = None
    scales: tuple[Scale, ...] | None = None

    @staticmethod
    def of(
        findings: Findings,
        estimate: Estimate,
        estimates: tuple[Estimate, ...] | None = None,
        scales: tuple[Scale, ...] | None = None,
    ) -> CheckReport:
        """The report of what was found."""
        return CheckReport(
            FORMAT_VERSION,
            ok=findings.ok,
            examples=findings.examples,
            errors=findings.errors,
            counts=dict(sorted(findings.counts.items())),
            problems=tuple(findings.problems),
            splits=findings.splits,
            estimate=estimate,
            estimates=estimates,
            scales=scales,
        )

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return records.without_none(asdict(self))


def run(request: CheckRequest, listener: Listener = SILENT) -> CheckReport:
    """Checks a dataset or a file, and estimates the cost of tuning on it.

    Raises:
      UserError, StorageError: there is nothing to check, or a file cannot be read.
    """
    storage, provider = Storage(request.billing_project), PROVIDERS[request.provider]
    provider.find(request.base_model)
    prices = prices_of(request)
    listed = files.files_of(request.path, storage)
    findings = check_files(listed, storage, listener, provider, look_up=not request.offline)
    prepared = dataset.load(request.path, storage) if any(file.shard for file in listed) else None
    train = train_tokens(findings, prepared)
    say_findings(request.path, findings, listener)
    priced = estimate(train, request, prices)
    say_estimate(train, priced, listener)
    if not request.estimate:
        return CheckReport.of(findings, priced)
    examples = findings.splits[TRAIN].examples
    scaled = cost.scales(train, examples, provider, prices)
    for scale in scaled:
        _say_table(f"{scale.examples:,} clips like these", scale.estimates, listener)
    table = tuple(cost.table(train, provider, prices))
    _say_table(f"these {examples:,} clips", table, listener)
    _say_notes(table, listener)
    return CheckReport.of(findings, priced, table, scaled)


def prices_of(request: PricedRequest) -> dict[str, Price]:
    """The prices given by the user, by model."""
    provider = PROVIDERS[request.provider]
    return cost.given_prices(provider, request.prices, request.base_model, request.price_per_million)


def estimate(train: Tokens, request: PricedRequest, prices: Mapping[str, Price]) -> Estimate:
    """The estimated cost of the requested job."""
    provider = PROVIDERS[request.provider]
    model = provider.find(request.base_model)
    return cost.estimate(train, provider, model, request.epochs, prices.get(model.name))


def check_files(
    listed: Sequence[JsonlFile], storage: Storage, listener: Listener, provider: Provider, look_up: bool = True
) -> Findings:
    """Checks files and shows the progress. With `look_up`, also checks the audio that they refer to."""
    total = sum(file.shard.bytes if file.shard else storage.size(file.uri) for file in listed)
    with listener.progress("checking", total) as update:
        done = 0

        def advance(size: int) -> None:
            nonlocal done
            done += size
            update(done, "")

        return files.check(listed, storage, advance, look_up, provider)


def train_tokens(findings: Findings, prepared: Dataset | None) -> Tokens:
    """The tokens of the training split. `dataset.json` gives the duration of audio that lines only refer to."""
    train = findings.splits[TRAIN].tokens
    return train.with_audio(prepared.mean_seconds(TRAIN)) if prepared else train


def say_findings(name: str, findings: Findings, listener: Listener) -> None:
    """Prints the totals and the first problems."""
    splits = ", ".join(f"{facts.examples:,} {split}" for split, facts in findings.splits.items() if facts.examples)
    found = findings.counts.total()
    verdict = f"{findings.errors:,} errors, {found - findings.errors:,} warnings" if found else "nothing wrong"
    listener.say(f"checked {name}: {splits or 'no'} examples, {verdict}")
    for problem in findings.problems[:SHOWN_PROBLEMS]:
        listener.say(f"  {problem.source}: {problem.severity}: {problem.rule}: {problem.detail}")
    if found > SHOWN_PROBLEMS:
        listener.say(f"  … and {found - SHOWN_PROBLEMS:,} more")


def say_estimate(train: Tokens, priced: Estimate, listener: Listener) -> None:
    """Prints the estimated cost of the job."""
    listener.say(f"estimate: {priced.line()}")
    if train.unknown_audio:
        listener.say(f"  not counted: the audio of {train.unknown_audio:,} examples, whose duration is not in the file")


def _say_table(of: str, estimates: Sequence[Estimate], listener: Listener) -> None:
    listener.say(f"{of}, epochs".ljust(_WIDTH) + "".join(f"{epochs:>18}" for epochs in TABLE_EPOCHS))
    for start in range(0, len(estimates), len(TABLE_EPOCHS)):
        of_model = estimates[start : start + len(TABLE_EPOCHS)]
        listener.say(of_model[0].base_model.ljust(_WIDTH) + "".join(f"{row.range:>18}" for row in of_model))


def _say_notes(estimates: Sequence[Estimate], listener: Listener) -> None:
    for remark in dict.fromkeys(f"{row.base_model}: {row.note}" for row in estimates if row.cost is not None):
        listener.say(f"  {remark}")
