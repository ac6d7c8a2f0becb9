"""Locks that end with their process, however it ends: they tell who lives, across machines and containers."""

from __future__ import annotations

import fcntl


def held(descriptor: int) -> bool | None:
    """Takes a file or folder for this process, until it is closed or the process ends.

    Returns:
      Whether it is now this process's; None on a disk that knows no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
