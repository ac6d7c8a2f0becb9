"""The local folders that a manifest's relative paths may lead to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.storage import uris


def allowed_roots(manifests: Iterable[Manifest], settings: ManifestSettings, base: str) -> tuple[str, ...]:
    """The local folders that audio may lie in: the manifests' own, the audio root, and those the user allows."""
    named = [manifest.folder() for manifest in manifests] + list(settings.allow_path)
    if settings.audio_root is not None:
        named.append(settings.audio_root)
    local = [uris.absolute(name, base) for name in named if not uris.is_gcs(name)]
    return tuple(sorted({os.path.realpath(path) for path in local}))


def check_allowed(uri: str, roots: Sequence[str], name: str = "") -> None:
    """Refuses a local file outside the allowed folders, links and ".." followed.

    A relative path leads to the manifest's folder, below --audio_root or below an --allow_path folder. A dataset from
    elsewhere cannot read other files of this machine.

    Args:
      uri: absolute path or gs:// URI.
      roots: from `allowed_roots`.
      name: of the file as the user wrote it, for the message.

    Raises:
      ClipRejected: PATH_NOT_ALLOWED.
    """
    if uris.is_gcs(uri) or uris.scheme_of(uri):
        return
    try:
        real = os.path.realpath(uri)
    except (OSError, ValueError):
        return  # reading it will say what is wrong
    if not any(real == root or real.startswith(root.rstrip("/") + "/") for root in roots):
        raise ClipRejected(
            reasons.PATH_NOT_ALLOWED,
            f"the path {uris.shown(name or uri)} lies outside the manifest's folder and the allowed ones",
        )
