"""Tasks: what one dataset teaches side by side, each with its prompt and the kind of target it expects.

A tasks file is YAML, a mapping of names:

    transcribe:
      prompt: Transcribe this audio clip exactly as it is spoken.
    language:
      prompt: Which language is spoken? Answer with its code only.
      labels: [en, es, "no"]
    booking:
      prompt: Extract the booking as JSON.
      schema:
        type: object
        required: [room]
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import fields
from typing import Any, NoReturn

import orjson

from transforms import json_schema, marked, reasons
from transforms.bounds import MAX_SETTINGS_VALUES
from transforms.errors import ClipRejected, UserError
from transforms.json_schema import JsonError
from transforms.settings import JSON, LABELS, TEXT, Task

_SHOWN_CHARS = 60
_MAX_COMPARED_CHARS, _MAX_COMPARED_WORDS = 100, 1_000
MAX_SHOWN_LABELS = 100  # characters


def find(name: str, tasks: Sequence[Task]) -> Task | None:
    """The task of a row; None in a dataset without a tasks file.

    Args:
      name: what the row's `task` column says; "" for nothing.
      tasks: of the dataset. A row need not name the only one.

    Raises:
      ClipRejected: UNKNOWN_TASK.
    """
    if not tasks:
        return None
    if not name and len(tasks) == 1:
        return tasks[0]
    names = [task.name for task in tasks]
    if name not in names:
        found = f"{name[:_SHOWN_CHARS]!r}{_suggestion(name, names)}" if name else "no task"
        raise ClipRejected(reasons.UNKNOWN_TASK, f"task must be one of {_listed(names)}; the row has {found}")
    return tasks[names.index(name)]


def target_text(task: Task | None, value: object) -> object:
    """The target as text. Of a JSON task, a manifest may hold the value itself instead of text.

    Args:
      task: of the row; None for a dataset without tasks.
      value: of the row's text column.

    Raises:
      ClipRejected: BAD_TARGET for a value that JSON has not.
    """
    if task is None or task.target != JSON or value is None or isinstance(value, str):
        return value
    try:
        return json_schema.dump(value)
    except JsonError as fault:
        _refuse(f"the target of task {task.name} must be JSON: {fault}")


def check_target(task: Task | None, target: str) -> None:
    """Rejects a target that is not of its task's kind.

    Raises:
      ClipRejected: BAD_TARGET.
    """
    if task is not None and task.target == LABELS:
        _check_label(task, target)
    elif task is not None and task.target == JSON:
        _check_json(task, target)


def _check_label(task: Task, target: str) -> None:
    if target not in task.labels:
        shown = f"{target[:_SHOWN_CHARS]!r}{_suggestion(target, task.labels)}"
        every = _listed(task.labels)
        labels = f"one of {every}" if len(every) <= MAX_SHOWN_LABELS else f"one of its {len(task.labels)} labels"
        _refuse(f"the target of task {task.name} must be {labels}, got {shown}")


def _check_json(task: Task, target: str) -> None:
    try:
        value = json_schema.parse(target)
    except JsonError as fault:
        _refuse(f"the target of task {task.name} must be JSON, got {target[:_SHOWN_CHARS]!r} ({fault})")
    if task.schema is not None:
        broken = json_schema.broken_rule(orjson.dumps(task.schema), value)
        if broken:
            _refuse(f"the target of task {task.name} breaks its schema: {broken}")


def _listed(words: Sequence[str]) -> str:
    return ", ".join(word if word.isprintable() else repr(word) for word in words)


def _refuse(detail: str) -> NoReturn:
    raise ClipRejected(reasons.BAD_TARGET, detail)


def _suggestion(word: str, words: Sequence[str]) -> str:
    if len(word) > _MAX_COMPARED_CHARS or len(words) > _MAX_COMPARED_WORDS:  # each pair takes its time
        return ""
    lower = {other.lower(): other for other in words}
    close = difflib.get_close_matches(word.strip().lower(), lower, n=1)
    return f" (did you mean {lower[close[0]]!r}?)" if close else ""


def load(content: bytes, name: str) -> tuple[Task, ...]:
    """The tasks of a tasks file, in its order.

    Args:
      content: of the file, YAML.
      name: of the file, for messages.

    Raises:
      UserError: the file breaks a rule; the text says which task and which rule.
    """
    marked.require_size(content, name, "a tasks file")
    tree = _parse(content, name)
    try:
        json_schema.check_tree(tree, MAX_SETTINGS_VALUES)
    except JsonError as fault:
        raise UserError(f"{name}: {fault}") from None
    if not isinstance(tree, dict) or not tree:
        raise UserError(f"{name}: must be a mapping of task names, got {_shown(tree)}")
    tasks = tuple(_task(task_name, entry, name) for task_name, entry in tree.items())
    known: dict[tuple[str, str], Task] = {}
    for task in tasks:
        other = known.setdefault((task.prompt, task.system_instruction), task)
        if other is not task:
            raise UserError(f"{name}: tasks {other.name} and {task.name} have the same prompt; give each its own")
    return tasks


def _parse(content: bytes, name: str) -> object:
    import yaml  # noqa: PLC0415 -- slow to import, and few datasets have a tasks file

    class Loader(yaml.SafeLoader):
        """A loader that refuses a name given twice; the stock loader would drop the first."""

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
        keys = [loader.construct_object(key) for key, _ in node.value]
        doubled = next((key for key, count in Counter(filter(_is_hashable, keys)).items() if count > 1), None)
        if doubled is not None:
            raise UserError(f"{name}:{node.start_mark.line + 1}: {doubled!r} is given twice in one mapping")
        return loader.construct_mapping(node, deep=True)

    def text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
        found = str(loader.construct_scalar(node))
        try:
            # YAML in JSON's spelling has "\ud83d\ude00" for one character; the loader makes two halves of it.
            return found.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise UserError(f"{name}:{node.start_mark.line + 1}: half a surrogate pair is no character") from None

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG, text)
    with marked.faults(name):
        tree: object = yaml.load(content, Loader)
    return tree


def _is_hashable(key: object) -> bool:
    return isinstance(key, Hashable)


def _task(task_name: object, entry: object, file: str) -> Task:
    if not isinstance(task_name, str) or not task_name.strip():
        raise UserError(f"{file}: a task's name must be text, got {_shown(task_name)}; put it in quotes")
    where = f"{file}: task {task_name}"
    if not isinstance(entry, dict):
        raise UserError(f"{where} must be a mapping with a prompt, got {_shown(entry)}")
    known = [field.name for field in fields(Task)][1:]
    for key in entry:
        if key not in known:
            hint = _suggestion(str(key), known) or f"; it may have {', '.join(known)}"
            raise UserError(f"{where}: unknown key {key!r}{hint}")
    task = Task(
        name=task_name,
        prompt=_text(entry, "prompt", where),
        target=_kind(entry, where),
        labels=_labels(entry.get("labels"), where),
        schema=_schema(entry.get("schema"), where),
        system_instruction=_text(entry, "system_instruction", where) if "system_instruction" in entry else "",
    )
    _check_kind(task, where)
    return task


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: {key} must be text, got {_shown(value)}")
    return value


def _kind(entry: dict[str, Any], where: str) -> str:
    implied = LABELS if "labels" in entry else JSON if "schema" in entry else TEXT
    kind = entry.get("target", implied)
    if kind not in (TEXT, LABELS, JSON):
        raise UserError(f"{where}: target must be one of {TEXT}, {LABELS}, {JSON}, got {_shown(kind)}")
    return str(kind)


def _labels(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    labels = value if isinstance(value, list) else []
    for label in labels:
        if not isinstance(label, str) or not label.strip() or label != label.strip():
            # YAML takes no, yes, on, off and numbers for something else than text.
            raise UserError(f"{where}: labels must be text without spaces around it, got {_shown(label)}; use quotes")
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise UserError(f"{where}: labels must be a list of two or more, each once, got {_shown(value)}")
    return tuple(labels)


def _schema(value: object, where: str) -> object:
    if value is None:
        return None
    try:
        json_schema.check_schema(value)
    except JsonError as fault:
        raise UserError(f"{where}: schema {fault}") from None
    return value


def _check_kind(task: Task, where: str) -> None:
    if (task.target == LABELS) != bool(task.labels):
        raise UserError(f"{where}: labels and target: {LABELS} go together, got target: {task.target}")
    if task.schema is not None and task.target != JSON:
        raise UserError(f"{where}: a schema goes with target: {JSON}, got target: {task.target}")


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:_SHOWN_CHARS]
