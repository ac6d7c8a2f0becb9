"""The local folders that a manifest's relative paths may lead to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.storage import Storage, uris


def confined(manifests: Iterable[Manifest], settings: ManifestSettings, base: str) -> list[Manifest]:
    """The manifests, of which folders and matches of globs may hold links to all allowed folders."""
    manifests = list(manifests)
    roots = allowed_roots(manifests, settings, base)
    return [
        each if each.folders is None else replace(each, folders=tuple(sorted({*each.folders, *roots})))
        for each in manifests
    ]


def allowed_roots(manifests: Iterable[Manifest], settings: ManifestSettings, base: str) -> tuple[str, ...]:
    """The local folders that audio may lie in: the manifests' own, the audio root, and those the user allows."""
    named = [*settings.allow_path, *([] if settings.audio_root is None else [settings.audio_root])]
    roots = {os.path.realpath(uris.absolute(name, base)) for name in named if not uris.is_gcs(name)}
    for manifest in manifests:
        folder = uris.absolute(manifest.folder(), base)
        # A folder that matches a glob may be a link to elsewhere.
        if not uris.is_gcs(folder) and not Storage(folders=manifest.folders).leads_out(folder):
            roots.add(os.path.realpath(folder))
    return tuple(sorted(roots))


def check_allowed(uri: str, roots: Sequence[str]) -> None:
    """Refuses a local file that lies outside the allowed folders now, links and ".." followed.

    A relative path leads to the manifest's folder, below --audio_root or below an --allow_path folder. A dataset from
    elsewhere cannot read other files of this machine. What counts is where a file lies when it is opened: it is opened
    by a `Storage` that has the same folders.

    Args:
      uri: absolute path or gs:// URI.
      roots: from `allowed_roots`.

    Raises:
      ClipRejected: PATH_NOT_ALLOWED.
    """
    if Storage(folders=tuple(roots)).leads_out(uri):
        raise refusal(uri)


def refusal(name: str) -> ClipRejected:
    """The refusal of a file outside the allowed folders, named as the user wrote it."""
    detail = f"the path {uris.shown(name)} lies outside the manifest's folder and the allowed ones"
    return ClipRejected(reasons.PATH_NOT_ALLOWED, detail)
