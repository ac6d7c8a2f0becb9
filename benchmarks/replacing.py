"""Stand-ins for parts of Cliptune, while a benchmark measures what is left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from unittest.mock import patch

Replacements = Mapping[tuple[ModuleType, str], object]


@contextlib.contextmanager
def replaced(replacements: Replacements) -> Iterator[None]:
    """Puts stand-ins in the place of names of modules while the body runs.

    Raises:
      AttributeError: a module has no such name (any more), so the stand-in would replace nothing.
    """
    with contextlib.ExitStack() as stack:
        for (module, name), stand_in in replacements.items():
            stack.enter_context(patch.object(module, name, stand_in))
        yield
