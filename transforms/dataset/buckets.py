"""The buckets that the rows of a run name: each is asked for once, before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from transforms.clip import Clip, Outcome
from transforms.errors import UserError
from transforms.storage import Storage, inside, uris

# Of one bucket: a reader who may not list is refused for a missing object as for a forbidden bucket.
_ASKED_FOR = 3


@dataclass(slots=True)
class Named:
    """The rows that name a bucket.

    Attributes:
      rows: how many.
      first: the source of the first one.
      uris: of the first few recordings.
    """

    rows: int = 0
    first: str = ""
    uris: list[str] = field(default_factory=list)


def counted(rows: Iterable[Clip | Outcome], found: dict[str, Named]) -> Iterator[Clip | Outcome]:
    """The rows as they come; the buckets of their recordings are added to `found`."""
    for row in rows:
        if isinstance(row, Clip) and row.uri.startswith(uris.GCS_SCHEME):
            named = found.setdefault(uris.bucket_of(row.uri), Named())
            named.rows += 1
            named.first = named.first or row.source
            if len(named.uris) < _ASKED_FOR and row.uri not in named.uris:
                named.uris.append(row.uri)
        yield row


def unreachable(found: dict[str, Named], known: Iterable[str], storage: Storage) -> dict[str, str]:
    """Why buckets cannot be read, by their names.

    Asking for a recording needs the permission to read objects alone, as the run does.

    Args:
      found: from `counted`.
      known: buckets of which something has been read already.
      storage: asks.

    Raises:
      StorageError: the storage failed.
    """
    asked = {bucket: _fault(found[bucket], storage) for bucket in sorted(found.keys() - set(known))}
    return {bucket: fault for bucket, fault in asked.items() if fault}


def _fault(named: Named, storage: Storage) -> str:
    fault = ""
    for uri in named.uris:
        try:
            storage.size(inside.file_of(uri))
        except (FileNotFoundError, IsADirectoryError):
            return ""
        except UserError as error:
            fault = str(error)
        else:
            return ""
    return fault


def told(faults: dict[str, str], found: dict[str, Named], rows: int) -> list[str]:
    """A line for each bucket that cannot be read: why, and which rows name it."""
    return [
        f"{fault}; {found[bucket].rows:,} of {rows:,} rows name this bucket, the first is {found[bucket].first}"
        for bucket, fault in faults.items()
    ]
