"""Wrong types at every path of every file of state: never a traceback, and what mends it does mend it."""

import json
import random
from collections.abc import Callable

import orjson
import pytest

from tests import wrong_types
from tests.beam_pipeline.conftest import contents
from transforms.dataset.checksums import Checksums
from transforms.dataset.description import DatasetDescription
from transforms.dataset.merging import Made
from transforms.dataset.sidecar import Sidecar
from transforms.report.report import Report

SIDECAR = "train/train-00000-of-00006.outcomes.json"
# Records with their types; of run.json only the tree is known.
RECORDS: dict[str, type] = {
    SIDECAR: Sidecar,
    "dataset.json": DatasetDescription,
    "checksums.json": Checksums,
    "manifests.json": Made,
    "report.json": Report,
}
LOADS: dict[str, Callable[[bytes], object]] = {
    SIDECAR: Sidecar.load,
    "dataset.json": DatasetDescription.load,
    "checksums.json": Checksums.load,
    "report.json": Report.load,
}
FILES = [*RECORDS, "run.json"]
MODES = {
    "again": (),
    "--verify": ("--verify",),
    "--overwrite": ("--overwrite",),
    "elsewhere": ("--runner=BundleBasedDirectRunner",),
}


@pytest.mark.parametrize("file", LOADS)
def test_no_value_of_another_type_passes(reference, file):
    kind, load = RECORDS[file], LOADS[file]
    tree = json.loads((reference / file).read_bytes())
    passed, tried = [], 0
    for path, value in wrong_types.wrong(kind, tree):
        tried += 1
        try:
            load(orjson.dumps(wrong_types.altered(tree, path, value)))
        except ValueError as fault:
            assert "\n" not in str(fault)
            continue
        passed.append((path, value))
    assert (passed, tried > 30) == ([], True)


def cases(reference, file):
    """One wrong value at every path, the same ones every time."""
    tree = json.loads((reference / file).read_bytes())
    if file in RECORDS:
        found: dict[wrong_types.Path, list[object]] = {}
        for path, value in wrong_types.wrong(RECORDS[file], tree):
            found.setdefault(path, []).append(value)
    else:
        found = {path: list(wrong_types.VALUES) for path in wrong_types.everywhere(tree)}
    chosen = random.Random(file)
    return tree, [(path, chosen.choice(values)) for path, values in found.items()]


def assert_mended(prepare, out, reference, run):
    """The dataset is as it was; or one line says that a file is damaged, and what it advises makes it so."""
    if run.status != 0:
        last = run.stderr.splitlines()[-1]
        # A description that vouches for itself may be one of other settings.
        told = " is damaged (" in last or " holds a dataset with other " in last
        assert (run.status, run.stdout, told) == (1, "", True), run.stderr
        assert "pass --overwrite to replace it" in last
        run = prepare("m.jsonl", "out", "--overwrite")
        assert run.status == 0, run.stderr
    assert contents(out) == contents(reference)


@pytest.mark.sweep
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("file", FILES)
def test_a_wrong_type_anywhere_is_mended(finished, prepare, reference, file, mode):
    tree, found = cases(reference, file)
    for number, (path, value) in enumerate(found):
        if mode != "again" and number % 4:
            continue
        (finished / "out" / file).write_bytes(orjson.dumps(wrong_types.altered(tree, path, value)))
        assert_mended(prepare, finished / "out", reference, prepare("m.jsonl", "out", *MODES[mode]))


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        (SIDECAR, ("outcomes", 0, "source_bytes"), "x"),
        ("checksums.json", ("sha256",), [7]),
        ("manifests.json", ("merged",), {"a": 7}),
        ("run.json", ("settings",), None),
        ("run.json", ("num_shards", "train"), "x"),
        ("dataset.json", ("splits", "train", "shards", 0, "path"), None),
    ],
)
def test_a_handful_of_them(finished, prepare, reference, file, path, value):
    tree = json.loads((finished / "out" / file).read_bytes())
    (finished / "out" / file).write_bytes(orjson.dumps(wrong_types.altered(tree, path, value)))
    assert_mended(prepare, finished / "out", reference, prepare("m.jsonl", "out"))
