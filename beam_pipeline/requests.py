"""What can be asked of the preparing half: one frozen record, which checks itself. Importing it imports no Beam."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from transforms.errors import require
from transforms.manifests.row import ALIASES
from transforms.settings import Settings


@dataclass(frozen=True)
class PrepareRequest:
    """Turn manifests of recordings and texts into a dataset.

    Attributes:
      manifest: files, globs or folders, local or gs://.
      output: folder or gs:// URI of the dataset.
      settings: what decides the dataset's bytes; `tasks` and `audio_uri` may be left to the two fields below.
      tasks: YAML file of several tasks; None for those of `settings`.
      audio_root: where relative audio paths start; None for their manifest's folder.
      allow_path: folders that audio may lie in besides.
      columns: names of columns, by their key in `ALIASES`; the others are found by their usual names.
      overwrite: whether a dataset of other rows or settings is replaced.
      verify: whether every payload is decoded again and compared.
      max_rejected_fraction: of the rows; more make the command fail, although the dataset is complete.
      clip_threads: clips prepared at a time by one worker; None for what fits the runner.
      billing_project: pays for requests to requester-pays buckets; "" for the bucket's own project.
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
    overwrite: bool = False
    verify: bool = False
    max_rejected_fraction: float = 0.05
    clip_threads: int | None = None
    billing_project: str = ""
    beam_options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(not isinstance(self.manifest, str), "manifest", "a sequence of names", self.manifest)
        named = bool(self.manifest) and all(name.strip() for name in self.manifest)
        require(named, "manifest", "one name or more, none of them empty (an unset variable?)", self.manifest)
        require(bool(self.output.strip()), "output", "a name, not empty (an unset variable?)", self.output)
        fits = 0 <= self.max_rejected_fraction <= 1
        require(fits, "max_rejected_fraction", "from 0 to 1", self.max_rejected_fraction)
        require(self.clip_threads is None or self.clip_threads >= 1, "clip_threads", "positive", self.clip_threads)
        unknown = next((column for column in self.columns if column not in ALIASES), None)
        require(unknown is None, "columns", f"named by {', '.join(ALIASES)}", unknown)

    @property
    def runner(self) -> str:
        """The name of Beam's runner; "" for the one on this machine."""
        words = [*self.beam_options, ""]
        for word, following in itertools.pairwise(words):
            if word.startswith("--runner="):
                return word.partition("=")[2]
            if word == "--runner":
                return following
        return ""
