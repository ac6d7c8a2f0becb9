"""Duplicate audio: clips whose payloads are the same bytes. One is kept with --dedupe=audio, and across splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from transforms import reasons
from transforms.clip import Outcome
from transforms.dataset import assign, sidecar
from transforms.dataset.output import Output
from transforms.dataset.plan import REJECTED, ShardKey
from transforms.dataset.sidecar import Sidecar
from transforms.reasons import Reason

# The clip_id, source and shard of a clip.
Use = tuple[str, str, ShardKey]


def uses_of(key: ShardKey, output: Output) -> Iterator[tuple[str, Use]]:
    """The audio that a shard's clips use, by its sha256 and task: one recording may serve several tasks.

    Clips that an earlier run has dropped for their audio count too: so this run keeps the same one.
    """
    if key[0] == REJECTED:
        return
    for outcome in sidecar.read(output.sidecar_uri(key), output.storage)[0].outcomes:
        if outcome.status == "accepted" or outcome.reason == reasons.DUPLICATE_AUDIO.name:
            yield audio_of(outcome.audio_sha256, outcome.task), (outcome.clip_id, outcome.source, key)


def audio_of(audio_sha256: object, task: object) -> str:
    """A name for the audio of a clip: two clips share it that have the same audio in the same task."""
    return f"{audio_sha256}:{task or ''}"


def duplicates(uses: Iterable[Use]) -> Iterator[tuple[ShardKey, tuple[str, str]]]:
    """All but the first, in hash order, of the clips with one audio: the shard, the clip_id and why it is dropped."""
    first, *others = sorted(uses, key=lambda use: (assign.order_key(use[0]), use))
    for clip_id, _, key in others:
        yield key, (clip_id, f"the same audio as {first[0]!r} ({first[1]})")


@dataclass(slots=True)
class Leaks:
    """Audio that is held out and trained on. Which it is, only the payloads tell; so it is known at the end.

    The held-out clip is dropped: the split of a clip with lines in front and behind cannot change any more.

    Attributes:
      held_out: the sha256 of all audio that is held out.
      seen: the first use of each of them, as the splits are gone through in their order: split, and clip in words.
    """

    held_out: frozenset[str]
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)

    @staticmethod
    def of(sidecars: Iterable[Sidecar]) -> Leaks:
        """Nothing seen yet of a dataset with these sidecars of held-out clips."""
        return Leaks(frozenset(str(outcome.audio_sha256) for each in sidecars for outcome in each.outcomes))

    def add(self, split: str, outcomes: Iterable[Outcome]) -> dict[str, str]:
        """Goes through a shard: why clips of it are to be dropped, by clip_id."""
        dropped: dict[str, str] = {}
        for outcome in outcomes:
            audio = str(outcome.audio_sha256)
            if outcome.status == "accepted" and audio in self.held_out:
                clip = f"{outcome.clip_id!r} ({outcome.source})"
                other, first = self.seen.setdefault(audio, (split, clip))
                if other != split:
                    dropped[outcome.clip_id] = f"the same audio as {first}, which is in the {other} split"
        return dropped


def drop(key: ShardKey, dropped: Mapping[str, str], output: Output, reason: Reason = reasons.DUPLICATE_AUDIO) -> None:
    """Takes the lines of some clips out of a written shard; a second call changes nothing.

    Args:
      key: split and index.
      dropped: why each clip is dropped, by clip_id.
      output: where the shard is.
      reason: of all of them.

    Raises:
      StorageError: the world's fault, after retries.
    """
    if not dropped:
        return
    found, _ = sidecar.read(output.sidecar_uri(key), output.storage)
    leaving = {outcome.clip_id for outcome in found.outcomes if outcome.status == "accepted"} & dropped.keys()
    if leaving:
        # Until the sidecar is rewritten, the shard counts as missing: their hashes differ, so a rerun writes it again.
        lean = _rewrite(key, found, dropped, output, reason)
        output.storage.write_bytes(output.sidecar_uri(key), lean.dump())


def _rewrite(key: ShardKey, earlier: Sidecar, dropped: Mapping[str, str], output: Output, reason: Reason) -> Sidecar:
    uri = output.shard_uri(key)
    outcomes: list[Outcome] = []
    size, line_index, file_hash = 0, 0, sha256()
    with output.storage.open_read(uri) as lines, output.storage.write(uri) as stream:
        for outcome in earlier.outcomes:
            line = lines.readline() if outcome.status == "accepted" else b""
            if line and outcome.clip_id in dropped:
                outcomes.append(_dropped(outcome, reason, dropped[outcome.clip_id]))
                continue
            size += stream.write(line)
            file_hash.update(line)
            outcomes.append(replace(outcome, line_index=line_index) if line else outcome)
            line_index += bool(line)
        output.check_claim()
    return Sidecar(earlier.fingerprint, size, file_hash.hexdigest(), tuple(outcomes))


def _dropped(outcome: Outcome, reason: Reason, detail: str) -> Outcome:
    refused = replace(outcome, status="rejected", reason=reason.name, detail=detail)
    return replace(refused, line_index=None, line_bytes=None, line_sha256=None)
