"""YAML with positions: each key and value of a file with the line that it stands on, so that a rule names its line.

Scalars stay as they are written. What a value means, its key decides: so `no`, `1.10`, `0o17` and `2026-01-01` are the
texts that they look like where a text is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from transforms.bounds import MAX_SETTINGS_BYTES, MAX_SETTINGS_VALUES
from transforms.errors import UserError

if TYPE_CHECKING:
    import yaml

MAX_DEPTH = 32
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_PREFIX = "tag:yaml.org,2002:"
# What the reader makes of values without a tag. Of these, only the empty one means something else than it says.
_SCALARS = {f"{_PREFIX}{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value.

    Attributes:
      line: where it stands, from 1.
      text: as it is written, without its quotes.
      quoted: whether it is certainly a text, as in quotes or a block.
      is_null: whether nothing is written, or null or ~.
    """

    line: int
    text: str
    quoted: bool = False
    is_null: bool = False

    @property
    def shown(self) -> str:
        """As messages have it."""
        return repr(self.text) if self.text or self.quoted else "nothing"


@dataclass(frozen=True, slots=True)
class Items:
    """Values in their order.

    Attributes:
      line: where it begins.
      items: the values.
    """

    line: int
    items: tuple[Node, ...]

    shown = "a list"


@dataclass(frozen=True, slots=True)
class Table:
    """Values by key.

    Attributes:
      line: where it begins.
      entries: the values, in the order of the file.
      lines: where each key stands.
    """

    line: int
    entries: Mapping[str, Node]
    lines: Mapping[str, int]

    shown = "a mapping"


Node = Scalar | Items | Table


def load(content: bytes, name: str) -> Node:
    """The values of a YAML file, or of a JSON file, which is YAML, too.

    Args:
      content: of the file.
      name: of the file, for messages.

    Raises:
      UserError: it is not YAML in UTF-8, names a key twice, uses tags, or is over the bounds of such files.
    """
    require_size(content, name)
    text = _decoded(content, name)
    with faults(name):
        import yaml  # noqa: PLC0415 -- slow to import

        tree = yaml.compose(text, yaml.SafeLoader)
    if tree is None:
        raise UserError(f"{name}: it is empty")
    return _Reader(name).node(tree, ())


def _decoded(content: bytes, name: str) -> str:
    """The text of a file; UTF-16 by its mark."""
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as fault:
        line = 1 if wide else content.count(b"\n", 0, fault.start) + 1
        raise UserError(f"{name}:{line}: not YAML in UTF-8") from None
    if wrong := _CONTROL.search(text):
        line = text.count("\n", 0, wrong.start()) + 1
        raise UserError(f"{name}:{line}: the character {wrong[0]!r} has no place in YAML")
    return text


def require_size(content: bytes, name: str, what: str = "such a file") -> None:
    """Refuses a file that is longer than anybody writes.

    Raises:
      UserError: it is.
    """
    if len(content) > MAX_SETTINGS_BYTES:
        raise UserError(f"{name}: {len(content):,} bytes, over the limit of {MAX_SETTINGS_BYTES:,} for {what}")


@contextmanager
def faults(name: str) -> Iterator[None]:
    """Tells what the parser finds wrong as one line with the file and, where it is known, the line.

    Raises:
      UserError: in place of the parser's own errors.
    """
    import yaml  # noqa: PLC0415 -- slow to import, and few commands read YAML

    try:
        yield
    except yaml.MarkedYAMLError as fault:
        line = f":{fault.problem_mark.line + 1}" if fault.problem_mark else ""
        raise UserError(f"{name}{line}: not YAML: {fault.problem or fault.context}") from None
    except RecursionError:
        raise UserError(f"{name}: it is nested too deep") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError):
        raise UserError(f"{name}: not YAML in UTF-8") from None


class _Reader:
    """Makes values of the parser's nodes, each with its line. What aliases stand for counts again each time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def node(self, found: yaml.Node, above: tuple[yaml.Node, ...]) -> Node:
        """The value of a node below others."""
        import yaml  # noqa: PLC0415 -- is imported already

        line = found.start_mark.line + 1
        self._count += 1
        if self._count > MAX_SETTINGS_VALUES:
            self._refuse(line, f"over {MAX_SETTINGS_VALUES:,} values, those that aliases stand for included")
        if len(above) > MAX_DEPTH or any(other is found for other in above):
            self._refuse(line, "it is nested too deep" if len(above) > MAX_DEPTH else "an alias stands for itself")
        below = (*above, found)
        if isinstance(found, yaml.ScalarNode):
            return self._scalar(found, line)
        self._require_plain(found, line, "seq" if isinstance(found, yaml.SequenceNode) else "map")
        if isinstance(found, yaml.SequenceNode):
            return Items(line, tuple(self.node(item, below) for item in found.value))
        assert isinstance(found, yaml.MappingNode)
        return self._mapping(found, line, below)

    def _scalar(self, found: yaml.ScalarNode, line: int) -> Scalar:
        if found.tag not in _SCALARS:
            self._refuse(line, f"tags such as {found.tag.replace(_PREFIX, '!!')!r} have no meaning here")
        try:
            # YAML in JSON's spelling has "\ud83d\ude00" for one character; the parser makes two halves of it.
            text = found.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._refuse(line, "half a surrogate pair is no character")
        quoted = found.style is not None
        return Scalar(line, text, quoted, not quoted and found.tag == f"{_PREFIX}null")

    def _mapping(self, found: yaml.MappingNode, line: int, below: tuple[yaml.Node, ...]) -> Table:
        entries: dict[str, Node] = {}
        lines: dict[str, int] = {}
        merged: list[Table] = []
        for key, value in found.value:
            name = self.node(key, below)
            if not isinstance(name, Scalar) or name.is_null:
                self._refuse(name.line, f"a key must be a word, got {name.shown}")
            if key.tag == f"{_PREFIX}merge":
                merged += self._merged(self.node(value, below))
            elif name.text in entries:
                self._refuse(name.line, f"{name.text!r} is given twice; the first is in line {lines[name.text]}")
            else:
                entries[name.text], lines[name.text] = self.node(value, below), name.line
        for other in merged:  # what stands in the mapping itself, or earlier, wins
            entries = {**other.entries, **entries}
            lines = {**other.lines, **lines}
        return Table(line, entries, lines)

    def _merged(self, value: Node) -> list[Table]:
        """What `<<` adds: a mapping, or several."""
        parts = value.items if isinstance(value, Items) else (value,)
        wrong = next((part for part in parts if not isinstance(part, Table)), None)
        if wrong is not None:
            self._refuse(wrong.line, f"<< must have a mapping, or a list of some, got {wrong.shown}")
        return [part for part in parts if isinstance(part, Table)]

    def _require_plain(self, found: yaml.Node, line: int, kind: str) -> None:
        if found.tag != f"{_PREFIX}{kind}":
            self._refuse(line, f"tags such as {found.tag.replace(_PREFIX, '!!')!r} have no meaning here")

    def _refuse(self, line: int, problem: str) -> NoReturn:
        raise UserError(f"{self._name}:{line}: {problem}")
