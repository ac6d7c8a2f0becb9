"""The end of a run on the terminal: a table for people, one line of JSON for machines."""

from __future__ import annotations

import orjson
from rich.console import Console
from rich.table import Table

from transforms.report.report import Report

COMMONEST = 3


def show(report: Report, reused: int, output: str, console: Console) -> None:
    """Prints the splits, the commonest reasons and where to look.

    Args:
      report: of the run.
      reused: clips that an earlier run had made ready.
      output: the dataset's folder, as the user wrote it.
      console: where people read.
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("split", "examples", "shards", "audio", "bytes"):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for name, split in report.splits.items():
        minutes = f"{split.audio_seconds / 60:.1f} min"
        table.add_row(name, f"{split.examples:,}", f"{split.shards:,}", minutes, f"{split.bytes:,}")
    console.print(table)
    if reused:
        console.print(f"{reused:,} of {report.rows:,} clips were ready from an earlier run and reused")
    console.print(f"{report.accepted:,} accepted + {report.rejected:,} rejected = {report.rows:,} manifest rows")
    _show_reasons(report, output, console)
    for warning in report.warnings:
        console.print(f"warning: {warning}")
    console.print(f"report:  {output.rstrip('/')}/report.html")
    console.print(f"dataset: {output}")


def _show_reasons(report: Report, output: str, console: Console) -> None:
    for name, reason in list(report.reasons.items())[:COMMONEST]:
        console.print(f"  {reason.rows:,} × {name}: {reason.remedy}")
        console.print(f"      {reason.examples[0]}")
    if report.rejected:
        console.print(f"  all of them: {output.rstrip('/')}/rejected.jsonl")


def line(report: Report, reused: int, output: str) -> str:
    """The report as one line of JSON, its newline included; takes what `show` takes."""
    reasons = {name: reason.rows for name, reason in report.reasons.items()}
    tree = {"output": output, **report.as_dict(), "reasons": reasons, "reused": reused}
    return orjson.dumps(tree).decode() + "\n"
