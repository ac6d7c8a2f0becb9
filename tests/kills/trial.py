"""What a trial is, and how a run may end that was killed."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass, field

from cliptune.exits import Exit
from tests.kills.deaths import SPARED, Death, Ended

MISSED = ", nobody there"
# How runs may end that were killed: by the signal of their victim.
ENDS = {
    "SIGKILL": {-signal.SIGKILL},
    "SIGTERM": {-signal.SIGTERM},
    "SIGHUP": {-signal.SIGHUP},
    "SIGINT": {-signal.SIGINT, Exit.FAILED, Exit.INTERRUPTED},
}


@dataclass
class Trial:
    """What came of some kills of one command.

    Attributes:
      name: finds the trial again.
      counts: kills by what became of them.
      wrong: what should not be.
    """

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def fate(death: Death, killed: Ended) -> str:
    """What became of a kill."""
    if not killed.struck:
        return death.victim + MISSED
    return f"{death.victim} at a {death.unit}"


def of_killed(death: Death, killed: Ended) -> list[str]:
    """What is wrong with the end of a run that was to be killed."""
    wrong = [f"{told} outlived its program" for told in killed.left]
    ends = {0} if death.victim in SPARED or not killed.struck else {0, *ENDS[death.victim.rpartition(" ")[2]]}
    stopped = killed.status != Exit.FAILED or ": stopped" in killed.stderr
    if killed.status not in ends or not stopped:
        wrong.append(f"{death}: exit status {killed.status}: {killed.stderr[-500:]}")
    if "Traceback" in killed.stderr:
        wrong.append(f"{death}: {killed.stderr[-1_500:]}")
    return wrong
