"""Plays a payload with a player of this machine, if it has one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from transforms.errors import UserError
from transforms.payloads import Payload

# What is tried, in this order: the program, and its flags in front of the file.
PLAYERS = {
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error"),
    "afplay": (),
    "paplay": (),
    "play": ("-q",),
    "aplay": ("-q",),
}
# Without a codec of its own, it plays the samples of a WAV alone.
_WAV_ONLY = ("aplay",)


def found() -> Callable[[Payload | None], None]:
    """What plays a payload and waits for its end.

    Raises:
      UserError: this machine has no player.
    """
    for name, flags in PLAYERS.items():
        if (program := shutil.which(name)) is not None:
            return lambda payload: _play([program, *flags], name, payload)
    raise UserError(f"--play: there is none of {', '.join(PLAYERS)} here; --save the payload, and play it elsewhere")


def _play(words: list[str], name: str, payload: Payload | None) -> None:
    if payload is None:
        raise UserError("--play: the clip has no payload; its steps say why")
    extension = payload.mime_type.rpartition("/")[2]
    if name in _WAV_ONLY and extension != "wav":
        raise UserError(
            f"--play: {name} plays WAV alone, and this is {payload.mime_type}; install ffplay, or --save it"
        )
    with tempfile.TemporaryDirectory(prefix="cliptune-play-") as folder:
        path = Path(folder) / f"payload.{extension}"
        path.write_bytes(payload.content)
        done = subprocess.run([*words, str(path)], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise UserError(f"--play: {name} cannot play it{f': {why}' if why else ''}")
