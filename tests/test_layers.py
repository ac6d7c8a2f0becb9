"""The picture of docs/architecture.md, held against every import: who may know whom, and no circle.

`cliptune → beam_pipeline → transforms ← tuning ← cliptune`. The two halves do not know each other: they meet in files.
"""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cliptune", "beam_pipeline", "tuning", "transforms")
SOURCES = sorted(path for package in (*PACKAGES, "benchmarks", "examples") for path in (ROOT / package).rglob("*.py"))
SDKS = {"google.genai", "google.cloud.aiplatform", "vertexai"}
NOT_SHIPPED = {"benchmarks", "examples", "tests"}
TERMINAL = {"argparse", "rich"}
FORBIDDEN = {
    "cliptune": {"apache_beam", *SDKS, *NOT_SHIPPED},
    "beam_pipeline": {"tuning", "cliptune", *TERMINAL, *SDKS, *NOT_SHIPPED},
    "tuning": {"apache_beam", "beam_pipeline", "cliptune", *TERMINAL, *NOT_SHIPPED},
    "transforms": {"apache_beam", "beam_pipeline", "tuning", "cliptune", *TERMINAL, *SDKS, *NOT_SHIPPED},
    "benchmarks": {"apache_beam", *SDKS},
    "examples": {"apache_beam", "tests", *SDKS},
}
# `python -m beam_pipeline` is `cliptune prepare`: the one file of a package that opens the door.
DOORS = {"beam_pipeline/__main__.py": "cliptune"}
# A rule for a folder, beside that of its package.
ROOM_FORBIDDEN = {
    "transforms/audio": {"transforms.storage", "transforms.manifests", "transforms.dataset", "transforms.report"},
}
# What is imported in Airflow's environment, which has nothing that Cliptune needs.
IN_AIRFLOW = {"cliptune/__init__.py", "cliptune/airflow.py", "cliptune/exits.py", "cliptune/invocation.py"}
# The one room that knows a provider's SDK.
SDK_ROOM = "tuning/providers"

# Each file imports, of its own package, only those before it: "" is the folder's __init__.
ORDER = {
    "transforms": [
        *("", "limits", "bounds", "printable", "reasons", "errors", "locks", "temporary", "region", "records"),
        *("listener", "ordered", "keys", "text", "marked", "clip"),
        *("payloads", "settings", "patterns", "json_rules", "json_schema", "tasks"),
        *(
            "storage.uris",
            "storage.inside",
            "storage.base",
            "storage.opening",
            "storage.parts",
            "storage.local",
            "storage.confined",
        ),
        *("storage.gcs_client", "storage.gcs_access", "storage.gcs_read", "storage.gcs", "storage"),
        *("workers", "workers.wire", "workers.budget", "workers.shortage", "workers.bounds"),
        *("workers.worker", "workers.nursery", "workers.pool"),
        *(
            "audio",
            "audio.walk",
            "audio.tags",
            "audio.frames",
            "audio.chunks",
            "audio.plain",
            "audio.ogg",
            "audio.lengths",
            "audio.evidence",
            "audio.unread",
            "audio.format",
            "audio.formats",
            "audio.joined",
            "audio.waveform",
            "audio.streams",
            "audio.sniff",
            "audio.sndfile",
        ),
        *(
            "audio.builds",
            "audio.tracks",
            "audio.libav",
            "audio.outline",
            "audio.scratch",
            "audio.ffmpeg",
            "audio.decode",
            "audio.conform",
        ),
        *("audio.pauses", "audio.level", "audio.probes", "audio.encode"),
        *("manifests", "manifests.row", "manifests.words", "manifests.times", "manifests.unpacked", "manifests.lines"),
        *("manifests.encodings",),
        *("manifests.jsonl", "manifests.headerless", "manifests.json_object", "manifests.reading", "manifests.cues"),
        *("manifests.tool", "manifests.cells", "manifests.delimited", "manifests.joining", "manifests.subtitles"),
        *("manifests.textgrid", "manifests.elan", "manifests.ttml", "manifests.recognized", "manifests.timed"),
        "manifests.transcripts",
        *("manifests.pairs", "manifests.cue_files", "manifests.keyed"),
        *("manifests.kaldi", "manifests.common_voice", "manifests.deepspeech", "manifests.fleurs"),
        *("manifests.speechbrain", "manifests.librispeech", "manifests.aishell", "manifests.vctk"),
        *("manifests.gigaspeech", "manifests.label_studio", "manifests.lhotse", "manifests.xlsx"),
        *(
            "manifests.shards",
            "manifests.locate",
            "manifests.places",
            "manifests.columns",
            "manifests.features",
            "manifests.embedded",
            "manifests.footer",
            "manifests.values",
            "manifests.parquet",
            "manifests.flat",
            "manifests.arrow",
            "manifests.foreign",
            "manifests.tar",
            "manifests.webdataset",
        ),
        *("manifests.sample", "manifests.formats", "manifests.segments", "manifests.survey", "manifests.original"),
        *("manifests.allowed", "manifests.linked", "manifests.dead_letters", "manifests.read"),
        *(
            "dataset",
            "dataset.assign",
            "dataset.sizes",
            "dataset.plan",
            "dataset.seen",
            "dataset.blocks",
            "dataset.example",
            "dataset.earlier",
            "dataset.output",
        ),
        *(
            "dataset.checksums",
            "dataset.description",
            "dataset.ledger",
            "dataset.sources",
            "dataset.read_ahead",
            "dataset.cells",
            "dataset.members",
        ),
        *(
            "dataset.buckets",
            "dataset.sidecar",
            "dataset.respelled",
            "dataset.merging",
            "dataset.converted",
            "dataset.conversion",
            "dataset.dissected",
            "dataset.dissect",
            "dataset.clip_workers",
            "dataset.headers",
            "dataset.nearest",
            "dataset.prepare_clip",
            "dataset.copies",
            "dataset.look",
        ),
        *("dataset.shard", "dataset.duplicates"),
        *("report", "report.counts", "report.report", "report.html", "report.page", "report.rerun"),
        *("report.finished", "report.finish"),
    ],
    "beam_pipeline": [
        *("", "job", "runners", "requests", "claims", "progress", "spool", "write_shards", "pipeline", "options"),
        *("faults", "embedded", "clusters", "elsewhere", "packages", "dataflow_service", "dataflow_checks", "dataflow"),
        *("inputs", "remote"),
        *("prepare", "preview", "launch", "report", "inspect", "export", "merge", "__main__"),
    ],
    "tuning": [
        *("", "providers.base", "providers.vertex.models", "providers.vertex.rows"),
        *("providers.vertex.faults", "providers.vertex.tuner"),
        *("providers.vertex.rest", "providers.vertex.registry", "providers.vertex.preflight"),
        *("providers.vertex", "providers", "evaluation", "evaluation.gate", "evaluation.normalizers"),
        *("rules", "tables", "requests"),
        *("dataset", "predictions", "cost", "throttle", "asking"),
        *("check", "check.references", "check.files", "check.check", "join"),
        *(
            "emulator",
            "emulator.scenario",
            "emulator.training",
            "emulator.jobs",
            "emulator.bodies",
            "emulator.connections",
            "emulator.model",
            "emulator.resources",
            "emulator.server",
        ),
        *(
            "jobs",
            "jobs.clock",
            "service",
            "jobs.note",
            "jobs.runs",
            "jobs.claims",
            "jobs.turns",
            "jobs.dropped",
            "jobs.submit",
            "jobs.others",
            "jobs.watch",
            "jobs.listing",
        ),
        *("jobs.cancel", "jobs.delete", "questions", "probes", "preflight", "tune", "left", "predict"),
        *(
            "evaluation.scripts",
            "evaluation.clips",
            "evaluation.whisper",
            "evaluation.answers",
            "evaluation.align",
            "evaluation.json_fields",
            "evaluation.labels",
            "evaluation.metrics",
            "evaluation.bootstrap",
            "evaluation.power_law",
        ),
        *("evaluation.scores", "evaluation.compare", "evaluation.slices", "evaluation.faults", "evaluation.systems"),
        "evaluation.silence",
        *("evaluation.report", "evaluation.results", "evaluation.players", "evaluation.details", "evaluation.page"),
        "evaluate",
        *("evaluation.pools", "evaluation.rate", "evaluation.heard", "evaluation.labelled", "evaluation.shifts"),
        *("evaluation.elsewhere", "evaluation.doubt", "suspects"),
        *("evaluation.growth", "evaluation.curve_page", "parts", "curve"),
    ],
    "cliptune": [
        *(
            "",
            "exits",
            "ends",
            "console",
            "envelope",
            "summary",
            "flags",
            "importing",
            "players",
            "interrupts",
            "requests",
            "run_report",
            "run_plan",
            "workflow",
            "invocation",
            "airflow",
            "commands",
        ),
        *(
            f"commands.{name}"
            for name in (
                *(
                    "prepare",
                    "report",
                    "inspect",
                    "export",
                    "merge",
                    "check",
                    "watch",
                    "tune",
                    "jobs",
                    "cancel",
                    "predict",
                    "evaluate",
                    "suspects",
                ),
                *("curve", "delete", "emulator", "completion"),
            )
        ),
        *(
            "config_keys",
            "config_values",
            "config_reader",
            "config",
            "config_schema",
            "init",
            "commands.init",
            "commands.run",
            "schemas",
            "tables",
        ),
        *("main", "__main__"),
    ],
}


def imported(tree):
    """The full names that a module imports, at its top or anywhere in it: late is no excuse."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import has no package in its name, so no rule here could see it.
            assert not node.level, "write absolute imports"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reaches(name, package):
    """Whether importing `name` imports `package`, or a version of it: google.cloud.aiplatform_v1 is one."""
    return re.match(rf"{re.escape(package)}(_v\d\w*)?(\.|$)", name)


def offences(source, rules):
    return {name for name in imported(ast.parse(source)) for rule in rules if reaches(name, rule)}


def rules_of(path):
    name = path.relative_to(ROOT).as_posix()
    rules = FORBIDDEN[name.partition("/")[0]] - {DOORS.get(name)}
    if name.startswith("tuning/") and not name.startswith(f"{SDK_ROOM}/"):
        rules = rules | SDKS
    return rules.union(*(found for room, found in ROOM_FORBIDDEN.items() if name.startswith(f"{room}/")))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    assert not offences(path.read_text(encoding="utf-8"), rules_of(path))


@pytest.mark.parametrize("name", DOORS)
def test_a_door_opens_what_it_says_and_holds_nothing_else(name):
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    assert [found for found in imported(tree) if reaches(found, DOORS[name])]
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]


@pytest.mark.parametrize("name", sorted(IN_AIRFLOW))
def test_what_airflow_imports_needs_airflow_and_python_alone(name):
    """But for what the type checker reads."""
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    checked = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    unread = {name for block in checked for name in imported(block)}
    packages = {found.partition(".")[0] for found in {*imported(tree)} - unread}
    assert packages <= {*sys.stdlib_module_names, "airflow", "cliptune"}
    ours = {f"cliptune/{found.split('.')[1]}.py" for found in imported(tree) if found.startswith("cliptune.")}
    assert ours <= IN_AIRFLOW


def test_airflow_is_imported_in_one_file_alone():
    found = {path.relative_to(ROOT).as_posix() for path in SOURCES if "from airflow" in path.read_text("utf-8")}
    assert found == {"cliptune/airflow.py", "examples/airflow/cliptune_dag.py"}


def test_every_package_has_its_rules():
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == FORBIDDEN.keys()
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"} <= FORBIDDEN.keys()


@pytest.mark.parametrize(
    ("source", "package", "found"),
    [
        ("import apache_beam as beam", "tuning", {"apache_beam"}),
        ("from google import genai", "beam_pipeline", {"google.genai"}),
        ("from google.cloud import aiplatform", "beam_pipeline", {"google.cloud.aiplatform"}),
        (
            "from google.cloud.aiplatform_v1beta1.types import X",
            "transforms",
            {"google.cloud.aiplatform_v1beta1.types.X"},
        ),
        ("def f():\n    from beam_pipeline import prepare", "tuning", {"beam_pipeline.prepare"}),
        ("from tuning import join", "beam_pipeline", {"tuning.join"}),
        ("import cliptune", "beam_pipeline", {"cliptune"}),
        ("from cliptune.main import main", "tuning", {"cliptune.main.main"}),
        ("import argparse\nfrom rich.console import Console", "tuning", {"argparse", "rich.console.Console"}),
        ("from tests.sounds import tone", "transforms", {"tests.sounds.tone"}),
        ("from google.cloud import storage\nimport tuning_fork", "transforms", set()),
    ],
)
def test_the_rules_see_every_spelling(source, package, found):
    assert offences(source, FORBIDDEN[package]) == found


def test_each_side_uses_what_is_its_alone():
    """Else the rules above would hold of nothing."""
    names: dict[str, set[str]] = {}
    for path in SOURCES:
        room = path.relative_to(ROOT).as_posix()
        key = SDK_ROOM if room.startswith(SDK_ROOM) else room.partition("/")[0]
        names.setdefault(key, set()).update(imported(ast.parse(path.read_text(encoding="utf-8"))))
    assert any(reaches(name, "apache_beam") for name in names["beam_pipeline"])
    assert all(any(reaches(name, terminal) for name in names["cliptune"]) for terminal in TERMINAL)
    assert all(any(reaches(name, sdk) for name in names[SDK_ROOM]) for sdk in SDKS - {"vertexai"})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_depends_on_the_salt_of_a_process(path):
    """`hash` of a text is another number in every process; `assign.hash64` is not."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "hash"]


def module_of(path, package):
    """The name of a file within its package: "storage" for storage/__init__.py, "storage.gcs" for storage/gcs.py."""
    parts = path.relative_to(ROOT / package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {package: {module_of(path, package): path for path in (ROOT / package).rglob("*.py")} for package in PACKAGES}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_has_its_place(package):
    unplaced = sorted(FILES[package].keys() - {*ORDER[package]})
    gone = sorted({*ORDER[package]} - FILES[package].keys())
    assert not unplaced, f"write {unplaced} into ORDER, behind all that they import"
    assert not gone, f"take {gone} out of ORDER"
    assert len(ORDER[package]) == len({*ORDER[package]})


@pytest.mark.parametrize(("package", "name"), [(package, name) for package in PACKAGES for name in FILES[package]])
def test_inside_a_package_imports_point_to_the_left(package, name):
    order = ORDER[package]
    left = order[: order.index(name)] if name in order else []
    tree = ast.parse(FILES[package][name].read_text(encoding="utf-8"))
    wrong = {module for module in ours(tree, package) if module not in left}
    assert not wrong, f"{name} imports {sorted(wrong)}, which ORDER places behind it"


def ours(tree, package):
    """The files of its package that a module imports: "from transforms.storage import uris" is storage.uris."""
    for name in imported(tree):
        if reaches(name, package):
            parts = name.split(".")[1:]
            found = [
                ".".join(parts[:end]) for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in FILES[package]
            ]
            yield found[0] if found else ""
