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
from transforms.manifests.row import ALIASES, Row
from transforms.storage import Storage, uris
from tuning.evaluation.clips import HeldOut

# Ids first: a path may stand beside them.
KEY_COLUMNS = (*ALIASES["id"], *ALIASES["audio"])
TEXT_COLUMNS = (
    "prediction", "pred_text", "predicted", "hypothesis", "hyp", "answer", "output", "generated_text",
    "text", "transcript", "transcription", "label",
)  # fmt: skip
_TRN = re.compile(r"(?P<text>.*?)\s*\((?P<key>[^()\s]+)\)\s*")
_CTM = re.compile(r"(?P<key>\S+)\s+\S+\s+(?P<start>\d+(?:\.\d+)?)\s+\d+(?:\.\d+)?\s+(?P<word>\S+)(?:\s.*)?")
_SHOWN = 5
_MAX_BYTES = 1 << 30


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
            for name in {_stem(clip.uri), _stem(clip.clip_id)}:
                self._ends[name].append(clip)

    def find(self, key: str) -> HeldOut | None:
        """The only clip that a name may mean."""
        if key in self.clips:
            return self.clips[key]
        path = key.replace("\\", "/").removeprefix("./")
        near = self._ends.get(_stem(path), [])
        for same in (_is_end, _is_end_without_ending):
            found = [clip for clip in near if same(path, clip.uri)]
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

    def add(self, keys: Iterable[str], answer: Answer, line_sha256: str = "") -> None:
        """Keeps an answer, of the first of some names that is a clip's. A later one of a clip replaces an earlier."""
        named = [key for key in keys if key]
        clip = next((found for key in named if (found := self.index.find(key))), None)
        if clip is None or (line_sha256 and clip.line_sha256 and line_sha256 != clip.line_sha256):
            self.strangers.append(named[0] if named else "(no id)")
        else:
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
    elif not _read_lines(uri, found, storage) and not _read_whisper(uri, found, storage):
        _read_table(uri, file, found, storage)
    if not found.answers:
        known = (
            f"; none of its {len(found.strangers):,} names is a clip's, such as {key!r}" for key in found.strangers
        )
        raise UserError(f"--predictions {name}={file}: holds no answer about a clip{next(known, '')}")
    return System(name, found.answers, tuple(found.strangers), file)


def _read_folder(uri: str, file: str, found: _Found, storage: Storage) -> None:
    files = sorted(path for path in storage.list_files(uri) if path.endswith(".json"))
    if not files:
        raise UserError(f"{file}: holds no .json file of a recogniser")
    for path in files:
        _read_whisper(path, found, storage)


def _read_lines(uri: str, found: _Found, storage: Storage) -> bool:
    """Reads Kaldi's `text`, sclite's `.trn` and `.ctm`; False for anything else."""
    ending = uri.rpartition("/")[2].rpartition(".")[2]
    if ending not in ("trn", "ctm", "text"):
        return False
    lines = storage.read_bytes(uri).decode(errors="replace").splitlines()
    texts = {"trn": _trn, "ctm": _ctm, "text": _kaldi}[ending](line for line in lines if not line.startswith(";;"))
    for key, text in texts:
        found.add([key], Answer(text))
    return True


def _trn(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if match := _TRN.fullmatch(line):
            yield match["key"], match["text"]


def _ctm(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    words: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for line in lines:
        if match := _CTM.fullmatch(line):
            words[match["key"]].append((float(match["start"]), match["word"]))
    for key, timed in words.items():
        yield key, " ".join(word for _, word in sorted(timed, key=lambda pair: pair[0]))


def _kaldi(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        key, _, text = line.strip().partition(" ")
        yield key, text.strip()


def _read_whisper(uri: str, found: _Found, storage: Storage) -> bool:
    """Reads the JSON that Whisper and faster-whisper write of one recording; False for anything else."""
    if not uri.endswith(".json"):
        return False
    try:
        tree = orjson.loads(storage.read_bytes(uri))
    except ValueError:
        return False
    text = _whisper_text(tree)
    if text is None:
        return False
    told = [str(tree[name]) for name in KEY_COLUMNS if tree.get(name)] if isinstance(tree, dict) else []
    found.add([*told, _stem(uri)], Answer(text.strip()))
    return True


def _whisper_text(tree: Any) -> str | None:  # noqa: ANN401 -- any JSON
    """The whole text of a result; None for other JSON."""
    if isinstance(tree, dict) and isinstance(tree.get("text"), str):
        # A row of a table with a text of its own beside the answer is not one recording's result.
        return None if tree.keys() & {*TEXT_COLUMNS[: TEXT_COLUMNS.index("text")]} else str(tree["text"])
    segments = tree.get("segments") if isinstance(tree, dict) else tree
    if not isinstance(segments, list) or not segments:
        return None
    timed = [part for part in segments if isinstance(part, dict) and {"start", "end", "text"} <= part.keys()]
    return "".join(str(part["text"]) for part in timed) if len(timed) == len(segments) else None


def _read_table(uri: str, file: str, found: _Found, storage: Storage) -> None:
    for row in read_rows(uri, file, is_folder=False, storage=storage):
        if row.fault is not None:
            found.strangers.append(f"{file}:{row.line}")
            continue
        _read_row(row, file, found)


def _read_row(row: Row, file: str, found: _Found) -> None:
    fields = {str(name).lower(): value for name, value in row.fields.items()}
    column = next((name for name in TEXT_COLUMNS if name in fields), None)
    if column is None:
        raise UserError(f"{file}:{row.line}: no column of {', '.join(TEXT_COLUMNS[:4])} or text")
    value, reason = fields[column], fields.get("finish_reason")
    text = value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
    keys = [str(fields[name]) for name in KEY_COLUMNS if isinstance(fields.get(name), str | int)]
    answer = Answer(text, None if reason is None else str(reason))
    found.add(keys, answer, str(fields.get("line_sha256") or ""))
