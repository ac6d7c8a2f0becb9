"""Imports Beam for the runner in this process: a third faster without the connectors that only other runners use."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Of Beam, to services that only other runners and pipelines use. It runs without any of them.
_CONNECTORS = ("google.cloud", "google.auth", "apitools", "oauth2client", "pymongo", "hdfs", "boto3", "azure")

# Set in the environment, it keeps Beam whole.
WHOLE = "CLIPTUNE_WHOLE_BEAM"


def lightly() -> None:
    """Imports Beam and the engine on this machine as if no connector to Google Cloud or to databases were installed.

    For a process that runs the pipeline itself, once, and ends: the command line's. Cliptune's own client of gs:// is
    not concerned. Nothing happens if Beam is imported already. If Beam cannot be imported in this way, the command
    begins anew, and imports Beam as usual.
    """
    if "apache_beam" in sys.modules or WHOLE in os.environ:
        return
    try:
        with _without_collections(), _silent(), _absent(_CONNECTORS):
            importlib.import_module("beam_pipeline.embedded")
    except Exception:  # whatever another version of Beam makes of missing connectors
        # Beam's compiled modules, once half imported, cannot be imported again by the same process.
        os.execve(sys.executable, sys.orig_argv, {**os.environ, WHOLE: "1"})


@contextmanager
def _without_collections() -> Iterator[None]:
    """Leaves out garbage collections: what is imported is no garbage, and looking for some takes a fifth of it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextmanager
def _silent() -> Iterator[None]:
    """Drops Beam's remarks about missing connectors, and the handler that logging makes for them."""
    root, level = logging.getLogger(), logging.root.manager.disable
    handlers = list(root.handlers)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
        root.handlers[:] = handlers


@contextmanager
def _absent(packages: Sequence[str]) -> Iterator[None]:
    """Makes imports of packages by this thread fail as if they were not installed."""
    finder = _Absent(packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Absent(MetaPathFinder):
    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages
        self._thread = threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if threading.get_ident() == self._thread and any(
            fullname == package or fullname.startswith(f"{package}.") for package in self._packages
        ):
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None
