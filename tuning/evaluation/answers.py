"""Reads what recognisers write: our own predictions, Whisper, NeMo, Kaldi, sclite, Hugging Face, and plain tables."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from transforms.errors import UserError
from transforms.manifests.formats import read_rows
from transforms.manifests.lines import encoding_of
from transforms.manifests.row import ALIASES, Row
from transforms.storage import Storage, inside, uris
from tuning.evaluation import whisper
from tuning.evaluation.clips import HeldOut

# Ids first: a path may stand beside them.
KEY_COLUMNS = (*ALIASES["id"], *ALIASES["audio"])
TEXT_COLUMNS = (
    "prediction", "pred_text", "predicted", "hypothesis", "hyp", "answer", "output", "generated_text",
    "text", "transcript", "transcription", "label",
)  # fmt: skip
_TRN = re.compile(r"(?P<text>.*?)\s*\((?P<key>[^()]+)\)\s*")
_NO_WORDS = ("<eps>", "@")  # sclite's words for none
_CTM = re.compile(r"(?P<key>\S+)\s+\S+\s+(?P<start>\d+(?:\.\d+)?)\s+\d+(?:\.\d+)?\s+(?P<word>\S+)(?:\s.*)?")
_SHOWN = 5
_COPIED_CLIPS = 10
_LINES = ("trn", "ctm", "text", "txt", "hyp", "tra")
_ANY_TEXT = ("txt", "hyp", "tra")  # may be tables as well


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system said of one clip.

    Attributes:
      text: its words; None if it gave none.
      finish_reason: why a model stopped; None if nobody says.
    """

    text: str | None
    finish_reason: str | None = None

    @property
    def said(self) -> str:
        """Its words; "" for none."""
        return self.text or ""


@dataclass(frozen=True)
class System:
    """The answers of one system.

    Attributes:
      name: of the system.
      answers: by clip id.
      strangers: names of what was answered and is no clip of the split.
      repeated: ids of clips that the file answers more than once; the last answer counts.
      file: where the answers are.
    """

    name: str
    answers: Mapping[str, Answer]
    strangers: tuple[str, ...] = ()
    file: str = ""
    repeated: frozenset[str] = frozenset()

    def repeated_line(self) -> str:
        """Says which clips are answered more than once; "" if none is."""
        if not self.repeated:
            return ""
        count, named = len(self.repeated), ", ".join(sorted(self.repeated)[:_SHOWN])
        more = f" and {count - _SHOWN:,} more" if count > _SHOWN else ""
        return f"warning: {self.file}: {count:,} clips are answered more than once, the last counts: {named}{more}"

    def stranger_line(self) -> str:
        """Says which answers are of no clip; "" if all are."""
        if not self.strangers:
            return ""
        more = f" and {len(self.strangers) - _SHOWN:,} more" if len(self.strangers) > _SHOWN else ""
        named = ", ".join(self.strangers[:_SHOWN])
        return f"warning: {self.file}: {len(self.strangers):,} predictions are of no clip of the split: {named}{more}"


class Index:
    """Finds clips by what recognisers call them: the id, the path of the recording, or its end, or its stem."""

    def __init__(self, clips: Iterable[HeldOut]) -> None:
        self.clips = {clip.clip_id: clip for clip in clips}
        self._ends: dict[str, list[HeldOut]] = defaultdict(list)
        for clip in self.clips.values():
            for name in {_stem(inside.name_of(clip.uri)), _stem(clip.clip_id)}:
                self._ends[name].append(clip)

    def is_copied(self, answers: Mapping[str, Answer]) -> bool:
        """Whether all answers are the targets, of enough clips and words to be no chance."""
        targets = [self.clips[clip_id].target for clip_id in answers]
        is_long = len(targets) >= _COPIED_CLIPS and sum(len(target.split()) for target in targets) > 2 * len(targets)
        return is_long and all(self.clips[clip_id].target == answer.text for clip_id, answer in answers.items())

    def find(self, key: str) -> HeldOut | None:
        """The only clip that a name may mean."""
        if key in self.clips:
            return self.clips[key]
        path = key.replace("\\", "/").removeprefix("./")
        near = self._ends.get(_stem(path), [])
        for same in (_is_end, _is_end_without_ending):
            found = [clip for clip in near if same(path, inside.name_of(clip.uri))]
            if len(found) == 1:
                return found[0]
        return near[0] if len(near) == 1 and "/" not in path else None


def _is_end(path: str, uri: str) -> bool:
    return f"/{uri}".endswith(f"/{path.lstrip('/')}")


def _is_end_without_ending(path: str, uri: str) -> bool:
    return _is_end(_without_ending(path), _without_ending(uri))


def _without_ending(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return folder + slash + _stem(name)


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


@dataclass
class _Found:
    """Answers as they are read."""

    index: Index
    answers: dict[str, Answer] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)
    column: str = ""

    def add(self, keys: Iterable[str], answer: Answer, line_sha256: str = "") -> None:
        """Keeps an answer, of the first of some names that is a clip's. A later one of a clip replaces an earlier."""
        named = [key for key in keys if key]
        clip = next((found for key in named if (found := self.index.find(key))), None)
        if clip is None or (line_sha256 and clip.line_sha256 and line_sha256 != clip.line_sha256):
            self.strangers.append(named[0] if named else "(no id)")
        else:
            if clip.clip_id in self.answers:
                self.repeated.add(clip.clip_id)
            self.answers[clip.clip_id] = answer


def read(name: str, file: str, index: Index, storage: Storage) -> System:
    """The answers in a file, or in a folder of Whisper's JSON files.

    Args:
      name: of the system.
      file: local path or gs:// URI.
      index: the clips that were asked about.
      storage: reads the files; not confined, for the user has named them.

    Raises:
      UserError: it cannot be read, or nothing in it is an answer.
    """
    uri = uris.absolute(file, os.getcwd())  # noqa: PTH109 -- text, as everywhere in storage
    found = _Found(index)
    if storage.is_folder(uri):
        _read_folder(uri, file, found, storage)
    elif not storage.exists(uri):
        raise UserError(f"--predictions {name}={file}: there is no such file")
    elif not _read_lines(uri, file, found, storage) and not _read_json(uri, file, found, storage):
        _read_table(uri, file, found, storage)
    if not found.answers:
        known = (
            f"; none of its {len(found.strangers):,} names is a clip's, such as {key!r}" for key in found.strangers
        )
        raise UserError(f"--predictions {name}={file}: holds no answer about a clip{next(known, '')}")
    return System(name, found.answers, tuple(found.strangers), file, frozenset(found.repeated))


def _read_folder(uri: str, file: str, found: _Found, storage: Storage) -> None:
    files = sorted(storage.list_files(uri))
    results = [path for path in files if path.endswith(".json")] or [path for path in files if path.endswith(".txt")]
    if not results:
        raise UserError(f"{file}: holds no .json or .txt file of a recogniser")
    for path in results:
        name = uris.below(uri, path)
        tree = _tree(path, storage) if path.endswith(".json") else _decoded(path, file, storage)
        text = tree if isinstance(tree, str) else whisper.text(tree)
        if text is None:
            found.strangers.append(name)
            continue
        # "de/one.json" of de/one.wav, and whisper.cpp's "de/one.wav.json".
        found.add([*_keys(tree), name.rpartition(".")[0], name], Answer(text.strip()))


def _decoded(uri: str, file: str, storage: Storage) -> str:
    """A file of text, in UTF-8, or with a byte order mark.

    Raises:
      UserError: it is in another encoding.
    """
    content = storage.read_bytes(uri)
    try:
        return content.decode(encoding_of(content[:4])).removeprefix("\ufeff")
    except UnicodeDecodeError as fault:
        raise UserError(f"{file}: not valid {fault.encoding.upper()}; save it as UTF-8") from None


def _read_lines(uri: str, file: str, found: _Found, storage: Storage) -> bool:
    """Reads Kaldi's `text`, sclite's `.trn` and `.ctm`; False for anything else."""
    ending = uri.rpartition("/")[2].rpartition(".")[2].lower()
    if ending not in _LINES:
        return False
    # Other ends of lines, such as U+2028, may stand in a text.
    lines = (line.strip() for line in re.split(r"\r\n|\r|\n", _decoded(uri, file, storage)))
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line and not line.startswith(";;"))
    for number, key, text in {"trn": _trn, "ctm": _ctm}.get(ending, _kaldi)(numbered):
        if key:
            found.add([key], Answer(text))
        else:
            found.strangers.append(f"{file}:{number}")
    if not found.answers and ending in _ANY_TEXT:
        found.strangers.clear()
        return False
    return True


Numbered = Iterable[tuple[int, str]]
Keyed = Iterator[tuple[int, str, str]]


def _trn(lines: Numbered) -> Keyed:
    for number, line in lines:
        match = _TRN.fullmatch(line)
        yield (number, match["key"].strip(), match["text"]) if match else (number, "", "")


def _ctm(lines: Numbered) -> Keyed:
    words: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for number, line in lines:
        if match := _CTM.fullmatch(line):
            words[match["key"]].append((float(match["start"]), match["word"]))
        else:
            yield number, "", ""
    for key, timed in words.items():
        said = sorted(timed, key=lambda pair: pair[0])
        yield 0, key, " ".join(word for _, word in said if word not in _NO_WORDS)


def _kaldi(lines: Numbered) -> Keyed:
    for number, line in lines:
        key, *text = line.split(maxsplit=1)
        yield number, key, "".join(text)


def _tree(uri: str, storage: Storage) -> Any:  # noqa: ANN401 -- any JSON
    """The JSON of a file; None for anything else."""
    try:
        return orjson.loads(_decoded(uri, uri, storage))
    except (ValueError, UserError):
        return None


def _keys(tree: object) -> list[str]:
    return [str(tree[name]) for name in KEY_COLUMNS if tree.get(name)] if isinstance(tree, dict) else []


def _read_json(uri: str, file: str, found: _Found, storage: Storage) -> bool:
    """Reads what a recogniser writes of one recording, and an object of ids and texts; False for anything else."""
    if not uri.lower().endswith(".json"):
        return False
    tree = _tree(uri, storage)
    text = whisper.text(tree)
    if text is not None:
        name = uri.rpartition("/")[2]
        found.add([*_keys(tree), name.rpartition(".")[0], name], Answer(text.strip()))
        return True
    known = {*KEY_COLUMNS, *TEXT_COLUMNS}
    if not isinstance(tree, dict) or not tree or any(str(key).lower() in known for key in tree):
        return False
    if not all(value is None or isinstance(value, str) for value in tree.values()):
        return False
    for key, value in tree.items():
        found.add([key], Answer(value))
    return True


def _read_table(uri: str, file: str, found: _Found, storage: Storage) -> None:
    for row in read_rows(uri, file, is_folder=False, storage=storage):
        if row.fault is not None:
            found.strangers.append(f"{file}:{row.line}")
            continue
        _read_row(row, file, found)


def _column(fields: Mapping[str, object], row: Row, file: str, found: _Found) -> str:
    """The column of answers, the same in all rows: another one may hold what should have been said.

    Raises:
      UserError: there is none, or a better one comes up in a later row.
    """
    named = (name for name in fields if name.startswith("pred_text_"))  # NeMo's, with the model behind it
    best = next((name for name in TEXT_COLUMNS if name in fields), None) or next(named, None)
    if not found.column and best is None:
        raise UserError(f"{file}:{row.line}: no column of {', '.join(TEXT_COLUMNS[:4])} or text")
    found.column = found.column or str(best)
    if _rank(best) < _rank(found.column):
        where = f"has {best!r}, while the rows before it have {found.column!r}"
        raise UserError(f"{file}:{row.line}: {where}; keep the answers of all rows in one column")
    return found.column


def _rank(column: str | None) -> int:
    return TEXT_COLUMNS.index(column) if column in TEXT_COLUMNS else len(TEXT_COLUMNS)


def _said(value: object) -> str | None:
    """An answer as text; None for what pandas and others write where there is none."""
    if value is None or isinstance(value, str):
        return value
    return None if value != value else orjson.dumps(value, default=str).decode()  # noqa: PLR0124 -- NaN


def _read_row(row: Row, file: str, found: _Found) -> None:
    fields = {str(name).lower(): value for name, value in row.fields.items()}
    text, reason = _said(fields.get(_column(fields, row, file, found))), fields.get("finish_reason")
    keys = [str(fields[name]) for name in KEY_COLUMNS if isinstance(fields.get(name), str | int)]
    answer = Answer(text, None if reason is None else str(reason))
    found.add(keys, answer, str(fields.get("line_sha256") or ""))
