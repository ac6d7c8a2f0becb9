"""Where a killed command works: a folder, or a bucket of an emulator behind a proxy."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from unittest import mock

from gcp_storage_emulator.server import Server, create_server

from tests.conftest import free_port, make_bucket, wait_until_ready
from tests.gcs_proxy import Proxy, Request
from transforms.storage import Storage

LOOK_SECONDS = 0.002


class Place(Protocol):
    """A place for manifests, recordings and a dataset.

    Attributes:
      name: "local" or "gs".
      folder: path or URI of the manifests and recordings.
      output: path or URI of the dataset.
    """

    name: str
    folder: str
    output: str

    @contextmanager
    def counting(self, reached: Callable[[int], None]) -> Iterator[None]:
        """While the block runs, `reached` is called with the number of steps seen in it, at each of them."""
        yield


class Local:
    """A folder. A step is a file that was not there before, part files among them."""

    name = "local"

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = str(base / "in")
        self.output = str(base / "out")

    @contextmanager
    def counting(self, reached: Callable[[int], None]) -> Iterator[None]:
        """Looks at the folder again and again."""
        seen, over = set(_paths(self.output)), threading.Event()
        start = len(seen)

        def look() -> None:
            while not over.wait(LOOK_SECONDS):
                for path in set(_paths(self.output)) - seen:
                    seen.add(path)
                    reached(len(seen) - start)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def age(self, below: str, seconds: float) -> None:
        """As if some files had been written earlier."""
        for path in Path(self.output, below).rglob("*.json"):
            then = path.stat().st_mtime - seconds
            os.utime(path, (then, then))


class Bucket:
    """A bucket. A step is a request, seen before the emulator has answered it and again after."""

    name = "gs"

    def __init__(self, proxy: Proxy, emulator: Server) -> None:
        self.proxy = proxy
        self._emulator = emulator
        self.folder = "gs://cliptune-test/in"
        self.output = "gs://cliptune-test/out"

    @contextmanager
    def counting(self, reached: Callable[[int], None]) -> Iterator[None]:
        """Asks the proxy."""
        seen, lock = 0, threading.Lock()

        def watch(moment: str, request: Request) -> None:
            nonlocal seen
            with lock:
                seen += 1
                reached(seen)

        self.proxy.calm()
        self.proxy.watch = watch
        try:
            yield
        finally:
            self.proxy.settle()  # what a killed command has sent may be done after its end
            self.proxy.calm()

    def age(self, below: str, seconds: float) -> None:
        """As if some files had been written earlier."""
        then = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for name, found in self._emulator._storage.objects["cliptune-test"].items():
            if name.startswith(f"out/{below}"):
                found["updated"] = then


@contextmanager
def both(base: Path) -> Iterator[dict[str, Local | Bucket]]:
    """A folder below `base`, and a bucket to which this process and those that it starts are led."""
    server = create_server("127.0.0.1", port := free_port(), in_memory=True)
    server.start()
    address = f"http://127.0.0.1:{port}"
    wait_until_ready(address)
    make_bucket(address, "cliptune-test")
    proxy = Proxy(address)
    try:
        with mock.patch.dict(os.environ, STORAGE_EMULATOR_HOST=proxy.address):
            yield {"local": Local(base), "gs": Bucket(proxy, server)}
    finally:
        proxy.stop()
        server.stop()


def files(place: Place, below: str = "") -> dict[str, bytes]:
    """Every file of the dataset, by its path below `output`."""
    storage, root = Storage(), place.output
    if not place.output.startswith("gs://"):
        return {name: Path(root, name).read_bytes() for name in _paths(root) if name.startswith(below)}
    names = (uri.removeprefix(f"{root}/") for uri in storage.list_files(root))
    return {name: storage.read_bytes(f"{root}/{name}") for name in names if name.startswith(below)}


def restore(place: Place, content: dict[str, bytes]) -> None:
    """Makes the dataset that of `files`."""
    storage = Storage()
    if place.output.startswith("gs://"):
        for uri in list(storage.list_files(place.output)):
            storage.delete(uri)
    else:
        shutil.rmtree(place.output, ignore_errors=True)
    for name, written in content.items():
        storage.write_bytes(f"{place.output}/{name}", written)


def _paths(root: str) -> list[str]:
    """The files below a folder, as they are at about this moment: others write there."""
    return [
        os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118 -- thousands of times a second
        for folder, _, names in os.walk(root)
        for name in names
    ]
