"""The clips of a split, with what each should have been answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from transforms.settings import TEXT, Task
from tuning.dataset import Dataset
from tuning.questions import examples


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One clip that systems are asked about.

    Attributes:
      clip_id: of the clip.
      source: "manifest:line".
      uri: of the recording, as the ledger has it.
      line_sha256: of the example, hexadecimal: answers about another example of this id are not its own.
      target: what should be answered.
      prompt: the text that is asked with the audio.
      group: clips of one group are not independent; "" for a clip alone.
      task: name of its task; "" in a dataset without tasks.
      kind: of its target: "text", "labels" or "json".
      seconds: length of its payload.
      source_format: such as "wav/pcm_16".
      language: as the manifest writes it; "" if it is not known.
      rms_dbfs: level of its samples; None if it is not known.
      place: where its example is: the number of its shard, its first byte there and its length; None if not known.
    """

    clip_id: str
    source: str
    uri: str
    line_sha256: str
    target: str
    prompt: str = ""
    group: str = ""
    task: str = ""
    kind: str = TEXT
    seconds: float = 0.0
    source_format: str = ""
    language: str = ""
    rms_dbfs: float | None = None
    place: tuple[int, int, int] | None = None

    @property
    def cluster(self) -> str:
        """What is drawn as one in a resample."""
        return f"g{self.group}" if self.group else f"c{self.clip_id}"


_COLUMNS = [
    *("uri", "line_sha256", "group", "task", "num_samples", "source_format", "shard_index"),
    *("language", "rms_dbfs"),  # an earlier version did not know these
]


def of(prepared: Dataset, split: str) -> list[HeldOut]:
    """The clips of a split, in the dataset's order.

    Raises:
      UserError: the dataset is damaged.
    """
    return list(each(prepared, split))


def tasks_of(prepared: Dataset) -> dict[str, Task]:
    """The tasks of a dataset, by name; {} for a dataset without tasks."""
    told = prepared.settings.get("tasks") or ()
    return {task["name"]: Task(**{**task, "labels": tuple(task.get("labels", ()))}) for task in told}


def each(prepared: Dataset, split: str) -> Iterator[HeldOut]:
    """The clips of a split, one after the other; raises what `of` raises."""
    rate = int(prepared.settings["sample_rate"])
    kinds = {name: task.target for name, task in tasks_of(prepared).items()}
    shard, start = None, 0
    for row, line in examples(prepared, split, _COLUMNS):
        shard, start = row["shard_index"], start if row["shard_index"] == shard else 0
        turns = orjson.loads(line)["contents"]
        task = row["task"] or ""
        yield HeldOut(
            clip_id=row["clip_id"],
            source=row["source"],
            uri=row["uri"] or "",
            line_sha256=row["line_sha256"] or "",
            target=_text(turns[-1]),
            prompt="".join(map(_text, turns[:-1])),
            group=row["group"] or "",
            task=task,
            kind=kinds.get(task, TEXT),
            seconds=(row["num_samples"] or 0) / rate,
            source_format=row["source_format"] or "",
            language=row["language"] or "",
            rms_dbfs=row["rms_dbfs"],
            place=None if shard is None else (shard, start, len(line)),
        )
        start += len(line)


def _text(turn: dict[str, list[dict[str, str]]]) -> str:
    return "".join(part.get("text", "") for part in turn["parts"])
