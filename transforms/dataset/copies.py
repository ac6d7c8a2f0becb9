"""Examples of datasets that are there already, in the place of conversions: lines are copied, nothing is decoded."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256

from transforms import records
from transforms.clip import Clip, Outcome
from transforms.dataset import assign, example
from transforms.dataset.converted import STAGES, Converted
from transforms.dataset.output import Output
from transforms.dataset.plan import ShardKey
from transforms.dataset.prepare_clip import Convert
from transforms.dataset.sidecar import Sidecar
from transforms.dataset.sources import Stored
from transforms.payloads import Payload
from transforms.settings import Settings
from transforms.storage import Storage, uris

# A shard of the new dataset takes its clips from a shard or two of each split of each.
_SIDECARS = 64


@dataclass(frozen=True, slots=True)
class Copied:
    """A finished dataset, of the same settings, that examples are taken from.

    Attributes:
      folder: of the dataset, absolute.
      base: absolute folder that the names in its sidecars start from.
      num_shards: of each of its splits.
    """

    folder: str
    base: str
    num_shards: Mapping[str, int] = field(hash=False)

    def output(self, settings: Settings, storage: Storage) -> Output:
        """The dataset, to be read."""
        return Output(self.folder, self.base, (), dict(self.num_shards), settings, storage.within([self.folder]))


class Copies:
    """Converts clips by looking for them in datasets; those that are in none are converted otherwise.

    Args:
      datasets: where to look, in this order.
      output: what the examples are for.
      otherwise: converts the other clips.
    """

    def __init__(self, datasets: tuple[Copied, ...], output: Output, otherwise: Convert) -> None:
        self._output, self._otherwise = output, otherwise
        self._from = [each.output(output.settings, output.storage.anywhere()) for each in datasets]
        self._sidecar = lru_cache(maxsize=_SIDECARS)(self._read_sidecar)

    def convert(self, clip: Clip, source: Stored) -> Converted:
        """As `conversion.convert`."""
        for index, dataset in enumerate(self._from):
            for split, count in dataset.num_shards.items():
                key = split, assign.shard_index(clip.clip_id, count)
                start, outcome = self._sidecar(index, key).get(clip.clip_id, (0, None))
                if outcome is not None and self._is_of(outcome, clip, dataset):
                    found = self._copied(clip, outcome, key, start, dataset)
                    if found is not None:
                        return found
        return self._otherwise(clip, source)

    def _is_of(self, outcome: Outcome, clip: Clip, dataset: Output) -> bool:
        """Whether an outcome is that of the clip's very row."""
        return uris.absolute(outcome.source, dataset.base) == uris.absolute(clip.source, self._output.base)

    def _read_sidecar(self, index: int, key: ShardKey) -> dict[str, tuple[int, Outcome]]:
        """The examples of a shard by their ids, with the bytes before each; {} if it cannot be read."""
        dataset = self._from[index]
        try:
            outcomes = Sidecar.load(dataset.storage.read_bytes(dataset.sidecar_uri(key))).outcomes
        except (FileNotFoundError, *records.DAMAGES):
            return {}
        accepted = [outcome for outcome in outcomes if outcome.status == "accepted"]
        starts = itertools.accumulate((outcome.line_bytes or 0 for outcome in accepted), initial=0)
        return {outcome.clip_id: (start, outcome) for start, outcome in zip(starts, accepted, strict=False)}

    def _copied(self, clip: Clip, outcome: Outcome, key: ShardKey, start: int, dataset: Output) -> Converted | None:
        """The example, if its line and its audio are those that were written, with the texts of the clip."""
        settings = self._output.settings
        try:
            with dataset.storage.open_read(dataset.shard_uri(key)) as stream:
                stream.seek(start)
                line = stream.read(outcome.line_bytes or 0)
            texts = example.Texts(clip.prompt or settings.prompt, clip.target, clip.system_instruction)
            if sha256(line).hexdigest() != outcome.line_sha256 or example.texts(line) != texts:
                return None
            payload = self._payload(outcome, dataset) if settings.audio_part == "uri" else None
        except (FileNotFoundError, *records.DAMAGES):
            return None
        placed = replace(
            outcome,
            source=clip.source,
            uri=clip.uri,
            split=None,
            shard_index=None,
            line_index=None,
            task=clip.task or None,
            group=clip.group or None,
            language=clip.language or None,
            row=clip.row if settings.dedupe == "audio" else None,
        )
        return Converted(line, placed, payload, (0,) * len(STAGES))

    def _payload(self, outcome: Outcome, dataset: Output) -> Payload:
        path = example.path_of(outcome.audio_sha256 or "", self._output.settings)
        content = dataset.storage.read_bytes(uris.join(dataset.audio_folder(), path))
        return Payload(content, outcome.mime_type or "")
