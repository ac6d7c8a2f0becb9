"""The whole main job on the bundled recordings, offline: what `make run` runs.

Every step is the command a user would type; the same commands against Google
Cloud are printed at the end.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(os.path.relpath(Path(__file__).parent))

CLOUD = """\
Against Google Cloud, the same job is (replace P and B):
  gcloud auth application-default login
  cliptune prepare --manifest {manifest} --output gs://B/dataset
  cliptune check gs://B/dataset
  cliptune tune gs://B/dataset --project P --location us-central1 --base_model {base_model} --epochs 3
  cliptune predict gs://B/dataset
  cliptune predict gs://B/dataset --model base
  cliptune evaluate gs://B/dataset
"""
BASE_MODEL = "gemini-3.1-flash-lite"
# A dataset that an earlier version has left here is replaced; in a folder that someone named, nothing is.
OUTPUT = "out/example"


def main() -> int:
    """Runs the commands one after the other; stops at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default=OUTPUT, help="folder of the dataset (default: %(default)s)")
    output = parser.parse_args().output
    manifest = str(HERE / "manifest.jsonl")
    commands = [
        ["prepare", "--manifest", manifest, "--output", output, *(["--overwrite"] if output == OUTPUT else [])],
        ["check", output],
        ["tune", output, "--emulator", "--base_model", BASE_MODEL, "--epochs", "3"],
        ["predict", output, "--emulator"],
        ["predict", output, "--emulator", "--model", "base"],
        ["evaluate", output],
    ]
    for command in commands:
        status = run(command)
        if status:
            return status
    print_places(output)
    print(CLOUD.format(manifest=manifest, base_model=BASE_MODEL), file=sys.stderr)
    return 0


def run(command: list[str]) -> int:
    """Runs one `cliptune` command, shown first; its exit status."""
    print(f"\n$ cliptune {shlex.join(command)}", file=sys.stderr)
    # stdout is one line of JSON for machines, and a person is looking.
    words = [sys.executable, "-m", "cliptune", *command]
    return subprocess.run(words, check=False, stdout=subprocess.DEVNULL).returncode


def print_places(output: str) -> None:
    """Says where everything is."""
    places = {
        "train/, validation/": "the examples, in hash order, with a sidecar beside each shard",
        "ledger/": "what became of every manifest row (Parquet)",
        "rejected.jsonl": "the rows that were refused, and why; itself a manifest",
        "report.json": "counts, durations, reasons",
        "tuning/": "the joined JSONL files, the job, the predictions",
        "evaluation/": "how well each model answered; evaluation.html is for people",
    }
    print("\nWhere everything is:", file=sys.stderr)
    for name, what in places.items():
        print(f"  {output}/{name:<20} {what}", file=sys.stderr)
    print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
