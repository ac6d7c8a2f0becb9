"""The original row as JSON, for `rejected.jsonl`. It fails of nothing but its length, whatever stands in the row."""

from __future__ import annotations

from typing import Any

import orjson

from transforms import bounds, reasons
from transforms.errors import ClipRejected
from transforms.manifests.columns import Columns, ManifestSettings
from transforms.manifests.embedded import LEFT_OUT
from transforms.manifests.lines import readable
from transforms.manifests.row import Fields

# A column that Cliptune does not use, such as an embedding, is not carried along when it is longer.
MAX_UNUSED_VALUE_BYTES = 10_000
# In the place of names: every column that serves no other purpose.
ALL = "all"
_MAX_DEPTH = 200  # orjson writes 254
_OPTIONS = orjson.OPT_NON_STR_KEYS


def dump(fields: Fields, settings: ManifestSettings) -> str:
    """The row as one JSON object.

    A field that JSON cannot hold is null: half a surrogate pair, or lists nested over 200 deep. Integers over 64 bits
    and all that is no JSON become text.

    Raises:
      ClipRejected: BAD_ROW, it is longer than a row may be.
    """
    try:
        content = orjson.dumps(fields, default=_text, option=_OPTIONS)
    except (TypeError, RecursionError):
        fields = {readable(name): _writable(value) for name, value in fields.items()}
        content = orjson.dumps(fields)
    if len(content) > MAX_UNUSED_VALUE_BYTES:
        content = orjson.dumps(_cut(fields, settings), default=_text, option=_OPTIONS)
    if len(content) > bounds.MAX_ROW_BYTES:
        most = f"over the limit of {bounds.MAX_ROW_BYTES:,} for a row"
        raise ClipRejected(reasons.BAD_ROW, f"the columns that are used have {len(content):,} bytes, {most}")
    return content.decode()


def kept(row: Columns) -> str:
    """The columns of a row that go along into the ledger, as one JSON object; "" where none is asked for.

    Values keep their types. What is longer than `MAX_UNUSED_VALUE_BYTES`, or beyond `bounds.MAX_KEPT_BYTES` of the row,
    is left out, which its value says.
    """
    wanted = row.settings.keep_columns
    if not wanted:
        return ""
    if ALL in wanted:
        used = set(map(row.name, row.names))
        wanted = tuple(name for name in row.fields if name not in used and not name.startswith("reject_"))
    found: Fields = {}
    left = bounds.MAX_KEPT_BYTES
    for name in wanted:
        if name not in row.fields:
            continue
        value = _writable(row.fields[name])
        length = len(orjson.dumps(value))
        if length > min(MAX_UNUSED_VALUE_BYTES, left):
            value, length = f"({length:,} bytes, left out)", 0
        left -= length + len(name) + len(str(value)) * (not length)
        if left < 0:
            break
        found[readable(name)] = value
    return orjson.dumps(found).decode()


def _cut(fields: Fields, settings: ManifestSettings) -> Fields:
    """The row without what is long in columns that are not used, or stands for a path."""
    row = Columns.of(fields, settings)
    used, audio = set(map(row.name, row.names)), row.name("audio")
    found: Fields = {}
    left = bounds.MAX_UNUSED_BYTES
    for name, value in fields.items():
        length = len(orjson.dumps(value, default=_text, option=_OPTIONS))
        if name in used and name != audio:
            found[name] = value
        elif length <= min(MAX_UNUSED_VALUE_BYTES, left):
            found[name] = value
            left -= length
        else:
            found[name] = {"bytes": LEFT_OUT} if name == audio else f"({length:,} bytes, left out)"
    return found


def _writable(value: object) -> object:
    """The value as JSON can hold it; None if it cannot."""
    try:
        tree = _tree(value, 0)
        orjson.dumps(tree)
    except (TypeError, ValueError, RecursionError):
        return None
    return tree


def _tree(value: Any, depth: int) -> object:  # noqa: ANN401 -- whatever a reader found
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {str(key): _tree(part, depth + 1) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_tree(part, depth + 1) for part in value]
    if value is None or isinstance(value, (str, bool, float)):
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 64 else str(value)
    return _text(value)


def _text(value: object) -> str:
    """What is no JSON as text: times, decimals, bytes."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"({len(value):,} bytes, left out)"
    try:
        return readable(str(value))
    except Exception as fault:  # whatever the type's own conversion does
        return f"({type(value).__name__}, {type(fault).__name__})"
