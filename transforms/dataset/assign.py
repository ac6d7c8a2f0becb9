"""The split, the shard and the place of a clip: hashes decide all three."""

from __future__ import annotations

from collections.abc import Mapping

from transforms import limits
from transforms.clip import Clip, Outcome
from transforms.keys import Keys
from transforms.manifests import sample, words
from transforms.manifests.places import NOWHERE, Places

TRAIN, VALIDATION = words.TRAIN, words.VALIDATION
# Held out: only of clips whose rows are marked so. Never sent to a tuning job.
TEST = words.TEST
HELD_OUT = (VALIDATION, TEST)
# Of rows without a clip; such shards are sidecars only.
REJECTED = "rejected"

# The salt keeps the split independent of the order. Without it the validation clips would be the first of the dataset.
_SPLIT_SALT = b"cliptune-split"

# A fifth of the whole is 25 % of what is left for training, which satisfies both documented shares.
MAX_VALIDATION_FRACTION = 0.2
# Below this a dataset may do without a validation split.
MIN_CLIPS_FOR_VALIDATION = 20


hash64 = sample.hash64


def order_key(clip_id: str) -> int:
    """The clip's place in the dataset: uniform in [0, 2**64), the same on every machine."""
    return hash64(clip_id)


def shard_index(clip_id: str, num_shards: int) -> int:
    """The shard in [0, num_shards) that holds `clip_id`."""
    # Multiply-and-shift, not modulo: shards are then ranges of order_key, so
    # concatenating them gives the same bytes whatever num_shards is.
    return (order_key(clip_id) * num_shards) >> 64


def split_key(clip: Clip) -> int:
    """The number of the clip's group, which all clips of the group share."""
    return hash64(clip.group or clip.clip_id, _SPLIT_SALT)


def split_of(clip: Clip, validation_keys: frozenset[int]) -> str:
    """The clip's split: what its row says, else validation if its group was chosen, else train."""
    if clip.split:
        return clip.split
    return VALIDATION if split_key(clip) in validation_keys else TRAIN


def shard_key(
    row: Clip | Outcome, num_shards: Mapping[str, int], validation_keys: frozenset[int], places: Places = NOWHERE
) -> tuple[str, int]:
    """The shard that holds a clip, or the sidecar that holds the outcome of a row without one: split and index."""
    if isinstance(row, Outcome):
        return REJECTED, shard_index(places.key(row), num_shards[REJECTED])
    split = split_of(row, validation_keys)
    return split, shard_index(row.clip_id, num_shards[split])


def validation_limit(total: int, fraction: float) -> int:
    """How many clips of `total` validation is to have: `fraction` of them, within Vertex's limits."""
    return min(round(fraction * total), limits.MAX_VALIDATION_EXAMPLES, int(MAX_VALIDATION_FRACTION * total))


def choose_validation(groups: Keys, fraction: float) -> frozenset[int]:
    """Chooses whole groups for validation, in hash order, up to `fraction` of the clips.

    Args:
      groups: `split_key` of every clip.
      fraction: wanted share of the clips; Vertex's caps bind besides.

    Returns:
      The chosen keys. Never empty with 20 clips or more in at least two
      groups, unless `fraction` is 0 or the smallest group is over Vertex's caps.
    """
    total = len(groups)
    limit = validation_limit(total, fraction)
    chosen = []
    for key, size in groups.counted() if limit else ():
        if size <= limit:
            chosen.append(key)
            limit -= size
    if not chosen and fraction > 0 and total >= MIN_CLIPS_FOR_VALIDATION:
        chosen = _smallest(groups, total)
    return frozenset(chosen)


def _smallest(groups: Keys, total: int) -> list[int]:
    """The smallest group, where the service would take it as validation split."""
    size, key = min((size, key) for key, size in groups.counted())
    fits = size < total and size <= limits.MAX_VALIDATION_EXAMPLES and limits.validation_fits(size, total - size)
    return [key] if fits else []
