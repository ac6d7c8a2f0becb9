"""What `make bench` has measured, as tables and a plot."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

from benchmarks import chart, figures
from benchmarks.contestants import LOOP, OURS, PROCESSES, THREADS, WITHOUT_AUDIO
from benchmarks.corpus import ALONE, ROOT
from benchmarks.figures import Figure, Key, Round, cpu, wall
from benchmarks.peers.environments import PEERS
from benchmarks.processes import Cost, Peaks

FEW, SOME, MANY, MOST = 2, 700, 21_000, 300_000
RERUN = "rerun"
PAGE, PLOT = ROOT / "docs/performance.md", ROOT / "docs/performance.svg"
BEGIN, END = "<!-- measured: `make bench` writes from here -->", "<!-- to here -->"
_LIBRARIES = ("apache-beam", "numpy", "soundfile", "soxr", "av", "pybase64")
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured.

    Attributes:
      rows: of the manifests for every contestant: few, and some.
      first: the round before the first, in which memory was sampled.
      rounds: the others.
      formats: ours to the bare calls in one process by format, one mapping a round.
      left_out: why peers were not measured, by title.
    """

    rows: tuple[int, int]
    first: Round
    rounds: Sequence[Round]
    formats: Sequence[Mapping[str, float]]
    left_out: Mapping[str, str]

    def has(self, key: Key) -> bool:
        """Whether this was run, in one round or more."""
        return any(key in each for each in self.rounds)


def text(measured: Measured) -> str:
    """All tables, as Markdown."""
    parts = (machine(measured), targets(measured), contestants(measured), formats(measured))
    return "\n\n".join(parts)


def write(measured: Measured) -> None:
    """Writes the tables into the page, and the plot beside it."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(put(page, text(measured)), encoding="utf-8")
    PLOT.write_text(chart.panels(_panels(measured)), encoding="utf-8")


def put(page: str, tables: str) -> str:
    """The page with these tables between its marks.

    Raises:
      ValueError: it has no such marks, or several.
    """
    new, found = re.subn(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n\n{tables}\n\n{END}", page, flags=re.DOTALL
    )
    if found != 1:
        raise ValueError(f"the page must have the marks once, got {found}")
    return new


def machine(measured: Measured) -> str:
    """Where and when it was measured, and with what."""
    named = [f"{name} {metadata.version(name)}" for name in _LIBRARIES]
    named += [
        peer.requirements.split()[0].replace("==", " ")
        for peer in PEERS
        if measured.has((peer.title, measured.rows[1]))
    ]
    versions = ", ".join(named)
    return (
        f"{datetime.datetime.now(datetime.UTC).date()}, {len(measured.rounds)} rounds; "
        f"{os.cpu_count()} cores ({_cpu_model()}), {_memory_gib():.0f} GiB; "
        f"{platform.system()}, Python {platform.python_version()}; {versions}."
    )


def _cpu_model() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
    return found[1] if found else platform.processor() or "unknown"


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def targets(measured: Measured) -> str:
    """The table of what has a target."""
    rows = [
        (
            figure.what,
            _number(figure, figure.median),
            _spread(figure),
            str(len(figure.values)),
            _target(figure),
            _word(figure.holds),
        )
        for figure in target_figures(measured)
    ]
    return table(("what", "median", "spread", "rounds", "target", "holds"), rows)


def target_figures(measured: Measured) -> Iterator[Figure]:
    """Everything that has a target and was measured."""
    rounds, (few, some) = measured.rounds, measured.rows
    for rows, limit in ((some, 1.6), (MANY, 1.2)):
        if measured.has((OURS.name, rows)):
            values = figures.ratios(rounds, cpu, (OURS.name, rows), (THREADS.name, rows))
            yield Figure(f"CPU of {rows:,} clips to the bare calls", values, limit)
    for peer in PEERS:
        if measured.has((peer.title, some)):
            values = figures.ratios(rounds, wall, (OURS.name, some), (peer.title, some))
            yield Figure(f"wall time of {some} clips to {peer.title}", values, peer.target)
    for kind in ALONE:
        values = tuple(each[kind.name] for each in measured.formats)
        yield Figure(f"CPU of {kind.name} to libav in one process", values, 1.3)
    for rows in (some, MANY):
        if measured.has((OURS.name, rows)):
            busy = figures.cores_busy(rounds, (OURS.name, few), (OURS.name, rows), os.cpu_count() or 1)
            yield Figure(f"cores busy while {rows:,} clips are prepared", busy, 95, at_most=False, unit=" %")
    start = figures.ratios(rounds, wall, (OURS.name, few), (THREADS.name, few))
    yield Figure(f"wall time of {few} clips to the bare calls", start, 5.7)
    for rows, limit in ((some, 8), (MANY, 40)):
        if measured.has((RERUN, rows)):
            values = figures.ratios(rounds, wall, (OURS.name, rows), (RERUN, rows))
            yield Figure(f"wall time of {rows:,} clips to their rerun", values, limit, at_most=False)
    for rows in (some, MANY, MOST):
        if (cost := measured.first.get((OURS.name, rows))) and cost.memory:
            yield Figure(f"peak memory of {rows:,} clips", (cost.memory.tree / _MIB,), 400, unit=" MiB")
    if measured.has((WITHOUT_AUDIO.name, MANY)):
        shares = figures.ratios(rounds, cpu, (WITHOUT_AUDIO.name, MANY), (OURS.name, MANY))
        yield Figure("CPU that is not for audio", tuple(100 * share for share in shares), 5, unit=" %")


def contestants(measured: Measured) -> str:
    """The table of all contestants, to the bare calls in two threads."""
    rows, (few, some) = [], measured.rows
    for name in _names(measured):
        cells = [Figure("", values) for values in _relative(measured, name)]
        memory = measured.first[name, some].memory or Peaks()
        peaks = (f"{peak / _MIB:.0f}" for peak in (memory.tree, memory.largest))
        rows.append((name, *(f"{cell.median:.2f} ({_spread(cell)})" for cell in cells), *peaks))
    rows += [(f"{title}: {why}", *["–"] * 5) for title, why in measured.left_out.items()]
    head = (
        f"{some} clips",
        "wall time",
        "CPU",
        f"wall time of {few} clips",
        "peak memory, MiB",
        "of the largest process",
    )
    return table(head, rows)


def _names(measured: Measured) -> list[str]:
    every = (OURS.name, THREADS.name, PROCESSES.name, LOOP.name, *(peer.title for peer in PEERS))
    return [name for name in every if measured.has((name, measured.rows[1]))]


def _relative(measured: Measured, name: str) -> list[tuple[float, ...]]:
    few, some = measured.rows
    asked: Sequence[tuple[Callable[[Cost], float], int]] = ((wall, some), (cpu, some), (wall, few))
    return [figures.ratios(measured.rounds, of, (name, rows), (THREADS.name, rows)) for of, rows in asked]


def formats(measured: Measured) -> str:
    """The table of formats in one process."""
    rows = []
    for name in measured.formats[0]:
        figure = Figure(name, tuple(each[name] for each in measured.formats))
        rows.append((name, f"{figure.median:.2f}", _spread(figure)))
    return table(("one format in one process", "CPU to the bare calls", "spread"), rows)


def _panels(measured: Measured) -> Iterator[chart.Panel]:
    names, (few, some) = _names(measured), measured.rows
    for place, title in enumerate(("wall time", "CPU", f"wall time of {few} clips")):
        cells = [Figure(name, _relative(measured, name)[place]) for name in names]
        yield chart.Panel(title, tuple(chart.Bar(cell.what, cell.median, *_ends(cell)) for cell in cells))
    trees = [(measured.first[name, some].memory or Peaks()).tree / _MIB for name in names]
    yield chart.Panel(
        "peak memory, MiB", tuple(chart.Bar(name, *[tree] * 3) for name, tree in zip(names, trees, strict=True))
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines).replace("| --- ", "|---").replace("--- |", "---|")


def _ends(figure: Figure) -> tuple[float, float]:
    return min(figure.values), max(figure.values)


def _number(figure: Figure, value: float) -> str:
    return f"{value:.2f}" if figure.unit == "×" else f"{value:.0f}" if figure.unit == " MiB" else f"{value:.1f}"


def _spread(figure: Figure) -> str:
    return "–".join(_number(figure, end) for end in _ends(figure))


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'≤' if figure.at_most else '≥'} {figure.target:g}{figure.unit}"


def _word(holds: bool | None) -> str:
    return {True: "yes", False: "**no**", None: ""}[holds]
