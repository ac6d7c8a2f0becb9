"""The clients of Google's services, the oldest that setup.py allows and the newest: `make test-clients` tries both.

python -m tests.clients [ENVIRONMENT …]        default: all

Each environment is a folder below `.clients`. The oldest is made once, the newest is brought up to date each time.
What requirements.lock has is tried by `make test`.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".clients"
# What talks through a client: to the tuning service, to Google Cloud Storage, and over connections that fail.
TESTS = (
    "tests/tuning",
    "tests/transforms/storage",
    "tests/cliptune/test_commands.py",
    "tests/cliptune/test_job_commands.py",
    "tests/cliptune/test_hostile_words.py",
    "tests/beam_pipeline/test_gcs.py",
)
# An index that sends half a package must not hold up everything.
_LIMIT_SECONDS = 900


def requirements(*names: str) -> list[Requirement]:
    """The requirements in these lists of setup.py."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    lists = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.List)
    }
    return [Requirement(text) for name in names for text in lists[name]]


def oldest(requirement: Requirement) -> str:
    """The lowest version that a requirement allows, as a requirement."""
    (bound,) = (bound.version for bound in requirement.specifier if bound.operator == ">=")
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}=={bound}"


@dataclass(frozen=True, slots=True)
class Environment:
    """Packages that are tried together.

    Attributes:
      name: of its folder.
      installs: what is installed, one call of pip after the other.
      fresh: whether it is brought up to date each time.
    """

    name: str
    installs: tuple[tuple[str, ...], ...]
    fresh: bool = False

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(FOLDER / self.name / "bin/python")

    def install(self) -> None:
        """Makes the environment, or what is missing of it.

        Raises:
          subprocess.SubprocessError: a package is not to be had, or not in time.
        """
        folder, wanted = FOLDER / self.name, f"{sys.version}\n{self.installs}\n"
        ready = folder / "installed.txt"
        same = ready.is_file() and ready.read_text(encoding="utf-8") == wanted
        if same and not self.fresh:
            return
        print(f"{self.name}: installing …", file=sys.stderr, flush=True)
        if not same:
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        for words in self.installs:
            subprocess.run([*pip, *words], check=True, timeout=_LIMIT_SECONDS)
        ready.write_text(wanted, encoding="utf-8")

    def versions(self) -> str:
        """Those of the clients and of what they send with."""
        code = """if True:
            from importlib import metadata
            names = ("google-genai", "google-cloud-aiplatform", "google-cloud-storage", "google-auth", "pydantic")
            sending = ("requests", "httpx", "httpx2")
            have = {found.name: found.version for found in metadata.distributions()}
            print(", ".join(f"{name} {have[name]}" for name in (*names, *sending) if name in have))"""
        return subprocess.run([self.python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()

    def test(self) -> int:
        """The exit status of the tests in it."""
        print(f"{self.name}: {self.versions()}", file=sys.stderr, flush=True)
        flags = ["-q", "--numprocesses=2", "--dist=worksteal", "-p", "no:cacheprovider"]
        here = {**os.environ, "PYTHONPATH": str(ROOT)}  # for the commands that tests start in other folders
        words = [self.python, "-m", "pytest", *flags, *TESTS]
        return subprocess.run(words, cwd=ROOT, env=here, check=False).returncode


def environments() -> dict[str, Environment]:
    """The environments by their names."""
    ours, tools = requirements("WORKER", "TUNING"), [str(tool) for tool in requirements("TEST")]
    # aiplatform forbids google-genai 3: pip says so, installs it when it is asked for alone, and they run together.
    genai = [str(found) for found in ours if found.name == "google-genai"]
    return {
        "oldest": Environment("oldest", ((*map(oldest, ours), *tools),)),
        "newest": Environment("newest", ((*map(str, ours), *tools), tuple(genai)), fresh=True),
    }


def main(names: list[str]) -> int:
    """Makes the environments and runs the tests in each."""
    known = environments()
    worst = 0
    for environment in [known[name] for name in names or known]:
        try:
            environment.install()
        except subprocess.SubprocessError:
            print(f"{environment.name}: not installed; make test-clients needs a package index", file=sys.stderr)
            return 1
        worst = max(worst, environment.test())
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
