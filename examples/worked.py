"""The worked example of docs/evaluate.md: its commands, and the part of the page that they make.

`python -m examples.worked` runs the commands in a folder of its own and writes the page. With --recognise it asks
pocketsphinx anew, which takes about as long as the clips are; else examples/pocketsphinx.jsonl has what it heard.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/evaluate.md"
HEARD = ROOT / "examples/pocketsphinx.jsonl"
BEGIN, END = "<!-- made by python -m examples.worked -->\n", "<!-- end -->\n"

RECOGNISE = "python -m examples.recognise english pocketsphinx.jsonl --split test"
COMMANDS = (
    "cliptune prepare --manifest examples/english.jsonl --output english",
    "cliptune tune english --emulator --epochs 3",
    "cliptune predict english --emulator --split test",
    "cliptune predict english --emulator --split test --model base",
    RECOGNISE,
    "cliptune evaluate english --split test --normalizer whisper_english --predictions pocketsphinx=pocketsphinx.jsonl",
)
COLUMNS = ("clips", "missing", "empty", "substitutions", "deletions", "insertions")


def part(evaluation: Mapping[str, Any]) -> str:
    """The part of the page between its marks.

    Args:
      evaluation: what the last command prints.
    """
    return "".join(f"{line}\n" for line in _lines(evaluation))


def _lines(evaluation: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", *(f"    {command}" for command in COMMANDS), "")
    yield f"Of {evaluation['clips']} clips of {evaluation['groups']} groups, with {evaluation['normalizer_version']}:"
    yield from ("", f"| system | {' | '.join(COLUMNS)} | wer | cer |", f"|---|{'---|' * (len(COLUMNS) + 2)}")
    for name, scores in evaluation["systems"].items():
        counts = (str(scores[column]) for column in COLUMNS)
        yield f"| {name} | {' | '.join(counts)} | {_rate(scores['wer'])} | {_rate(scores['cer'])} |"
    yield ""
    yield from (f'- "{pair["sentence"]}"' for pair in evaluation["comparisons"])
    yield ""
    yield from _slices(evaluation, "duration")


def _slices(evaluation: Mapping[str, Any], by: str) -> Iterator[str]:
    names = list(evaluation["systems"])
    yield f"| {by} | clips | {' | '.join(f'wer of {name}' for name in names)} |"
    yield f"|---|---|{'---|' * len(names)}"
    for found in evaluation["slices"]:
        if found["by"] == by:
            rates = " | ".join(_rate(found["systems"][name]) for name in names)
            yield f"| {found['name']} | {found['clips']} | {rates} |"
    yield ""


def _rate(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:.1%} [{interval['low']:.1%}, {interval['high']:.1%}]"


def put(text: str, new: str) -> str:
    """The page with another part between its marks.

    Raises:
      ValueError: the marks do not stand in the page once each.
    """
    before, found, rest = text.partition(BEGIN)
    _, ends, after = rest.partition(END)
    if not (found and ends):
        raise ValueError(f"{PAGE.name} must have {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{new}{END}{after}"


def run(folder: Path, recognise: bool) -> dict[str, Any]:
    """Runs the commands in a folder; what the last one prints.

    Args:
      folder: where they write.
      recognise: whether pocketsphinx is asked anew.
    """
    (folder / "examples").symlink_to(ROOT / "examples")
    told = b""
    for command in COMMANDS:
        print(f"$ {command}", file=sys.stderr)
        if command == RECOGNISE and not recognise:
            shutil.copy(HEARD, folder)
            continue
        program, *words = shlex.split(command)
        words = words if program == "python" else ["-m", program, *words]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        told = subprocess.run(
            [sys.executable, *words], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE
        ).stdout
    if recognise:
        shutil.copy(folder / HEARD.name, HEARD)
    found: dict[str, Any] = json.loads(told)
    return found


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recognise", action="store_true", help="ask pocketsphinx anew")
    with tempfile.TemporaryDirectory() as folder:
        evaluation = run(Path(folder), parser.parse_args().recognise)
    PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), part(evaluation)), encoding="utf-8")


if __name__ == "__main__":
    main()
