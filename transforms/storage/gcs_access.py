"""What an account may do in a bucket, and where the bucket lies. Nothing is written to find out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from google.api_core import exceptions as api
from google.auth import exceptions as auth

from transforms.storage.base import READS, WRITES, Access
from transforms.storage.gcs_client import RETRY, TIMEOUT, GcsClient

T = TypeVar("T")
# Roles that let their members read objects. Others may, too: those of one's own making are not known here.
READERS = frozenset(
    f"roles/storage.{name}"
    for name in ("admin", "objectAdmin", "objectUser", "objectViewer", "legacyObjectReader", "legacyObjectOwner")
)


def look(client: GcsClient, uri: str) -> Access | None:
    """Looks at the bucket of a URI; None if there are no credentials at all.

    Raises:
      UserError: there is no such bucket, or the credentials are not valid.
      StorageError: no answer.
    """
    try:
        bucket = client.bucket_of(uri)
    except auth.DefaultCredentialsError:
        return None
    with client.faults(uri):
        held = _allowed(lambda: bucket.test_iam_permissions([*READS, *WRITES], timeout=TIMEOUT)) or ()
        known = _allowed(lambda: _reloaded(bucket))
        policy = _allowed(lambda: bucket.get_iam_policy(requested_policy_version=3, timeout=TIMEOUT, retry=RETRY))
    bindings: Sequence[dict[str, object]] = policy.bindings if policy is not None else ()
    members = [binding.get("members") for binding in bindings if binding.get("role") in READERS]
    readers = frozenset(str(one) for found in members if isinstance(found, list | set | frozenset) for one in found)
    return Access(
        missing=tuple(name for name in (*READS, *WRITES) if name not in held),
        location=str(known.location) if known is not None and known.location else None,
        project_number=str(known.project_number) if known is not None and known.project_number else None,
        readers=readers if policy is not None else None,
    )


def _reloaded(bucket: T) -> T:
    bucket.reload(timeout=TIMEOUT, retry=RETRY)  # type: ignore[attr-defined]  # Google's client has no types
    return bucket


def _allowed(call: Callable[[], T]) -> T | None:
    """What `call` returns; None if the account may not ask."""
    try:
        return call()
    except api.Forbidden:
        return None
