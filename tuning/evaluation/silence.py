"""What systems say where nobody speaks: words invented about silence, noise and music."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from transforms.audio.probes import KINDS
from tuning import probes
from tuning.dataset import Dataset
from tuning.evaluation import scripts, systems
from tuning.evaluation.answers import Index, System
from tuning.evaluation.clips import HeldOut
from tuning.probes import PROBES

# What names the sound instead of transcribing it, such as "[silence]", "(music)", "<noise>" or "♪", invents nothing.
_NAMED = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|<[^<>]*>|\*[^*]*\*")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True, slots=True)
class Silence:
    """What one system said of sounds of one kind, in which nobody speaks.

    Attributes:
      system: its name.
      kind: of the sounds.
      probes: how many it was asked about.
      spoke: how many it answered with words.
      insertions: words of all answers, each invented; of scripts without spaces, characters.
      seconds: that the sounds last, all together.
    """

    system: str
    kind: str
    probes: int
    spoke: int
    insertions: int
    seconds: float


def of(
    prepared: Dataset, split: str, run: str | None, named: Mapping[str, str] = MappingProxyType({})
) -> tuple[Silence, ...]:
    """What the models of a dataset's runs said of the probes; () if none was asked.

    Args:
      prepared: the dataset.
      split: that is evaluated, whose answers decide which run is meant.
      run: name of the run whose model is "tuned"; None for the newest that has answers.
      named: runs by the names of their models, instead of all; those that were not asked are left out.
    """
    if not systems.are_asked(prepared, PROBES):
        return ()
    wanted = [HeldOut(each.clip_id, "", "", each.digest, "", seconds=each.seconds) for each in probes.of(prepared)]
    kinds = {each.clip_id: each.kind for each in probes.of(prepared)}
    meant = systems.chosen(prepared, split, next(iter(named.values()), run))
    known = {name: run for name, run in named.items() if systems.is_asked(prepared, PROBES, run)}
    if named and not known:
        return ()
    asked = systems.of_runs(prepared, PROBES, meant, Index(wanted), known)
    return tuple(found for system in asked for found in _told(system, wanted, kinds))


def _told(system: System, wanted: Sequence[HeldOut], kinds: dict[str, str]) -> Iterator[Silence]:
    for kind in KINDS:
        asked = [clip for clip in wanted if kinds[clip.clip_id] == kind and clip.clip_id in system.answers]
        counts = [insertions(system.answers[clip.clip_id].said) for clip in asked]
        if asked:
            seconds = sum(clip.seconds for clip in asked)
            yield Silence(system.name, kind, len(asked), sum(map(bool, counts)), sum(counts), seconds)


def insertions(said: str) -> int:
    """The words of an answer; characters of a script without spaces."""
    words = _WORD.findall(_NAMED.sub(" ", said))
    return sum(len(word) if scripts.unspaced(word) else 1 for word in words)
