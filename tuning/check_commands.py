"""`cliptune check`: what is wrong with a dataset, and what tuning on it will cost."""

from __future__ import annotations

import argparse

from rich.console import Console

from transforms.storage import Storage
from tuning import cost, dataset
from tuning.check import files as checker
from tuning.check.files import Findings, JsonlFile
from tuning.console import print_json, progress
from tuning.cost import TABLE_EPOCHS, Estimate, Price, Tokens
from tuning.dataset import TRAIN, Dataset
from tuning.exits import Exit
from tuning.providers import DEFAULT, PROVIDERS

SHOWN_PROBLEMS = 10


def check(args: argparse.Namespace, console: Console) -> int:
    """Checks a dataset or a file."""
    storage = Storage(args.billing_project)
    model = PROVIDERS[DEFAULT].find(args.base_model)
    prices = cost.given_prices(PROVIDERS[DEFAULT], args.prices, args.base_model, args.price_per_million)
    files = checker.files_of(args.path, storage)
    findings = check_files(files, storage, console, look_up=not args.offline)
    prepared = dataset.load(args.path, storage) if any(file.shard for file in files) else None
    train = train_tokens(findings, prepared)
    priced = cost.estimate(train, PROVIDERS[DEFAULT], model, args.epochs, prices.get(model.name))
    show_findings(args.path, findings, console)
    show_estimate(train, priced, console)
    tree = {**findings.as_dict(), "estimate": priced.as_dict()}
    if args.estimate:
        tree["estimates"] = _show_table(train, prices, console)
    print_json(tree)
    return Exit.DONE if findings.ok else Exit.FAILED


def _show_table(train: Tokens, prices: dict[str, Price], console: Console) -> list[dict[str, object]]:
    estimates = cost.table(train, PROVIDERS[DEFAULT], prices)
    console.print("epochs" + " " * 17 + "".join(f"{epochs:>18}" for epochs in TABLE_EPOCHS))
    for start in range(0, len(estimates), len(TABLE_EPOCHS)):
        of_model = estimates[start : start + len(TABLE_EPOCHS)]
        console.print(f"{of_model[0].base_model:<23}" + "".join(f"{each.range:>18}" for each in of_model))
    for note in dict.fromkeys(f"{each.base_model}: {each.note}" for each in estimates if each.cost is not None):
        console.print(f"  {note}")
    return [each.as_dict() for each in estimates]


def check_files(files: list[JsonlFile], storage: Storage, console: Console, look_up: bool = True) -> Findings:
    """Checks files, with a bar, and looks for the audio that they point to."""
    total = sum(file.shard.bytes if file.shard else storage.size(file.uri) for file in files)
    with progress(console, "checking", total) as advance:
        return checker.check(files, storage, advance, look_up)


def train_tokens(findings: Findings, prepared: Dataset | None) -> Tokens:
    """The tokens of the training split; `dataset.json` knows how long the audio is that lines only point to."""
    train = findings.splits[TRAIN].tokens
    return train.with_audio(prepared.mean_seconds(TRAIN)) if prepared else train


def show_findings(name: str, findings: Findings, console: Console) -> None:
    """Tells people what was found."""
    splits = ", ".join(f"{facts.examples:,} {split}" for split, facts in findings.splits.items() if facts.examples)
    found = findings.counts.total()
    verdict = f"{findings.errors:,} errors, {found - findings.errors:,} warnings" if found else "nothing wrong"
    console.print(f"checked {name}: {splits or 'no'} examples, {verdict}")
    for problem in findings.problems[:SHOWN_PROBLEMS]:
        console.print(f"  {problem.source}: {problem.severity}: {problem.rule}: {problem.detail}")
    if found > SHOWN_PROBLEMS:
        console.print(f"  … and {found - SHOWN_PROBLEMS:,} more")


def show_estimate(train: Tokens, priced: Estimate, console: Console) -> None:
    """Tells people what it will cost."""
    console.print(f"estimate: {priced.line()}")
    if train.unknown_audio:
        console.print(f"  without the audio of {train.unknown_audio:,} examples, whose length the file does not tell")
