"""docs/python.md: its code runs as it stands, and the names that it calls public are there."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from transforms import errors
from tuning import requests

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PUBLIC = {
    module: re.findall(r"`(\w+)`", names)
    for module, names in re.findall(r"^\| `([\w.]+\.[\w.]+)` \| (.*) \|$", PAGE, re.MULTILINE)
}
VERBS = (
    "prepare",
    "report",
    "check",
    "tune",
    "watch",
    "listing",
    "cancel",
    "predict",
    "evaluate",
    "suspects",
    "curve",
    "workflow",
)


def test_the_code_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    page: dict[str, object] = {"__name__": "page"}
    said = []
    for block in BLOCKS:
        exec(compile(block, "docs/python.md", "exec"), page)
        said.append(capsys.readouterr().out)
    (
        prepared,
        reported,
        inspected,
        exported,
        merged,
        checked,
        tuned,
        watched,
        listed,
        cancelled,
        asked,
        evaluated,
        suspected,
        grown,
        ran,
        refused,
        heard,
    ) = said
    assert re.fullmatch(r"\d+ \d+ False\n", prepared)
    assert reported == "True\n"
    accepted = int(prepared.split()[0])
    assert re.fullmatch(r"\['sniff', 'decode', .*'encode', 'example'\] \d+\n", inspected)
    assert exported == f"{accepted} ('files/validation/metadata.jsonl', 'files/train/metadata.jsonl')\n"
    assert merged == f"{accepted}\n"  # the ids of both are the same
    assert checked.startswith("True ")
    assert tuned.startswith("SUCCEEDED projects/")
    assert watched == "True True ()\n"
    assert listed.startswith("['projects/")
    assert cancelled == "SUCCEEDED\n"
    assert re.fullmatch(r"\d+ dataset/tuning/runs/.*/predictions-validation-tuned-\d+\.jsonl\n", asked)
    assert re.fullmatch(r"\{'tuned': \d+\.\d+\}\n", evaluated)
    assert re.fullmatch(r"\d+ \d+ \[\]\n", suspected)
    assert re.fullmatch(r"\[\d+, \d+, \d+\] .*\n", grown)
    assert re.fullmatch(r"0 \['short', 'long', 'base'\]\n", ran)
    assert refused == "epochs epochs must be 1 or more, got 0\n"
    assert "cliptune: checked dataset: " in heard


def test_every_verb_is_shown_in_a_few_lines():
    shown = {verb: next(block for block in BLOCKS if f"{verb}.run(" in block) for verb in VERBS}
    assert {verb: block for verb, block in shown.items() if len(block.split("\n\n")[1].splitlines()) > 4} == {}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_there_and_described(module):
    found = importlib.import_module(module)
    assert [name for name in PUBLIC[module] if not inspect.getdoc(getattr(found, name))] == []


def test_every_request_and_every_error_for_people_is_public():
    kinds = [kind for name, kind in vars(requests).items() if name.endswith("Request")]
    assert [kind.__name__ for kind in kinds if not kind.__subclasses__()] == PUBLIC["tuning.requests"]
    assert PUBLIC["cliptune.requests"] == ["RunRequest", "InitRequest"]
    assert {kind.__name__ for kind in errors.TOLD} <= {*PUBLIC["transforms.errors"]}


def test_every_verb_takes_a_public_request_and_returns_a_public_record():
    names = {name for listed in PUBLIC.values() for name in listed}
    for module in (module for module, listed in PUBLIC.items() if "run" in listed):
        verb = inspect.signature(importlib.import_module(module).run)
        assert verb.parameters["request"].annotation in names
        assert {*verb.return_annotation.split(" | ")} <= names
        assert verb.parameters["listener"].default.__class__.__name__ in names
