"""Duplicate audio: clips whose payloads are the same bytes. One is kept with --dedupe=audio, and across splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from transforms import reasons
from transforms.clip import Outcome
from transforms.dataset import assign, look, sidecar
from transforms.dataset.look import Written
from transforms.dataset.output import Output
from transforms.dataset.plan import REJECTED, ShardKey
from transforms.dataset.sidecar import Sidecar
from transforms.reasons import Reason

# Why clips are left out that were accepted at first.
_FOR_AUDIO = (reasons.DUPLICATE_AUDIO.name, reasons.AUDIO_IN_TRAIN.name)

# The clip_id, source and shard of a clip.
Use = tuple[str, str, ShardKey]


def uses_of(key: ShardKey, output: Output) -> Iterator[tuple[str, Use]]:
    """The audio that a shard's clips use, by its sha256 and task: one recording may serve several tasks.

    Clips that an earlier run has left out for their audio count too: so this run keeps the same one.
    """
    if key[0] == REJECTED:
        return
    for outcome in sidecar.read(output.sidecar_uri(key), output.storage)[0].outcomes:
        if outcome.status == "accepted" or outcome.reason in _FOR_AUDIO:
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
        """Goes through a shard: why clips of it are to be dropped, or were in an earlier run, by clip_id."""
        dropped: dict[str, str] = {}
        for outcome in outcomes:
            audio = str(outcome.audio_sha256)
            counts = outcome.status == "accepted" or outcome.reason == reasons.AUDIO_IN_TRAIN.name
            if counts and audio in self.held_out:
                clip = f"{outcome.clip_id!r} ({outcome.source})"
                other, first = self.seen.setdefault(audio, (split, clip))
                if other != split:
                    dropped[outcome.clip_id] = f"the same audio as {first}, which is in the {other} split"
        return dropped


def has_leaks(sidecar: Sidecar) -> bool:
    """Whether a clip of a shard has been dropped for audio that is trained on."""
    return any(outcome.reason == reasons.AUDIO_IN_TRAIN.name for outcome in sidecar.outcomes)


def drop(key: ShardKey, dropped: Mapping[str, str], output: Output, reason: Reason = reasons.DUPLICATE_AUDIO) -> bool:
    """Takes the lines of some clips out of a written shard; a second call changes nothing.

    Args:
      key: split and index.
      dropped: why each clip is dropped, by clip_id: all those of the shard that are to be dropped for `reason`.
      output: where the shard is.
      reason: of all of them.

    Returns:
      False if an earlier run has dropped another one, whose line is gone: then nothing is changed.

    Raises:
      StorageError: the world's fault, after retries.
    """
    uri = output.sidecar_uri(key)
    found, content = sidecar.read(uri, output.storage)
    if any(outcome.reason == reason.name and outcome.clip_id not in dropped for outcome in found.outcomes):
        return False
    leaving = {outcome.clip_id for outcome in found.outcomes if _leaves(outcome, dropped, reason)}
    if leaving:
        before = Written(uri, content, found.outcomes)
        statuses = look.statuses_of(before, output)
        is_marked = look.is_marked(before, statuses, output)
        # Until the sidecar is rewritten, the shard counts as missing: their hashes differ, so a rerun writes it again.
        lean = _rewrite(key, found, {clip_id: dropped[clip_id] for clip_id in leaving}, output, reason)
        content = lean.dump()
        output.storage.write_bytes(uri, content)
        if is_marked:
            look.mark(Written(uri, content, lean.outcomes), statuses, output)
    return True


def _leaves(outcome: Outcome, dropped: Mapping[str, str], reason: Reason) -> bool:
    """Whether a clip is to be dropped that is not yet, or was for another reason or another clip."""
    if outcome.clip_id not in dropped:
        return False
    was_dropped = outcome.reason in _FOR_AUDIO and (outcome.reason, outcome.detail) != (
        reason.name,
        dropped[outcome.clip_id],
    )
    return outcome.status == "accepted" or was_dropped


def _rewrite(key: ShardKey, earlier: Sidecar, dropped: Mapping[str, str], output: Output, reason: Reason) -> Sidecar:
    uri = output.shard_uri(key)
    outcomes: list[Outcome] = []
    size, line_index, file_hash = 0, 0, sha256()
    with output.storage.open_read(uri) as lines, output.storage.write(uri) as stream:
        for outcome in earlier.outcomes:
            line = lines.readline() if outcome.status == "accepted" else b""
            if outcome.clip_id in dropped:
                outcomes.append(_dropped(outcome, reason, dropped[outcome.clip_id]))
                continue
            size += stream.write(line)
            file_hash.update(line)
            outcomes.append(replace(outcome, line_index=line_index) if line else outcome)
            line_index += bool(line)
    return Sidecar(earlier.fingerprint, size, file_hash.hexdigest(), tuple(outcomes))


def _dropped(outcome: Outcome, reason: Reason, detail: str) -> Outcome:
    refused = replace(outcome, status="rejected", reason=reason.name, detail=detail)
    return replace(refused, line_index=None, line_bytes=None, line_sha256=None)
