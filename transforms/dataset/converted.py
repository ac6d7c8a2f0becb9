"""What a conversion gives. The process that only waits for conversions imports no decoder."""

from __future__ import annotations

from dataclasses import dataclass

from transforms.clip import Outcome
from transforms.payloads import Payload

# The stages of a conversion, in their order: `line` is base64, JSON and hashes.
STAGES = ("read", "decode", "conform", "encode", "line")


@dataclass(frozen=True, slots=True)
class Converted:
    """A clip that has become an example.

    Attributes:
      line: of the example, its newline included.
      outcome: accepted, still without its place.
      payload: the audio, to be written as a file of its own; None where the line has it.
      cpu_ns: processor time of each of `STAGES`, in nanoseconds.
    """

    line: bytes
    outcome: Outcome
    payload: Payload | None
    cpu_ns: tuple[int, ...]
