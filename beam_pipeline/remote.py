"""What workers that do not have the disks of this machine cannot be given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from beam_pipeline.requests import PrepareRequest
from transforms.clip import Clip, Outcome
from transforms.errors import UsageError, UserError
from transforms.manifests.locate import Manifest
from transforms.storage import uris


def refuse_local(request: PrepareRequest) -> None:
    """Refuses names of this machine's files: a worker would find nothing there, or lose what it writes.

    Raises:
      UsageError: one line with every such flag.
    """
    named = [("output" if request.merge_into is None else "merge_into", request.output)]
    if request.merge_into is None:  # rows to be merged are read here, and sent along, as tasks are
        named = [*(("manifest", name) for name in request.manifest), *named]
    named += [("audio_root", request.audio_root)] if request.audio_root is not None else []
    local = [f"--{flag} {name}" for flag, name in named if not uris.is_gcs(name)]
    if local:
        raise UsageError(
            f"--runner={request.runner}: its workers do not have this machine's files; copy them to a bucket and name"
            f" them as gs://…: {', '.join(local)}"
        )


def refuse_local_manifests(manifests: Iterable[Manifest], runner: str) -> None:
    """Refuses to merge into a dataset that was made from manifests of this machine.

    Raises:
      UserError: one of them is.
    """
    for manifest in manifests:
        if not uris.is_gcs(manifest.uri):
            raise UserError(
                f"{manifest.name}, from which the dataset was made, is a file of this machine, which the workers of"
                f" {runner} do not have; merge with the runner on this machine"
            )


def none_local(rows: Iterable[Clip | Outcome], runner: str) -> Iterator[Clip | Outcome]:
    """The rows as they come.

    Raises:
      UserError: a recording is a file of this machine.
    """
    for row in rows:
        if isinstance(row, Clip) and not uris.is_gcs(row.uri):
            raise UserError(
                f"{row.source}: {row.uri} is a file of this machine, which the workers of {runner} do not have; copy"
                " the recordings to a bucket, or name it with --audio_root gs://…"
            )
        yield row
