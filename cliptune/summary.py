"""The summary that `cliptune prepare` prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from beam_pipeline.job import Spread
from beam_pipeline.launch import PrepareDryRun
from beam_pipeline.prepare import Prepared
from cliptune.console import Console, Verbosity
from cliptune.exits import Exit
from transforms.dataset.output import REJECTED_FILE
from transforms.listener import Listener
from transforms.report.report import Report, SplitReport, TrimReport
from transforms.storage import Storage, uris
from tuning import tables

COMMONEST = 3
_SPLIT_HEADS = ("split", "examples", "shards", "audio", "bytes")


def told(finished: Prepared, max_rejected_fraction: float, console: Console, storage: Storage | None = None) -> Exit:
    """Prints the summary of a finished dataset and gives its report to the console; the exit status."""
    show(finished, console)
    if console.verbosity is Verbosity.VERBOSE:
        _show_rejected(finished.output, storage or Storage(), console)
    console.give(finished)
    if not finished.too_many_rejected:
        return Exit.DONE
    over = f"more than --max_rejected_fraction={max_rejected_fraction:g} of the rows were rejected"
    console.fail(f"{over}; the dataset is complete without them" if finished.report.accepted else over)
    return Exit.TOO_MANY_REJECTED


def show(finished: Prepared, console: Listener) -> None:
    """Prints the splits, the commonest reasons and the paths of report and dataset."""
    report, output = finished.report, finished.output
    for line in tables.lines([_SPLIT_HEADS, *map(_split_row, report.splits.items())]):
        console.say(line)
    if finished.reused:
        console.say(f"{finished.reused:,} of {report.rows:,} clips were ready from an earlier run and reused")
    console.say(f"{report.accepted:,} accepted + {report.rejected:,} rejected = {report.rows:,} manifest rows")
    _show_trimmed(report.trimmed, console)
    _show_reasons(report, output, console)
    _show_cpu(finished.cpu, console)
    for warning in report.warnings:
        console.say(f"warning: {warning}")
    console.say(f"report:  {output.rstrip('/')}/report.html")
    console.say(f"dataset: {output}")


def show_preview(found: PrepareDryRun, console: Console) -> None:
    """Prints what a dry run has found."""
    seen, size = found.preview, found.preview.estimate
    for manifest in seen.manifests:
        columns = ", ".join(f"{column} from {name}" for column, name in manifest.columns.items())
        console.say(f"{manifest.name}: {manifest.rows:,} rows; {columns or 'no row can be read'}")
    for example in seen.examples:
        shown = orjson.dumps(example.example).decode() if example.example else f"{example.reason}: {example.detail}"
        console.say(f"{example.source} → {example.split}: {shown}")
    splits = ((name, f"{rows:,}", f"{found.shards[name]:,}") for name, rows in seen.splits.items())
    for line in tables.lines([("split", "rows", "shards"), *splits]):
        console.say(line)
    told = "" if size.told_seconds is None else f" (the rows say {size.told_seconds / 3600:,.2f} h)"
    audio = f"{size.audio_seconds / 3600:,.2f} h of audio{told}"
    console.say(f"about {size.bytes:,} bytes, {audio}, {size.tokens:,} tokens an epoch, by {size.tried:,} clips tried")
    if size.rejected:
        console.say(f"{size.rejected:,} of the {size.tried:,} clips tried would be rejected")
    console.say(f"output: {found.output} ({found.found}); nothing was written")


def _split_row(named: tuple[str, SplitReport]) -> tuple[str, ...]:
    name, split = named
    minutes = f"{split.audio_seconds / 60:.1f} min"
    return name, f"{split.examples:,}", f"{split.shards:,}", minutes, f"{split.bytes:,}"


def _show_trimmed(trimmed: TrimReport, console: Listener) -> None:
    if trimmed.samples:
        clips = f"{trimmed.mostly_trimmed:,} {'clip' if trimmed.mostly_trimmed == 1 else 'clips'} lost more than half"
        console.say(f"{trimmed.share:.1%} of the audio was trimmed from the ends of clips; {clips}")
    for example in trimmed.examples[:1]:
        console.say(f"      {example}")


def _show_cpu(cpu: Mapping[str, Spread], console: Listener) -> None:
    stages = [
        f"{stage} {spread.total / spread.count / 1000:.1f} ({spread.longest / 1000:.0f})"
        for stage, spread in cpu.items()
    ]
    if stages:
        console.say(f"processor time of a clip in ms, mean (longest): {', '.join(stages)}")


def _show_rejected(output: str, storage: Storage, console: Listener) -> None:
    """Prints why each rejected row is none of the dataset."""
    rejected = uris.join(uris.absolute(output, str(Path.cwd())), REJECTED_FILE)
    with suppress(FileNotFoundError), storage.open_read(rejected) as stream:
        for line in stream:
            letter = orjson.loads(line)
            console.say(f"{letter['reject_source']}: {letter['reject_reason']}: {letter['reject_detail']}")


def _show_reasons(report: Report, output: str, console: Listener) -> None:
    for name, reason in list(report.reasons.items())[:COMMONEST]:
        console.say(f"  {reason.rows:,} × {name}: {reason.remedy}")
        console.say(f"      {reason.examples[0]}")
    if report.rejected:
        console.say(f"  all of them: {output.rstrip('/')}/rejected.jsonl")
