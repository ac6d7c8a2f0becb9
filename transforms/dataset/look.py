"""Whether recordings are what they were when a shard was written: a look at each, and no decoding.

A sidecar has the length and crc32c of each source as it was read. In gs:// the service tells both, of a thousand
objects at once. Of a local file, only reading it tells its crc32c. So the sidecar's own time is marked, in the fraction
of its second, with a digest of what the system tells of the files: their folder, inode, length, times and rights. While
that is the same, no file is read; else the crc32c of each decides. What is older or younger decides nothing.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from hashlib import blake2b

from transforms import reasons
from transforms.clip import Clip, Outcome
from transforms.dataset import sources
from transforms.dataset.output import Output
from transforms.dataset.prepare_clip import in_words, uri_of
from transforms.dataset.sources import MAX_AUDIO_BYTES
from transforms.errors import ClipRejected, UserError
from transforms.ordered import map_ordered
from transforms.storage import MARKS, Status, Storage, Version, uris

Statuses = Mapping[str, Status | None]

# A file system may count in whole seconds or two: a file so young could be written again without a trace in its times.
UNSETTLED_NS = 2_000_000_000
# A folder in gs:// is listed if so many of its objects are asked for, and so far: it may hold millions of others. One
# page of a listing has a thousand objects, and of single objects some tens are asked for at a time.
LISTED_FROM, LISTED_PER_ROW = 32, 8
AT_A_TIME = 128


@dataclass(frozen=True, slots=True)
class Written:
    """A shard that an earlier run has written.

    Attributes:
      uri: of its sidecar.
      content: of its sidecar.
      outcomes: of its clips.
      clips: the same clips, as the manifests have them; None if only the sidecar is known. Then what cannot be told
        from it counts as changed.
    """

    uri: str
    content: bytes
    outcomes: Sequence[Outcome]
    clips: Sequence[Clip] | None = None

    def pairs(self) -> Iterator[tuple[Clip, Outcome]]:
        """Each clip with its outcome."""
        clips = map(_clip_of, self.outcomes) if self.clips is None else self.clips
        return zip(clips, self.outcomes, strict=True)


def _clip_of(outcome: Outcome) -> Clip:
    """What a sidecar tells of a clip. Of an absolute path that was read it does not tell whether it is confined."""
    uri, refused = outcome.uri or "", outcome.reason == reasons.PATH_NOT_ALLOWED.name
    was_read = outcome.source_crc32c is not None
    confined = not uri.startswith("/") or refused or was_read or uris.is_gcs(outcome.source)
    return Clip(outcome.clip_id, uri, "", outcome.source, outcome.row or "", confined=confined)


def unchanged(shards: Sequence[Written], output: Output, executor: Executor) -> bool:
    """Whether another run would find all recordings as they were.

    Args:
      shards: what is looked at, at once.
      output: what they belong to. With its `verify`, every local file is read.
      executor: runs requests and reads.

    Raises:
      StorageError, UserError: as `Storage.open_read`.
    """
    there: set[tuple[str, Version]] = set()
    for shard in shards:
        expected = _expected(shard.outcomes, output)
        refused = map_ordered(executor, lambda pair: _refused_as_before(*pair, output), shard.pairs(), AT_A_TIME)
        if expected is None or not all(refused):
            return False
        if not _unchanged_here(shard, [each for each in expected if not uris.is_gcs(each[0])], output, executor):
            return False
        there |= {each for each in expected if uris.is_gcs(each[0])}
    return _unchanged_there(there, output.storage, executor)


def _expected(outcomes: Iterable[Outcome], output: Output) -> set[tuple[str, Version]] | None:
    """The sources of outcomes, and their versions; None if one of these is not known."""
    expected = set()
    for outcome in outcomes:
        if outcome.source_bytes is not None and outcome.source_crc32c is not None:
            expected.add((_uri(outcome, output), Version(outcome.source_bytes, outcome.source_crc32c)))
        elif outcome.status == "accepted":
            return None
    return expected


def _uri(row: Clip | Outcome, output: Output) -> str:
    return uris.absolute(row.uri or "", output.base)


def _refused_as_before(clip: Clip, outcome: Outcome, output: Output) -> bool:
    """Whether a clip of whose source no version is known would be refused in the same words; True for other clips."""
    # The text is looked at before the recording.
    if outcome.source_crc32c is not None or outcome.reason == reasons.MISSING_TEXT.name:
        return True
    try:
        uri = uri_of(clip, output)
        if clip.offset is None:
            output.storage.read_audio(uri, MAX_AUDIO_BYTES)
        else:
            output.storage.open_audio(uri).close()
    except ClipRejected as fault:
        refusal = in_words(fault, clip, output)
        return (refusal.reason.name, refusal.detail) == (outcome.reason, outcome.detail)
    return False


def _unchanged_here(
    shard: Written, expected: Sequence[tuple[str, Version]], output: Output, executor: Executor
) -> bool:
    """Whether the local files of a shard have the versions that are expected."""
    statuses = statuses_of(shard, output)
    if not output.verify and is_marked(shard, statuses, output):
        return all(_may_be_read(*pair, output) for pair in shard.pairs() if uris.is_gcs(pair[0].uri))
    if not all(_may_be_read(*pair, output) for pair in shard.pairs()):
        return False

    def same(each: tuple[str, Version]) -> bool:
        uri, version = each
        status = statuses[uri]
        if status is None or status.bytes != version.bytes:
            return False
        return sources.version_of(uri, status, output.storage) == version

    if not all(map_ordered(executor, same, expected, AT_A_TIME)):
        return False
    if shard.clips is not None and statuses == statuses_of(shard, output):
        mark(shard, statuses, output)
    return True


def _may_be_read(clip: Clip, outcome: Outcome, output: Output) -> bool:
    """Whether a clip's path leads where it may; True if its outcome has nothing to do with it."""
    if outcome.source_crc32c is None:
        return True
    try:
        uri_of(clip, output)
    except ClipRejected:
        return False
    return True


def _unchanged_there(expected: set[tuple[str, Version]], storage: Storage, executor: Executor) -> bool:
    """Whether objects in gs:// have the versions that are expected."""
    listed = _listed([uri for uri, _ in expected], storage)

    def same(each: tuple[str, Version]) -> bool:
        uri, version = each
        try:
            found = listed.get(uri) or storage.version(uri)
        except (FileNotFoundError, IsADirectoryError):
            return False
        return (found or sources.version_of(uri, None, storage)) == version  # it was noted as it came, unpacked

    return all(map_ordered(executor, same, sorted(expected), AT_A_TIME))


def _listed(wanted: Sequence[str], storage: Storage) -> dict[str, Version]:
    """What listings of folders tell of some objects; the others must be asked for."""
    # A name that is pinned to a generation means another object than a listing has under it.
    rows = Counter(uris.parent(uri) for uri in wanted if uris.without_generation(uri) == uri)
    names, found = set(wanted), dict[str, Version]()
    for folder, count in rows.items():
        if count < LISTED_FROM:
            continue
        try:
            objects = storage.list_objects(folder, count * LISTED_PER_ROW)
        except UserError:  # who may read objects may not always list them
            continue
        found |= {
            each.uri: Version(each.size, each.crc32c)
            for each in objects
            if each.uri in names and not each.content_encoding
        }
    return found


def statuses_of(shard: Written, output: Output) -> Statuses:
    """What the system tells of the local sources that were read for a shard."""
    read = (_uri(outcome, output) for outcome in shard.outcomes if outcome.source_crc32c is not None)
    return _statuses((uri for uri in read if not uris.is_gcs(uri)), output.storage)


def _statuses(wanted: Iterable[str], storage: Storage) -> Statuses:
    return {uri: storage.status(uri) for uri in wanted}


def is_marked(shard: Written, statuses: Statuses, output: Output) -> bool:
    """Whether a sidecar is marked with just these statuses of its local sources; True if it has none."""
    if not statuses:
        return True
    number = _number(shard, statuses, output)
    return number is not None and number == output.storage.marked(shard.uri)


def mark(shard: Written, statuses: Statuses, output: Output) -> None:
    """Marks a sidecar with the statuses of its local sources, unless one is too young to be told from another."""
    number = _number(shard, statuses, output)
    newest = max((max(each.modified_ns, each.changed_ns) for each in statuses.values() if each), default=0)
    if statuses and number is not None and newest + UNSETTLED_NS < time.time_ns():
        output.storage.mark(shard.uri, number)


def _number(shard: Written, statuses: Statuses, output: Output) -> int | None:
    """The mark of a sidecar; None if nothing is told of one of its files."""
    if None in statuses.values():  # no mark holds for a file of which nothing is told
        return None
    told = repr([os.geteuid(), output.allowed, sorted(statuses.items())]).encode()
    digest = blake2b(told, digest_size=8, key=blake2b(shard.content, digest_size=32).digest()).digest()
    return 1 + int.from_bytes(digest, "big") % (MARKS - 1)


@dataclass(frozen=True, slots=True)
class Watch:
    """The local sources of a shard that is being written, as they were before the first of them was read."""

    output: Output
    clips: Sequence[Clip]
    before: Statuses

    @staticmethod
    def begin(clips: Sequence[Clip], output: Output) -> Watch:
        """Looks at the sources of some clips."""
        named = (uris.absolute(clip.uri, output.base) for clip in clips)
        return Watch(output, clips, _statuses((uri for uri in named if not uris.scheme_of(uri)), output.storage))

    def certain(self, outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
        """The outcomes without versions of recordings that were replaced while segments of them were read."""
        now = _statuses(self.before, self.output.storage)
        return tuple(
            replace(outcome, source_bytes=None, source_crc32c=None)
            if clip.offset is not None and self._moved(outcome, now)
            else outcome
            for clip, outcome in zip(self.clips, outcomes, strict=True)
        )

    def _moved(self, outcome: Outcome, now: Statuses) -> bool:
        uri = _uri(outcome, self.output)
        return self.before.get(uri) != now.get(uri)

    def mark(self, shard: Written) -> None:
        """Marks the sidecar that has just been written, unless a source has changed since the beginning."""
        statuses = statuses_of(shard, self.output)
        if statuses.items() <= self.before.items():
            mark(shard, statuses, self.output)
