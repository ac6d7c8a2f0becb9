"""The score of `make mutants`, and the page that gives the reasons."""

import ast
import json
import tomllib

import pytest

from tests import mutants

CONFIG = tomllib.loads((mutants.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]


@pytest.mark.parametrize(
    ("mutant", "function"),
    [
        ("transforms.dataset.assign.x_hash64__mutmut_11", "assign.hash64"),
        ("transforms.dataset.plan.x__row_digest__mutmut_1", "plan._row_digest"),
        ("transforms.dataset.output.xǁOutputǁshard_uri__mutmut_2", "output.Output.shard_uri"),
        ("transforms.dataset.plan.xǁ_Tallyǁadd__mutmut_9", "plan._Tally.add"),
        ("tuning.providers.base.xǁSchemaErrorǁ__init____mutmut_1", "base.SchemaError.__init__"),
    ],
)
def test_a_mutant_names_its_function(mutant, function):
    assert mutants.function(mutant) == function


@pytest.mark.parametrize(
    ("codes", "status", "score"),
    [
        ([1] * 9 + [0], 0, "10 mutants, 1 survived, 0 not tried: 90.0% killed"),
        ([1] * 8 + [0], 1, "9 mutants, 1 survived, 0 not tried: 88.9% killed"),
        ([1] * 8 + [33], 1, "9 mutants, 1 survived, 0 not tried: 88.9% killed"),  # no test reaches it
        ([1, 36, -24, 255], 0, "4 mutants, 0 survived, 0 not tried: 100.0% killed"),
        ([1] * 99 + [None], 1, "100 mutants, 0 survived, 1 not tried: 99.0% killed"),
        ([], 1, "0 mutants, 0 survived, 0 not tried: 0.0% killed"),
    ],
)
def test_the_score_counts_what_no_test_noticed(tmp_path, monkeypatch, capsys, codes, status, score):
    (tmp_path / "mutants/a").mkdir(parents=True)
    results = {f"a.b.x_f__mutmut_{number}": code for number, code in enumerate(codes)}
    (tmp_path / "mutants/a/b.py.meta").write_text(json.dumps({"exit_code_by_key": results}))
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    assert mutants.main() == status
    *survivors, last = capsys.readouterr().out.splitlines()
    assert last == score
    assert len(survivors) == sum(code in (0, 33) for code in codes)


def test_a_survivor_with_a_reason_is_not_printed(tmp_path, monkeypatch, capsys):
    (tmp_path / "mutants").mkdir()
    (tmp_path / "mutants/b.py.meta").write_text(json.dumps({"exit_code_by_key": {"b.x_f__mutmut_1": 0}}))
    (tmp_path / "mutants.md").write_text("| `b.f` | it is the same |\n")
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "PAGE", tmp_path / "mutants.md")
    assert mutants.main() == 1
    assert capsys.readouterr().out == "1 mutants, 1 survived, 0 not tried: 0.0% killed\n"


@pytest.mark.parametrize("path", CONFIG["only_mutate"] + CONFIG["pytest_add_cli_args_test_selection"])
def test_what_is_mutated_and_what_tests_it_is_there(path):
    assert (mutants.ROOT / path).exists()


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
        inner = node.body if isinstance(node, ast.ClassDef) else []
        yield from (f"{path.stem}.{name}" for name in names)
        yield from (f"{path.stem}.{names[0]}.{each.name}" for each in inner if isinstance(each, ast.FunctionDef))


def test_the_page_gives_reasons_for_functions_that_are_there():
    there = {name for path in CONFIG["only_mutate"] for name in functions(mutants.ROOT / path)}
    assert mutants.explained(mutants.PAGE.read_text(encoding="utf-8")) <= there
