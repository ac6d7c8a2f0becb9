"""Checks that the audio objects exist to which examples refer, by listing their folders."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from transforms import limits
from transforms.errors import UserError
from transforms.storage import ListedObject, Storage, uris
from tuning import dataset
from tuning.providers.base import ERROR, WARNING, Problem

# More folders than this are listed as one, by their common prefix.
MAX_FOLDERS = 8
# A bucket may hold far more objects than the dataset: listing then stops with an error.
MAX_LISTED_FOR_EACH = 20
MIN_LISTED = 100_000


@dataclass(frozen=True, slots=True)
class Reference:
    """An example's reference to its audio.

    Attributes:
      source: "FILE:LINE" of the first example with this reference.
      mime_type: the type that the example states.
    """

    source: str
    mime_type: str


def check_references(references: Mapping[str, Reference], storage: Storage, ledger: str = "") -> Iterator[Problem]:
    """Compares every gs:// URI with the listing of its bucket.

    Args:
      references: the references, by URI.
      storage: lists the buckets.
      ledger: folder of the ledger, which has the checksums; "" for a file that belongs to no dataset.

    Yields:
      A problem for each object that is missing, too large, or of another type or checksum, in the order of
      `references`.
    """
    checksums = _checksums(ledger, storage) if ledger and references else {}
    by_bucket: dict[str, list[str]] = defaultdict(list)
    for uri in references:
        by_bucket[uri.split("/")[2]].append(uri)
    for wanted in by_bucket.values():
        try:
            found = _listed(wanted, storage)
        except UserError as fault:
            detail = f"the audio of {len(wanted):,} examples was not looked for: {fault}"
            yield Problem(references[wanted[0]].source, WARNING, "audio_not_seen", detail)
            continue
        for uri in wanted:
            yield from _check(uri, references[uri], found.get(uri), checksums.get(_digest(uri), ""))


def _check(uri: str, reference: Reference, found: ListedObject | None, checksum: str) -> Iterator[Problem]:
    if found is None:
        yield Problem(reference.source, ERROR, "missing_audio", f"there is no {uri}")
        return
    if found.content_type != reference.mime_type:
        detail = f"{uri} has the content type {found.content_type!r}, the example says {reference.mime_type!r}"
        yield Problem(reference.source, ERROR if checksum else WARNING, "audio_type", detail)
    if found.size > limits.MAX_AUDIO_BYTES:
        detail = f"{uri} has {found.size:,} bytes, over the limit of {limits.MAX_AUDIO_BYTES:,}"
        yield Problem(reference.source, ERROR, "audio", detail)
    if checksum and found.crc32c != checksum:
        detail = f"{uri} has the crc32c {found.crc32c}, not {checksum} as prepared; delete it and prepare again"
        yield Problem(reference.source, ERROR, "changed_audio", detail)


def _listed(wanted: list[str], storage: Storage) -> dict[str, ListedObject]:
    """The objects that exist of those wanted, which are all in one bucket, by URI.

    Raises:
      UserError: their folders may not be listed, or hold too many other objects.
    """
    names: set[str] = set(wanted)
    found: dict[str, ListedObject] = {}
    most = max(MIN_LISTED, MAX_LISTED_FOR_EACH * len(wanted))
    for folder in _folders(wanted):
        listed = storage.list_objects(folder, most + 1)
        if len(listed) > most:
            raise UserError(f"{folder} holds over {most:,} objects")
        found.update({entry.uri: entry for entry in listed if entry.uri in names})
    return found


def _folders(wanted: Iterable[str]) -> list[str]:
    folders = sorted({uri.rpartition("/")[0] for uri in wanted})
    if len(folders) <= MAX_FOLDERS:
        return folders
    paths = [folder.removeprefix(uris.GCS_SCHEME) for folder in folders]
    return [uris.GCS_SCHEME + os.path.commonpath(paths)]


def _digest(uri: str) -> str:
    """The digest in the name of one of a dataset's audio files."""
    return uri.rpartition("/")[2].partition(".")[0]


def _checksums(ledger: str, storage: Storage) -> dict[str, str]:
    """The crc32c of every audio file of a dataset, by its sha256."""
    rows = dataset.ledger_rows(ledger, storage, ["audio_sha256", "audio_crc32c"])
    return {str(row["audio_sha256"]): str(row["audio_crc32c"]) for row in rows if row["audio_crc32c"]}
