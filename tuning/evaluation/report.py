"""What an evaluation reports, on stdout and in `OUT/evaluation/evaluation.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from transforms import records
from tuning.evaluation.bootstrap import Interval
from tuning.evaluation.compare import Comparison
from tuning.evaluation.labels import LabelScores, Unparsable
from tuning.evaluation.silence import Silence
from tuning.evaluation.slices import Slice

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class FieldScores:
    """What a system made of one field of JSON.

    Attributes:
      clips: in whose target or answer it is.
      exact: share of these clips of which all its values are right, and no more are said.
      f1: of its values.
      right: values that are right.
      meant: values in targets.
      said: values in answers.
    """

    clips: int
    exact: float
    f1: float
    right: int
    meant: int
    said: int


@dataclass(frozen=True, slots=True)
class Insertions:
    """Words that were added to clips of one length.

    Attributes:
      clips: of this length.
      seconds: of audio in them.
      insertions: words that nobody said.
    """

    clips: int
    seconds: float
    insertions: int


@dataclass(frozen=True, slots=True)
class SystemScores:
    """What one system did, of all clips or of those of a task.

    Attributes:
      clips: that it was asked about; each counts, answered or not.
      missing: clips about which it said nothing; they are scored as empty answers.
      empty: answers without text, scored as such.
      repeated: clips that its file answers more than once; the last answer counts.
      finish_reasons: answers by the reason why the model stopped, where it is known.
      faults: answers by what is wrong with them; an answer may have several.
      strangers: predictions of its file that are of no clip of the split; not of a task.
      substitutions: words replaced, of targets that are text.
      deletions: words left out.
      insertions: words added.
      wer: word error rate of targets that are text; None where there are none. Of all clips, there are the metrics that
        one task alone has.
      cer: character error rate of the same.
      accuracy: share of right labels.
      macro_f1: mean F1 of the labels that were meant or answered.
      unparsable: answers that are no label; they are wrong.
      field_f1: F1 of the fields of targets that are JSON.
      exact: share of answers whose every field is right.
      valid: share of answers that are JSON of the task's schema.
      unparsable_answers: of a task: the most frequent of them.
      confusion: of a task: by the label that was meant, what was answered.
      fields: of a task: by the path of each field, such as ".stops[].city", what was right.
      insertions_by_duration: of targets that are text: by the length of the clips, the words that nobody said.
    """

    clips: int
    missing: int
    empty: int
    repeated: int
    finish_reasons: dict[str, int]
    faults: dict[str, int]
    strangers: int | None = None
    substitutions: int | None = None
    deletions: int | None = None
    insertions: int | None = None
    wer: Interval | None = None
    cer: Interval | None = None
    accuracy: Interval | None = None
    macro_f1: Interval | None = None
    unparsable: int | None = None
    field_f1: Interval | None = None
    exact: Interval | None = None
    valid: Interval | None = None
    unparsable_answers: tuple[Unparsable, ...] | None = None
    confusion: dict[str, LabelScores] | None = None
    fields: dict[str, FieldScores] | None = None
    insertions_by_duration: dict[str, Insertions] | None = None


@dataclass(frozen=True, slots=True)
class TaskScores:
    """What all systems did about the clips of one task.

    Attributes:
      target: kind of its targets: "text", "labels" or "json".
      clips: of the task.
      groups: of its clips; each is drawn as one.
      normalizer: what made the texts alike before they were compared.
      normalizer_version: tells apart two states of the same normaliser.
      systems: by name.
    """

    target: str
    clips: int
    groups: int
    normalizer: str
    normalizer_version: str
    systems: dict[str, SystemScores]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The report that `cliptune evaluate` prints on stdout, and `OUT/evaluation/evaluation.json`.

    Attributes:
      ok: whether no condition of --fail_if holds, or cannot be decided.
      split: whose clips were asked about.
      clips: of the split.
      groups: of the clips; each is drawn as one.
      normalizer: what made the texts alike before they were compared.
      normalizer_version: tells apart two states of the same normaliser.
      interval: how the intervals were made.
      systems: by name.
      tasks: the same of the clips of each task, by its name; {} for a dataset without a tasks file.
      comparisons: of each pair of systems.
      remarks: what a reader must know of these figures.
      slices: parts of the clips.
      silence: what models said of sounds in which nobody speaks, for each kind; () if none was asked.
      failed: the conditions of --fail_if that hold, or that cannot be decided.
      fingerprint: of the dataset, hexadecimal.
      format_version: version of these fields.
    """

    ok: bool
    split: str
    clips: int
    groups: int
    normalizer: str
    normalizer_version: str
    interval: str
    systems: dict[str, SystemScores]
    tasks: dict[str, TaskScores]
    comparisons: tuple[Comparison, ...]
    remarks: tuple[str, ...]
    slices: tuple[Slice, ...]
    silence: tuple[Silence, ...]
    failed: tuple[str, ...]
    fingerprint: str
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it: metrics that are not of these targets are left out."""
        told = asdict(self)
        for part in (told, *told["tasks"].values()):
            part["systems"] = {name: records.without_none(system) for name, system in part["systems"].items()}
        return told
