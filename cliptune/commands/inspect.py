"""`cliptune inspect`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from beam_pipeline.requests import InspectRequest
from cliptune import players
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_billing, make

if TYPE_CHECKING:
    from beam_pipeline.inspect import InspectReport
    from transforms.dataset.dissected import Step

INTERRUPT_SECONDS = 1.5
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Show one clip: what its recording is, what each step makes of it, its level, what
was trimmed or why it is refused, and its example without the base64.

  cliptune inspect a.wav                                a recording
  cliptune inspect clips.jsonl:17                       a row of a manifest
  cliptune inspect dataset clip-17                      a clip of a dataset, rejected or not
  cliptune inspect dataset/train/train-00000-of-00001.jsonl:17
  cliptune inspect dataset clip-17 --save heard.flac    the audio that the model gets
  cliptune inspect dataset clip-17 --play"""
EPILOG = """\
stdout is one line of JSON. Exit status: 0 done, also for a clip that is refused;
1 failed, or there is no such clip; 2 usage."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `inspect`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("place", metavar="FILE|OUT|SHARD:LINE|MANIFEST:LINE", help="local or gs://")
    parser.add_argument("clip_id", metavar="ID", nargs="?", help="of OUT, the id of a clip or of a rejected row")
    parser.add_argument("--save", metavar="FILE", help="write the payload into this file, local or gs://")
    parser.add_argument("--play", action="store_true", help=f"play the payload, with {' or '.join(players.PLAYERS)}")
    parser.add_argument(
        "--audio_root", metavar="DIR", help="start of relative audio paths of MANIFEST (default: its folder)"
    )
    add_billing(parser)


def request(args: argparse.Namespace, others: Sequence[str]) -> InspectRequest:
    """Makes the request from the flags."""
    return make(InspectRequest, args)


def stopped(request: InspectRequest) -> str:
    """Nothing to add: no work goes on."""
    return ""


def run(request: InspectRequest, console: Console) -> Exit:
    """Shows the clip, and plays it."""
    from beam_pipeline import inspect  # noqa: PLC0415 -- slow to import

    play = players.found() if request.play else None
    found = inspect.run(request, console)
    console.give(found.report)
    _show(found.report, console)
    if play is not None:
        play(found.payload)
    return Exit.DONE


def _show(report: InspectReport, console: Console) -> None:
    """Prints the steps and what came of them."""
    names = (f"{report.clip_id} ({report.source})" if report.source else "", report.uri)
    console.say(": ".join(filter(None, names)) or report.place)
    for step in report.steps:
        console.say(_line(step))
    noted = report.outcome or {}
    if noted.get("status") == "rejected":
        console.say(f"the dataset has rejected it: {noted.get('reason')}: {noted.get('detail')}")
    if report.reason:
        console.say(f"refused: {report.reason}: {report.detail}")
    if report.example is not None:
        console.say(orjson.dumps(report.example).decode())
    if report.saved:
        console.say(f"payload: {report.saved}")


def _line(step: Step) -> str:
    """A step in one line; a table would break what was done into pieces."""
    if step.samples is None:
        return f"{step.name:<9}{step.detail}"
    rms, peak = ("silent" if level is None else f"{level:.1f}" for level in (step.rms_dbfs, step.peak_dbfs))
    heard = f"{step.seconds:.3f} s, {step.sample_rate:,} Hz, {step.channels} ch, {rms} dBFS rms, {peak} peak"
    return f"{step.name:<9}{heard}: {step.detail}"
