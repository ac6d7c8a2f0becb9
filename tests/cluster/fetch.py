"""What the cluster is made of, and what this machine must have for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from tests.cluster import page

_POM = Path(__file__).with_name("pom.xml")
_LOCK = page.ROOT / "requirements.lock"
# A registry that sends half a file must not hold up everything.
_LIMIT_SECONDS = 900
# Beam's Java servers and its worker pool listen on every interface, and run whatever they are sent. What is started
# here is in a network of its own, and ends with the command, however that ends.
_ISOLATED = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
TOOLS = {
    "java": "a Java runtime, 17 or 11",
    "mvn": "Maven, which fetches Flink",
    **dict.fromkeys(("unshare", "nsenter"), "util-linux"),
    **dict.fromkeys(("ip", "ss"), "iproute2"),
}


def missing() -> list[str]:
    """The programs that this machine lacks, one line each with what to do."""
    return [f"{name}: install {what}" for name, what in TOOLS.items() if not shutil.which(name)]


def no_networks() -> str:
    """Why this machine has no networks of one's own, as some containers; "" if it has."""
    tried = subprocess.run(
        isolated(["ip", "link", "add", "any", "type", "bridge"]), capture_output=True, text=True, check=False
    )
    return " ".join(tried.stderr.split()) if tried.returncode else ""


def fetch() -> None:
    """Makes the jar and the workers' environment, or what is not as their recipes have it.

    Maven and pip ask the registries that they are set up for.

    Raises:
      subprocess.SubprocessError: something is not to be had, or not in time.
    """
    page.FOLDER.mkdir(exist_ok=True)
    if _has_changed("jar", _POM.read_bytes(), page.JAR):
        print("fetching Flink into .cluster (once, about 360 MB) …", file=sys.stderr, flush=True)
        repository = f"-Dmaven.repo.local={page.FOLDER / 'm2'}"
        words = ["mvn", "-q", "-B", "-ntp", "-f", str(_POM), repository, f"-DtoFolder={page.FOLDER}", "package"]
        _run(words, dict(os.environ))
        _note("jar", _POM.read_bytes())
    made_for = sys.version.encode() + _LOCK.read_bytes()
    if _has_changed("workers", made_for, page.WORKERS):
        print("installing what workers need into .cluster (once) …", file=sys.stderr, flush=True)
        shutil.rmtree(page.WORKERS, ignore_errors=True)
        venv.create(page.WORKERS, with_pip=True)
    install, *_ = page.commands(page.ON_WORKERS)
    quiet = {"PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    _run(install, {**workers_environment(), **quiet})
    _note("workers", made_for)


def workers_environment() -> dict[str, str]:
    """The variables of a shell that has the workers' environment, and knows nothing of this checkout."""
    usual = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**usual, "PATH": f"{page.WORKERS / 'bin'}:{os.environ['PATH']}"}


def isolated(words: Sequence[str]) -> list[str]:
    """A command line, in a network that has nothing but a loopback."""
    return [*_ISOLATED, *words]


def _run(words: Sequence[str], environment: dict[str, str]) -> None:
    subprocess.run(words, check=True, cwd=page.ROOT, env=environment, stdin=subprocess.DEVNULL, timeout=_LIMIT_SECONDS)


def _has_changed(name: str, recipe: bytes, made: Path) -> bool:
    noted = page.FOLDER / f"{name}.sha256"
    return not (made.exists() and noted.exists() and noted.read_text() == sha256(recipe).hexdigest())


def _note(name: str, recipe: bytes) -> None:
    (page.FOLDER / f"{name}.sha256").write_text(sha256(recipe).hexdigest())
