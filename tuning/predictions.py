"""`predictions-….jsonl`: answers as they come, so that a killed run has lost none of them.

On this machine each answer is appended at once. A bucket has no appending: there
the whole file, which is text and small, is written every hundred answers and at
the end.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from transforms.errors import StorageError
from transforms.storage import Storage, uris

BUCKET_EVERY = 100


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer.

    Attributes:
      clip_id: of the clip asked about.
      source: "manifest:line" of the clip.
      target: what the manifest says.
      prediction: what the model says; None if it said nothing.
      finish_reason: why the model stopped; None if not told.
      model: that was asked.
      line_sha256: of the example, hexadecimal: another dataset's answer is not this one's.
    """

    clip_id: str
    source: str
    target: str
    prediction: str | None
    finish_reason: str | None
    model: str = ""
    line_sha256: str = ""

    @property
    def question(self) -> tuple[str, str, str]:
        """What was asked, and whom: two predictions with the same question are the same."""
        return self.model, self.clip_id, self.line_sha256


def dump(prediction: Prediction) -> bytes:
    """The prediction as a line of `predictions-….jsonl`."""
    return orjson.dumps(asdict(prediction), option=orjson.OPT_APPEND_NEWLINE)


class PredictionsFile:
    """The predictions file, open for more; whatever happens in its block, the answers are kept.

    Args:
      uri: local path or gs:// URI.
      earlier: predictions that it already holds.
      storage: writes the file.
    """

    def __init__(self, uri: str, earlier: list[Prediction], storage: Storage) -> None:
        self._uri = uri
        self._storage = storage
        self._stream: BinaryIO | None = None
        self._lines = [dump(prediction) for prediction in earlier]
        self._unwritten = 0

    def add(self, prediction: Prediction) -> None:
        """Keeps an answer; raises StorageError when the disk is full."""
        line = dump(prediction)
        if self._stream:
            self._append(line, self._stream)
            return
        self._lines.append(line)
        self._unwritten += 1
        if self._unwritten >= BUCKET_EVERY:
            self._write()

    def __enter__(self) -> PredictionsFile:
        # What is there is written anew first: a kill in the middle of a line has left half of one.
        self._write()
        if not uris.is_gcs(self._uri):
            self._stream = Path(self._uri).open("ab")
        return self

    def __exit__(self, *fault: object) -> None:
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
        self._storage.write_bytes(self._uri, b"".join(self._lines))
        self._unwritten = 0


def read(uri: str, storage: Storage) -> list[Prediction]:
    """The predictions of an earlier run; lines that are none, such as half a line, are left out."""
    try:
        content = storage.read_bytes(uri)
    except FileNotFoundError:
        return []
    return [prediction for line in content.splitlines(keepends=True) if (prediction := _parsed(line))]


def _parsed(line: bytes) -> Prediction | None:
    try:
        tree = orjson.loads(line) if line.endswith(b"\n") else None
        return Prediction(**tree) if isinstance(tree, dict) else None
    except (orjson.JSONDecodeError, TypeError):
        return None
