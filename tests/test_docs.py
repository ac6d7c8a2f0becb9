"""What the docs say is what the code says."""

import inspect
import itertools
import re
from pathlib import Path

import pytest
from apache_beam import PTransform

from beam_pipeline import pipeline, write_shards
from cliptune import tables
from cliptune.main import COMMANDS, build_parser
from tests.sounds import FORMATS
from tests.test_layers import ORDER, PACKAGES
from transforms import errors

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "examples/ATTRIBUTION.md"])


@pytest.mark.parametrize("table", tables.TABLES, ids=lambda table: table.head[0])
def test_every_table_of_rows_of_the_code_is_as_the_code_has_it(table):
    text = (ROOT / table.page).read_text(encoding="utf-8")
    assert len(table.lines()) > 0
    assert text == table.put(text), "make docs"


def test_the_table_of_formats_is_what_is_measured():
    text = (ROOT / "docs/audio.md").read_text()
    assert re.findall(r"^\| ([^|]*) \| (?:libsndfile|libav) \|", text, re.MULTILINE) == [form.name for form in FORMATS]


ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def drawn():
    """The rooms and files of the picture, in its order: folders end in a slash."""
    picture = next(part for part in ARCHITECTURE.split("\n\n") if part.startswith("    "))
    rooms: list[tuple[int, str]] = []
    for line in picture.splitlines():
        indent = len(line) - len(line.lstrip())
        rooms = [room for room in rooms if room[0] < indent]
        for name in itertools.takewhile(re.compile(r"\w+(/|\.py)").fullmatch, line.split()):
            path = (rooms[-1][1] if rooms else "") + name
            if name.endswith("/"):
                rooms.append((indent, path))
            yield path


def standing():
    """The rooms and files of the packages, as `drawn` names them."""
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        yield name.removesuffix("__init__.py")


def test_the_picture_shows_every_room_and_every_file_once():
    assert sorted(drawn()) == sorted(standing())


def test_in_the_picture_of_transforms_each_file_imports_only_those_behind_it():
    files = [path.removeprefix("transforms/") for path in drawn() if re.fullmatch(r"transforms/.*\.py", path)]
    modules = [name.removesuffix(".py").replace("/", ".") for name in files]
    assert modules == [name for name in reversed(ORDER["transforms"]) if name in modules]


def changes():
    """The table "what a change touches": each change and the paths that stand beside it."""
    table = ARCHITECTURE.partition("| change | files |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return {change: re.findall(r"`([\w./]+(?:/|\.\w+))`", files) for change, files in rows}


@pytest.mark.parametrize("change", changes())
def test_what_a_change_touches_is_there(change):
    paths = changes()[change]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def classes(module, base):
    """The names of the classes below `base` that a module defines."""
    found = (kind for kind in vars(module).values() if inspect.isclass(kind) and issubclass(kind, base))
    return {kind.__name__ for kind in found if kind.__module__ == module.__name__}


def test_the_tree_of_errors_is_that_of_the_code():
    (tree,) = re.findall(r"(?:^    .*\n)+", errors.__doc__ or "", re.MULTILINE)
    assert tree in ARCHITECTURE
    assert {*re.findall(r"\w+Error\b|ClipRejected", tree)} == classes(errors, Exception) - {"NotARegularFileError"}


def test_the_flow_names_the_steps_of_the_pipeline():
    flow = re.search(r"^    ReadManifests.*\n.*$", ARCHITECTURE, re.MULTILINE)
    assert flow
    named = {*re.findall(r"[A-Z]\w+", flow[0])}
    assert named == (classes(pipeline, PTransform) | classes(write_shards, PTransform)) - {"EmptyShards"}


def flags():
    parser = build_parser()
    (commands,) = (action for action in parser._actions if action.dest == "command")
    assert isinstance(commands.choices, dict)
    return {flag for name in COMMANDS for flag in commands.choices[name]._option_string_actions}


BEAMS = {
    *(
        "--runner",
        "--project",
        "--region",
        "--temp_location",
        "--setup_file",
        "--port",
        "--streaming",
        "--job_endpoint",
    ),
    *("--sdk_container_image", "--requirements_file", "--extra_package", "--service_account_email", "--job_name"),
    *("--machine_type", "--number_of_worker_harness_threads", "--max_num_workers", "--disk_size_gb", "--labels"),
    *("--dataflow_service_options", "--network", "--subnetwork", "--no_use_public_ips", "--template_location"),
    *("--environment_type", "--environment_config", "--parallelism", "--flink_master", "--flink_job_server_jar"),
    *("--requirement", "--service_port", "--flink", "--job"),  # pip's, the worker pool's and the job server's
}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_flag_in_the_docs_exists(path):
    text = path.read_text()
    # Flags with a hyphen are those of other tools, as are some without.
    known = BEAMS | {"--strict", "--tag", "--env", "--recognise"}
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z_]+(?:\.[a-z_]+)?(?![\w-])", text)) - known
    assert mentioned <= flags()


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_link_in_the_docs_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert target.startswith("http") or (path.parent / target).exists(), target


def test_the_readme_counts_its_recordings():
    count = sum(1 for path in (ROOT / "examples/clips").rglob("*") if path.is_file())
    assert f"{count} bundled recordings" in (ROOT / "README.md").read_text()
