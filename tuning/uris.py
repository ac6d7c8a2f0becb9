"""Are the recordings there that examples point to? Listed folder by folder, never asked for one by one."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from transforms import storage
from transforms.errors import UserError
from transforms.ledger import read_ledger
from transforms.storage import ListedObject
from tuning.rows import ERROR, WARNING, Problem

# With more folders than this they are listed as one, from the prefix that they share.
MAX_FOLDERS = 8
# A bucket may hold far more than the dataset: looking on is then given up.
MAX_LISTED_FOR_EACH = 20
MIN_LISTED = 100_000


@dataclass(frozen=True, slots=True)
class Reference:
    """An example's pointer to its audio.

    Attributes:
      source: "FILE:LINE" of the first example that has it.
      mime_type: as the example says.
    """

    source: str
    mime_type: str


def check_references(references: Mapping[str, Reference], ledger: str = "") -> Iterator[Problem]:
    """Holds every gs:// URI against what its bucket lists.

    Args:
      references: by URI.
      ledger: folder of the ledger, which knows the checksums; "" for a file from elsewhere.

    Yields:
      A problem for each object that is missing, or not as it should be, in the order of `references`.
    """
    checksums = _checksums(ledger) if ledger and references else {}
    by_bucket: dict[str, list[str]] = defaultdict(list)
    for uri in references:
        by_bucket[uri.split("/")[2]].append(uri)
    for uris in by_bucket.values():
        try:
            found = _listed(uris)
        except UserError as fault:
            detail = f"the audio of {len(uris):,} examples was not looked for: {fault}"
            yield Problem(references[uris[0]].source, WARNING, "audio_not_seen", detail)
            continue
        for uri in uris:
            yield from _check(uri, references[uri], found.get(uri), checksums.get(_digest(uri), ""))


def _check(uri: str, reference: Reference, found: ListedObject | None, checksum: str) -> Iterator[Problem]:
    if found is None:
        yield Problem(reference.source, ERROR, "missing_audio", f"there is no {uri}")
        return
    if found.content_type != reference.mime_type:
        detail = f"{uri} has the content type {found.content_type!r}, the example says {reference.mime_type!r}"
        yield Problem(reference.source, ERROR if checksum else WARNING, "audio_type", detail)
    if checksum and found.crc32c != checksum:
        detail = f"{uri} has the crc32c {found.crc32c}, not {checksum} as prepared; delete it and prepare again"
        yield Problem(reference.source, ERROR, "changed_audio", detail)


def _listed(uris: list[str]) -> dict[str, ListedObject]:
    """What the folders of `uris`, all of one bucket, hold of them.

    Raises:
      UserError: they may not be listed, or hold so much else that looking on would take too long.
    """
    wanted, found = set(uris), {}
    room = max(MIN_LISTED, MAX_LISTED_FOR_EACH * len(uris))
    for folder in _folders(uris):
        listed = storage.list_objects(folder, room + 1)
        if len(listed) > room:
            raise UserError(f"{folder} holds over {room:,} objects")
        found.update({each.uri: each for each in listed if each.uri in wanted})
    return found


def _folders(uris: Iterable[str]) -> list[str]:
    folders = sorted({uri.rpartition("/")[0] for uri in uris})
    if len(folders) <= MAX_FOLDERS:
        return folders
    paths = [folder.removeprefix(storage.GCS_SCHEME) for folder in folders]
    return [storage.GCS_SCHEME + os.path.commonpath(paths)]


def _digest(uri: str) -> str:
    """What a dataset's audio files are named by."""
    return uri.rpartition("/")[2].partition(".")[0]


def _checksums(ledger: str) -> dict[str, str]:
    """The crc32c of every audio file of a dataset, by its sha256."""
    rows = read_ledger(ledger, ["audio_sha256", "audio_crc32c"])
    return {str(row["audio_sha256"]): str(row["audio_crc32c"]) for row in rows if row["audio_crc32c"]}
