"""The request to prepare a dataset: a frozen record that checks its own fields. Importing it does not import Beam."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from beam_pipeline import runners
from transforms.errors import require
from transforms.manifests import encodings
from transforms.manifests.row import ALIASES
from transforms.settings import Settings
from transforms.storage import uris

MAX_REJECTED_FRACTION = 0.05


@dataclass(frozen=True)
class ReportRequest:
    """Say what a finished dataset holds, as the command that prepared it would.

    Attributes:
      dataset: its folder, local or gs://.
      gate: whether the command fails if too many rows were rejected.
      max_rejected_fraction: largest part of the rows that may be rejected.
      billing_project: project that pays for requests to a requester-pays bucket; "" if its own project pays.
    """

    dataset: str
    _: KW_ONLY
    gate: bool = False
    max_rejected_fraction: float = MAX_REJECTED_FRACTION
    billing_project: str = ""

    def __post_init__(self) -> None:
        require(bool(self.dataset.strip()), "dataset", "a name, not empty (an unset variable?)", self.dataset)
        fits = 0 <= self.max_rejected_fraction <= 1
        require(fits, "max_rejected_fraction", "from 0 to 1", self.max_rejected_fraction)


@dataclass(frozen=True)
class InspectRequest:
    """Show one clip, step by step.

    Attributes:
      place: a recording, a dataset (with `clip_id`), "manifest:line", or "FILE:line" of a shard of a dataset.
      clip_id: of the clip, accepted or rejected; None where `place` says which.
      save: file for the payload; None for none.
      play: whether the payload is played.
      audio_root: start of relative audio paths of a manifest; None for its folder.
      billing_project: project that pays for requests to a requester-pays bucket; "" if its own project pays.
    """

    place: str
    clip_id: str | None = None
    _: KW_ONLY
    save: str | None = None
    play: bool = False
    audio_root: str | None = None
    billing_project: str = ""

    def __post_init__(self) -> None:
        require(bool(self.place.strip()), "place", "a name, not empty (an unset variable?)", self.place)
        require(self.save is None or bool(self.save.strip()), "save", "a file", self.save)


@dataclass(frozen=True)
class ExportRequest:
    """Write a dataset as audio files and a manifest.

    Attributes:
      dataset: its folder, local or gs://.
      destination: folder or gs:// URI of the files.
      overwrite: whether files that are there are replaced.
      billing_project: project that pays for requests to requester-pays buckets; "" if the buckets' own projects pay.
    """

    dataset: str
    destination: str
    _: KW_ONLY
    overwrite: bool = False
    billing_project: str = ""

    def __post_init__(self) -> None:
        for name, value in (("dataset", self.dataset), ("destination", self.destination)):
            require(bool(value.strip()), name, "a name, not empty (an unset variable?)", value)
        why = uris.nobodys(self.destination)
        require(not why, "destination", f"a place that can be ({why})", self.destination)


@dataclass(frozen=True)
class MergeRequest:
    """Make one dataset of several, as if it had been prepared from all their manifests.

    Attributes:
      datasets: their folders, local or gs://, two or more.
      output: folder or gs:// URI of the dataset.
      overwrite: whether another dataset there is replaced.
      max_rejected_fraction: largest part of the rows that may be rejected.
      billing_project: project that pays for requests to requester-pays buckets; "" if the buckets' own projects pay.
    """

    datasets: tuple[str, ...]
    output: str
    _: KW_ONLY
    overwrite: bool = False
    max_rejected_fraction: float = MAX_REJECTED_FRACTION
    billing_project: str = ""

    def __post_init__(self) -> None:
        require(not isinstance(self.datasets, str), "datasets", "a sequence of names", self.datasets)
        named = len(self.datasets) >= 2 and all(name.strip() for name in self.datasets)
        require(named, "datasets", "two names or more, none of them empty (an unset variable?)", self.datasets)
        require(bool(self.output.strip()), "output", "a name, not empty (an unset variable?)", self.output)
        fits = 0 <= self.max_rejected_fraction <= 1
        require(fits, "max_rejected_fraction", "from 0 to 1", self.max_rejected_fraction)


@dataclass(frozen=True)
class PrepareRequest:
    """Turn manifests of recordings and texts into a dataset.

    Attributes:
      manifest: files, globs or folders, local or gs://.
      output: folder or gs:// URI of the dataset.
      merge_into: the same as `output`, to merge mended rows into the dataset there; None to make a dataset. Its
        manifests and settings are those of the dataset.
      settings: the settings that decide the dataset's bytes. An empty `audio_uri` is derived from `output`.
      tasks: YAML file of several tasks; None for the tasks of `settings`.
      audio_root: folder at which relative audio paths start; None for the manifest's folder.
      allow_path: further folders in which audio may lie.
      columns: column names, by their key in `ALIASES`. Other columns are found by their usual names.
      manifest_encoding: of manifests that are text, such as "cp1250"; "" for UTF-8, or what is certain.
      keep_columns: columns that go along into the ledger; ("all",) for all that serve no other purpose.
      join_cues: seconds up to which neighbouring cues of subtitles, labels and tiers become one clip; 0 for never; None
        for the longest that clips may be.
      tier: the tiers of TextGrids and of ELAN's files that are read; () for the only one.
      append: whether the manifests are added to those of the dataset in `output`, which keeps its settings.
      limit: how many clips a uniform sample of the rows has, always the same; None for all.
      overwrite: whether a dataset of other rows or settings is replaced.
      verify: whether every payload is decoded again and compared with its source.
      max_rejected_fraction: largest part of the rows that may be rejected. If more are, the command fails although the
        dataset is complete.
      clip_workers: processes that prepare clips, of each of the runner's workers; None for the runner's default.
      billing_project: project that pays for requests to requester-pays buckets; "" if the buckets' own projects pay.
      dry_run: whether it is only said what would be done; nothing is changed, and nothing submitted.
      no_wait: whether a job on Dataflow is submitted, or found, and left to itself.
      cancel: whether the job on Dataflow that writes into `output` is cancelled.
      follow: id of the job on Dataflow that is followed to its end, and none submitted; None for none.
      timeout: seconds to wait for the end of the job that is followed; None for no limit.
      beam_options: flags of Apache Beam, such as "--runner=DataflowRunner".
    """

    manifest: tuple[str, ...]
    output: str
    _: KW_ONLY
    settings: Settings = Settings()
    tasks: str | None = None
    audio_root: str | None = None
    allow_path: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    join_cues: float | None = None
    tier: tuple[str, ...] = ()
    merge_into: str | None = None
    manifest_encoding: str = ""
    keep_columns: tuple[str, ...] = ()
    append: bool = False
    limit: int | None = None
    overwrite: bool = False
    verify: bool = False
    max_rejected_fraction: float = MAX_REJECTED_FRACTION
    clip_workers: int | None = None
    billing_project: str = ""
    dry_run: bool = False
    no_wait: bool = False
    cancel: bool = False
    follow: str | None = None
    timeout: float | None = None
    beam_options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(not isinstance(self.manifest, str), "manifest", "a sequence of names", self.manifest)
        named = bool(self.manifest) and all(name.strip() for name in self.manifest)
        require(named, "manifest", "one name or more, none of them empty (an unset variable?)", self.manifest)
        require(bool(self.output.strip()), "output", "a name, not empty (an unset variable?)", self.output)
        for name, uri in (("output", self.output), ("audio_uri", self.settings.audio_uri)):
            require(not (why := uris.nobodys(uri)), name, f"a place that can be ({why})", uri)
        same = self.merge_into in (None, self.output)
        require(same, "merge_into", f"the same as --output, {self.output!r}, or alone", self.merge_into)
        require(not (self.merge_into and self.overwrite), "overwrite", "left out with --merge_into", self.overwrite)
        require(self.limit is None or self.limit >= 1, "limit", "1 or more", self.limit)
        require(not (self.merge_into and self.limit), "limit", "left out with --merge_into", self.limit)
        for name in ("merge_into", "limit", "overwrite", "cancel"):
            given = getattr(self, name)
            require(not (self.append and given), name, "left out with --append", given)
        fits = 0 <= self.max_rejected_fraction <= 1
        require(fits, "max_rejected_fraction", "from 0 to 1", self.max_rejected_fraction)
        require(self.clip_workers is None or self.clip_workers >= 1, "clip_workers", "positive", self.clip_workers)
        named = not isinstance(self.keep_columns, str) and all(name.strip() for name in self.keep_columns)
        require(named, "keep_columns", "a sequence of names, none of them empty", self.keep_columns)
        is_known = encodings.known(self.manifest_encoding)
        require(is_known, "manifest_encoding", "an encoding such as cp1252 or shift_jis", self.manifest_encoding)
        fits = self.join_cues is None or 0 <= self.join_cues < math.inf
        require(fits, "join_cues", "seconds, or 0 to join none", self.join_cues)
        require(all(name.strip() for name in self.tier), "tier", "names of tiers, none of them empty", self.tier)
        self._check_launch()
        unknown = next((column for column in self.columns if column not in ALIASES), None)
        require(unknown is None, "columns", f"named by {', '.join(ALIASES)}", unknown)

    def _check_launch(self) -> None:
        alone = self.launches
        value = getattr(self, alone[-1]) if alone else ""
        require(len(alone) <= 1, alone[-1] if alone else "", f"left out with --{''.join(alone[:1])}", value)
        if self.follow is not None:
            require(bool(self.follow.strip()), "follow", "the id of a job (an unset variable?)", self.follow)
            require(self.merge_into is None, "follow", "left out with --merge_into", self.follow)
        fits = self.timeout is None or 0 < self.timeout < math.inf
        require(fits, "timeout", "above 0", self.timeout)
        require(self.timeout is None or self.follow is not None, "timeout", "left out without --follow", self.timeout)
        named = any(word.partition("=")[0] == "--dry_run" for word in self.beam_options)
        require(not named, "beam_options", "without --dry_run, which is a field of the request", self.beam_options)

    @property
    def launches(self) -> list[str]:
        """The fields that ask for something else than a run that is waited for."""
        return [name for name in ("dry_run", "no_wait", "cancel", "follow") if getattr(self, name) not in (None, False)]

    @property
    def runner(self) -> str:
        """The `runners.canonical` name of the last that is named, as Beam has it; "" for the runner on this machine."""
        named = ""
        for word, following in itertools.pairwise([*self.beam_options, ""]):
            if word.startswith("--runner="):
                named = word.partition("=")[2]
            elif word == "--runner":
                named = following
        return runners.canonical(named)
