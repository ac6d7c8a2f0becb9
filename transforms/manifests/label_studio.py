"""Label Studio's exports: tasks with annotations, of which each region is a segment; JSON, JSON-MIN, CSV and TSV."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.headerless import is_path
from transforms.manifests.row import ALIASES, Fields, Row
from transforms.manifests.tool import Beside, Retell, Tool, stop

_OF_AN_EXPORT = {"annotator", "annotation_id", "created_at", "updated_at", "lead_time"}
# How Label Studio names files of its own: below its media folder, and below the root of its local files.
_UPLOADED = re.compile(r"(?:https?://[^/]+)?/data/(?=upload/)")
_LOCAL = re.compile(r"(?:https?://[^/]+)?/data/local-files/\?")
_CHANNEL = "#{}"


def _wrote_tasks(row: Row) -> bool:
    tasks = {"data", "annotations"} <= row.fields.keys() or {"data", "completions"} <= row.fields.keys()
    return tasks and isinstance(row.fields["data"], dict)


def _wrote_table(row: Row) -> bool:
    return {"annotation_id", "annotator"} <= row.fields.keys() and len(_OF_AN_EXPORT & row.fields.keys()) >= 3


@dataclass(slots=True)
class _Files:
    """Where the files are that an export names.

    Attributes:
      beside: what lies beside the manifest.
      cut: parts of a path that are left out in front, once the first file has been found; None until then.
    """

    beside: Beside
    cut: dict[str, int] = field(default_factory=dict)

    def path(self, named: str) -> str:
        """The path of a file that Label Studio names; others as they are."""
        if found := _UPLOADED.match(named):
            return self._found("upload", unquote(named[found.end() :]), "the folder media/ of Label Studio's data")
        if _LOCAL.match(named):
            path = parse_qs(urlsplit(named).query).get("d", [""])[0].lstrip("/")
            return self._found("local", path, "the folder that LOCAL_FILES_DOCUMENT_ROOT names")
        return named

    def _found(self, kind: str, path: str, where: str) -> str:
        parts = path.split("/")
        if kind not in self.cut:
            index = self.beside.first_of("/".join(parts[start:]) for start in range(len(parts)))
            if index is None:
                fact = f"it names files of Label Studio, such as {path!r}, which are not below {self.beside.root}"
                raise stop(self.beside, fact, f"name where they are, {where}: --audio_root=FOLDER")
            self.cut[kind] = index
        return "/".join(parts[self.cut[kind] :])


@dataclass(slots=True)
class _Tasks:
    """Reads tasks with all their annotations."""

    beside: Beside
    files: _Files

    def __call__(self, row: Row) -> Iterator[Row]:
        """A row for every region that has a text; for the whole recording, where no region has one."""
        task = row.fields
        data = {key: value for key, value in task["data"].items() if key not in ("id",)}
        name = _audio_of(data, self.beside)
        audio = self.files.path(str(data.pop(name)))
        base: Fields = {"task_id": task.get("id"), "audio": audio, **data}
        regions = _regions(_annotation(task))
        spans = [region for region in regions.values() if region.start is not None]
        texts = [region for region in spans if region.texts]
        if texts:
            for region in sorted(texts, key=lambda each: (each.start or 0.0, each.key)):
                yield replace(row, fields={**base, **region.fields()})
            return
        rest = [region for region in regions.values() if region.start is None]
        # What was chosen for the whole recording is its text where nothing was written.
        whole = [text for region in rest for text in region.texts] or [
            text for region in rest for text in region.labels
        ]
        if len(whole) != 1:
            why = f"the annotation has {len(whole)} texts of the whole recording" if whole else "the task has no text"
            raise ClipRejected(reasons.BAD_FIELD if whole else reasons.MISSING_TEXT, why)
        yield replace(row, fields={"id": f"task-{task.get('id')}", **base, "text": whole[0]})


@dataclass(slots=True)
class _Region:
    key: str
    start: float | None = None
    end: float | None = None
    channel: int | None = None
    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def add(self, value: dict[str, Any]) -> None:
        """Takes what one result says of the region."""
        if "start" in value and "end" in value:
            self.start, self.end = value["start"], value["end"]
            self.channel = value.get("channel", self.channel)
        text = value.get("text")
        self.texts += [text] if isinstance(text, str) else text if isinstance(text, list) else []
        self.labels += value.get("labels") or value.get("choices") or []

    def fields(self) -> Fields:
        """What a row says of the region."""
        told: Fields = {"id": self.key, "start": self.start, "end": self.end, "text": "\n".join(self.texts)}
        if self.labels:
            told["labels"] = ", ".join(map(str, self.labels))
        if self.channel:
            told["channel"] = _CHANNEL.format(self.channel)
        return told


def _annotation(task: Fields) -> list[dict[str, Any]]:
    """The results of the annotation that counts: the ground truth, else the last that was not cancelled."""
    every = task.get("annotations") or task.get("completions") or []
    valid = [each for each in every if isinstance(each, dict) and not each.get("was_cancelled")]
    if not valid:
        raise ClipRejected(reasons.MISSING_TEXT, "the task has no annotation")
    best = next((each for each in valid if each.get("ground_truth")), valid[-1])
    return [each for each in best.get("result") or [] if isinstance(each, dict)]


def _regions(results: list[dict[str, Any]]) -> dict[str, _Region]:
    found: dict[str, _Region] = {}
    for result in results:
        key, value = str(result.get("id")), result.get("value")
        if isinstance(value, dict) and result.get("type", "") not in ("relation",):
            found.setdefault(key, _Region(key)).add(value)
    return found


def _audio_of(fields: Fields, beside: Beside) -> str:
    """The column that names the recording.

    Raises:
      ClipRejected: MISSING_AUDIO, there is none.
    """
    named = dict(beside.columns).get("audio")
    known = [named] if named else [name for name in ALIASES["audio"] if isinstance(fields.get(name), str)]
    told = known or [name for name, value in fields.items() if isinstance(value, str) and _is_file(value)]
    if not told or told[0] not in fields:
        raise ClipRejected(reasons.MISSING_AUDIO, f"the task's data names no recording, only {', '.join(fields)[:100]}")
    return told[0]


def _is_file(value: str) -> bool:
    return bool(_UPLOADED.match(value) or _LOCAL.match(value)) or is_path(urlsplit(value).path)


@dataclass(slots=True)
class _Tables:
    """Reads exports with a row for each annotation, whose texts may be lists of regions."""

    beside: Beside
    files: _Files

    def __call__(self, row: Row) -> Iterator[Row]:
        """A row for every region with a text; for the recording, where there is one text of it."""
        name = _audio_of(row.fields, self.beside)
        fields = {**row.fields, name: self.files.path(str(row.fields[name]))}
        text = dict(self.beside.columns).get("text") or _text_of(fields, name)
        own: Any = _opened(fields.get(text))
        if not _are_regions(own):
            yield replace(row, fields={**fields, text: _one_text(own)} if text else fields)
            return
        # The number of a task is no name of its regions.
        base = {("task_id" if key == "id" else key): value for key, value in fields.items() if key != text}
        for each in own:
            region = _Region("")
            region.add(each)
            told = {text if key == "text" else key: value for key, value in region.fields().items() if key != "id"}
            yield replace(row, fields={**base, **told})


def _are_regions(value: Any) -> bool:  # noqa: ANN401 -- whatever a cell holds
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _one_text(value: Any) -> object:  # noqa: ANN401 -- likewise
    """The one text that a cell holds.

    Raises:
      ClipRejected: BAD_FIELD, there are several.
    """
    texts = value.get("text") if isinstance(value, dict) else value
    if not isinstance(texts, list):
        return texts
    if len(texts) > 1:
        why = f"{len(texts)} texts of one recording, without times; export as JSON, which has the regions' times"
        raise ClipRejected(reasons.BAD_FIELD, why)
    return texts[0] if texts else None


def _text_of(fields: Fields, audio: str) -> str:
    """The column of the text: by a usual name, else the only one that is not the export's own; "" for none."""
    others = [name for name in fields if name not in {*_OF_AN_EXPORT, audio, "id", "label"}]
    usual = next((name for name in ALIASES["text"] if name in others), "")
    return usual or (others[0] if len(others) == 1 else "")


def _opened(value: object) -> object:
    """A cell that holds JSON as what it holds."""
    if isinstance(value, str) and value[:2] in ("[{", '["', '{"'):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _retell_tasks(beside: Beside) -> Retell:
    return _Tasks(beside, _Files(beside))


def _retell_table(beside: Beside) -> Retell:
    return _Tables(beside, _Files(beside))


TASKS = Tool("label_studio", "Label Studio's JSON: tasks with annotations", "Label Studio", _wrote_tasks, _retell_tasks)
TABLE = Tool(
    "label_studio_table",
    "Label Studio's JSON-MIN, CSV and TSV",
    "Label Studio, a row for each annotation",
    _wrote_table,
    _retell_table,
)
