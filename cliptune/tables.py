"""The tables of the docs that list rows of the code.

`python -m cliptune.tables ROOT` writes them into the pages of a checkout, below the heads that stand there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from beam_pipeline.runners import RUNNERS
from cliptune import config_schema
from cliptune.exits import MEANINGS
from cliptune.schemas import CONTRACTS
from transforms import limits
from transforms.audio import formats, unread
from transforms.audio.format import Format
from transforms.reasons import REASONS
from tuning.providers import PROVIDERS
from tuning.providers.base import BaseModel


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
      page: that it stands in, from the root of the checkout.
      head: names of its columns, which find it in the page.
      rows: its cells, as they stand in the code now.
    """

    page: str
    head: tuple[str, ...]
    rows: Callable[[], Iterator[Sequence[str]]]

    def lines(self) -> list[str]:
        """The rows as lines of Markdown."""
        return [_line(cells) for cells in self.rows()]

    def put(self, text: str) -> str:
        """The page with the rows as they are now.

        Raises:
          ValueError: the page has no such table, or two.
        """
        head = f"{_line(self.head)}\n|{'---|' * len(self.head)}\n"
        new = head + "".join(f"{line}\n" for line in self.lines())
        text, found = re.subn(re.escape(head) + r"(?:\|.*\n)*", lambda _: new, text)
        if found != 1:
            raise ValueError(f"{self.page} must have one table {_line(self.head)}, got {found}")
        return text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _reasons() -> Iterator[Sequence[str]]:
    return ((f"`{reason.name}`", reason.meaning, reason.remedy) for reason in REASONS.values())


def _formats() -> Iterator[Sequence[str]]:
    """The formats by name, variants left out."""
    first = {form.name: form for form in reversed(formats.FORMATS)}
    return (_format(first[name]) for name in formats.names())


def _format(form: Format) -> Sequence[str]:
    decoder, segments = "libsndfile" if form.sndfile else "libav", "yes" if form.seekable else "no"
    facts = {
        "declared bytes": form.end and not form.framed,
        "frames": form.framed,
        "all its parts": form.is_whole,
        "duration": form.exact_duration,
        "sample count": form.exact_samples,
    }
    compared = ", ".join(name for name, holds in facts.items() if holds) or "–"
    return f"`{form.name}`", " ".join(form.extensions) or "–", decoder, segments, compared


def _unread() -> Iterator[Sequence[str]]:
    yield from ((each.name, each.remedy) for each in unread.UNREAD)
    for what, remedy in dict.fromkeys(unread.UNREAD_ENTRIES.values()):
        yield f"{what}, in MP4", remedy


def _runners() -> Iterator[Sequence[str]]:
    return (
        (f"`{name}`", runner.summary, f"`{runner.module.replace('.', '/')}.py`", "yes" if runner.outlives else "no")
        for name, runner in RUNNERS.items()
    )


def _providers() -> Iterator[Sequence[str]]:
    return (
        (f"`{name}`", provider.summary, provider.default_model, provider.default_location)
        for name, provider in PROVIDERS.items()
    )


def _models() -> Iterator[Sequence[str]]:
    return (_model(model) for provider in PROVIDERS.values() for model in provider.models.values())


def _model(model: BaseModel) -> Sequence[str]:
    return (
        model.name,
        _listed(model.adapter_sizes),
        _listed(model.locations, "every region"),
        _listed(model.serving_locations, "where it was tuned"),
        _listed(model.base_locations, "in every region"),
        _dollars(model.price_per_million),
        " / ".join(map(_dollars, model.tuned_prices)) if model.tuned_prices else "?",
        "?" if model.cmek is None else "yes" if model.cmek else "no",
        str(model.retired_for_new or "–"),
        str(model.shut_down or "–"),
    )


def _listed(values: Sequence[object] | None, empty: str = "") -> str:
    """Values in a cell; "?" where they are not known."""
    return "?" if values is None else ", ".join(map(str, values)) or empty


def _dollars(price: float | None) -> str:
    return "?" if price is None else f"{price:g}"


def _sources() -> Iterator[Sequence[str]]:
    for sources in (*(provider.sources for provider in PROVIDERS.values()), limits.SOURCES):
        for name, source in sources.items():
            yield f"`{name}`", source.mark, source.where, str(source.as_of)


def _exits() -> Iterator[Sequence[str]]:
    return ((str(status.value), meaning) for status, meaning in MEANINGS.items())


def _schemas() -> Iterator[Sequence[str]]:
    yield from ((f"[{each.name}]({each.name}.schema.json)", each.what) for each in CONTRACTS)
    yield f"[{config_schema.NAME}]({config_schema.FILE})", config_schema.WHAT


_PRICE_HEAD = ("$ a million training tokens", "$ a million tokens of a tuned model, in / out")
_MODEL_HEAD = ("adapter sizes", "tuned in", "tuned, answers in", "untuned, answers in", *_PRICE_HEAD, "CMEK")
REASONS_TABLE = Table("docs/reasons.md", ("reason", "meaning", "what to do"), _reasons)
FORMATS_TABLE = Table("docs/audio.md", ("format", "extensions", "decoder", "sought", "compared with"), _formats)
UNREAD_TABLE = Table("docs/audio.md", ("not read", "what to do"), _unread)
RUNNERS_TABLE = Table(
    "docs/architecture.md", ("runner", "where it runs", "its engine", "goes on after Ctrl-C"), _runners
)
PROVIDERS_TABLE = Table("docs/tuning.md", ("provider", "what it is", "default model", "default location"), _providers)
MODELS_TABLE = Table("docs/tuning.md", ("base model", *_MODEL_HEAD, "retired for new projects", "shut down"), _models)
TABLES = (
    REASONS_TABLE,
    FORMATS_TABLE,
    UNREAD_TABLE,
    RUNNERS_TABLE,
    PROVIDERS_TABLE,
    MODELS_TABLE,
    Table("docs/tuning.md", ("fact", "who says so", "where", "as of"), _sources),
    Table("docs/tuning.md", ("exit status", "of `tune` and `watch`"), _exits),
    Table("docs/schemas/README.md", ("schema", "of"), _schemas),
)


def write(root: Path) -> None:
    """Writes every table into its page."""
    for table in TABLES:
        page = root / table.page
        page.write_text(table.put(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
