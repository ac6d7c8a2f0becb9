"""`cliptune export`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from beam_pipeline.requests import ExportRequest
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_dataset, make

INTERRUPT_SECONDS = 1.5
INTERRUPTED = Exit.FAILED
TAKES_OTHERS = False
DESCRIPTION = """\
Write a dataset as audio files and manifests: what its examples hold, to listen to,
to correct, or to take elsewhere.

  cliptune export dataset folder
  cliptune export gs://bucket/dataset gs://bucket/files

Read them again (lossless payloads then have the same samples), or with Hugging Face:

  cliptune prepare --manifest 'folder/*/metadata.jsonl' --keep_silence --output again
  datasets.load_dataset("audiofolder", data_dir="folder")"""
EPILOG = """\
stdout is one line of JSON. Exit status: 0 done; 1 failed, or DIR is not empty; 2 usage.
Killed, it leaves no manifest, and the same command goes on."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `export`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add_dataset(parser)
    parser.add_argument("destination", metavar="DIR", help="folder or gs:// URI of the files")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the files in DIR; what no export has written stays"
    )


def request(args: argparse.Namespace, others: Sequence[str]) -> ExportRequest:
    """Makes the request from the flags."""
    return make(ExportRequest, args)


def stopped(request: ExportRequest) -> str:
    """Says how to go on."""
    return "; the same command goes on from here"


def run(request: ExportRequest, console: Console) -> Exit:
    """Exports the dataset and prints the report."""
    from beam_pipeline import export  # noqa: PLC0415 -- slow to import

    report = export.run(request, console)
    console.give(report)
    splits = ", ".join(f"{clips:,} {name}" for name, clips in report.splits.items())
    console.say(f"{report.files:,} files, {report.bytes:,} bytes: {splits}")
    if report.reused:
        console.say(f"{report.reused:,} of them were there from an earlier run")
    console.say(f"files: {report.destination}")
    return Exit.DONE
