"""Reads cliptune.yaml: the tree of a file becomes words of the commands that its keys belong to."""

from __future__ import annotations

import difflib
import itertools
import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from cliptune.config_keys import BEAM, NOT_KEYS, NUMBER, SECTIONS, SHARED, SWITCH, TEXT, WHOLE, Key, keys
from cliptune.config_values import MAX_COST, RULES, Origin, Value, Values, checked_of, switch, word_of
from transforms.errors import UsageError
from transforms.marked import Items, Node, Scalar, Table
from transforms.storage import uris

RUNS, MATRIX = "runs", "matrix"
# Each is a paid job.
MAX_RUNS = 64
_VARIABLE = re.compile(r"\$(\$?)\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Reader:
    """Turns the tree of a file into values."""

    def __init__(self, file: str, environment: Mapping[str, str]) -> None:
        self._file = file
        self._environment = environment
        self._keys = keys()

    def values(self, tree: Node) -> Values:
        """All values of the file."""
        top = self._table(tree, "the file")
        values = Values(self._file)
        for name, node in top.entries.items():
            line = top.lines[name]
            if name in SECTIONS:
                self._section(values, name, self._table(node, name))
            elif name == MAX_COST:
                at = self._at(line, name)
                values.max_cost = Value(at, tuple(self._scalars(node, Key(name, "", (), NUMBER, ""), at)))
            elif name in SHARED:
                values.settings[name] = self._value(self._keys[name], node, self._at(line, name))
            elif name not in (RUNS, MATRIX):
                self._refuse_key(line, "", name, [*SHARED, MAX_COST, *SECTIONS, RUNS, MATRIX])
        self._take_runs(values, top)
        return values

    def _section(self, values: Values, verb: str, table: Table) -> None:
        for name, node in table.entries.items():
            line, path = table.lines[name], f"{verb}.{name}"
            if verb == "prepare" and name == BEAM:
                values.beam = self._beam(self._table(node, path), self._at(line, path))
                continue
            key = self._key(verb, name, line)
            values.settings[path] = self._value(key, node, self._at(line, path))

    def _key(self, verb: str, name: str, line: int, above: str = "") -> Key:
        path = f"{verb}.{name}"
        if path not in self._keys:
            known = [key.name for key in self._keys.values() if key.path.startswith(f"{verb}.")]
            self._refuse_key(line, above or verb, name, [*known, *([BEAM] if verb == "prepare" else [])])
        return self._keys[path]

    def _beam(self, table: Table, origin: Origin) -> Value:
        words: list[str] = []
        for name, node in table.entries.items():
            own = self._at(table.lines[name], f"{origin.path}.{name}")
            if f"prepare.{name}" in self._keys or name in SHARED or name in NOT_KEYS["prepare"]:
                self._refuse(own, f"is a flag of Cliptune's, and belongs {_belongs(name)}")
            for item in node.items if isinstance(node, Items) else (node,):
                text = self._text(item, own)
                flag = name if name.startswith("--") else f"--{name}"
                bare = isinstance(item, Scalar) and not item.quoted
                is_on, is_off = bare and text.lower() == "true", bare and text.lower() == "false"
                words += [flag] if is_on else [] if is_off else [f"{flag}={text}"]
        return Value(origin, tuple(words))

    def _take_runs(self, values: Values, top: Table) -> None:
        """The runs, which each change some keys of "tune"."""
        if RUNS in top.entries and MATRIX in top.entries:
            self._refuse(self._at(top.lines[MATRIX], MATRIX), f"and {RUNS} exclude each other")
        if RUNS in top.entries:
            named = self._table(top.entries[RUNS], RUNS)
            for name, node in named.entries.items():
                at = self._at(named.lines[name], f"{RUNS}.{name}")
                values.runs[self._run_name(name, at)] = self._overrides(self._table(node, at.path), at.path)
        if MATRIX in top.entries:
            self._take_matrix(values, self._table(top.entries[MATRIX], MATRIX))
        for name in (RUNS, MATRIX):
            if name in top.entries and not 0 < len(values.runs) <= MAX_RUNS:
                rule = f"must be 1 to {MAX_RUNS} runs, each a paid job, got {len(values.runs)}"
                self._refuse(self._at(top.lines[name], name), rule)

    def _overrides(self, table: Table, above: str) -> dict[str, Value]:
        found = {}
        for name, node in table.entries.items():
            key = self._key("tune", name, table.lines[name], above)
            found[key.path] = self._value(key, node, self._at(table.lines[name], f"{above}.{name}"))
        return found

    def _take_matrix(self, values: Values, table: Table) -> None:
        """One run for each way to take one value of each list."""
        choices: list[list[tuple[str, str, Value]]] = []
        for name, node in table.entries.items():
            at = self._at(table.lines[name], f"{MATRIX}.{name}")
            key = self._key("tune", name, table.lines[name], MATRIX)
            if not isinstance(node, Items) or not node.items:
                self._refuse(at, f"must be a list of values, one run for each, got {node.shown}")
            choices.append(
                [
                    (self._text(item, at), key.path, self._value(key, item, self._at(item.line, at.path)))
                    for item in node.items
                ]
            )
        at = self._at(table.line, MATRIX)
        if (count := len(list(itertools.islice(itertools.product(*choices), MAX_RUNS + 1)))) > MAX_RUNS:
            self._refuse(at, f"must be 1 to {MAX_RUNS} runs, each a paid job, got {'over ' if count else ''}{MAX_RUNS}")
        for chosen in itertools.product(*choices) if choices else ():
            words = [re.sub(r"[^\w.-]+", "-", text) for text, _, _ in chosen]
            # A base model is a system of its name itself.
            alone = [path for _, path, _ in chosen] == ["tune.base_model"]
            name = self._run_name("-".join(["tuned", *words] if alone else words), at)
            if name in values.runs:
                self._refuse(at, f"names two runs {name}")
            values.runs[name] = {path: value for _, path, value in chosen}

    def _run_name(self, name: str, at: Origin) -> str:
        if not re.fullmatch(r"[\w.-]{1,64}", name) or name == "base":
            self._refuse(at, "must be named by letters, digits, . _ and -, 64 at most, and not base")
        return name

    def _value(self, key: Key, node: Node, origin: Origin) -> Value:
        """The words of a key."""
        if key.kind == SWITCH:
            scalar = self._scalar(node, origin, RULES[SWITCH])
            text = self._substituted(scalar, origin)
            if scalar.quoted and text == scalar.text:
                self._refuse(origin, f"must be {RULES[SWITCH]}, got the text {text!r}; leave its quotes out")
            return Value(origin, switch(key, text, origin))
        if key.pairs and isinstance(node, Table):
            return Value(origin, tuple(self._pairs(key, node, origin)))
        texts = self._scalars(node, key, origin)
        if key.is_path and not key.pairs:
            texts = [placed(text, self._file) for text in texts]
        if key.pairs and key.is_path:
            texts = ["=".join((name, placed(text, self._file))) for name, _, text in (t.partition("=") for t in texts)]
        if key.commas:
            texts = [",".join(texts)]
        return Value(origin, tuple(word_of(key, text) for text in texts))

    def _pairs(self, key: Key, table: Table, origin: Origin) -> Iterable[str]:
        for name, node in table.entries.items():
            text = self._text(node, self._at(table.lines[name], f"{origin.path}.{name}"))
            yield word_of(key, f"{name}={placed(text, self._file) if key.is_path else text}")

    def _scalars(self, node: Node, key: Key, origin: Origin) -> list[str]:
        """The values of a key as texts: one, or those of a list."""
        if isinstance(node, Items):
            if not key.several:
                self._refuse(origin, f"must be one value, got {node.shown}")
            if not node.items:
                self._refuse(origin, "must be one value or more, got an empty list")
            return [self._checked(item, key, self._at(item.line, origin.path)) for item in node.items]
        return [self._checked(node, key, origin)]

    def _checked(self, node: Node, key: Key, origin: Origin) -> str:
        rule = RULES.get(key.kind) or (f"one of {', '.join(key.choices)}" if key.choices else "text")
        scalar = self._scalar(node, origin, rule)
        text = self._substituted(scalar, origin)
        if key.kind in (WHOLE, NUMBER) and scalar.quoted and text == scalar.text:
            self._refuse(origin, f"must be {rule}, got the text {text!r}; leave its quotes out")
        if key.kind == TEXT and not scalar.quoted and text.lower() in ("true", "false"):
            self._refuse(origin, f"must be text, got {text}; put it in quotes if it is one")
        return checked_of(key, text, origin)

    def _text(self, node: Node, origin: Origin) -> str:
        return self._substituted(self._scalar(node, origin, "text"), origin)

    def _scalar(self, node: Node, origin: Origin, rule: str) -> Scalar:
        if not isinstance(node, Scalar):
            self._refuse(origin, f"must be {rule}, got {node.shown}")
        if node.is_null:
            self._refuse(origin, f"must be {rule}, got {node.shown}; leave the key out for its default")
        return node

    def _substituted(self, scalar: Scalar, origin: Origin) -> str:
        """The text with the variables that it names."""

        def value(match: re.Match[str]) -> str:
            if match[1]:
                return match[0].removeprefix("$")
            if not match[0].endswith("}") or not _NAME.fullmatch(match[2]):
                self._refuse(origin, f"must name a variable as ${{NAME}}, got {match[0]!r}; $${{ means the signs")
            if match[2] not in self._environment:
                self._refuse(origin, f"needs the environment variable {match[2]}, which is not set")
            return self._environment[match[2]]

        return _VARIABLE.sub(value, scalar.text)

    def _table(self, node: Node, what: str) -> Table:
        """A mapping. One whose keys are all left out, or commented out, is empty."""
        if isinstance(node, Scalar) and node.is_null:
            return Table(node.line, {}, {})
        if not isinstance(node, Table):
            self._refuse(self._at(node.line, what), f"must be a mapping of keys, got {node.shown}")
        return node

    def _at(self, line: int, path: str) -> Origin:
        return Origin(f"{self._file}:{line}: ", path)

    def _refuse(self, origin: Origin, problem: str) -> NoReturn:
        raise UsageError(f"{origin.place}{origin.path} {problem}")

    def _refuse_key(self, line: int, section: str, name: str, known: Sequence[str]) -> NoReturn:
        path = f"{section}.{name}" if section else name
        verb = "tune" if section.partition(".")[0] in (RUNS, MATRIX) else section
        if reason := NOT_KEYS.get(verb, {}).get(name):
            hint = f"; {reason}"
        elif place := _belongs(name):
            hint = f"; it belongs {place}"
        elif close := difflib.get_close_matches(name, known, n=1):
            hint = f"; did you mean {close[0]}?"
        elif verb == "prepare":
            hint = f"; a flag of Apache Beam goes below {BEAM}"
        else:
            hint = f"; known: {', '.join(known)}"
        raise UsageError(f"{self._file}:{line}: {path}: there is no such key{hint}")


def _belongs(name: str) -> str:
    """Where a key is at home; "" for none."""
    if name in SHARED or name == MAX_COST:
        return "outside of all sections"
    homes = [key.path.partition(".")[0] for key in keys().values() if key.path.endswith(f".{name}")]
    return f"below {' or '.join(homes)}" if homes else ""


def placed(name: str, file: str) -> str:
    """A file that is named in another one, as the working folder sees it."""
    if not name or uris.scheme_of(name):
        return name
    name = os.path.expanduser(name)  # noqa: PTH111 -- may have a glob in it
    if uris.is_gcs(file) and not name.startswith("/"):
        bucket, _, folder = file.rpartition("/")[0].removeprefix(uris.GCS_SCHEME).partition("/")
        found = posixpath.normpath(posixpath.join(folder, name))
        if found.partition("/")[0] in ("..", "."):
            raise UsageError(f"{file}: {name!r} leads out of its bucket, or to all of it")
        return f"{uris.GCS_SCHEME}{bucket}/{found}"
    if uris.is_gcs(file):
        return name
    return os.path.normpath(os.path.join(os.path.dirname(file), name))  # noqa: PTH118, PTH120 -- as it is written
