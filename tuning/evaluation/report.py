"""What an evaluation reports, on stdout and in `OUT/evaluation/evaluation.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from transforms import records
from tuning.evaluation.bootstrap import Interval
from tuning.evaluation.compare import Comparison
from tuning.evaluation.silence import Silence
from tuning.evaluation.slices import Slice

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class SystemScores:
    """What one system did.

    Attributes:
      clips: of the split; each counts, answered or not.
      missing: clips about which it said nothing; they are scored as empty answers.
      empty: answers without text, scored as such.
      strangers: predictions of its file that are of no clip of the split.
      finish_reasons: answers by the reason why the model stopped, where it is known.
      faults: answers by what is wrong with them; an answer may have several.
      substitutions: words replaced, of targets that are text.
      deletions: words left out.
      insertions: words added.
      wer: word error rate of targets that are text; None where there are none.
      cer: character error rate of the same.
      accuracy: share of right labels.
      macro_f1: mean F1 of the labels.
      field_f1: F1 of the fields of targets that are JSON.
      exact: share of answers whose every field is right.
      valid: share of answers that are JSON of the task's schema.
    """

    clips: int
    missing: int
    empty: int
    strangers: int
    finish_reasons: dict[str, int]
    faults: dict[str, int]
    substitutions: int | None = None
    deletions: int | None = None
    insertions: int | None = None
    wer: Interval | None = None
    cer: Interval | None = None
    accuracy: Interval | None = None
    macro_f1: Interval | None = None
    field_f1: Interval | None = None
    exact: Interval | None = None
    valid: Interval | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The report that `cliptune evaluate` prints on stdout, and `OUT/evaluation/evaluation.json`.

    Attributes:
      ok: whether no condition of --fail_if holds.
      split: whose clips were asked about.
      clips: of the split.
      groups: of the clips; each is drawn as one.
      normalizer: what made the texts alike before they were compared.
      normalizer_version: tells apart two states of the same normaliser.
      interval: how the intervals were made.
      systems: by name.
      comparisons: of each pair of systems.
      slices: parts of the clips.
      silence: what models said of sounds in which nobody speaks, for each kind; () if none was asked.
      failed: the conditions of --fail_if that hold.
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
    comparisons: tuple[Comparison, ...]
    slices: tuple[Slice, ...]
    silence: tuple[Silence, ...]
    failed: tuple[str, ...]
    fingerprint: str
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it: metrics that are not of these targets are left out."""
        told = asdict(self)
        told["systems"] = {name: records.without_none(system) for name, system in told["systems"].items()}
        return told
