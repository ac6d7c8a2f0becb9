"""How long a text takes to say: characters a second, against what is usual among like clips. It needs no recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex

from tuning.evaluation import pools
from tuning.evaluation.pools import Array, Indexes

# Nobody says more; an auctioneer's 30 are of a script with letters for sounds.
IMPOSSIBLE = 45.0
_FEW_CHARS = 15
_SILENCE, _BREATH = 0.3, 3.0  # seconds and characters that even the shortest clip has, so to speak
_LEAST_SPREAD = 0.15
_ANY_SPREAD = 0.7  # of texts that belong to other clips, where all texts are equally long
_CLIPS_A_BIN, _MOST_BINS = 40, 20
_STRAY = 0.02  # of clips with the right text that have any rate: music, a slow reader, a long silence
CERTAIN = 6.0
_MOST_FOR_IT = 0.7  # a wrong text may well be as long as the right one
_SAID = regex.compile(r"[\p{L}\p{M}\p{N}]")
_DIGIT = regex.compile(r"\p{Nd}")
_LETTERS_OF_A_DIGIT = 4


@dataclass(frozen=True, slots=True)
class Spoken:
    """Texts and audio by their lengths.

    Attributes:
      chars: letters of each text, shape (n,); a digit counts as the word that it is read as.
      seconds: of each clip's audio, shape (n,).
    """

    chars: Array
    seconds: Array

    @property
    def length(self) -> Array:
        """Of the texts, as logarithms."""
        return np.log(self.chars + _BREATH)

    @property
    def time(self) -> Array:
        """Of the audio, as logarithms."""
        return np.log(self.seconds + _SILENCE)


def chars(texts: Sequence[str]) -> Array:
    """The letters of texts, shape (n,)."""
    return np.array([_chars(text) for text in texts], dtype=np.float64)


def _chars(text: str) -> int:
    digits = 0 if text.isalpha() else len(_DIGIT.findall(text))
    return len(_SAID.findall(text)) + (_LETTERS_OF_A_DIGIT - 1) * digits


def evidence(spoken: Spoken, usual: Spoken, members: Sequence[Indexes]) -> tuple[Array, Array]:
    """How much each text's length speaks against its audio.

    Args:
      spoken: the clips.
      usual: the clips with the texts that they should have as far as is known, from which what is usual is learnt.
      members: pools of them.

    Returns:
      Shape (n,) each: the logarithm of how much likelier the length is of a text that belongs to another clip, and of
      how many times as many characters a second there are as is usual. NaN where nothing is usual.
    """
    against, residual = np.zeros(len(spoken.chars)), np.full(len(spoken.chars), np.nan)
    for chosen in members:
        if len(chosen) >= pools.SMALLEST:
            residual[chosen], against[chosen] = _of_pool(spoken, usual, chosen)
    impossible = (spoken.chars >= _FEW_CHARS) & (spoken.chars > IMPOSSIBLE * spoken.seconds)
    return np.where(impossible, CERTAIN, against), residual


def _of_pool(spoken: Spoken, usual: Spoken, chosen: Indexes) -> tuple[Array, Array]:
    time, learnt = spoken.time[chosen], usual.length[chosen]
    expected = Curve.of(learnt, time)
    off = expected.time(spoken.length[chosen]) - time
    usually_off = expected.time(learnt) - time
    scale = scales(off, usually_off)
    stranger = expected.time(np.roll(learnt, len(chosen) // 2)) - time
    wide = max(pools.spread(stranger - float(np.median(stranger)), _ANY_SPREAD), 2 * float(np.max(scale)))
    return off, log_ratio(off, scale, wide)


def scales(off: Array, usually_off: Array) -> Array:
    """The scale of each deviation: too fast and too slow have their own. Few clips tell it badly, so it is wider."""
    widened = 1 + 5 / len(usually_off)
    fast, slow = usually_off[usually_off >= 0], usually_off[usually_off <= 0]
    sides = (pools.spread(side, _LEAST_SPREAD) * widened for side in (fast, slow))
    return np.where(off > 0, *sides)


def log_ratio(off: Array, scale: Array, wide: float) -> Array:
    """How much likelier deviations are of the texts of other clips, as logarithms."""
    other = pools.normal(off, 0.0, wide)
    own = (1 - _STRAY) * pools.long_tailed(off, scale) + _STRAY * other
    return np.asarray(np.maximum(np.log(other / own), -_MOST_FOR_IT), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Curve:
    """The usual time of texts, as a function of their length, both as logarithms.

    Attributes:
      lengths: rising, shape (m,).
      times: of each, shape (m,).
    """

    lengths: Array
    times: Array

    @staticmethod
    def of(lengths: Array, times: Array) -> Curve:
        """The medians of clips that are parted by the length of their texts.

        Args:
          lengths: of texts, shape (n,).
          times: of their audio, shape (n,).
        """
        bins = min(_MOST_BINS, len(lengths) // _CLIPS_A_BIN)
        if bins < 2:  # too few for a curve: one speed for all
            middle = float(np.median(lengths))
            return Curve(np.array([middle]), np.array([middle + float(np.median(times - lengths))]))
        order = np.argsort(lengths, kind="stable")
        parts = np.array_split(order, bins)
        middles = np.array([np.median(lengths[part]) for part in parts])
        usual = np.array([np.median(times[part]) for part in parts])
        kept = np.append(True, np.diff(middles) > 0)
        return Curve(middles[kept], usual[kept])

    def time(self, lengths: Array) -> Array:
        """The usual time of texts of these lengths; beyond the known ones, the speed stays."""
        beyond = lengths - np.clip(lengths, self.lengths[0], self.lengths[-1])
        inside: Array = np.interp(lengths, self.lengths, self.times)
        return inside + beyond
