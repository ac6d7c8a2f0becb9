"""`predictions-….jsonl`: answers are written as they come, so that a killed run keeps them.

A local file is appended to after each answer. An object in a bucket cannot be
appended to, so the whole file, which is small, is written every hundred answers,
every half a minute, and at the end.

On one machine, one command at a time asks for the answers of one file (`alone`): two would pay for the same questions,
and one would write over what the other was paid for. In a bucket, whoever writes keeps what others have written since.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import BinaryIO

import orjson

from transforms import locks, records
from transforms.errors import StorageError, UserError
from transforms.records import DAMAGES, damage
from transforms.storage import Storage, uris

BUCKET_EVERY = 100
BUCKET_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer about one clip.

    Attributes:
      clip_id: the clip.
      source: "manifest:line" of the clip.
      target: the text of the manifest.
      prediction: the model's text; None if it gave none.
      finish_reason: why the model stopped; None if not given.
      model: the model that was asked.
      line_sha256: sha256 of the example, hexadecimal. It tells apart clips of the same id in two datasets.
      input_tokens: of the question, as the service counted them; None if it did not say.
      output_tokens: of the answer; None if the service did not say.
    """

    clip_id: str
    source: str
    target: str
    prediction: str | None
    finish_reason: str | None
    model: str = ""
    line_sha256: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def question(self) -> tuple[str, str, str]:
        """The model and the example. Two predictions with the same question are interchangeable."""
        return self.model, self.clip_id, self.line_sha256


def dump(prediction: Prediction) -> bytes:
    """The prediction as a line of `predictions-….jsonl`."""
    return orjson.dumps(asdict(prediction), option=orjson.OPT_APPEND_NEWLINE)


class PredictionsFile:
    """The predictions file, open for new answers. Answers are kept even if the block ends with an exception.

    Threads may add to it.

    Args:
      uri: local path or gs:// URI.
      earlier: the predictions that the file keeps.
      storage: writes the file.
    """

    def __init__(self, uri: str, earlier: list[Prediction], storage: Storage) -> None:
        self._uri = uri
        self._storage = storage
        self._stream: BinaryIO | None = None
        self._lines = [dump(prediction) for prediction in earlier]
        self._unwritten = 0
        self._written = time.monotonic()
        self._turn = threading.Lock()

    def add(self, prediction: Prediction) -> None:
        """Writes an answer.

        Raises:
          StorageError: the file cannot be written, for example because the disk is full.
        """
        line = dump(prediction)
        with self._turn:
            self._lines.append(line)
            if self._stream:
                self._append(line, self._stream)
                return
            self._unwritten += 1
            if self._unwritten >= BUCKET_EVERY or time.monotonic() - self._written >= BUCKET_SECONDS:
                self._write()

    def put_in_order(self, predictions: Iterable[Prediction]) -> None:
        """Writes all answers once more if they have come in another order than this."""
        with self._turn:
            lines = [dump(prediction) for prediction in predictions]
            if lines != self._lines:
                self._lines = lines
                if self._stream:
                    self._stream.close()
                    self._stream = None
                self._write()

    def __enter__(self) -> PredictionsFile:
        # The file is first rewritten, because a killed run may have left half a line.
        self._write()
        if not uris.is_gcs(self._uri):
            # It has just been written in its place: a link there now is somebody else's.
            flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                self._stream = os.fdopen(os.open(self._uri, flags), "ab")
            except OSError as fault:
                raise StorageError(f"{self._uri}: {fault.strerror}") from fault
        return self

    def __exit__(self, *fault: object) -> None:
        with self._turn:
            if self._stream:
                self._stream.close()
            elif self._unwritten:
                self._write()

    def _append(self, line: bytes, stream: BinaryIO) -> None:
        try:
            stream.write(line)
            stream.flush()
        except OSError as fault:
            raise StorageError(f"{self._uri}: {fault.strerror}") from fault

    def _write(self) -> None:
        if uris.is_gcs(self._uri):
            known = {*self._lines}
            theirs = (dump(one) for one in read(self._uri, self._storage))
            self._lines += [line for line in theirs if line not in known]
        self._storage.write_bytes(self._uri, b"".join(self._lines))
        self._unwritten, self._written = 0, time.monotonic()


@contextmanager
def alone(uri: str, storage: Storage) -> Iterator[None]:
    """While the block runs, no other command of this machine adds to a local file. The lock ends with its process.

    Raises:
      UserError: another one does already.
    """
    if uris.is_gcs(uri):
        yield
        return
    lock = f"{uri}.lock"
    descriptor = _locked(lock, storage)
    if descriptor is None:
        raise UserError(f"another cliptune predict is asking for the answers of {uri}; wait for its end")
    try:
        yield
    finally:
        storage.delete(lock)
        os.close(descriptor)


def _locked(lock: str, storage: Storage) -> int | None:
    """The lock's file, open and held; None if another command holds it."""
    while True:
        storage.create(lock, b"")
        try:
            descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:  # its holder has just ended
            continue
        except OSError as fault:
            raise StorageError(f"{lock}: {fault.strerror}") from fault
        # On a disk that knows no locks, `held` is None, and nobody is kept out.
        held = locks.held(descriptor) is not False
        if held and _is_there(lock, descriptor):
            return descriptor
        os.close(descriptor)
        if not held:
            return None


def _is_there(path: str, descriptor: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))  # noqa: PTH116 -- text, as everywhere in storage
    except FileNotFoundError:
        return False


def read(uri: str, storage: Storage) -> list[Prediction]:
    """The predictions of an earlier run. Lines that hold no prediction, such as half a line, are left out."""
    try:
        content = storage.read_bytes(uri)
    except FileNotFoundError:
        return []
    except DAMAGES as fault:
        problem = f"{uri} is damaged ({damage(fault)}): it keeps the answers of a model"
        raise UserError(f"{problem}; remove it, and cliptune predict asks again") from None
    return [prediction for line in content.splitlines(keepends=True) if (prediction := _parsed(line))]


def _parsed(line: bytes) -> Prediction | None:
    try:
        return records.convert(orjson.loads(line), Prediction) if line.endswith(b"\n") else None
    except ValueError:
        return None
