"""Datasets that become one, and rows that are added to one: as if all had been prepared together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from beam_pipeline import prepare
from beam_pipeline.inputs import refuse_contradictions
from beam_pipeline.prepare import Prepared
from beam_pipeline.requests import MergeRequest, PrepareRequest
from transforms import records
from transforms.audio import builds
from transforms.dataset import merging
from transforms.dataset.copies import Copied
from transforms.dataset.description import DatasetDescription
from transforms.dataset.merging import Made
from transforms.dataset.output import DATASET_FILE
from transforms.dataset.plan import Digests, make_plan
from transforms.errors import UsageError, UserError
from transforms.listener import SILENT, Listener
from transforms.manifests import allowed, locate, read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.places import Places, real_path
from transforms.report import finished
from transforms.settings import Settings
from transforms.storage import Storage, uris


@dataclass(frozen=True, slots=True)
class _Part:
    """A dataset of those that are merged.

    Attributes:
      name: as the request has it.
      folder: absolute.
      made: what it was made from.
      settings: it was made with.
    """

    name: str
    folder: str
    made: Made
    settings: Settings

    @property
    def base(self) -> str:
        """The absolute folder that its relative names start from."""
        return self.made.base_of(self.folder)


def run(
    request: MergeRequest, listener: Listener = SILENT, import_beam: Callable[[], object] = lambda: None
) -> Prepared:
    """Makes one dataset of several. Their lines are copied; what is in none of them is prepared.

    Raises:
      UserError: one is not finished, its manifests have changed, or they were made with different settings.
      StorageError: the storage failed, after retries.
    """
    base, storage = str(Path.cwd()), Storage(request.billing_project)
    parts = [_part(name, uris.absolute(name.rstrip("/") or name, base), storage) for name in request.datasets]
    _refuse_different(parts)
    output = uris.absolute(request.output.rstrip("/") or request.output, base)
    if output in [part.folder for part in parts]:
        raise UserError(f"--output {request.output}: it is one of the datasets; name another folder")
    alone = [_checked(part, storage) for part in parts]
    whole = _request(request, parts, base)
    first = parts[0]
    rows = replace(first.made.rows_settings(first.settings, first.folder), base=base, audio_root=whole.audio_root)
    together = read.survey(_manifests(whole, base, storage), rows, storage)
    copies = tuple(
        _copied(part, storage) for part, found in zip(parts, alone, strict=True) if _means_the_same(found, together)
    )
    return prepare.run(whole, listener, import_beam, copies)


def appended(request: PrepareRequest) -> PrepareRequest:
    """The request to prepare a dataset anew with the manifests of another request, too.

    Raises:
      UserError: there is no such dataset, it holds merged rows or a sample, or a flag contradicts its settings.
    """
    base, storage = str(Path.cwd()), Storage(request.billing_project)
    folder = uris.absolute(request.output.rstrip("/") or request.output, base)
    part = _load(request.output, folder, storage)
    try:
        refuse_contradictions(request, part.made, part.settings, base, folder, storage)
    except UsageError as fault:
        raise UsageError(str(fault).replace("--merge_into", "--append to"), fault.field) from None
    _checked(part, storage)
    there = _names([part], base)
    known = {real_path(uris.absolute(name, base)) for name in there}
    found = locate.locate(request.manifest, base, storage)
    new = [manifest.name for manifest in found if real_path(uris.absolute(manifest.name, base)) not in known]
    root, folders = _places(part, base)
    return replace(
        request,
        append=False,
        overwrite=True,
        manifest=(*there, *new),
        settings=part.settings,
        tasks=None,
        audio_root=root,
        allow_path=tuple(dict.fromkeys((*folders, *request.allow_path))),
        **_read_with(part),
    )


def _load(name: str, folder: str, storage: Storage) -> _Part:
    try:
        made, settings, _ = merging.load(name, folder, storage)
    except UserError as fault:
        raise UserError(str(fault).removeprefix("--merge_into ")) from None
    for held, what in ((made.merged, "rows that were merged into it"), (made.last_place, "a sample (--limit)")):
        if held:
            raise UserError(f"{name}: it holds {what}, which its manifests do not tell; prepare it from all rows first")
    part = _Part(name, folder, made, settings)
    for flag, path in (*(("allow_path", path) for path in made.allow_path), ("audio_root", made.audio_root)):
        if uris.is_gcs(folder) and path is not None and not uris.is_gcs(uris.absolute(path, part.base)):
            raise UserError(
                f"{name}: it was made with --{flag}={path}, which a dataset in a bucket cannot allow by itself"
            )
    return part


def _part(name: str, folder: str, storage: Storage) -> _Part:
    finished.load(folder, storage.within([folder]))
    return _load(name, folder, storage)


def _refuse_different(parts: Sequence[_Part]) -> None:
    """Refuses datasets of which one would be another one, had it been made with the settings of the first."""
    first = parts[0]
    for other in parts[1:]:
        for name, value in _all_settings(first).items():
            if (found := _all_settings(other)[name]) != value:
                raise UserError(
                    f"{first.name} and {other.name} differ in {name}: {value!r} and {found!r};"
                    " prepare one of them anew with the settings of the other"
                )


def _all_settings(part: _Part) -> Mapping[str, Any]:
    root = part.made.audio_root
    place = None if root is None else real_path(uris.absolute(root, part.base))
    return {**asdict(part.settings), "audio_root": place, **_read_with(part)}


def _read_with(part: _Part) -> dict[str, Any]:
    """How a dataset's manifests are read, by the fields of `PrepareRequest`."""
    made = part.made
    return {
        "columns": made.columns,
        "manifest_encoding": made.manifest_encoding,
        "keep_columns": tuple(made.keep_columns),
        "join_cues": made.join_cues,
        "tier": tuple(made.tier),
    }


def _checked(part: _Part, storage: Storage) -> ManifestSettings:
    """What a look at a dataset's manifests tells of them all.

    Raises:
      UserError: they are not what they were.
    """
    rows = part.made.rows_settings(part.settings, part.folder)
    manifests = allowed.confined(merging.originals(part.made, part.folder, storage), rows, part.base)
    rows = read.survey(manifests, rows, storage)
    every = (row for manifest in manifests for row in read.rows(manifest, rows, storage))
    places = Places.of(manifests, part.made.audio_root, part.base)
    merging.check_unchanged(part.made, make_plan(every, part.settings, digests=Digests(places)), part.name)
    return rows


def _means_the_same(one: ManifestSettings, other: ManifestSettings) -> bool:
    """Whether rows are the same clips, whatever is said of their neighbours."""
    if (one.shards, one.files_are_splits) != (other.shards, other.files_are_splits):
        return False
    both = (replace(each.layout, repeated=frozenset(), remarks=()) for each in (one, other))
    return next(both) == next(both)


def _manifests(request: PrepareRequest, base: str, storage: Storage) -> list[locate.Manifest]:
    return locate.locate(request.manifest, base, storage)


def _names(parts: Sequence[_Part], base: str) -> list[str]:
    """The manifests of datasets as this command would name them."""
    named = ((name, part) for part in parts for name in part.made.manifests)
    return [name if real_path(part.base) == real_path(base) else uris.absolute(name, part.base) for name, part in named]


def _places(part: _Part, base: str) -> tuple[str | None, tuple[str, ...]]:
    """The audio root and the allowed folders, as this command would name them."""
    here = real_path(part.base) == real_path(base)
    named = [*([] if part.made.audio_root is None else [part.made.audio_root]), *part.made.allow_path]
    paths = [name if here else uris.absolute(name, part.base) for name in named]
    root = None if part.made.audio_root is None else paths.pop(0)
    return root, tuple(paths)


def _request(request: MergeRequest, parts: Sequence[_Part], base: str) -> PrepareRequest:
    """The request that prepares all of them together."""
    first = parts[0]
    return PrepareRequest(
        tuple(_names(parts, base)),
        request.output,
        settings=first.settings,
        audio_root=_places(first, base)[0],
        allow_path=tuple(dict.fromkeys(path for part in parts for path in _places(part, base)[1])),
        overwrite=request.overwrite,
        max_rejected_fraction=request.max_rejected_fraction,
        billing_project=request.billing_project,
        **_read_with(first),
    )


def _copied(part: _Part, storage: Storage) -> Copied:
    """The dataset as what examples are taken from.

    Raises:
      UserError: other versions of the decoders have made them.
    """
    uri = uris.join(part.folder, DATASET_FILE)
    try:
        description = DatasetDescription.load(storage.within([part.folder]).read_record(uri))
    except records.DAMAGES as fault:
        raise records.damaged(uri, fault, "it describes the dataset", "run prepare again") from None
    if description.decoders != builds.builds():
        raise UserError(f"{part.name}: other versions of decoders have made it; prepare it anew, with --overwrite")
    return Copied(part.folder, part.base, {name: len(split.shards) for name, split in description.splits.items()})
