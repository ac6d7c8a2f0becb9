"""What workers elsewhere install: the package as it is installed here, and the versions that it runs with here."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, WorkerOptions
from apache_beam.runners.portability.stager import SKIP_REQUIREMENTS_CACHE
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from transforms.errors import UserError

NAME = "cliptune"
PACKAGES = ("beam_pipeline", "cliptune", "transforms", "tuning")
# The image of the workers has it, of the launcher's version, with all that it needs.
_IN_THE_IMAGE = "apache-beam"
_SETUP_FILES, _ARCHIVES = ("setup.py", "pyproject.toml"), (".whl", ".tar.gz", ".tar", ".zip")
_WHEEL = "Wheel-Version: 1.0\nGenerator: cliptune\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def stage(options: PipelineOptions, folder: Path) -> None:
    """Has the workers install what is installed here, unless an image or a flag of the user's says what they get.

    Args:
      options: of the job, which are changed.
      folder: where the files to be staged are written; it must outlive the submission.

    Raises:
      UserError: Cliptune runs here without being installed.
    """
    setup, worker = options.view_as(SetupOptions), options.view_as(WorkerOptions)
    if worker.sdk_container_image or setup.prebuild_sdk_container_engine:
        return
    if not setup.requirements_file:
        pins = folder / "requirements.txt"
        pins.write_text("".join(f"{pin}\n" for pin in pinned()), encoding="utf-8")
        setup.requirements_file, setup.requirements_cache = str(pins), SKIP_REQUIREMENTS_CACHE
    extra = list(setup.extra_packages or ())
    ours = (Path(name).name.startswith(f"{NAME}-") for name in extra)
    if not setup.setup_file and not any(ours):
        setup.extra_packages = [*extra, str(wheel(folder))]


def problems(options: PipelineOptions) -> list[str]:
    """What is wrong with the files that flags name for workers, a sentence each."""
    setup = options.view_as(SetupOptions)
    named = [("setup_file", setup.setup_file), ("requirements_file", setup.requirements_file)]
    named += [("extra_package", name) for name in setup.extra_packages or ()]
    found = [
        f"--{flag}={name} is not there."
        for flag, name in named
        if name and "://" not in name and not Path(name).is_file()
    ]
    if setup.setup_file and Path(setup.setup_file).name not in _SETUP_FILES:
        found.append(f"--setup_file={setup.setup_file} must be a {' or '.join(_SETUP_FILES)}.")
    wrong = (name for name in setup.extra_packages or () if not name.endswith(_ARCHIVES))
    return [*found, *(f"--extra_package={name} must be a {', '.join(_ARCHIVES)}." for name in wrong)]


def pinned() -> list[str]:
    """The packages that Cliptune needs beside Beam, as requirements of the versions that are installed here."""
    found: dict[str, str] = {}
    waiting = [Requirement(text) for text in _installed().requires or ()]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or name == _IN_THE_IMAGE or not _applies(requirement):
            continue
        installed = metadata.distribution(name)
        found[name] = f"{name}=={installed.version}"
        waiting += [_with_extras(Requirement(text), requirement.extras) for text in installed.requires or ()]
    return sorted(found.values())


def _with_extras(requirement: Requirement, extras: set[str]) -> Requirement:
    """A requirement of a package that was asked for with extras: those are settled now."""
    if requirement.marker is not None and any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
        requirement.marker = None
    return requirement


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _installed() -> metadata.Distribution:
    try:
        return metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        raise UserError(
            "workers install what is installed here, but Cliptune is not; run pip install . first"
        ) from None


def wheel(folder: Path) -> Path:
    """Writes a wheel of the running package into a folder: the same bytes for the same files.

    Raises:
      UserError: Cliptune runs here without being installed.
    """
    installed = _installed()
    path = folder / f"{NAME}-{installed.version}-py3-none-any.whl"
    info = f"{NAME}-{installed.version}.dist-info"
    record = io.StringIO()
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in [*_code(), *_information(installed, info)]:
            archive.writestr(ZipInfo(name), content, ZIP_DEFLATED)
            digest = base64.urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
            record.write(f"{name},sha256={digest},{len(content)}\n")
        record.write(f"{info}/RECORD,,\n")
        archive.writestr(ZipInfo(f"{info}/RECORD"), record.getvalue(), ZIP_DEFLATED)
    return path


def _code() -> Iterator[tuple[str, bytes]]:
    """The files of the packages that are running, whatever they were installed from."""
    root = Path(__file__).resolve().parents[1]
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and path.suffix in {".py", ".typed"}:
                yield path.relative_to(root).as_posix(), path.read_bytes()


def _information(installed: metadata.Distribution, folder: str) -> Iterator[tuple[str, bytes]]:
    yield f"{folder}/WHEEL", _WHEEL.encode()
    # A checkout that is installed has an egg-info beside its packages, in which METADATA is PKG-INFO.
    about = installed.read_text("METADATA") or installed.read_text("PKG-INFO") or ""
    yield f"{folder}/METADATA", about.encode()
    yield f"{folder}/entry_points.txt", (installed.read_text("entry_points.txt") or "").encode()
