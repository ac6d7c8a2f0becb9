"""Asks a model about the examples of a dataset, as it was tuned on them, or about any recording, conformed alike."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeVar

from transforms.clip import Clip
from transforms.dataset.clip_workers import ClipWorkers
from transforms.dataset.sources import Stored
from transforms.errors import ClipRejected, ServiceError, UserError
from transforms.ordered import map_ordered
from transforms.settings import Settings
from transforms.storage import uris
from tuning.asking import Size
from tuning.dataset import Dataset, Shard
from tuning.jobs.clock import Clock, backoff
from tuning.predictions import Prediction
from tuning.providers.base import Answer, Provider, Question, SchemaError, Tuner
from tuning.requests import DEFAULT_CONCURRENCY
from tuning.throttle import Throttle

T = TypeVar("T")

# If the quota is full or the service unavailable, a question is repeated: after about 2 s, then 4, 8 …
ATTEMPTS = 8
MAX_BACKOFF_SECONDS = 60.0
_SIZE_COLUMNS = ["clip_id", "line_sha256", "line_bytes", "audio_bytes", "num_samples", "target_chars"]
_PLACE_COLUMNS = ["shard_index", "line_index"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The model that is asked.

    Attributes:
      name: name of the model in file names.
      model: endpoint resource, or name of a base model.
      base_model: the model's base model, which decides how to switch thinking off; "" if not known.
      provider: the model's provider.
      tuner: the service, in the model's location.
      clock: waits before a question is repeated.
      folder: of its answers, below the dataset's `tuning` folder, with a slash at its end; "" for that folder.
      former_name: its name in the names of files that earlier versions wrote.
      tuned: whether it is a tuned model, whose tokens may cost more.
      throttle: bounds the questions at a time.
      max_output_tokens: the most tokens of one answer; None for the model's own maximum.
      deleted: that the model was deleted, as a sentence; "" if it was not, as far as is known.
    """

    name: str
    model: str
    base_model: str
    provider: Provider
    tuner: Tuner
    clock: Clock
    folder: str = ""
    former_name: str = ""
    tuned: bool = True
    throttle: Throttle = field(default_factory=lambda: Throttle(DEFAULT_CONCURRENCY))
    max_output_tokens: int | None = None
    deleted: str = ""

    @property
    def thinking(self) -> Mapping[str, str | int]:
        """The settings that switch thinking off; empty if the base model is not known."""
        known = self.provider.models.get(self.base_model)
        return known.thinking if known else {}

    def question(self, contents: Sequence[Any], system_instruction: Any) -> Question:  # noqa: ANN401 -- the client's
        """A question to the model."""
        return Question(contents, system_instruction, self.thinking, self.max_output_tokens)


def ask_split(
    asked: Asked,
    prepared: Dataset,
    split: str,
    limit: int | None,
    known: Container[tuple[str, str, str]],
    answered: Callable[[Prediction], None],
    arrived: Callable[[Prediction], None] = lambda prediction: None,
) -> int:
    """Asks about the first `limit` clips of a split, which are a uniform sample because examples are in hash order.

    Args:
      asked: the model.
      prepared: the dataset.
      split: "train", "validation" or "test".
      limit: number of clips; None for all.
      known: questions (`Prediction.question`) that are not asked again.
      answered: called with each prediction, in order.
      arrived: called with each prediction as soon as it is there, in any order and by any thread: what is paid for is
        kept, although one before it is still waited for.

    Returns:
      The number of questions.

    Raises:
      ServiceError: the service refused a question.
      UserError: the dataset differs from its `dataset.json`.
    """
    unanswered = (
        (clip, line, digest)
        for clip, line in itertools.islice(examples(prepared, split, _PLACE_COLUMNS), limit)
        if (asked.model, clip["clip_id"], digest := sha256(line).hexdigest()) not in known
    )
    return ask_each(asked, unanswered, lambda each: _predict(asked, prepared, *each), answered, arrived)


def ask_each(
    asked: Asked,
    questions: Iterable[T],
    predict: Callable[[T], Prediction],
    answered: Callable[[Prediction], None],
    arrived: Callable[[Prediction], None],
) -> int:
    """Asks several questions at a time.

    Args:
      asked: the model.
      questions: what is asked about.
      predict: asks about one.
      answered: as of `ask_split`.
      arrived: as of `ask_split`.

    Returns:
      The number of questions.
    """

    def ask(question: T) -> Prediction:
        prediction = predict(question)
        arrived(prediction)
        return prediction

    count = 0
    threads = asked.throttle.allowed
    executor = ThreadPoolExecutor(threads, thread_name_prefix="ask")
    try:
        for prediction in map_ordered(executor, ask, questions, 2 * threads):
            answered(prediction)
            count += 1
    finally:
        # Threads are not waited for: after Ctrl-C, a question could be repeated for minutes while the quota is full.
        executor.shutdown(wait=False, cancel_futures=True)
    return count


def _predict(asked: Asked, prepared: Dataset, clip: dict[str, Any], line: bytes, digest: str) -> Prediction:
    try:
        example = asked.provider.parse(line)
    except SchemaError:
        raise prepared.changed() from None
    answer = ask_patiently(asked, asked.question(example.contents, example.system_instruction))
    return Prediction(
        *(clip["clip_id"], clip["source"], example.target, answer.text, answer.finish_reason, asked.model, digest),
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
    )


def ask_patiently(asked: Asked, question: Question) -> Answer:
    """The answer to a question, which is repeated while the quota is full or the service unavailable.

    Raises:
      ServiceError: the service refused, or was unavailable for too long.
    """
    for failures in range(1, ATTEMPTS):
        try:
            return _ask(asked, question)
        except ServiceError as fault:
            if not fault.transient:
                raise
        asked.clock.sleep(backoff(failures, MAX_BACKOFF_SECONDS))
    return _ask(asked, question)


def _ask(asked: Asked, question: Question) -> Answer:
    """Asks once, in turn."""
    with asked.throttle.turn():
        try:
            answer = asked.tuner.ask(asked.model, question)
        except ServiceError as fault:
            if fault.code == 429:
                asked.throttle.refused()
            raise
    asked.throttle.answered()
    return answer


def longest_target(prepared: Dataset) -> int:
    """Characters of the dataset's longest target."""
    return max((int(str(row["target_chars"])) for row in _accepted(prepared, ["target_chars"])), default=0)


def sizes(
    asked: Asked, prepared: Dataset, split: str, limit: int | None, known: Container[tuple[str, str, str]]
) -> Iterator[Size]:
    """The sizes of the questions that `ask_split` asks with the same arguments."""
    rate, inline = int(prepared.settings["sample_rate"]), prepared.settings.get("audio_part") != "uri"
    rows = (row for row in _accepted(prepared, _SIZE_COLUMNS) if row["split"] == split)
    for row in itertools.islice(rows, limit):
        if (asked.model, row["clip_id"], row["line_sha256"]) not in known:
            # What base64 makes of the audio is no text; what is left is at least the prompt.
            audio = -(-4 * row["audio_bytes"] // 3) if inline else 0
            yield Size(row["num_samples"] / rate, max(0, row["line_bytes"] - audio), row["target_chars"])


def _accepted(prepared: Dataset, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The ledger's rows of examples.

    Raises:
      UserError: the ledger is damaged or missing.
    """
    try:
        for row in prepared.ledger_rows(["status", "split", *columns]):
            if row["status"] == "accepted":
                if any(row[column] is None for column in columns):
                    raise prepared.changed()
                yield row
    except (FileNotFoundError, ValueError):
        raise prepared.changed() from None


def still_asked(predictions: Sequence[Prediction], model: str, prepared: Dataset, split: str) -> list[Prediction]:
    """The predictions of a model about examples that are still in the split, unchanged."""
    if not predictions:
        return []
    columns = ["clip_id", "split", "line_sha256"]
    try:
        clips = prepared.ledger_rows(columns)
        questions = {(model, clip["clip_id"], clip["line_sha256"]) for clip in clips if clip["split"] == split}
    except (FileNotFoundError, ValueError):
        raise prepared.changed() from None
    return [prediction for prediction in predictions if prediction.question in questions]


def question_about(
    file: str, prepared: Dataset, asked: Asked, prompt: str = "", system_instruction: str = ""
) -> Question:
    """The question about a recording, which is conformed exactly as the dataset's clips were.

    Args:
      file: local path or gs:// URI.
      prepared: the dataset, whose settings are used.
      asked: the model.
      prompt: text of the user turn; "" for the dataset's prompt.
      system_instruction: text of the system turn; "" for none.

    Raises:
      UserError: the recording cannot be used; the message has the reason and detail that a ledger would have.
    """
    uri = uris.absolute(file, os.getcwd())  # noqa: PTH109 -- text, as everywhere in storage
    clip = Clip(file, uri, "", file, prompt=prompt, system_instruction=system_instruction, confined=False)
    with closing(ClipWorkers(settings_for_questions(prepared), verify=False, size=1)) as workers:
        try:
            line = workers.convert(clip, Stored(uri, prepared.storage.anywhere())).line
        except ClipRejected as refusal:
            raise UserError(f"{file}: {refusal}") from None
    example = asked.provider.parse(line)
    return asked.question(example.contents, example.system_instruction)


def settings_for_questions(prepared: Dataset) -> Settings:
    """The dataset's settings for what is only asked about.

    Raises:
      UserError: they are of another version.
    """
    # A question has no target to normalise or to check, and its audio is always inline.
    changes: dict[str, Any] = {"normalize_text": (), "tasks": (), "audio_part": "inline", "audio_uri": ""}
    try:
        return Settings(**{**prepared.settings, **changes})
    except (TypeError, ValueError) as fault:
        raise UserError(f"{prepared.name}/dataset.json: settings of another version ({fault})") from None


def examples(prepared: Dataset, split: str, columns: list[str]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Each example of a split with these columns of its row of the ledger. Both are in the same order.

    Raises:
      UserError: the dataset is damaged.
    """
    try:
        yield from _zipped(prepared, split, ["clip_id", "source", "split", "status", *columns])
    except (FileNotFoundError, ValueError):  # a shard or the ledger is missing, damaged, or shorter than the other
        raise prepared.changed() from None


def _zipped(prepared: Dataset, split: str, columns: list[str]) -> Iterator[tuple[dict[str, Any], bytes]]:
    clips = (row for row in prepared.ledger_rows(columns) if row["split"] == split and row["status"] == "accepted")
    lines = (line for shard in prepared.splits[split] for line in _lines(prepared, shard))
    yield from zip(clips, lines, strict=True)


def _lines(prepared: Dataset, shard: Shard) -> Iterator[bytes]:
    with prepared.storage.open_read(uris.join(prepared.uri, shard.path)) as stream:
        yield from stream
