"""The score of `make mutants`: how many changes of the code that keeps the promises a test notices."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "mutants.md"
LEAST = 0.9
# mutmut's exit codes: the tests passed, or none of them reaches the function. Anything else is a test that noticed:
# by a failure, by its time limit, or by the end of its process.
SURVIVED, UNREACHED = 0, 33


def results(folder: Path) -> Iterator[tuple[str, int | None]]:
    """Each mutant's name, `module.function__mutmut_N`, and the exit code of its tests; None if they did not run."""
    for path in sorted(folder.rglob("*.meta")):
        yield from json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"].items()


def explained(page: str) -> set[str]:
    """The functions whose survivors the page gives a reason for."""
    return set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE))


def function(mutant: str) -> str:
    """`output.Output.digest` for `transforms.dataset.output.xǁOutputǁdigest__mutmut_3`."""
    module, _, name = mutant.rpartition("__mutmut_")[0].rpartition(".")
    plain = name.removeprefix("x").removeprefix("_").replace("ǁ", ".").strip(".")
    return f"{module.rpartition('.')[2]}.{plain}"


def main() -> int:
    """Prints the score and the survivors without a reason; 1 if the score is too low, or a mutant was not tried."""
    found = dict(results(ROOT / "mutants"))
    untried = [name for name, code in found.items() if code is None]
    alive = [name for name, code in found.items() if code in (SURVIVED, UNREACHED)]
    known = explained(PAGE.read_text(encoding="utf-8"))
    for name in alive:
        if function(name) not in known:
            print(f"survived, see `mutmut show {name}`")
    score = 1 - (len(alive) + len(untried)) / len(found) if found else 0
    print(f"{len(found):,} mutants, {len(alive):,} survived, {len(untried):,} not tried: {score:.1%} killed")
    return int(score < LEAST or bool(untried))


if __name__ == "__main__":
    sys.exit(main())
