"""Runs of `cliptune prepare` in this process, on a few real recordings."""

import contextlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cliptune.main import main
from tests.envelopes import report_of
from transforms.dataset import plan

EXAMPLES = Path(__file__).parents[2] / "examples"
ROWS = [json.loads(line) for line in (EXAMPLES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
# Every third clip: some of each format, quick enough to prepare again and again.
SOME = ROWS[::3]
FEW = SOME[:5]


@dataclass(frozen=True)
class Run:
    """What a command did."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one line that stdout is."""
        assert (self.stdout.count("\n"), self.stdout[-1:]) == (1, "\n"), self.stderr
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
        return Run(status, report_of(captured.out, status), captured.err)

    return call


@pytest.fixture
def folder(tmp_path):
    """A folder with some recordings and a manifest of them."""
    return fill(tmp_path)


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of four clips, so that a few recordings fill several."""
    monkeypatch.setattr(plan, "CLIPS_PER_SHARD", 4)


def prepare_in_small_shards(*words):
    """The command in a process of its own."""
    pytest.MonkeyPatch().setattr(plan, "CLIPS_PER_SHARD", 4)
    sys.exit(main(["prepare", *words]))


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory):
    folder = fill(tmp_path_factory.mktemp("prepared"))
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(plan, "CLIPS_PER_SHARD", 4)
        assert main(["prepare", "--manifest", "m.jsonl", "--output", "out", "--verify"]) == 0
    return folder


@pytest.fixture
def reference(_prepared):
    """A dataset of SOME in small shards, to compare with; nothing may change it."""
    return _prepared / "out"


@pytest.fixture
def finished(_prepared, tmp_path, small_shards, monkeypatch):
    """A folder of one's own with `m.jsonl`, its recordings and `out`, the finished dataset; the current folder."""
    folder = shutil.copytree(_prepared, tmp_path / "finished")
    monkeypatch.chdir(folder)
    return folder


def fill(folder, rows=SOME):
    for row in rows:
        (folder / row["audio_path"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / row["audio_path"], folder / row["audio_path"])
    write_manifest(folder / "m.jsonl", rows)
    return folder


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


def lines(output, split):
    """The split's lines, shard after shard."""
    return b"".join(path.read_bytes() for path in sorted((output / split).glob("*.jsonl"))).splitlines()


def examples(output, split):
    return [json.loads(line) for line in lines(output, split)]
