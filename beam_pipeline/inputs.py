"""What a run reads: the manifests, the settings they are read with, and what a merge makes of those of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from beam_pipeline.requests import PrepareRequest
from transforms import tasks
from transforms.clip import Clip, Outcome
from transforms.dataset import merging, output
from transforms.dataset.plan import Digests, make_plan
from transforms.dataset.seen import Seen
from transforms.errors import UsageError, UserError
from transforms.manifests import allowed, locate, read, sample
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.cues import CueSettings
from transforms.manifests.places import Places, real_path
from transforms.settings import Settings, Task
from transforms.storage import Storage, uris


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is read: the manifests, how, where relative names start, their places, and the settings they are for.

    A merge has not been written yet: `storage` reads its rows all the same.
    """

    manifests: list[locate.Manifest]
    rows: ManifestSettings
    base: str
    places: Places
    settings: Settings
    seen: Seen
    storage: Storage
    merge: merging.Merge | None = None
    records: merging.MergeRecords | None = None


def named(request: PrepareRequest, base: str, folder: str, storage: Storage) -> Inputs:
    """The manifests and settings that the request names."""
    settings = _settings(request, base, storage)
    rows = ManifestSettings(
        request.audio_root,
        request.allow_path,
        request.columns,
        settings.tasks,
        base=base,
        encoding=request.manifest_encoding,
        keep_columns=request.keep_columns,
        cues=CueSettings(settings.max_duration, request.join_cues, request.tier),
    )
    manifests = allowed.confined(locate.locate(request.manifest, base, storage), rows, base)
    _refuse_own_output(manifests, folder, request.output)
    places = Places.of(manifests, request.audio_root, base)
    seen = Seen.of(manifests, storage)
    rows = _surveyed(manifests, rows, seen, storage)
    if request.limit is not None:
        with seen.reading(manifests, storage):
            rows = replace(rows, last_place=sample.last_place(_every_row(manifests, rows, storage), request.limit))
    return Inputs(manifests, rows, base, places, settings, seen, storage)


def merged(request: PrepareRequest, base: str, folder: str, storage: Storage) -> Inputs:
    """The manifests and settings of the dataset, with mended rows in the place of others.

    Raises:
      UserError: the dataset's manifests are not what they were, or a flag contradicts what it was made with.
    """
    made, settings, guard = merging.load(request.output, folder, storage)
    refuse_contradictions(request, made, settings, base, folder, storage)
    _refuse_folders_of_buckets(request, made, base, folder)
    made = replace(made, allow_path=(*made.allow_path, *_new_folders(request, made, base, folder)))
    also_allowed = ManifestSettings(allow_path=request.allow_path)
    given = allowed.confined(locate.locate(request.manifest, base, storage), also_allowed, base)
    merge = merging.read(given, made, settings, folder, base, storage)
    base_then = made.base_of(folder)
    as_made = allowed.confined(merging.originals(made, folder, storage), merge.rows, base_then)
    seen = Seen.of(as_made, storage)
    rows = _surveyed(as_made, merge.rows, seen, storage)
    # Rows that were added lie in the dataset: they change the places of no others.
    places = Places.of(as_made, made.audio_root, base_then)
    with seen.reading(as_made, storage):
        plan = make_plan(_every_row(as_made, rows, storage), settings, digests=Digests(places))
        merging.check_unchanged(made, plan, request.output)
        added = merging.added(folder, storage)
        merge = merging.checked(merge, _every_row(as_made + added, rows, storage), request.output)
    records = merge.records(guard)
    ahead = records.ahead(folder, storage)
    manifests = allowed.confined(merge.manifests(folder, ahead), merge.rows, base_then)
    rows = replace(merge.rows, mended=uris.join(folder, output.MENDED_FILE))
    now = Seen.of(manifests, ahead)
    seen.check(as_made, storage)  # after that look, so what is read from here on is what was compared
    rows = _surveyed(manifests, rows, now, ahead)
    return Inputs(manifests, rows, base_then, places, settings, now, ahead, merge, records)


def _surveyed(
    manifests: Sequence[locate.Manifest], settings: ManifestSettings, seen: Seen, storage: Storage
) -> ManifestSettings:
    """As `read.survey`, of manifests that stay as they are."""
    with seen.reading(manifests, storage):
        return read.survey(manifests, settings, storage)


def _every_row(
    manifests: Sequence[locate.Manifest], settings: ManifestSettings, storage: Storage
) -> Iterator[Clip | Outcome]:
    return (row for manifest in manifests for row in read.rows(manifest, settings, storage))


def _new_folders(request: PrepareRequest, made: merging.Made, base: str, folder: str) -> list[str]:
    """The folders that a merge allows besides those of the dataset, absolute: it may run in another folder."""
    known = {uris.absolute(path, made.base_of(folder)) for path in made.allow_path}
    named = dict.fromkeys(uris.absolute(path, base) for path in request.allow_path)
    return [path for path in named if path not in known]


def _refuse_folders_of_buckets(request: PrepareRequest, made: merging.Made, base: str, folder: str) -> None:
    """Refuses folders of this machine that only a dataset from a bucket says may be read: the user has to say so, too.

    Of manifests on this machine, absolute paths are read anyway.
    """
    from_bucket = any(map(uris.is_gcs, (folder, *made.manifests)))
    given = {
        "audio_root": () if request.audio_root is None else (request.audio_root,),
        "allow_path": request.allow_path,
    }
    recorded = {"audio_root": () if made.audio_root is None else (made.audio_root,), "allow_path": made.allow_path}
    for flag, paths in recorded.items():
        known = {real_path(uris.absolute(path, base)) for path in given[flag]}
        for path in (uris.absolute(path, made.base_of(folder)) for path in paths):
            if from_bucket and not uris.is_gcs(path) and real_path(path) not in known:
                fact = f"--merge_into {request.output}: it was made with --{flag}={path}"
                raise UserError(
                    f"{fact}, which a dataset in a bucket cannot allow by itself; pass --{flag}={path}, too"
                )


def refuse_contradictions(
    request: PrepareRequest, made: merging.Made, settings: Settings, base: str, folder: str, storage: Storage
) -> None:
    """Refuses flags that say something else than the dataset was made with; those left out say nothing."""
    given = {name: value for name, value in asdict(request.settings).items() if value != asdict(Settings())[name]}
    if request.tasks is not None:
        given["tasks"] = [asdict(task) for task in _tasks(request.tasks, base, storage)]
    kept = {**asdict(settings), "tasks": [asdict(task) for task in settings.tasks]}
    if request.audio_root is not None:
        given["audio_root"], kept["audio_root"] = request.audio_root, made.audio_root
        root = None if made.audio_root is None else uris.absolute(made.audio_root, made.base_of(folder))
        if uris.absolute(request.audio_root, base) == root:  # the same, from another working folder
            del given["audio_root"]
    if request.manifest_encoding:
        given["manifest_encoding"], kept["manifest_encoding"] = request.manifest_encoding, made.manifest_encoding
    if request.keep_columns:
        given["keep_columns"], kept["keep_columns"] = request.keep_columns, tuple(made.keep_columns)
    if request.join_cues is not None:
        given["join_cues"], kept["join_cues"] = request.join_cues, made.join_cues
    if request.tier:
        given["tier"], kept["tier"] = request.tier, made.tier
    for column, name in request.columns.items():
        given[f"{column}_column"], kept[f"{column}_column"] = name, made.columns.get(column)
    for flag, value in given.items():
        if value != kept[flag]:
            fact = f"--{flag}={value} contradicts --merge_into {request.output}, which was made with {kept[flag]!r}"
            raise UsageError(f"{fact}; leave it out", flag)


def _settings(request: PrepareRequest, base: str, storage: Storage) -> Settings:
    """The request's settings, with the tasks of its file and the URI at which the service will find the audio."""
    settings = request.settings
    if request.tasks is not None:
        settings = replace(settings, tasks=_tasks(request.tasks, base, storage))
    if settings.audio_part != "uri" or settings.audio_uri:
        return replace(settings, audio_uri=settings.audio_uri.rstrip("/"))
    if not uris.is_gcs(request.output):
        rule = "--audio_part=uri needs a bucket, from which the service reads the audio"
        remedy = "write to gs://…, or give the URI to which OUT/audio will be copied by --audio_uri"
        raise UserError(f"{rule}, got --output {request.output}; {remedy}")
    return replace(settings, audio_uri=f"{request.output.rstrip('/')}/audio")


def _tasks(name: str, base: str, storage: Storage) -> tuple[Task, ...]:
    return tasks.load(storage.read_settings(uris.absolute(name, base), f"--tasks {name}"), name)


def _refuse_own_output(manifests: Sequence[locate.Manifest], uri: str, name: str) -> None:
    """Refuses a manifest inside the output, such as `rejected.jsonl`, which would be overwritten while it is read."""
    for manifest in manifests:
        if manifest.uri.startswith(uri.rstrip("/") + "/"):
            raise UserError(
                f"the manifest {manifest.name} lies in --output {name}, which would be overwritten; copy it first"
            )
