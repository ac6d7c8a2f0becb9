"""Runs of `cliptune prepare` in this process, on a few real recordings."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cliptune import main

EXAMPLES = Path(__file__).parents[2] / "examples"
ROWS = [json.loads(line) for line in (EXAMPLES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
# Every third clip: some of each format, quick enough to prepare again and again.
SOME = ROWS[::3]


@dataclass(frozen=True)
class Run:
    """What a command did."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one line that stdout is."""
        assert self.stdout.count("\n") == 1
        tree: dict[str, Any] = json.loads(self.stdout)
        return tree


@pytest.fixture
def prepare(capfd):
    def call(manifest, output, *flags):
        capfd.readouterr()
        try:
            status = main(["prepare", "--manifest", str(manifest), "--output", str(output), *map(str, flags)])
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Run(status, captured.out, captured.err)

    return call


@pytest.fixture
def folder(tmp_path):
    """A folder with some recordings and a manifest of them."""
    for row in SOME:
        (tmp_path / row["audio_path"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / row["audio_path"], tmp_path / row["audio_path"])
    write_manifest(tmp_path / "m.jsonl", SOME)
    return tmp_path


def write_manifest(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def contents(output, without=()):
    """Every file of a dataset, by its path."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.name not in without
    }


def ledger(output):
    return [row for path in sorted((output / "ledger").iterdir()) for row in pq.read_table(path).to_pylist()]


def examples(output, split):
    return [
        json.loads(line) for path in sorted((output / split).glob("*.jsonl")) for line in path.read_text().splitlines()
    ]
