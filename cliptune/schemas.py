"""The JSON schemas of every contract: files that others read or write, and the line that each command prints on stdout.

`python -m cliptune.schemas FOLDER` writes them. They say what this version writes; a later one may add fields.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import msgspec

from beam_pipeline import export, launch
from beam_pipeline import inspect as inspection
from beam_pipeline.export import ExportReport
from beam_pipeline.inspect import InspectReport
from beam_pipeline.launch import LaunchedJob, PrepareDryRun
from beam_pipeline.prepare import DatasetReport
from cliptune import config_schema, init, run_report
from cliptune.envelope import Failure
from cliptune.init import InitReport
from cliptune.run_report import RunReport
from transforms import records
from transforms.clip import Outcome
from transforms.dataset import description, output
from transforms.dataset.checksums import Checksums
from transforms.dataset.description import DatasetDescription
from transforms.dataset.sidecar import Sidecar
from transforms.manifests.dead_letters import DeadLetter, Suspect
from transforms.report import report
from transforms.report.report import Report
from tuning import parts, predict, preflight, suspects, tune
from tuning.check import check
from tuning.check.check import CheckReport
from tuning.curve import Curve
from tuning.evaluation import report as evaluation
from tuning.evaluation.report import Evaluation, SystemScores
from tuning.jobs import claims, delete, listing, note, watch
from tuning.jobs.claims import Step
from tuning.jobs.delete import DeleteReport
from tuning.jobs.listing import JobList
from tuning.jobs.note import Note
from tuning.jobs.watch import JobReport
from tuning.parts import CurvePlan
from tuning.predict import FileAnswers, PredictReport
from tuning.predictions import Prediction
from tuning.preflight import PreflightReport
from tuning.suspects import SuspectsReport
from tuning.tune import DryRun

# A field of every line of stdout.
OK = {
    "type": "boolean",
    "description": "Whether the exit status is 0. If not, `error` says why, as stdout-failure.schema.json has it.",
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Contract:
    """A kind of JSON that others read.

    Attributes:
      name: of the schema's file, without its ending.
      what: where such JSON is.
      record: whose fields are those of the JSON.
      version: its `format_version`; None for lines of JSONL, which have none.
      sparse: records whose fields are left out where they are None.
      sealed: whether a checksum of the whole is its last field.
    """

    name: str
    what: str
    record: type
    version: int | None = None
    sparse: frozenset[type] = frozenset()
    sealed: bool = False


CONTRACTS = (
    Contract("dataset", "`OUT/dataset.json`", DatasetDescription, description.VERSION, sealed=True),
    Contract("checksums", "`OUT/checksums.json`", Checksums, output.FORMAT_VERSION, sealed=True),
    Contract("report", "`OUT/report.json`", Report, report.VERSION),
    Contract(
        "sidecar", "`OUT/SPLIT/….outcomes.json`", Sidecar, output.FORMAT_VERSION, frozenset({Outcome}), sealed=True
    ),
    Contract(
        "rejected",
        "a line of `OUT/rejected.jsonl`, beside the columns of its row",
        DeadLetter,
        sparse=frozenset({DeadLetter}),
    ),
    Contract("job", "`OUT/tuning/runs/NAME/job.json`", Note, note.FORMAT_VERSION),
    Contract("claim", "`OUT/tuning/claims/DIGEST/…json`", Step, claims.FORMAT_VERSION),
    Contract("predictions", "a line of `OUT/tuning/runs/NAME/predictions-….jsonl`", Prediction),
    Contract("stdout-prepare", "stdout of `cliptune prepare`, `merge` and `report`", DatasetReport, report.VERSION),
    Contract(
        "stdout-prepare-job",
        "stdout of `cliptune prepare --no_wait`, `--follow` and `--cancel`",
        LaunchedJob,
        launch.FORMAT_VERSION,
    ),
    Contract("stdout-prepare-dry-run", "stdout of `cliptune prepare --dry_run`", PrepareDryRun, launch.FORMAT_VERSION),
    Contract("stdout-export", "stdout of `cliptune export`", ExportReport, export.FORMAT_VERSION),
    Contract("stdout-inspect", "stdout of `cliptune inspect`", InspectReport, inspection.FORMAT_VERSION),
    Contract(
        "stdout-check",
        "stdout of `cliptune check`, and of `tune` where it refuses the dataset",
        CheckReport,
        check.FORMAT_VERSION,
        frozenset({CheckReport}),
    ),
    Contract("stdout-job", "stdout of `cliptune tune`, `watch` and `cancel`", JobReport, watch.FORMAT_VERSION),
    Contract("stdout-dry-run", "stdout of `cliptune tune --dry_run`", DryRun, tune.FORMAT_VERSION, frozenset({DryRun})),
    Contract("stdout-preflight", "stdout of `cliptune tune --preflight`", PreflightReport, preflight.FORMAT_VERSION),
    Contract("stdout-jobs", "stdout of `cliptune jobs`", JobList, listing.FORMAT_VERSION),
    Contract("stdout-delete", "stdout of `cliptune delete`", DeleteReport, delete.FORMAT_VERSION),
    Contract("stdout-predict", "stdout of `cliptune predict`", PredictReport, predict.FORMAT_VERSION),
    Contract(
        "evaluation",
        "stdout of `cliptune evaluate`, and `OUT/evaluation/evaluation.json`",
        Evaluation,
        evaluation.FORMAT_VERSION,
        frozenset({SystemScores}),
    ),
    Contract("stdout-suspects", "stdout of `cliptune suspects`", SuspectsReport, suspects.FORMAT_VERSION),
    Contract(
        "suspects",
        "a line of `OUT/evaluation/suspects.jsonl`, beside the columns of its row",
        Suspect,
        sparse=frozenset({Suspect}),
    ),
    Contract("curve", "stdout of `cliptune curve`, and `OUT/evaluation/curve.json`", Curve, parts.FORMAT_VERSION),
    Contract("stdout-curve-plan", "stdout of `cliptune curve --dry_run`", CurvePlan, parts.FORMAT_VERSION),
    Contract("stdout-init", "stdout of `cliptune init`", InitReport, init.FORMAT_VERSION),
    Contract("stdout-run", "stdout of `cliptune run`", RunReport, run_report.FORMAT_VERSION),
    Contract("stdout-failure", "stdout of any command that has failed, beside what it has reported", Failure),
    Contract("stdout-predict-audio", "stdout of `cliptune predict --audio`", FileAnswers, predict.FORMAT_VERSION),
)


def schema_of(contract: Contract) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a contract."""
    _, definitions = msgspec.json.schema_components((contract.record,), ref_template="#/$defs/{name}")
    for kind in {*_records_in(contract.record)}:
        _refine(definitions[kind.__name__], kind, sparse=kind in contract.sparse)
    whole = definitions.pop(contract.record.__name__)
    if contract.what.startswith("stdout") and "ok" not in whole["properties"]:
        whole["properties"]["ok"] = OK
        if contract.name.startswith("stdout"):  # the same in a file has none
            whole["required"].append("ok")
    if contract.version is not None:
        whole["properties"][records.VERSION_FIELD]["const"] = contract.version
    if contract.sealed:
        checksum = {"type": "string", "description": f"{records.CHECKSUM_MEANING}."}
        whole["properties"][records.CHECKSUM_FIELD] = checksum
        whole["required"].append(records.CHECKSUM_FIELD)
    return {"$schema": DIALECT, **whole, "title": contract.what.replace("`", ""), "$defs": definitions}


def _records_in(kind: object) -> Iterator[type]:
    """A record, and all records that its fields hold."""
    if isinstance(kind, type) and is_dataclass(kind):
        yield kind
    inside = typing.get_type_hints(kind).values() if is_dataclass(kind) else typing.get_args(kind)
    for part in inside:
        yield from _records_in(part)


def _refine(tree: dict[str, Any], kind: type, sparse: bool) -> None:
    """Says of a record's fields what they mean, and which of them are always written."""
    documented = _attributes(kind)
    tree["description"] = _in_json(inspect.getdoc(kind) or "").partition("\n\n")[0]
    for name, field in tree["properties"].items():
        field.pop("default", None)
        if name in documented:
            field["description"] = documented[name]
    sparse_ones = {each.name for each in dataclasses.fields(kind) if sparse or each.metadata.get(records.LEFT_OUT)}
    left_out = [name for name, field in tree["properties"].items() if name in sparse_ones and _may_be_null(field)]
    for name in left_out:
        tree["properties"][name] = _without_null(tree["properties"][name])
    tree["required"] = [name for name in tree["properties"] if name not in left_out]


def _may_be_null(field: dict[str, Any]) -> bool:
    return {"type": "null"} in field.get("anyOf", ())


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    (only,) = (choice for choice in field["anyOf"] if choice != {"type": "null"})
    return {**only, "description": field["description"].replace("null", "absent")}


def _attributes(kind: type) -> dict[str, str]:
    """What the docstrings of a record, and of those that it extends, say of its fields."""
    documented: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2]
        for name, text in re.findall(r"^  (\w+): (.*(?:\n    .*)*)", section, re.MULTILINE):
            documented[name] = _in_json(" ".join(text.split()))
    return documented


def _in_json(text: str) -> str:
    return re.sub(r"\bNone\b", "null", text)


def contents() -> dict[str, bytes]:
    """Every schema, by the name of its file."""
    written = {f"{contract.name}.schema.json": records.pretty(schema_of(contract)) for contract in CONTRACTS}
    return {**written, config_schema.FILE: config_schema.content()}


def main() -> None:
    """Writes the schemas into the folder that the command line names."""
    (folder,) = map(Path, sys.argv[1:])
    for name, content in contents().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
