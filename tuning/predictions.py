"""`predictions-….jsonl`: answers are written as they come, so that a killed run keeps them.

A local file is appended to after each answer. An object in a bucket cannot be
appended to, so the whole file, which is small, is written every hundred answers
and at the end.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import BinaryIO

import orjson

from transforms import records
from transforms.errors import StorageError, UserError
from transforms.records import DAMAGES, damage
from transforms.storage import Storage, uris

BUCKET_EVERY = 100


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

    def add(self, prediction: Prediction) -> None:
        """Writes an answer.

        Raises:
          StorageError: the file cannot be written, for example because the disk is full.
        """
        line = dump(prediction)
        if self._stream:
            self._append(line, self._stream)
            return
        self._lines.append(line)
        self._unwritten += 1
        if self._unwritten >= BUCKET_EVERY:
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
