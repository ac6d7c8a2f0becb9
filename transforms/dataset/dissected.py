"""What is told of a clip's steps. The process that asks for them imports no decoder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a clip's conversion, and what it has made.

    Attributes:
      name: "sniff", "decode", "channel", "mono", "resample", "trim", "encode" or "example".
      detail: what was done, for people.
      samples: of each channel; None of a step whose result is bytes.
      seconds: they last; None likewise.
      sample_rate: in Hz; None likewise.
      channels: of the audio; None likewise.
      rms_dbfs: level of all samples, decibels below full scale; None of digital silence, too.
      peak_dbfs: level of the largest of them; None likewise.
    """

    name: str
    detail: str
    samples: int | None = None
    seconds: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    rms_dbfs: float | None = None
    peak_dbfs: float | None = None


@dataclass(frozen=True, slots=True)
class Dissection:
    """A clip, step by step.

    Attributes:
      steps: up to the one that refused it.
      reason: why it is refused; "" if it is not.
      detail: what was found; "" likewise.
      example: the line of JSON without its base64; "" for none.
    """

    steps: tuple[Step, ...] = ()
    reason: str = ""
    detail: str = ""
    example: str = ""
