"""`report.json`: what a finished run has to say of its dataset."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from transforms import limits, records
from transforms.dataset import assign, sizes
from transforms.dataset.plan import Plan
from transforms.reasons import DECODER_FAULT, REASONS
from transforms.report.counts import Count, SplitCount

VERSION = 1
HOW_TO_REPORT = (
    "please tell whoever maintains it, in private, for what crashes a decoder may be an attack; send the lines from "
    "rejected.jsonl, `decoders` from dataset.json, and a recording if you may"
)
# A share of validation that is off by less of itself is as asked for.
SHARE_TOLERANCE = 0.25


@dataclass(frozen=True, slots=True)
class SplitReport:
    """One split.

    Attributes:
      examples: accepted clips.
      bytes: of their lines.
      audio_samples: of their payloads, at the dataset's rate.
      audio_seconds: the same in seconds, to the millisecond.
      audio_tokens: the same in tokens, as the service documents them.
      target_chars: characters (code points) of their targets.
      shards: files of the split.
    """

    examples: int
    bytes: int
    audio_samples: int
    audio_seconds: float
    audio_tokens: int
    target_chars: int
    shards: int


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One task.

    Attributes:
      examples: accepted clips.
      prompts: how many different prompts the rows of the task have.
    """

    examples: int
    prompts: int


@dataclass(frozen=True, slots=True)
class ReasonReport:
    """One reason to reject a row.

    Attributes:
      rows: rejected for it.
      remedy: what a person can do about it.
      examples: "source: detail" of the first few rows.
    """

    rows: int
    remedy: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrimReport:
    """What was cut from both ends of accepted clips: silence, and with --over_duration=trim what is over the limit.

    Attributes:
      samples: at the dataset's rate.
      seconds: the same, to the millisecond.
      share: of the audio of these clips as it was, from 0 to 1.
      mostly_trimmed: clips that lost more than half.
      examples: "source: what is left" of the first few of them.
    """

    samples: int
    seconds: float
    share: float
    mostly_trimmed: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepeatedAudio:
    """Accepted clips whose audio another one has, in the same task.

    Attributes:
      clips: how many, besides the first of each.
      examples: the sources of all clips with one audio, for the first few such.
    """

    clips: int
    examples: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A finished run, as `report.json` holds it.

    Attributes:
      format_version: of this file.
      rows: manifest rows.
      accepted: rows that became examples.
      rejected: rows that did not.
      fingerprint: of all examples in their order, hexadecimal.
      splits: "train", "validation" and, where rows are marked so, "test".
      durations: accepted clips by the whole seconds of their payload, in order.
      source_formats: accepted clips by the format of their source, such as "wav/pcm_16".
      tasks: by name; {} for a dataset without tasks.
      reasons: by name, the commonest first.
      repeated_audio: clips with the same audio.
      warnings: what people should know, one sentence each.
      trimmed: what was cut from the ends of clips.
    """

    format_version: int
    rows: int
    accepted: int
    rejected: int
    fingerprint: str
    splits: dict[str, SplitReport]
    durations: dict[str, int]
    source_formats: dict[str, int]
    tasks: dict[str, TaskReport]
    reasons: dict[str, ReasonReport]
    repeated_audio: RepeatedAudio
    warnings: tuple[str, ...]
    trimmed: TrimReport = TrimReport(0, 0.0, 0.0, 0, ())

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, which are JSON."""
        return asdict(self)

    def dump(self) -> bytes:
        """The contents of `report.json`."""
        return records.pretty(self.as_dict())

    @staticmethod
    def load(content: bytes) -> Report:
        """The inverse of `dump`.

        Raises:
          ValueError: in one line, the field and the rule that it breaks.
        """
        return records.load(content, Report, VERSION)


def report_of(count: Count, plan: Plan, repeated: RepeatedAudio) -> Report:
    """The report of a dataset that has been counted."""
    tasks = sorted((task, number) for task, number in count.tasks.items() if task)
    return Report(
        VERSION,
        rows=plan.rows,
        accepted=count.accepted,
        rejected=count.rejected,
        fingerprint=count.digest.hexdigest(),
        splits={name: _split(split, count.sample_rate) for name, split in count.splits.items()},
        durations={str(seconds): clips for seconds, clips in sorted(count.durations.items())},
        source_formats=dict(sorted(count.formats.items())),
        tasks={task: TaskReport(number, plan.prompts.get(task, 0)) for task, number in tasks},
        reasons={reason: _reason(reason, count) for reason in _by_frequency(count.reasons)},
        repeated_audio=repeated,
        warnings=_warnings(count, plan),
        trimmed=_trimmed(count),
    )


def _split(split: SplitCount, sample_rate: int) -> SplitReport:
    return SplitReport(
        examples=split.examples,
        bytes=split.bytes,
        audio_samples=split.audio_samples,
        audio_seconds=round(split.audio_samples / sample_rate, 3),
        audio_tokens=split.audio_samples * limits.TOKENS_PER_SECOND // sample_rate,
        target_chars=split.target_chars,
        shards=len(split.shards),
    )


def _trimmed(count: Count) -> TrimReport:
    whole = count.trimmed_samples + sum(split.audio_samples for split in count.splits.values())
    return TrimReport(
        samples=count.trimmed_samples,
        seconds=round(count.trimmed_samples / count.sample_rate, 3),
        share=round(count.trimmed_samples / max(1, whole), 4),
        mostly_trimmed=count.mostly_trimmed,
        examples=tuple(count.examples_of_trimmed),
    )


def _reason(reason: str, count: Count) -> ReasonReport:
    return ReasonReport(count.reasons[reason], REASONS[reason].remedy, tuple(count.examples_of_reason[reason]))


def _by_frequency(reasons: Counter[str]) -> list[str]:
    return sorted(reasons, key=lambda reason: (-reasons[reason], reason))


def _off_share(count: Count, asked: float | None) -> list[str]:
    """What part of the clips, and of their bytes, validation has, if whole groups have forced it off what it was to be.

    Args:
      count: of the dataset.
      asked: the part that validation was to have; None if nothing is to be said.
    """
    train, validation = count.splits[assign.TRAIN], count.splits[assign.VALIDATION]
    examples, size = train.examples + validation.examples, train.bytes + validation.bytes
    if asked is None or not validation.examples:
        return []
    share = validation.examples / examples
    if abs(share - asked) <= max(SHARE_TOLERANCE * asked, 1 / examples):
        return []
    found = f"{share:.1%} of the clips and {validation.bytes / size:.1%} of the bytes"
    return [f"validation has {found}, where {asked:.1%} were asked for: whole groups share a split"]


def _warnings(count: Count, plan: Plan) -> tuple[str, ...]:
    warnings = list(plan.remarks)
    if faults := count.reasons[DECODER_FAULT.name]:
        warnings.append(f"{faults:,} × {DECODER_FAULT}, which is a fault of Cliptune: {HOW_TO_REPORT}")
    if count.duplicates:
        clips = "clip has" if count.duplicates == 1 else "clips have"
        fact = f"{count.duplicates:,} {clips} the same audio as another one"
        warnings.append(f"{fact}; --dedupe=audio keeps one of each")
    if plan.nuls:
        fact = f"{plan.nuls:,} rows have a NUL character in their text or prompt"
        warnings.append(f"{fact}, which no text needs")
    if plan.torn_groups:
        fact = f"the manifest puts clips of {plan.torn_groups:,} groups into several splits"
        warnings.append(f"{fact}, which then test what was trained on; mark all rows of a group for one split")
    for task, number in plan.prompts.items():
        if number > 1:
            whose = f"task {task} has" if task else "the rows have"
            warnings.append(f"{whose} {number:,} different prompts; a task is learned best with one, word for word")
    warnings += [
        f"{fault.detail}; {'tune will leave the rest out' if fault.cut else fault.remedy}"
        for fault in sizes.over(count.splits[assign.TRAIN], count.splits[assign.VALIDATION])
    ]
    warnings += _off_share(count, plan.validation_share)
    if not count.splits[assign.TRAIN].examples:
        warnings.append("the train split is empty: nothing can be tuned with this dataset")
    if not count.splits[assign.VALIDATION].examples:
        warnings.append("the validation split is empty: tuning will report no validation metrics")
    return tuple(warnings)
