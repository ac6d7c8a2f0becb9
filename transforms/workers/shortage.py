"""Whether a native library was refused memory, which it tells as a damage of the file.

The same file, given more memory, may be sound. So a worker whose task ran short says so, and the task is tried again
with more: what becomes of a clip does not depend on how many are prepared beside it.
"""

from __future__ import annotations

_noted: list[None] = []


def note() -> None:
    """Notes that memory was refused."""
    _noted.append(None)


def noted() -> bool:
    """Whether it was since the last `forget`."""
    return bool(_noted)


def forget() -> None:
    """Begins anew."""
    _noted.clear()
