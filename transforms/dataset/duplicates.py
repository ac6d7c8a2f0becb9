"""Duplicate audio: clips whose payloads are the same bytes. With --dedupe=audio one of them is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256

from transforms import reasons
from transforms.clip import Outcome
from transforms.dataset import assign
from transforms.dataset.output import Output
from transforms.dataset.plan import REJECTED, ShardKey
from transforms.dataset.sidecar import Sidecar

# The clip_id, source and shard of a clip.
Use = tuple[str, str, ShardKey]


def uses_of(key: ShardKey, output: Output) -> Iterator[tuple[str, Use]]:
    """The audio that a shard's clips use, by its sha256 and task: one recording may serve several tasks.

    Clips that an earlier run has dropped for their audio count too: so this run keeps the same one.
    """
    if key[0] == REJECTED:
        return
    for outcome in Sidecar.load(output.storage.read_bytes(output.sidecar_uri(key))).outcomes:
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


def drop(key: ShardKey, dropped: Mapping[str, str], output: Output) -> None:
    """Takes the lines of duplicates out of a written shard; a second call changes nothing.

    Args:
      key: split and index.
      dropped: why each clip is dropped, by clip_id.
      output: where the shard is.

    Raises:
      StorageError: the world's fault, after retries.
    """
    if not dropped:
        return
    sidecar = Sidecar.load(output.storage.read_bytes(output.sidecar_uri(key)))
    leaving = {outcome.clip_id for outcome in sidecar.outcomes if outcome.status == "accepted"} & dropped.keys()
    if leaving:
        # Until the sidecar is rewritten, the shard counts as missing: their hashes differ, so a rerun writes it again.
        lean = _rewrite(key, sidecar, dropped, output)
        output.storage.write_bytes(output.sidecar_uri(key), lean.dump())


def _rewrite(key: ShardKey, sidecar: Sidecar, dropped: Mapping[str, str], output: Output) -> Sidecar:
    uri = output.shard_uri(key)
    outcomes: list[Outcome] = []
    size, line_index, file_hash = 0, 0, sha256()
    with output.storage.open_read(uri) as lines, output.storage.write(uri) as stream:
        for outcome in sidecar.outcomes:
            line = lines.readline() if outcome.status == "accepted" else b""
            if line and outcome.clip_id in dropped:
                outcomes.append(_dropped(outcome, dropped[outcome.clip_id]))
                continue
            size += stream.write(line)
            file_hash.update(line)
            outcomes.append(replace(outcome, line_index=line_index) if line else outcome)
            line_index += bool(line)
        output.check_claim()
    return Sidecar(sidecar.fingerprint, size, file_hash.hexdigest(), tuple(outcomes))


def _dropped(outcome: Outcome, detail: str) -> Outcome:
    refused = replace(outcome, status="rejected", reason=reasons.DUPLICATE_AUDIO.name, detail=detail)
    return replace(refused, line_index=None, line_bytes=None, line_sha256=None)
