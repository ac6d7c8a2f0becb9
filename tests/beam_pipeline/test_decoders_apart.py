"""What decodes strangers' bytes does so in processes that may die, `--verify` of an earlier run's shards too."""

import ast
import json
import os
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests import misbehaving, processes
from tests.beam_pipeline.conftest import SOME, contents
from transforms.dataset import clip_workers
from transforms.dataset.sidecar import Sidecar

ROOT = Path(__file__).parents[2]
DECODERS = {"soundfile", "av", "soxr", "ffmpeg"}
# Modules of transforms/audio that work with these.
ROOM = {"decode", "encode", "conform", "outline", "libav", "sndfile", "tracks", "scratch", "joined", "pauses"}
ROOMS = ("beam_pipeline", "cliptune", "transforms", "tuning")
SOURCES = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
# What workers import, and what encodes sounds of our own making.
MAY = {
    *("transforms/dataset/conversion.py", "transforms/dataset/dissect.py", "transforms/dataset/headers.py"),
    "tuning/probes.py",
}
SHARD, SIDECAR = (f"train/train-00000-of-00006.{end}" for end in ("jsonl", "outcomes.json"))


def test_a_payload_that_a_worker_dies_of_is_made_again(finished, reference, prepare, monkeypatch):
    monkeypatch.setattr(clip_workers, "_Work", misbehaving.Fragile)
    run = prepare("m.jsonl", "out", "--verify")
    assert (run.status, run.json["reused"]) == (0, 0)
    assert contents(finished / "out") == contents(reference)


def other(line):
    return line.replace(b'"data":"', b'"data":"////', 1)


@pytest.mark.parametrize(
    "lie",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines, b"one more\n"],
        lambda lines: [lines[0].replace(b'"data"', b'"date"'), *lines[1:]],
        lambda lines: [lines[0].replace(b'"data":"', b'"data":"=', 1), *lines[1:]],
        lambda lines: [other(lines[0]), *lines[1:]],
        lambda lines: [b"{}\n", *lines[1:]],
        lambda lines: [b""],
    ],
    ids=["a line less", "a line more", "no payload", "no base64", "no audio", "an empty object", "nothing"],
)
def test_a_shard_whose_sidecar_vouches_for_a_lie_is_written_again(finished, reference, prepare, lie):
    shard, sidecar = finished / "out" / SHARD, finished / "out" / SIDECAR
    content = b"".join(lie(shard.read_bytes().splitlines(keepends=True)))
    shard.write_bytes(content)
    record = Sidecar.load(sidecar.read_bytes())
    told = replace(record, bytes=len(content), sha256=sha256(content).hexdigest())
    sidecar.write_bytes(told.dump())
    run = prepare("m.jsonl", "out", "--verify")
    assert (run.status, run.json["reused"]) == (0, len(SOME) - len(record.outcomes)), run.stderr
    assert contents(finished / "out") == contents(reference)


def imports_a_decoder(source):
    """Whether any import, at the top or in a function, reaches what decodes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and {name.name.partition(".")[0] for name in node.names} & DECODERS:
            return True
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {name.name for name in node.names}
            if node.module.partition(".")[0] in DECODERS or (node.module == "transforms.audio" and names & ROOM):
                return True
            if node.module.removeprefix("transforms.audio.") in ROOM:
                return True
    return False


def test_only_workers_import_decoders():
    found = {str(path.relative_to(ROOT)) for path in SOURCES if imports_a_decoder(path.read_text(encoding="utf-8"))}
    assert {path for path in found if not path.startswith("transforms/audio/")} == MAY
    # `builds` asks the libraries for their versions, where their wheels do not tell them.
    assert {Path(path).stem for path in found if path.startswith("transforms/audio/")} <= {*ROOM, "builds", "ffmpeg"}


LOADED = f"""
import sys
from cliptune.main import main
for words in (["prepare", "--manifest=m.jsonl", "--output=new"], ["prepare", "--manifest=m.jsonl", "--output=new",
              "--verify"], ["check", "new"]):
    assert main(words) == 0, words
import json
print(json.dumps(sorted({DECODERS!r} & sys.modules.keys())))
"""


def test_the_program_itself_loads_no_decoder(finished):
    ran = processes.run([sys.executable, "-c", LOADED], cwd=finished, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == []
