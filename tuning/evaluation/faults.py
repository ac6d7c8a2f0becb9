"""What goes wrong in an answer, beside its errors: found without listening."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tuning.evaluation.answers import Answer, System
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.scripts import script_of

# Whisper takes an answer that zlib packs so well for a loop (compression_ratio_threshold of openai/whisper).
LOOP_RATIO = 2.4
_LOOP_CHARS = 40  # shorter texts pack badly whatever they say
SHORT_SECONDS = 1.0
_FILLER_WORDS = 3
_ECHO_CHARS = 15
_CUT = {"MAX_TOKENS"}
_BLOCKED = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "OTHER"}


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
      name: in the output.
      what: for people.
      is_there: whether an answer has it.
    """

    name: str
    what: str
    is_there: Callable[[HeldOut, Answer], bool]


def packed_ratio(text: str) -> float:
    """How much smaller zlib makes a text."""
    content = text.encode()
    return len(content) / len(zlib.compress(content)) if content else 0.0


def _loops(clip: HeldOut, answer: Answer) -> bool:
    said = answer.said
    return len(said) >= _LOOP_CHARS and packed_ratio(said) > max(LOOP_RATIO, 1.5 * packed_ratio(clip.target))


def _fills(clip: HeldOut, answer: Answer) -> bool:
    return clip.seconds <= SHORT_SECONDS and len(answer.said.split()) >= len(clip.target.split()) + _FILLER_WORDS


def _echoes(clip: HeldOut, answer: Answer) -> bool:
    prompt = " ".join(clip.prompt.casefold().split())
    said = " ".join(answer.said.casefold().split())
    return len(prompt) >= _ECHO_CHARS and prompt in said and prompt not in clip.target.casefold()


def _strange_script(clip: HeldOut, answer: Answer) -> bool:
    meant, said = script_of(clip.target), script_of(answer.said)
    return bool(meant and said) and meant != said


FAULTS = (
    Fault("blocked", "no text, for a reason of safety or rights", lambda _, answer: answer.finish_reason in _BLOCKED),
    Fault("cut", "ended by the limit of tokens", lambda _, answer: answer.finish_reason in _CUT),
    Fault("loop", "repeats itself", _loops),
    Fault("filler", f"at most {SHORT_SECONDS:g} s of audio, and words that nobody said", _fills),
    Fault("prompt_echo", "says the prompt", _echoes),
    Fault("other_script", "in another script than the target", _strange_script),
)


# What is wrong with each answer: names of faults, by system and clip id. Answers without a fault are left out.
Found = Mapping[str, Mapping[str, tuple[str, ...]]]


def found(clips: Sequence[HeldOut], systems: Iterable[System]) -> Found:
    """The faults of all answers of all systems."""
    return {
        system.name: {
            clip.clip_id: names
            for clip in clips
            if clip.clip_id in system.answers and (names := of(clip, system.answers[clip.clip_id]))
        }
        for system in systems
    }


def of(clip: HeldOut, answer: Answer) -> tuple[str, ...]:
    """The names of the faults of an answer."""
    return tuple(fault.name for fault in FAULTS if fault.is_there(clip, answer))
