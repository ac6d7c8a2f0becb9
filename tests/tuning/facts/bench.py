"""Breaks a fact through the real client, against the emulator, and says what the service's stand-in answered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pybase64

from tests.tuning.providers.test_rows import ANSWER, FLAC, PROMPT, blob, model, row, uri, user
from transforms.errors import ServiceError
from tuning.providers.base import Question, TuningJob, TuningRequest
from tuning.providers.vertex.tuner import VertexTuner

FLASH, LITE, DOUBTFUL, CLOSED = "gemini-3.5-flash", "gemini-3.1-flash-lite", "gemini-3.5-flash-lite", "gemini-2.5-flash"
KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
SEVERAL = row(user(PROMPT, blob(), blob()), model(ANSWER))


REQUEST = TuningRequest(
    project="p",
    location="us-central1",
    base_model=LITE,
    fingerprint="f",
    train_uri="gs://bucket/train.jsonl",
    validation_uri=None,
    epochs=3,
    adapter_size=None,
    learning_rate_multiplier=None,
    display_name="ours",
)


@dataclass(frozen=True)
class Answered:
    """What came of a request.

    Attributes:
      code: HTTP status of the refusal; 200 for none.
      text: the refusal; of a job that was accepted, its state and error.
      job: the job, at its end; None for none.
    """

    code: int
    text: str
    job: TuningJob | None = None


def examples(count: int, start: int = 0) -> list[bytes]:
    """Small examples, each of other audio."""
    return [
        row(user(PROMPT, uri(f"gs://bucket/{number}.flac")), model(ANSWER)) for number in range(start, start + count)
    ]


@dataclass
class Bench:
    """A place to break facts at.

    Attributes:
      url: the emulator's.
      folder: for files of jobs.
    """

    url: str
    folder: Path
    _files: int = field(default=0)

    def file(self, lines: list[bytes]) -> str:
        """A file of a job."""
        self._files += 1
        path = self.folder / f"{self._files}.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return str(path)

    def tune(
        self,
        lines: list[bytes] | str | None = None,
        validation: list[bytes] | None = None,
        **changes: Any,
    ) -> Answered:
        """Submits a job, and follows it to its end."""
        train = lines if isinstance(lines, str) else self.file(lines or examples(20))
        files = {"train_uri": train, "validation_uri": self.file(validation) if validation else None}
        request = replace(REQUEST, **{"epochs": 1, **files, **changes})
        tuner = VertexTuner("p", request.location, self.url)
        try:
            job = tuner.submit(request)
            while not job.ended:
                job = tuner.get(job.name)
        except ServiceError as fault:
            return Answered(fault.code or 0, str(fault))
        return Answered(200, f"{job.state}: {job.error}", job)

    def ask(self, name: str, location: str, parts: list[Any] | None = None) -> Answered:
        """Asks a model, by a client of a location."""
        turn = {"role": "user", "parts": parts or [{"text": "Transcribe."}, AUDIO]}
        try:
            answer = VertexTuner("p", location, self.url).ask(name, Question([turn]))
        except ServiceError as fault:
            return Answered(fault.code or 0, str(fault))
        return Answered(200, str(answer.text))

    def tuned(self, base_model: str = LITE, location: str = "us-central1") -> TuningJob:
        """A job that has ended well."""
        job = self.tune(base_model=base_model, location=location).job
        assert job is not None
        assert job.endpoint, job
        return job

    def set_checkpoint(self, name: str, checkpoint: str) -> Answered:
        """Sets the checkpoint that answers, by a client of the tuning region."""
        try:
            VertexTuner("p", "us-central1", self.url).set_default_checkpoint(name, checkpoint)
        except ServiceError as fault:
            return Answered(fault.code or 0, str(fault))
        return Answered(200, "set")


AUDIO = {"inline_data": {"mime_type": "audio/flac", "data": pybase64.b64encode(FLAC).decode()}}


def bad(count: int) -> list[bytes]:
    """Examples that the service leaves out: they have no answer."""
    return [orjson.dumps({"contents": [{"role": "user", "parts": [{"text": f"{n}"}]}]}) for n in range(count)]
