"""Values of Arrow arrays as those of rows: what Python cannot hold becomes an object, which no text or path is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transforms.bounds import MAX_LINE_BYTES
from transforms.manifests.embedded import LEFT_OUT

if TYPE_CHECKING:
    import pyarrow as pa


def short_value(array: pa.Array[Any], index: int) -> object:
    """The value of a row; an object in the place of one that is too long, which no text or path is."""
    size = array.slice(index, 1).nbytes
    return {"unreadable": f"{size:,} bytes"} if size > MAX_LINE_BYTES else value(array, index)


def value(array: pa.Array[Any], index: int) -> object:
    """The value of a row. One that Python cannot hold becomes an object, which no text or path is."""
    try:
        value = array[index].as_py()
        # Some writers do not say that their bytes are text.
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return {"bytes": LEFT_OUT}
    except Exception:  # a time out of range, an unknown zone: the library's conversions raise all kinds
        return {"unreadable": str(array.type), "stored": _as_stored(array, index)}


def _as_stored(array: pa.Array[Any], index: int) -> str | None:
    """The value as the library writes it."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        return array.slice(index, 1).cast(pa.string())[0].as_py()
    except Exception:
        return None
