"""What a finished run tells: a table for people, one line of JSON for machines."""

from __future__ import annotations

from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

COMMONEST = 3


def show(report: dict[str, Any], output: str, console: Console) -> None:
    """Prints the splits, the commonest reasons and where to look."""
    table = Table(box=None, pad_edge=False)
    for heading in ("split", "examples", "shards", "audio", "bytes"):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for name, split in report["splits"].items():
        minutes = f"{split['audio_seconds'] / 60:.1f} min"
        table.add_row(name, f"{split['examples']:,}", f"{split['shards']:,}", minutes, f"{split['bytes']:,}")
    console.print(table)
    reused = report["reused"]
    if reused:
        console.print(f"{reused:,} of {report['rows']:,} clips were ready from an earlier run and reused")
    console.print(
        f"{report['accepted']:,} accepted + {report['rejected']:,} rejected = {report['rows']:,} manifest rows"
    )
    _show_reasons(report, output, console)
    for warning in report["warnings"]:
        console.print(f"warning: {warning}")
    console.print(f"report:  {output.rstrip('/')}/report.html")
    console.print(f"dataset: {output}")


def _show_reasons(report: dict[str, Any], output: str, console: Console) -> None:
    for reason, entry in list(report["reasons"].items())[:COMMONEST]:
        console.print(f"  {entry['rows']:,} × {reason}: {entry['remedy']}")
        console.print(f"      {entry['examples'][0]}")
    if report["rejected"]:
        console.print(f"  all of them: {output.rstrip('/')}/rejected.jsonl")


def line(report: dict[str, Any], output: str) -> str:
    """The report as one line of JSON, its newline included."""
    reasons = {reason: entry["rows"] for reason, entry in report["reasons"].items()}
    return orjson.dumps({"output": output, **report, "reasons": reasons}).decode() + "\n"
