"""Are the recordings there that examples point to? Listed folder by folder, never asked for one by one."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from transforms.dataset.ledger import read_ledger
from transforms.errors import UserError
from transforms.storage import ListedObject, Storage, uris
from tuning.providers.base import ERROR, WARNING, Problem

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


def check_references(references: Mapping[str, Reference], storage: Storage, ledger: str = "") -> Iterator[Problem]:
    """Holds every gs:// URI against what its bucket lists.

    Args:
      references: by URI.
      storage: lists the buckets.
      ledger: folder of the ledger, which knows the checksums; "" for a file from elsewhere.

    Yields:
      A problem for each object that is missing, or not as it should be, in the order of `references`.
    """
    checksums = _checksums(ledger, storage) if ledger and references else {}
    by_bucket: dict[str, list[str]] = defaultdict(list)
    for uri in references:
        by_bucket[uri.split("/")[2]].append(uri)
    for asked in by_bucket.values():
        try:
            found = _listed(asked, storage)
        except UserError as fault:
            detail = f"the audio of {len(asked):,} examples was not looked for: {fault}"
            yield Problem(references[asked[0]].source, WARNING, "audio_not_seen", detail)
            continue
        for uri in asked:
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


def _listed(asked: list[str], storage: Storage) -> dict[str, ListedObject]:
    """What the folders of `asked`, all of one bucket, hold of them.

    Raises:
      UserError: they may not be listed, or hold so much else that looking on would take too long.
    """
    wanted, found = set(asked), {}
    room = max(MIN_LISTED, MAX_LISTED_FOR_EACH * len(asked))
    for folder in _folders(asked):
        listed = storage.list_objects(folder, room + 1)
        if len(listed) > room:
            raise UserError(f"{folder} holds over {room:,} objects")
        found.update({each.uri: each for each in listed if each.uri in wanted})
    return found


def _folders(asked: Iterable[str]) -> list[str]:
    folders = sorted({uri.rpartition("/")[0] for uri in asked})
    if len(folders) <= MAX_FOLDERS:
        return folders
    paths = [folder.removeprefix(uris.GCS_SCHEME) for folder in folders]
    return [uris.GCS_SCHEME + os.path.commonpath(paths)]


def _digest(uri: str) -> str:
    """What a dataset's audio files are named by."""
    return uri.rpartition("/")[2].partition(".")[0]


def _checksums(ledger: str, storage: Storage) -> dict[str, str]:
    """The crc32c of every audio file of a dataset, by its sha256."""
    rows = read_ledger(ledger, storage, ["audio_sha256", "audio_crc32c"])
    return {str(row["audio_sha256"]): str(row["audio_crc32c"]) for row in rows if row["audio_crc32c"]}
