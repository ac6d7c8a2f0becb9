"""The tuned model asked about clips of the dataset, exactly as it was trained on them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from transforms import ledger, storage
from transforms.ordered import map_ordered
from tuning import rows
from tuning.dataset import Dataset
from tuning.models import MODELS
from tuning.tuner import Question, Tuner

# Online quotas of tuned models are small; a few questions in flight hide the network.
CONCURRENCY = 4
_LEDGER_COLUMNS = ["clip_id", "source", "split", "shard_index", "line_index", "status"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer.

    Attributes:
      clip_id: of the clip asked about.
      source: "manifest:line" of the clip.
      target: what the manifest says.
      prediction: what the model says; None if it said nothing.
      finish_reason: why the model stopped; None if not told.
    """

    clip_id: str
    source: str
    target: str
    prediction: str | None
    finish_reason: str | None


def predict(
    tuner: Tuner,
    model: str,
    base_model: str,
    prepared: Dataset,
    split: str,
    limit: int | None,
    answered: Callable[[Prediction], None],
) -> int:
    """Asks about the first `limit` clips of a split; examples are in hash order, so that is a uniform sample.

    Args:
      tuner: the service.
      model: endpoint resource or base model name.
      base_model: what the model was tuned from, which decides how to switch thinking off.
      prepared: the dataset.
      split: "train" or "validation".
      limit: None for all clips.
      answered: called with each prediction, in order.

    Returns:
      The number of predictions.

    Raises:
      ServiceError: the service refused a question.
      UserError: the dataset is not as `dataset.json` says.
    """
    thinking = MODELS[base_model].thinking if base_model in MODELS else {}

    def ask(question: tuple[dict[str, Any], bytes]) -> Prediction:
        clip, line = question
        try:
            row = rows.parse(line)
        except rows.SchemaError:
            raise prepared.changed() from None
        target = "".join(part.text or "" for part in row.contents[-1].parts or [])
        answer = tuner.ask(model, Question(row.contents[:-1], row.system_instruction, thinking))
        return Prediction(clip["clip_id"], clip["source"], target, answer.text, answer.finish_reason)

    count = 0
    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="ask") as executor:
        examples = itertools.islice(_examples(prepared, split), limit)
        for prediction in map_ordered(executor, ask, examples, 2 * CONCURRENCY):
            answered(prediction)
            count += 1
    return count


def _examples(prepared: Dataset, split: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Each example of a split with its row of the ledger, which is in the same order."""
    try:
        yield from _zipped(prepared, split)
    except (FileNotFoundError, ValueError):  # a shard or the ledger is missing, damaged, or shorter than the other
        raise prepared.changed() from None


def _zipped(prepared: Dataset, split: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    ledger_rows = ledger.read_ledger(storage.join(prepared.uri, "ledger"), _LEDGER_COLUMNS)
    clips = (row for row in ledger_rows if row["split"] == split and row["status"] == "accepted")
    lines = (line for shard in prepared.splits[split] for line in _lines(storage.join(prepared.uri, shard.path)))
    yield from zip(clips, lines, strict=True)


def _lines(uri: str) -> Iterator[bytes]:
    with storage.open_read(uri) as stream:
        yield from stream


def dump(prediction: Prediction) -> bytes:
    """The prediction as a line of `predictions-….jsonl`."""
    return orjson.dumps(asdict(prediction), option=orjson.OPT_APPEND_NEWLINE)
