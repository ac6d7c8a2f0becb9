"""The progress of a run: on this machine through a file that workers append to, elsewhere by the shards that are there.

Workers here may be processes, which share no memory with the launcher. A worker appends one mark of a fixed size for
each finished clip; appends of a few bytes are atomic. The launcher reads the new marks.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from beam_pipeline.job import Job
from transforms.clip import Outcome
from transforms.dataset import output
from transforms.errors import StorageError, UserError
from transforms.listener import Listener
from transforms.storage import uris

_MARK = struct.Struct("<?I")  # accepted?, samples of the payload
_POLL_SECONDS = 0.2
# Of a look for shards; one that takes long, as for thousands of them in a bucket, is worth a longer pause.
_LOOK_SECONDS, _PAUSES_A_LOOK = 2.0, 20
_ROWS_A_STEP = 1_000

T = TypeVar("T")


class ProgressFile:
    """The file as workers write it: one mark a clip. With an empty path nothing is written."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND) if path and Path(path).exists() else None

    def note(self, outcome: Outcome) -> None:
        """Notes one finished clip."""
        if self._file is not None:
            os.write(self._file, _MARK.pack(outcome.status == "accepted", outcome.num_samples or 0))

    def close(self) -> None:
        """Closes the file; further notes are lost."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@dataclass(slots=True)
class Tally:
    """The sum of the marks.

    Attributes:
      clips: finished, accepted or not.
      rejected: of these.
      samples: in the accepted payloads.
    """

    clips: int = 0
    rejected: int = 0
    samples: int = 0

    def add(self, marks: bytes) -> None:
        """Adds whole marks."""
        for accepted, samples in _MARK.iter_unpack(marks):
            self.clips += 1
            self.rejected += not accepted
            self.samples += samples


@contextmanager
def shown(path: Path, rows: int, sample_rate: int, listener: Listener) -> Iterator[None]:
    """Tells the run's progress while the block runs."""
    path.touch()
    done = threading.Event()
    thread = threading.Thread(target=_follow, args=(path, rows, sample_rate, listener, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _follow(path: Path, rows: int, sample_rate: int, listener: Listener, done: threading.Event) -> None:
    start = time.monotonic()
    with listener.progress("preparing", rows, "clips") as update:
        for tally in _tallies(path, done):
            rate = tally.clips / max(time.monotonic() - start, 1e-9)
            hours = tally.samples / sample_rate / 3600
            update(tally.clips, f"{rate:.1f}/s, {hours:.2f} h of audio, {tally.rejected} rejected")


@contextmanager
def of_shards(job: Job, listener: Listener) -> Iterator[None]:
    """Tells while the block runs how many shards are written, whoever writes them."""
    done = threading.Event()
    thread = threading.Thread(target=_look_for_shards, args=(job, listener, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_LOOK_SECONDS)


def _look_for_shards(job: Job, listener: Listener, done: threading.Event) -> None:
    pause = _LOOK_SECONDS
    # Where this account may not look, nothing is told.
    with (
        suppress(UserError, StorageError),
        listener.progress("preparing", len(job.plan.shard_keys()), "shards") as update,
    ):
        while not done.wait(pause):
            start = time.monotonic()
            update(_shards_written(job), "")
            pause = max(_LOOK_SECONDS, _PAUSES_A_LOOK * (time.monotonic() - start))


def _shards_written(job: Job) -> int:
    """Of this request: those of a dataset that is to be replaced do not count."""
    run = uris.join(job.output.folder, output.RUN_FILE)
    storage = job.output.storage
    if not storage.exists(run) or storage.read_record(run) != output.run_file(job.plan, job.output.settings):
        return 0
    return len(output.left_by_earlier_runs(job.output)[0])


def counted(rows: Iterable[T], listener: Listener) -> Iterator[T]:
    """The rows as they are; their number is told while they are read."""
    with listener.progress("reading manifests", None, "rows") as update:
        for number, row in enumerate(rows, start=1):
            if number % _ROWS_A_STEP == 0:
                update(number, "")
            yield row


def _tallies(path: Path, done: threading.Event) -> Iterator[Tally]:
    """The tally at every poll, until the run is done."""
    tally = Tally()
    with path.open("rb") as stream:
        finished = False
        while not finished:
            finished = done.wait(_POLL_SECONDS)
            marks = stream.read()
            whole = len(marks) - len(marks) % _MARK.size
            stream.seek(whole - len(marks), os.SEEK_CUR)
            tally.add(marks[:whole])
            yield tally
