"""What workers elsewhere get: the package that runs here, the versions that it runs with, and no others."""

import json
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from beam_pipeline import packages
from beam_pipeline.options import options_of
from cliptune.commands import prepare
from cliptune.flags import names_of
from tests import clients
from transforms.audio import builds
from transforms.errors import UserError

ROOT = Path(__file__).parents[2]
LOCK = dict(
    line.partition(";")[0].strip().split("==")
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
)
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def tracked():
    words = ["git", "ls-files", *(f"{package}/*" for package in packages.PACKAGES)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_wheel_is_the_package_that_runs_and_the_same_bytes_each_time(tmp_path):
    (tmp_path / "again").mkdir()
    wheel, again = packages.wheel(tmp_path), packages.wheel(tmp_path / "again")
    assert wheel.read_bytes() == again.read_bytes()
    with ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert {name for name in held if ".dist-info/" not in name} >= {*tracked()}
    assert all(held[name] == (ROOT / name).read_bytes() for name in tracked())
    assert not [name for name in held if "__pycache__" in name]


def test_pip_installs_the_wheel_and_its_command(tmp_path):
    target = tmp_path / "target"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*pip, str(packages.wheel(tmp_path))], check=True, capture_output=True)
    assert (target / "bin/cliptune").exists()
    assert (target / "transforms/audio/decode.py").exists()


def test_all_that_workers_need_is_pinned_but_what_the_image_has():
    pins = {Requirement(pin).name: pin for pin in packages.pinned()}
    needed = {canonicalize_name(requirement.name) for requirement in clients.requirements("WORKER")}
    assert needed - {"apache-beam"} <= pins.keys()
    assert "apache-beam" not in pins
    assert "google-genai" not in pins  # of the tuning half, which no worker needs
    assert all(re.fullmatch(r"[a-z0-9-]+==[^;]+", pin) for pin in pins.values())


@pytest.mark.parametrize(
    ("flags", "staged"),
    [
        ([], ["requirements.txt", "cliptune-0.1.0-py3-none-any.whl"]),
        (["--sdk_container_image=gcr.io/p/cliptune"], []),
        (["--requirements_file=mine.txt"], ["mine.txt", "cliptune-0.1.0-py3-none-any.whl"]),
        (["--extra_package=dist/cliptune-9.whl"], ["requirements.txt", "cliptune-9.whl"]),
        (["--extra_package=dist/other-9.whl"], ["requirements.txt", "other-9.whl", "cliptune-0.1.0-py3-none-any.whl"]),
        (["--setup_file=./setup.py"], ["requirements.txt"]),
    ],
)
def test_what_the_user_names_is_not_staged_by_us(tmp_path, flags, staged):
    options: PipelineOptions = options_of(flags)
    packages.stage(options, tmp_path)
    setup = options.view_as(SetupOptions)
    found = [*([setup.requirements_file] if setup.requirements_file else []), *(setup.extra_packages or ())]
    assert [Path(path).name for path in found] == staged


def test_other_decoders_are_named_with_both_versions():
    builds.refuse_others({})
    builds.refuse_others(builds.builds())
    told = (
        r"^a worker has other decoders than the command that sent it the job: soxr \S+, not 0\.2; numpy \S+, not 0\.1;"
    )
    with pytest.raises(UserError, match=told):
        builds.refuse_others({**builds.builds(), "numpy": "0.1", "soxr": "0.2"})


def test_the_image_has_the_beam_and_the_packages_of_the_lock():
    """No container engine has built it; what decides its contents is held here."""
    (python,) = re.findall(r"^ARG PYTHON=(.*)$", DOCKERFILE, re.MULTILINE)
    (beam,) = re.findall(r"^FROM apache/beam_python\$\{PYTHON\}_sdk:(.*)$", DOCKERFILE, re.MULTILINE)
    (oldest,) = re.findall(r'python_requires=">=(.*)"', (ROOT / "setup.py").read_text(encoding="utf-8"))
    assert (python, beam) == (oldest, LOCK["apache-beam"])
    assert re.search(r"^RUN pip install .*--constraint requirements\.lock \. && pip check$", DOCKERFILE, re.MULTILINE)
    copied = set(" ".join(re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)).split())
    assert copied == {"requirements.lock", "setup.py", "pyproject.toml", "README.md", "LICENSE", *packages.PACKAGES}
    pins = dict(pin.split("==") for pin in packages.pinned())
    locked = {str(canonicalize_name(name)): version for name, version in LOCK.items()}
    assert {name: locked[name] for name in pins} == pins


def test_the_parameters_of_the_flex_template_are_flags():
    template = json.loads((ROOT / "examples/flex_template.json").read_text(encoding="utf-8"))
    names = [parameter["name"] for parameter in template["parameters"]]
    assert {f"--{name}" for name in names} <= {*names_of(prepare.add_flags)}
    assert [each["name"] for each in template["parameters"] if not each.get("isOptional")] == ["manifest", "output"]
    assert all(re.compile(pattern) for each in template["parameters"] for pattern in each.get("regexes", ()))
