"""What goes wrong in an answer, beside its errors: found without listening."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rapidfuzz.distance import Levenshtein

from transforms.settings import JSON, LABELS, TEXT
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.scripts import script_of, unspaced

# Whisper takes an answer that zlib packs so well for a loop (compression_ratio_threshold of openai/whisper).
LOOP_RATIO = 2.4
_LOOP_CHARS = 40  # shorter texts pack badly whatever they say
LOOP_TIMES = 5
_LOOP_LONGEST = 8  # words; what repeats more packs well
_MISSING_WORDS, _LIKE_BEGINNING = 4, 0.75
_JSON_BEGINS = ("{", "[", '"')
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
      kinds: of targets that it is looked for in.
    """

    name: str
    what: str
    is_there: Callable[[HeldOut, Answer], bool]
    kinds: tuple[str, ...] = (TEXT, LABELS, JSON)


def packed_ratio(text: str) -> float:
    """How much smaller zlib makes a text."""
    content = text.encode()
    return len(content) / len(zlib.compress(content)) if content else 0.0


def repeats(parts: Sequence[str]) -> int:
    """How often the same words, up to `_LOOP_LONGEST` of them, come one behind the other; 1 where none do."""
    return max(_run(parts, length) // length + 1 for length in range(1, _LOOP_LONGEST + 1))


def _run(parts: Sequence[str], length: int) -> int:
    """The longest run of words that are the same as those so many places before."""
    same = (one == other for one, other in zip(parts, parts[length:], strict=False))
    return max((sum(1 for _ in run) for is_same, run in groupby(same) if is_same), default=0)


def _parts(text: str) -> Sequence[str]:
    """Words, or the characters of a script without spaces."""
    return [char for char in text if not char.isspace()] if unspaced(text) else text.split()


def _loops(clip: HeldOut, answer: Answer) -> bool:
    said = answer.said
    if len(said) >= _LOOP_CHARS and packed_ratio(said) > max(LOOP_RATIO, 1.5 * packed_ratio(clip.target)):
        return True
    parts = _parts(said) if clip.kind == TEXT else ()
    if len(parts) - len({*parts}) < LOOP_TIMES - 1:  # most answers, in no time
        return False
    return LOOP_TIMES <= repeats(parts) >= 2 * repeats(_parts(clip.target))


def _ends_early(clip: HeldOut, answer: Answer) -> bool:
    """Whether an answer is the beginning of its target, and at least a quarter of it is missing."""
    meant, said = _parts(clip.target.casefold()), _parts(answer.said.casefold())
    if not said or len(meant) - len(said) < max(_MISSING_WORDS, len(meant) / 4):
        return False
    return Levenshtein.normalized_similarity(meant[: len(said)], said) >= _LIKE_BEGINNING


def _fenced(_: HeldOut, answer: Answer) -> bool:
    """Whether JSON stands in a code block of Markdown, or has words around it."""
    said = answer.said
    return "```" in said and said.strip()[:1] not in _JSON_BEGINS


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
    Fault("truncated", "says the beginning of the target, and at least a quarter is missing", _ends_early, (TEXT,)),
    Fault("filler", f"at most {SHORT_SECONDS:g} s of audio, and words that nobody said", _fills, (TEXT,)),
    Fault("prompt_echo", "says the prompt", _echoes),
    Fault("other_script", "in another script than the target", _strange_script, (TEXT,)),
    Fault("fenced", "JSON within a code block of Markdown, which is no JSON", _fenced, (JSON,)),
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
    return tuple(fault.name for fault in FAULTS if clip.kind in fault.kinds and fault.is_there(clip, answer))
