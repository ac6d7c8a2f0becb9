"""Turns: of all commands that would send requests for one dataset, one at a time looks at the others and notes its own.

Equal requests are kept apart by their claim (`tuning.jobs.claims`). Different ones are different jobs, each paid: the
second is to be told of the first, and at the same moment neither would see the other. So each looks and takes its step
"sent" while it has the turn, which is a claim, too. Whoever is found not to have had it to the end sends nothing.

There is one turn beside the dataset, for commands with other staging folders, and one beside the joined files, for
machines with copies of the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from transforms.errors import StorageError, UserError
from transforms.storage import uris
from tuning.dataset import Dataset
from tuning.jobs import claims
from tuning.jobs.claims import HELD, OVER, Claims, Step
from tuning.providers.base import TuningRequest

# A command reads the states of a few jobs in its turn. Taking it after this time risks nothing but that turn.
TURN_SECONDS = 60.0


@dataclass(slots=True)
class Turn:
    """A turn.

    Attributes:
      lost: whether another command has taken it before it ended; known once it has ended.
    """

    lost: bool = False


@contextmanager
def turn(prepared: Dataset, request: TuningRequest, wait: Callable[[int, float], None]) -> Iterator[Turn]:
    """While the block runs, it is the turn of this command, unless that takes so long that another one takes it.

    Args:
      prepared: the dataset.
      request: what this command would send.
      wait: called while it is another's turn, with the number of tries and the seconds for which it may still be.

    Raises:
      UserError: a turn's file is damaged or cannot be written.
    """
    folders = {prepared.tuning_uri(claims.CLAIMS_FOLDER), claims.folder_of(request)}
    # All take the turn beside the dataset first: two commands never wait for each other.
    places = sorted(folders, key=lambda folder: not folder.startswith(prepared.uri))
    taken: list[tuple[Claims, Step]] = []
    found = Turn()
    try:
        for folder in places:
            place = Claims(request, prepared.storage, uris.join(folder, claims.TURN))
            taken.append((place, _take(place, wait)))
        yield found
    except BaseException:
        with suppress(StorageError, UserError):
            _end(taken)
        raise
    found.lost = not _end(taken)


def _take(place: Claims, wait: Callable[[int, float], None]) -> Step:
    tries = 0
    while True:
        last = place.last()
        left = TURN_SECONDS - place.age(last) if last is not None and last.state == HELD else 0.0
        if left <= 0 and (step := place.take(last, HELD)) is not None:
            return step
        tries += 1
        wait(tries, max(0.0, left))


def _end(taken: list[tuple[Claims, Step]]) -> bool:
    """Ends turns; whether all of them were still this command's."""
    ended = [place.take(step, OVER) for place, step in taken]
    return None not in ended
