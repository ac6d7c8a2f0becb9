"""The sidecar of a shard: the outcome of each clip, and the mark that the shard is whole."""

from __future__ import annotations

import builtins  # the record has a field of the name `bytes`
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

import orjson

from transforms import records
from transforms.audio import builds
from transforms.clip import Clip, Outcome, known_fields
from transforms.dataset.output import FORMAT_VERSION
from transforms.errors import UserError
from transforms.manifests.places import NOWHERE, Places
from transforms.settings import Settings
from transforms.storage import Storage


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The outcomes of a shard. It is written last, so it exists only if the shard is whole.

    Attributes:
      fingerprint: of everything that decided the shard's bytes.
      bytes: size of the shard file.
      sha256: of the shard file, hexadecimal.
      outcomes: one for every clip, in the order of the shard.
      format_version: of the shard and this file.
    """

    fingerprint: str
    bytes: int
    sha256: str
    outcomes: tuple[Outcome, ...]
    format_version: int = FORMAT_VERSION

    def dump(self) -> builtins.bytes:
        """The sidecar as JSON, sealed; fields of outcomes that are None are left out."""
        outcomes = [known_fields(outcome) for outcome in self.outcomes]
        content: dict[str, Any] = {
            "format_version": self.format_version,
            "fingerprint": self.fingerprint,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "outcomes": outcomes,
        }
        return orjson.dumps(records.sealed(content)) + b"\n"

    @staticmethod
    def load(content: builtins.bytes) -> Sidecar:
        """The inverse of `dump`.

        Raises:
          ValueError: `content` is no sidecar of this format version, or has been altered; the text is the field and the
            rule it breaks.
        """
        tree = records.tree_of(content, FORMAT_VERSION)
        records.check_seal(tree)
        if isinstance(tree.get("outcomes"), list):
            # `dump` leaves out what is None, and of the fields without a default only `uri` may be.
            tree["outcomes"] = [{"uri": None, **row} if isinstance(row, dict) else row for row in tree["outcomes"]]
        return records.convert(tree, Sidecar)


def read(uri: str, storage: Storage) -> tuple[Sidecar, builtins.bytes]:
    """The sidecar of a shard that this run has written or reused, and the contents of its file.

    Raises:
      UserError: it is gone or damaged.
    """
    remedy = "run this command again, which writes the shard anew"
    try:
        content = storage.read_bytes(uri)
        return Sidecar.load(content), content
    except FileNotFoundError:
        raise UserError(f"{uri} has been removed while this command ran; {remedy}") from None
    except records.DAMAGES as fault:
        raise records.damaged(uri, fault, "it tells what became of the clips of a shard", remedy) from None


def fingerprint(rows: Sequence[Clip | Outcome], settings: Settings, places: Places = NOWHERE) -> str:
    """A digest of all that decides a shard's bytes: rows by their places, settings, format and decoders."""
    content = [FORMAT_VERSION, asdict(settings), builds.builds(), [places.fields(row) for row in rows]]
    return blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
