"""The end of a run: counts that add up, the ledger, the dead letters, the report, and dataset.json last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any, BinaryIO

import orjson

from transforms import limits
from transforms.audio import decode
from transforms.clip import Outcome
from transforms.dataset import assign, ledger
from transforms.dataset.description import DatasetDescription, Shard, Split
from transforms.dataset.output import DATASET_FILE, FORMAT_VERSION, PAGE_FILE, REJECTED_FILE, REPORT_FILE, Output
from transforms.dataset.plan import REJECTED, Plan, ShardKey
from transforms.dataset.repeats import audio_of
from transforms.dataset.shard import ShardResult
from transforms.dataset.sidecar import Sidecar
from transforms.errors import AccountingError, UserError
from transforms.ordered import map_ordered
from transforms.reasons import REASONS
from transforms.report import page
from transforms.settings import Settings
from transforms.storage import uris

EXAMPLES_PER_REASON = 3
# Small files, so in a bucket it is the requests that take their time.
SIDECARS_AT_A_TIME = 16


@dataclass(slots=True)
class SplitCount:
    """Totals of one split, in examples, bytes, samples at the dataset's rate, and characters."""

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
    """Totals of a dataset."""

    splits: dict[str, SplitCount]
    sample_rate: int
    reasons: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)
    examples_of_reason: dict[str, list[str]] = field(default_factory=dict)
    tasks: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    first_repeated: list[str] = field(default_factory=list)
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
            self.tasks[outcome.task or ""] += 1
            self.digest.update(f"{outcome.split}:{outcome.line_sha256}\n".encode())
            self._add_audio(audio_of(outcome.audio_sha256, outcome.task))
            return
        reason = outcome.reason or "unknown"
        self.reasons[reason] += 1
        shown = self.examples_of_reason.setdefault(reason, [])
        if len(shown) < EXAMPLES_PER_REASON:
            shown.append(f"{outcome.source}: {outcome.detail}")

    def _add_audio(self, audio: str) -> None:
        key = assign.hash64(audio)  # 64 bits, for there is one of every clip
        if key not in self._audio:
            self._audio.add(key)
            return
        self.repeated += 1
        if len(self.first_repeated) < EXAMPLES_PER_REASON and audio not in self.first_repeated:
            self.first_repeated.append(audio)


def finish(results: Sequence[ShardResult], plan: Plan, output: Output) -> dict[str, Any]:
    """Writes all that describes the dataset as a whole, `dataset.json` last.

    Reads every sidecar once, in the dataset's order, and holds a few at a time.
    Idempotent: a second call writes the same bytes.

    Returns:
      The summary that `report.json` holds.

    Raises:
      AccountingError: accepted and rejected rows are not the manifest's rows.
      UserError: another run has written into the same output meanwhile.
    """
    fingerprints = {result.key: result.fingerprint for result in results}
    rows = sum(result.rows for result in results)
    if rows != plan.rows or not rows:
        raise AccountingError(f"the manifests have {plan.rows} rows, the shards account for {rows}")
    splits = {assign.TRAIN: SplitCount(), assign.VALIDATION: SplitCount()}
    count = Count(splits, output.settings.sample_rate)
    output.check_claim()
    with output.storage.write(uris.join(output.folder, REJECTED_FILE)) as letters:
        outcomes = _count(_outcomes(plan, output, count, fingerprints), count, letters)
        written = ledger.write_ledger(outcomes, uris.join(output.folder, "ledger"), plan.rows, output.storage)
    if written != plan.rows or count.accepted + count.rejected != plan.rows:
        raise AccountingError(f"the manifests have {plan.rows} rows, the ledger accounts for {written}")
    report = {**_report(count, plan, output.settings), "repeated_audio": _repeated_audio(count, output)}
    report["warnings"] = _warnings(count, plan)
    output.check_claim()
    _write_json(output, REPORT_FILE, report)
    output.storage.write_bytes(uris.join(output.folder, PAGE_FILE), page.page(report).encode())
    description = _description(count, plan, output.settings)
    output.storage.write_bytes(uris.join(output.folder, DATASET_FILE), description.dump())
    return report


def _outcomes(plan: Plan, output: Output, count: Count, fingerprints: Mapping[ShardKey, str]) -> Iterator[Outcome]:
    """Every outcome, shard by shard; notes each shard's size and hash on the way."""

    def read(key: ShardKey) -> tuple[ShardKey, Sidecar]:
        return key, _sidecar(key, output, fingerprints[key])

    with ThreadPoolExecutor(SIDECARS_AT_A_TIME, thread_name_prefix="sidecar") as executor:
        for key, sidecar in map_ordered(executor, read, plan.shard_keys(), SIDECARS_AT_A_TIME):
            if key[0] != REJECTED:
                count.splits[key[0]].shards.append(_shard(output.shard_path(key), sidecar))
            yield from sidecar.outcomes


def _sidecar(key: ShardKey, output: Output, fingerprint: str) -> Sidecar:
    try:
        sidecar = Sidecar.load(output.storage.read_bytes(output.sidecar_uri(key)))
        if sidecar.fingerprint == fingerprint:
            return sidecar
    except (FileNotFoundError, ValueError):
        pass
    raise UserError(f"another run has written into {output.folder} while this one ran; run this command again alone")


def _shard(path: str, sidecar: Sidecar) -> Shard:
    examples = sum(outcome.status == "accepted" for outcome in sidecar.outcomes)
    return Shard(path, examples, sidecar.bytes, sidecar.sha256)


def _count(outcomes: Iterable[Outcome], count: Count, letters: BinaryIO) -> Iterator[Outcome]:
    for outcome in outcomes:
        count.add(outcome)
        if outcome.status == "rejected":
            letters.write(ledger.dead_letter(outcome))
        yield outcome


def _description(count: Count, plan: Plan, settings: Settings) -> DatasetDescription:
    splits = {
        name: Split(split.examples, split.bytes, split.audio_samples, split.target_chars, tuple(split.shards))
        for name, split in count.splits.items()
    }
    return DatasetDescription(
        FORMAT_VERSION,
        fingerprint=count.digest.hexdigest(),
        settings=asdict(settings),
        decoders=decode.builds(),
        rows=plan.rows,
        accepted=count.accepted,
        rejected=count.rejected,
        splits=splits,
    )


def _report(count: Count, plan: Plan, settings: Settings) -> dict[str, Any]:
    splits = {name: _split_report(split, settings.sample_rate) for name, split in count.splits.items()}
    return {
        "rows": plan.rows,
        "accepted": count.accepted,
        "rejected": count.rejected,
        "fingerprint": count.digest.hexdigest(),
        "splits": splits,
        "durations": {str(seconds): clips for seconds, clips in sorted(count.durations.items())},
        "source_formats": dict(sorted(count.formats.items())),
        "tasks": {task: {"examples": number, "prompts": plan.prompts.get(task, 0)} for task, number in _tasks(count)},
        "reasons": {reason: _reason_report(reason, count) for reason, _ in _by_frequency(count.reasons)},
    }


def _split_report(split: SplitCount, sample_rate: int) -> dict[str, Any]:
    return {
        "examples": split.examples,
        "bytes": split.bytes,
        "audio_samples": split.audio_samples,
        "audio_seconds": round(split.audio_samples / sample_rate, 3),
        "audio_tokens": split.audio_samples * limits.TOKENS_PER_SECOND // sample_rate,
        "target_chars": split.target_chars,
        "shards": len(split.shards),
    }


def _reason_report(reason: str, count: Count) -> dict[str, Any]:
    return {
        "rows": count.reasons[reason],
        "remedy": REASONS[reason].remedy,
        "examples": count.examples_of_reason[reason],
    }


def _by_frequency(reasons: Counter[str]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))


def _tasks(count: Count) -> list[tuple[str, int]]:
    return sorted((task, number) for task, number in count.tasks.items() if task)


def _repeated_audio(count: Count, output: Output) -> dict[str, Any]:
    """How many clips repeat another one's audio in the same task, with the sources of the first few."""
    shown: dict[str, list[str]] = {audio: [] for audio in count.first_repeated}
    for row in ledger.read_ledger(uris.join(output.folder, "ledger"), output.storage) if shown else ():
        audio = audio_of(row["audio_sha256"], row["task"])
        if row["status"] == "accepted" and audio in shown:
            shown[audio].append(str(row["source"]))
    return {"clips": count.repeated, "examples": list(shown.values())}


def _warnings(count: Count, plan: Plan) -> list[str]:
    warnings = []
    if count.repeated:
        told = f"{count.repeated:,} clips have the same audio as another one"
        warnings.append(f"{told}; --dedupe=audio keeps one of each")
    if plan.torn_groups:
        told = f"the manifest puts clips of {plan.torn_groups:,} groups into both splits"
        warnings.append(f"{told}; cliptune check refuses that")
    for task, number in plan.prompts.items():
        if number > 1:
            whose = f"task {task} has" if task else "the rows have"
            warnings.append(f"{whose} {number:,} different prompts; a task is learned best with one, word for word")
    if not count.splits[assign.TRAIN].examples:
        warnings.append("the train split is empty: nothing can be tuned with this dataset")
    if not count.splits[assign.VALIDATION].examples:
        warnings.append("the validation split is empty: tuning will report no validation metrics")
    return warnings


def _write_json(output: Output, name: str, tree: dict[str, Any]) -> None:
    content = orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    output.storage.write_bytes(uris.join(output.folder, name), content)
