"""A shard that an earlier run has written, where this run spells its manifests otherwise: the words change, no byte.

So do the languages of its clips, where this run finds them in another column, and the columns that it keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transforms import reasons
from transforms.clip import Clip, Outcome
from transforms.dataset.sidecar import Sidecar
from transforms.manifests.places import Places
from transforms.printable import printable
from transforms.storage import uris

# Their details name the row of another clip.
_NAME_ANOTHER = (reasons.DUPLICATE_AUDIO.name, reasons.AUDIO_IN_TRAIN.name)


def is_possible(sidecar: Sidecar, places: Places) -> bool:
    """Whether the sidecar can be written in this run's spelling. If not, the shard must be written anew."""
    return all(
        outcome.reason not in _NAME_ANOTHER or places.are_spelled_in(outcome.detail or "")
        for outcome in sidecar.outcomes
    )


def outcomes(sidecar: Sidecar, rows: Sequence[Clip | Outcome]) -> tuple[Outcome, ...]:
    """The outcomes of a sidecar as this run spells its rows.

    Args:
      sidecar: of these very rows, by its fingerprint.
      rows: in the order of the shard.
    """
    return tuple(map(_respelled, sidecar.outcomes, rows))


def _respelled(outcome: Outcome, row: Clip | Outcome) -> Outcome:
    if isinstance(row, Outcome):
        return row
    told = (outcome.source, outcome.uri, outcome.language or "", outcome.kept_columns or "")
    if told == (row.source, row.uri, row.language, row.kept_columns):
        return outcome
    detail = outcome.detail and outcome.detail.replace(_shown(outcome.uri or ""), _shown(row.uri))
    language, kept = row.language or None, row.kept_columns or None
    return replace(outcome, source=row.source, uri=row.uri, detail=detail, language=language, kept_columns=kept)


def _shown(uri: str) -> str:
    return printable(uris.shown(uri))
