"""The Python environments of the fake Dataflow's workers, below `.dataflow`.

The image holds Beam of the launcher's version and what that needs, and another numpy than the lock: who does not pin
what workers get is found out. A worker's environment is a copy of the image, into which just what was staged is
installed, in the order of Beam's containers: requirements, then extra packages.
"""

import os
import shutil
import subprocess
import sys
import venv
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from beam_pipeline import packages

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".dataflow"
OTHER_NUMPY = "2.2.6"
REQUIREMENTS, EXTRA = "requirements.txt", "extra_packages.txt"
LIMIT_SECONDS = 900


def locked(name):
    """The version of a package in the lock."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    (version,) = (line.partition("==")[2] for line in lines if line.startswith(f"{name}=="))
    return version


def pins(**others):
    """The requirements that the launcher stages, some of them of other versions."""
    for pin in packages.pinned():
        name, _, version = pin.partition("==")
        yield f"{name}=={others.get(name, version)}"


def image():
    """The environment that every worker begins with; made once."""
    folder, ready = FOLDER / "image", FOLDER / "image.txt"
    wanted = f"{sys.version}\n{locked('apache-beam')}\n{OTHER_NUMPY}\n"
    if ready.is_file() and ready.read_text(encoding="utf-8") == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    constraints = FOLDER / "constraints.txt"
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    constraints.write_text("".join(f"{line}\n" for line in lines if not line.startswith("numpy==")), encoding="utf-8")
    beam = f"apache-beam[gcp]=={locked('apache-beam')}"
    _pip(folder, "--constraint", constraints, beam, f"numpy=={OTHER_NUMPY}")
    ready.write_text(wanted, encoding="utf-8")
    return folder


def worker(staged):
    """An environment with what lies in a folder of staged files; its interpreter.

    Raises:
      subprocess.CalledProcessError: pip refuses something.
    """
    extra = (staged / EXTRA).read_text(encoding="utf-8").split() if (staged / EXTRA).exists() else []
    wanted = (staged / REQUIREMENTS).read_text(encoding="utf-8") if (staged / REQUIREMENTS).exists() else ""
    folder = pinned(wanted)
    if not extra:
        return folder / "bin/python"
    digest = sha256(str(folder).encode())
    for name in extra:
        digest.update((staged / name).read_bytes())
    with made(FOLDER / "workers" / digest.hexdigest()[:16], folder) as new:
        for name in extra if new else ():
            _pip(new, "--no-deps", "--force-reinstall", staged / name)
            _pip(new, staged / name)
    return FOLDER / "workers" / digest.hexdigest()[:16] / "bin/python"


def pinned(requirements):
    """The image with some requirements, which change less often than the package."""
    folder = FOLDER / "pinned" / sha256(requirements.encode()).hexdigest()[:16]
    with made(folder, image()) as new:
        if new and requirements:
            listed = folder / REQUIREMENTS
            listed.write_text(requirements, encoding="utf-8")
            _pip(folder, "--requirement", listed)
    return folder


@contextmanager
def made(folder, base):
    """A copy of another environment, to be filled in the block; None if it is there and was filled."""
    if (folder / "ready.txt").exists():
        yield None
        return
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder, symlinks=True, copy_function=os.link)
    (folder / "ready.txt").unlink(missing_ok=True)
    yield folder
    (folder / "ready.txt").touch()


def _pip(folder, *words):
    command = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words]
    subprocess.run(command, check=True, timeout=LIMIT_SECONDS, capture_output=True, text=True)


if __name__ == "__main__":
    print("the workers' image, and what is staged by default: minutes, once …", file=sys.stderr, flush=True)
    pinned("".join(f"{pin}\n" for pin in packages.pinned()))
