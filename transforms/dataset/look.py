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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from hashlib import blake2b

from transforms import reasons
from transforms.clip import Clip, Outcome
from transforms.dataset import nearest, sources
from transforms.dataset.output import Output
from transforms.dataset.prepare_clip import in_words, uri_of
from transforms.dataset.sources import MAX_AUDIO_BYTES
from transforms.errors import ClipRejected, UserError
from transforms.ordered import map_ordered
from transforms.storage import MARKS, Status, Storage, Version, inside, uris

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

    def pairs(self, wanted: Callable[[Outcome], bool]) -> Iterator[tuple[Clip, Outcome]]:
        """Each clip that is wanted, with its outcome."""
        for number, outcome in enumerate(self.outcomes):
            if wanted(outcome):
                yield (_clip_of(outcome) if self.clips is None else self.clips[number]), outcome


def _clip_of(outcome: Outcome) -> Clip:
    """What a sidecar tells of a clip. Of an absolute path that was read it does not tell whether it is confined."""
    uri, refused = outcome.uri or "", outcome.reason == reasons.PATH_NOT_ALLOWED.name
    confined = not uri.startswith("/") or refused or _was_read(outcome) or uris.is_gcs(outcome.source)
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
        if any(map(_is_unknown, shard.outcomes)):
            return False
        refused = map_ordered(
            executor, lambda pair: _refused_as_before(*pair, output), shard.pairs(_was_refused), AT_A_TIME
        )
        if not all(refused) or not _unchanged_here(shard, output, executor):
            return False
        there |= _expected(filter(_is_remote, shard.outcomes), output)
    return _unchanged_there(there, output.storage, executor)


def forget() -> None:
    """Forgets what this process has seen of recordings and their folders: a run sees what is there when it runs."""
    sources.forget()
    nearest.forget()


def _was_read(outcome: Outcome) -> bool:
    return outcome.source_crc32c is not None


def _is_remote(outcome: Outcome) -> bool:
    return _was_read(outcome) and uris.is_gcs(outcome.uri or "")


def _is_unknown(outcome: Outcome) -> bool:
    return outcome.source_crc32c is None and outcome.status == "accepted"


def _was_refused(outcome: Outcome) -> bool:
    """Whether a clip was refused before its recording could be read; its text was looked at before."""
    return outcome.source_crc32c is None and outcome.reason != reasons.MISSING_TEXT.name


def _expected(outcomes: Iterable[Outcome], output: Output) -> set[tuple[str, Version]]:
    """The sources of outcomes, and their versions."""
    return {
        (_uri(outcome, output), Version(outcome.source_bytes or 0, outcome.source_crc32c or "")) for outcome in outcomes
    }


def _uri(row: Clip | Outcome, output: Output) -> str:
    """The file that was read: the recording's own, or the one that it is inside of."""
    return inside.file_of(uris.absolute(row.uri or "", output.base))


def _refused_as_before(clip: Clip, outcome: Outcome, output: Output) -> bool:
    """Whether a clip of whose source no version is known would be refused in the same words."""
    try:
        uri = uri_of(clip, output)
        if clip.offset is None and inside.place_of(uri) is None:
            output.storage_of(clip).read_audio(uri, MAX_AUDIO_BYTES)
        else:
            output.storage_of(clip).open_audio(inside.file_of(uri)).close()
    except ClipRejected as fault:
        refusal = in_words(fault, clip, output)
        return (refusal.reason.name, refusal.detail) == (outcome.reason, outcome.detail)
    return False


def _unchanged_here(shard: Written, output: Output, executor: Executor) -> bool:
    """Whether the local files of a shard are as they were, and all paths lead where they may."""
    statuses = statuses_of(shard, output)
    # The mark holds for what local paths lead to.
    is_known = not output.verify and is_marked(shard, statuses, output)
    wanted = _is_remote if is_known else _was_read
    if not all(_may_be_read(clip, output) for clip, _ in shard.pairs(wanted)):
        return False
    if is_known:
        return True

    def same(each: tuple[tuple[str, Version], Storage]) -> bool:
        (uri, version), storage = each
        status = statuses[uri]
        if status is None or status.bytes != version.bytes:
            return False
        return sources.version_of(uri, status, storage) == version

    here = {
        source: output.storage_of(clip)
        for clip, outcome in shard.pairs(lambda outcome: _was_read(outcome) and not _is_remote(outcome))
        for source in _expected([outcome], output)
    }
    if not all(map_ordered(executor, same, here.items(), AT_A_TIME)):
        return False
    if statuses == statuses_of(shard, output):
        mark(shard, statuses, output)
    return True


def _may_be_read(clip: Clip, output: Output) -> bool:
    """Whether a clip's path leads where it may."""
    try:
        return not output.storage_of(clip).leads_out(uri_of(clip, output))
    except ClipRejected:
        return False


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
    return _statuses(_sources(shard, output), output.storage.anywhere())


def _sources(shard: Written, output: Output) -> Iterator[str]:
    """The local sources of which a shard knows the version."""
    read = (outcome for outcome in shard.outcomes if _was_read(outcome) and not _is_remote(outcome))
    return (_uri(outcome, output) for outcome in read)


def _statuses(wanted: Iterable[str], storage: Storage) -> Statuses:
    places: dict[str, str] = {}
    return {uri: storage.status(uri, places) for uri in wanted}


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
    told = repr(
        [os.geteuid(), output.allowed, sorted((uri, *(status or ())) for uri, status in statuses.items())]
    ).encode()
    digest = blake2b(told, digest_size=8, key=blake2b(shard.content, digest_size=32).digest()).digest()
    return 1 + int.from_bytes(digest, "big") % (MARKS - 1)


@dataclass(frozen=True, slots=True)
class Watch:
    """The local sources of a shard that is being written.

    Attributes:
      output: what the shard belongs to.
      before: their statuses before the first of them was read.
    """

    output: Output
    before: Statuses

    @staticmethod
    def begin(clips: Iterable[Clip], output: Output) -> Watch:
        """Looks at the sources of some clips."""
        named = (_uri(clip, output) for clip in clips)
        return Watch(output, _statuses((uri for uri in named if not uris.scheme_of(uri)), output.storage.anywhere()))

    def end(self, outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
        """The outcomes, without the versions of sources that were touched meanwhile: it is not known what was read."""
        now = _statuses(self.before, self.output.storage.anywhere())
        touched = {uri for uri, status in self.before.items() if now[uri] != status}
        return tuple(
            replace(outcome, source_bytes=None, source_crc32c=None)
            if _uri(outcome, self.output) in touched
            else outcome
            for outcome in outcomes
        )

    def mark(self, shard: Written) -> None:
        """Marks the sidecar, which has just been written, with what was known at the beginning."""
        wanted = _sources(shard, self.output)
        mark(shard, {uri: self.before[uri] for uri in wanted}, self.output)
