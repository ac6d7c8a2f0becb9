"""The published schemas, held against what every command writes and prints."""

import contextlib
import copy
import io
import json
import shlex
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from beam_pipeline.launch import LaunchedJob
from cliptune import schemas
from cliptune.main import main
from cliptune.schemas import CONTRACTS
from tests.beam_pipeline.conftest import ROWS, fill, write_manifest
from tuning import service, tune
from tuning.emulator import scenario, server
from tuning.evaluation import slices

FOLDER = Path(__file__).parents[2] / "docs/schemas"
PUBLISHED = {contract.name: json.loads((FOLDER / f"{contract.name}.schema.json").read_text()) for contract in CONTRACTS}
CLIPS = [row for row in ROWS if row["audio_path"].startswith("clips/fsdd/")] + ROWS[:4]
TASKS = "transcribe: {prompt: Transcribe this.}\n"
RUN = """\
{manifest: m.jsonl, output: out, emulator: true, prepare: {tasks: tasks.yaml, max_rejected_fraction: 1},
 runs: {short: {epochs: 1}, long: {epochs: 4}}}
"""
# Of other kinds of targets, evaluated apart, with an answer that is no label and one that is no JSON.
KINDS = "digit: {prompt: 'Which?', labels: [a, b]}\nfacts: {prompt: JSON., target: json}\n"
# Each command, and the contract of its line.
COMMANDS = [
    ("prepare --manifest m.jsonl --tasks tasks.yaml --output out --max_rejected_fraction 1", "stdout-prepare"),
    ("report out", "stdout-prepare"),
    ("prepare --manifest m.jsonl --tasks tasks.yaml --output out --dry_run", "stdout-prepare-dry-run"),
    ("export out files", "stdout-export"),
    ("inspect copy.wav", "stdout-inspect"),
    ("inspect m.jsonl:1", "stdout-inspect"),
    ("inspect out gone", "stdout-inspect"),
    ("check nowhere", "stdout-failure"),
    ("check out", "stdout-check"),
    ("check out --estimate", "stdout-check"),
    ("check broken.jsonl", "stdout-check"),
    ("tune out --emulator --dry_run", "stdout-dry-run"),
    ("tune out --emulator --dry_run --default_checkpoint 1", "stdout-dry-run"),
    ("tune out --emulator --preflight", "stdout-preflight"),
    ("tune out --emulator", "stdout-job"),
    ("watch out --emulator", "stdout-job"),
    ("jobs out --emulator", "stdout-jobs"),
    ("cancel out --emulator", "stdout-job"),
    ("predict out --emulator", "stdout-predict"),
    ("predict out --emulator --model base", "stdout-predict"),
    ("predict out --emulator --probe_silence --limit 1", "stdout-predict"),
    ("evaluate out", "evaluation"),
    ("prepare --manifest kinds.jsonl --tasks kinds.yaml --output kinds --validation_fraction 0.5", "stdout-prepare"),
    ("evaluate kinds --split train --predictions x=said.jsonl", "evaluation"),
    ("suspects out --min_score 0 --predictions heard=heard.jsonl", "stdout-suspects"),
    ("curve out --emulator --dry_run --fractions 1/2,1", "stdout-curve-plan"),
    ("predict out --emulator --audio copy.wav --audio missing.wav", "stdout-predict-audio"),
    ("delete out --emulator --yes", "stdout-delete"),
    ("jobs out --emulator", "stdout-jobs"),
    ("watch out --emulator", "stdout-job"),
    ("tune out --api_endpoint=URL --epochs 2", "stdout-job"),  # of which one example is left out
    ("curve out --emulator --fractions 1/2,1", "curve"),
    ("init m.jsonl", "stdout-init"),
    ("run run.yaml --dry_run", "stdout-run"),
    ("run run.yaml", "stdout-run"),
]
FILES = {
    "dataset": "out/dataset.json",
    "checksums": "out/checksums.json",
    "report": "out/report.json",
    "sidecar": "out/*/*.outcomes.json",
    "rejected": "out/rejected.jsonl",
    "job": "out/tuning/runs/*/job.json",
    "claim": "out/tuning/claims/*/*.json",
    "predictions": "out/tuning/runs/*/predictions-*.jsonl",
    "suspects": "out/evaluation/suspects.jsonl",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """All that one run of the commands writes and prints, by the name of its contract."""
    folder = fill(tmp_path_factory.mktemp("commands"), CLIPS)
    (folder / "copy.wav").write_bytes((folder / CLIPS[0]["audio_path"]).read_bytes())
    repeated = {**CLIPS[0], "id": "again", "audio_path": "copy.wav"}
    gone = {**CLIPS[0], "id": "gone", "audio_path": "gone.wav"}
    write_manifest(folder / "m.jsonl", [{**row, "task": "transcribe"} for row in (*CLIPS, repeated, gone)])
    (folder / "tasks.yaml").write_text(TASKS)
    (folder / "kinds.yaml").write_text(KINDS)
    (folder / "run.yaml").write_text(RUN)
    both = [
        {**row, "id": f"{task}{number}", "task": task, "text": text, "split": "train"}
        for number, row in enumerate(CLIPS)
        for task, text in (("digit", "a"), ("facts", '{"n": 1}'))
    ]
    write_manifest(folder / "kinds.jsonl", both)
    said = [{"id": row["id"], "prediction": "nothing"} for row in both]
    (folder / "said.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in said))
    texts = [row["text"] for row in CLIPS]
    heard = [{"id": row["id"], "prediction": text} for row, text in zip(CLIPS, texts[1:] + texts[:1], strict=True)]
    write_manifest(folder / "heard.jsonl", heard)
    (folder / "broken.jsonl").write_text("hello\n")
    found: dict[str, list[Any]] = {contract.name: [] for contract in CONTRACTS}
    # tests/dataflow looks at those of a service.
    job = LaunchedJob("gs://b/out", "DataflowRunner", "1", "cliptune-1-2", "RUNNING", True, "https://…")
    found["stdout-prepare-job"].append({**job.as_dict(), "ok": True})
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(service, "EMULATOR_POLL_SECONDS", 0)
        patch.setattr(service, "POLL_SECONDS", 0)
        patch.setattr(slices, "SMALLEST", 1)
        patch.setattr(tune, "today", lambda: date(2026, 11, 1))
        with server.running(played=scenario.Scenario(drop=(1,))) as url:
            for command, contract in COMMANDS:
                found[contract].append(printed(command.replace("URL", url)))
        for contract, pattern in FILES.items():
            for path in sorted(Path().glob(pattern)):
                lines = path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text()]
                found[contract] += map(json.loads, lines)
    return found


def printed(command):
    """The line of JSON that a command prints."""
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout):
        main(shlex.split(command))
    assert stdout.getvalue().count("\n") == 1, command
    return json.loads(stdout.getvalue())


def test_what_is_published_is_what_the_code_generates():
    assert {path.name: path.read_bytes() for path in FOLDER.glob("*.json")} == schemas.contents()


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_schema_is_valid_and_says_what_each_field_means(name):
    schema = PUBLISHED[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    for record in (schema, *schema["$defs"].values()):
        assert record["description"]
        assert [field for field, rule in record["properties"].items() if not rule.get("description")] == []


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_schema_accepts_what_is_written(written, name):
    validator = Draft202012Validator(PUBLISHED[name])
    assert written[name]
    for tree in written[name]:
        assert [fault.message for fault in validator.iter_errors(tree)] == []


def records_in(tree, rule, schema, path=()):
    """Each record in a tree, as the schema names it: its path, its rule and itself."""
    if "$ref" in rule:
        rule = schema["$defs"][rule["$ref"].rpartition("/")[2]]
    for choice in rule.get("anyOf", ()):
        yield from records_in(tree, choice, schema, path)
    if isinstance(tree, list) and "items" in rule:
        for index, item in enumerate(tree):
            yield from records_in(item, rule["items"], schema, (*path, index))
    if isinstance(tree, dict):
        if "properties" in rule:
            yield path, rule, tree
        for name, value in tree.items():
            found = rule.get("properties", {}).get(name) or rule.get("additionalProperties")
            if found:
                yield from records_in(value, found, schema, (*path, name))


def one_of_each(name, trees):
    """The first record of each class in all the trees, with its tree."""
    schema = PUBLISHED[name]
    seen: dict[str, Any] = {}
    for tree in trees:
        for path, rule, record in records_in(tree, schema, schema):
            seen.setdefault(rule["title"], (tree, path, rule, record))
    return seen


def changed(tree, path, change):
    other = copy.deepcopy(tree)
    place = other
    for step in path:
        place = place[step]
    change(place)
    return other


def of_another_type(value):
    return 7 if isinstance(value, str) else ["x"] if isinstance(value, dict) or value is None else "x"


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_record_of_a_schema_is_written_by_some_command(written, name):
    """Else the laws below would hold of nothing."""
    schema = PUBLISHED[name]
    titles = {record["title"] for record in (schema, *schema["$defs"].values())}
    assert one_of_each(name, written[name]).keys() == titles


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_schema_refuses_what_lacks_a_field(written, name):
    validator = Draft202012Validator(PUBLISHED[name])
    for tree, path, rule, _ in one_of_each(name, written[name]).values():
        for field in rule["required"]:
            assert not validator.is_valid(changed(tree, path, lambda record, field=field: record.pop(field))), field


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_schema_refuses_a_field_of_another_type(written, name):
    validator = Draft202012Validator(PUBLISHED[name])
    for tree, path, rule, record in one_of_each(name, written[name]).values():
        for field in rule["properties"].keys() & record.keys():
            other = {field: of_another_type(record[field])}
            assert not validator.is_valid(changed(tree, path, lambda place, other=other: place.update(other))), field


@pytest.mark.parametrize("name", [contract.name for contract in CONTRACTS if contract.version is not None])
def test_every_schema_refuses_another_version_and_passes_over_an_added_field(written, name):
    validator, tree = Draft202012Validator(PUBLISHED[name]), written[name][0]
    assert not validator.is_valid({**tree, "format_version": 99})
    assert validator.is_valid({**tree, "later": 1})
