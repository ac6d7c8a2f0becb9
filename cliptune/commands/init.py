"""`cliptune init`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliptune.commands import prepare
from cliptune.config import DEFAULT_FILE
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_billing, make
from cliptune.requests import InitRequest

INTERRUPT_SECONDS = 1.5
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Write a first cliptune.yaml from a look at a manifest: what was found as comments, and
a file that runs as it is, on the local emulator.

  cliptune init clips.jsonl
  cliptune init                    the only manifest of this folder
  cliptune init 'gs://bucket/lists/*.csv' --text_column sentence

No recording is opened, and nothing but the file and its schema is written."""
EPILOG = """\
stdout is one line of JSON: what was found. Exit status: 0 written; 1 failed, or the
file is there already; 2 usage."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `init`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "manifest",
        nargs="*",
        metavar="MANIFEST",
        help="as cliptune prepare takes it; several may be named (default: the only one in this folder)",
    )
    parser.add_argument("--file", default=DEFAULT_FILE, metavar="FILE", help="to write (default: %(default)s)")
    parser.add_argument(
        "--output",
        metavar="OUT",
        help="folder or gs:// URI of the dataset (default: dataset, in the manifest's bucket)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it is there")
    parser.add_argument("--audio_root", metavar="DIR", help="start of relative audio paths, as cliptune prepare has it")
    add_billing(parser)
    prepare.add_columns(parser.add_argument_group("columns"))


def request(args: argparse.Namespace, others: Sequence[str]) -> InitRequest:
    """Makes the request from the flags."""
    return make(InitRequest, args, manifest=tuple(args.manifest), columns=prepare.columns(args))


def stopped(request: InitRequest) -> str:
    """Nothing to add: the file is written whole, or not at all."""
    return ""


def run(request: InitRequest, console: Console) -> Exit:
    """Looks at the manifests, writes the file, and prints what was found."""
    from cliptune import init  # noqa: PLC0415 -- reads manifests, which takes its time to import

    console.give(init.run(request, console))
    return Exit.DONE
