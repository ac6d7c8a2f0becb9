"""What is counted of a dataset: splits, lengths, formats, tasks, reasons and duplicate audio."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from transforms.clip import Outcome
from transforms.dataset import assign
from transforms.dataset.description import Shard
from transforms.dataset.duplicates import audio_of

EXAMPLES_PER_REASON = 3


@dataclass(slots=True)
class SplitCount:
    """Totals of one split.

    Attributes:
      examples: accepted clips.
      bytes: of their lines.
      audio_samples: of their payloads, at the dataset's rate.
      target_chars: characters of their targets.
      shards: files of the split, in order.
    """

    examples: int = 0
    bytes: int = 0
    audio_samples: int = 0
    target_chars: int = 0
    shards: list[Shard] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Counts one accepted clip."""
        self.examples += 1
        self.bytes += outcome.line_bytes or 0
        self.audio_samples += outcome.num_samples or 0
        self.target_chars += outcome.target_chars or 0


@dataclass(slots=True)
class Count:
    """Totals of a dataset, outcome by outcome.

    Attributes:
      splits: totals of "train", "validation" and, where rows are marked so, "test".
      sample_rate: of the dataset, Hz.
      reasons: rejected rows by reason.
      formats: accepted clips by the format of their source.
      durations: accepted clips by the whole seconds of their payload.
      examples_of_reason: source and detail of the first rows of each reason.
      trimmed_samples: cut from both ends of accepted clips, at the dataset's rate.
      mostly_trimmed: accepted clips that lost more than half.
      examples_of_trimmed: source and lengths of the first few of them.
      tasks: accepted clips by task; "" for none.
      duplicates: accepted clips whose audio an earlier one has, in the same task.
      first_duplicates: the audio, as `audio_of` names it, of the first few of them.
      digest: over all lines in their order, for the dataset's fingerprint.
    """

    splits: dict[str, SplitCount]
    sample_rate: int
    reasons: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)
    examples_of_reason: dict[str, list[str]] = field(default_factory=dict)
    trimmed_samples: int = 0
    mostly_trimmed: int = 0
    examples_of_trimmed: list[str] = field(default_factory=list)
    tasks: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    first_duplicates: list[str] = field(default_factory=list)
    _audio: set[int] = field(default_factory=set)
    digest: Any = field(default_factory=lambda: blake2b(digest_size=32))

    @property
    def accepted(self) -> int:
        """Clips that became examples."""
        return sum(split.examples for split in self.splits.values())

    @property
    def rejected(self) -> int:
        """Rows that did not."""
        return self.reasons.total()

    def add(self, outcome: Outcome) -> None:
        """Counts one manifest row."""
        if outcome.status == "accepted" and outcome.split:
            self.splits[outcome.split].add(outcome)
            self.formats[outcome.source_format or "unknown"] += 1
            self.durations[(outcome.num_samples or 0) // self.sample_rate] += 1
            self._add_trimmed(outcome)
            self.tasks[outcome.task or ""] += 1
            self.digest.update(f"{outcome.split}:{outcome.line_sha256}\n".encode())
            self._add_audio(audio_of(outcome.audio_sha256, outcome.task))
            return
        reason = outcome.reason or "unknown"
        self.reasons[reason] += 1
        shown = self.examples_of_reason.setdefault(reason, [])
        if len(shown) < EXAMPLES_PER_REASON:
            shown.append(f"{outcome.source}: {outcome.detail}")

    def _add_trimmed(self, outcome: Outcome) -> None:
        trimmed = (outcome.trimmed_start_samples or 0) + (outcome.trimmed_end_samples or 0)
        kept = outcome.num_samples or 0
        self.trimmed_samples += trimmed
        if trimmed <= kept:
            return
        self.mostly_trimmed += 1
        if len(self.examples_of_trimmed) < EXAMPLES_PER_REASON:
            seconds, whole = kept / self.sample_rate, (kept + trimmed) / self.sample_rate
            self.examples_of_trimmed.append(f"{outcome.source}: {seconds:.2f} s of {whole:.2f} s are left")

    def _add_audio(self, audio: str) -> None:
        key = assign.hash64(audio)  # 64 bits, for there is one of every clip
        if key not in self._audio:
            self._audio.add(key)
            return
        self.duplicates += 1
        if len(self.first_duplicates) < EXAMPLES_PER_REASON and audio not in self.first_duplicates:
            self.first_duplicates.append(audio)
