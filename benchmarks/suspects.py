"""How many planted faults `cliptune suspects` finds among real clips, and how much of what it names is one.

    python -m benchmarks.suspects [FOLDER]

FOLDER has a manifest.jsonl and its recordings; else it is examples/. The clips are prepared, and pocketsphinx (which
brings a small English model) says what it hears in each, as the only system. Then faults of each kind are planted in a
tenth of the clips, time and again, and looked for without answers, and with them.
"""

from __future__ import annotations

import base64
import io
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from transforms.storage import Storage
from tuning import dataset
from tuning.evaluation import clips, doubt
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.doubt import Asked, Doubts
from tuning.evaluation.shifts import parted
from tuning.questions import examples
from tuning.requests import DEFAULT_MIN_SCORE

EXAMPLES = Path(__file__).parents[1] / "examples"
SHARE = 0.1
ROUNDS = 10
SHORTEST_CUT = 16
# What stands where another language should: nobody says it in any of the clips.
FOREIGN = "Das hat in keiner dieser Aufnahmen jemand gesagt"
Plant = Callable[[list[str], random.Random], dict[int, str]]


def some(texts: Sequence[str], dice: random.Random, least: int = 0) -> list[int]:
    """A tenth of the texts that are long enough."""
    long = [number for number, text in enumerate(texts) if len(text) >= least]
    return dice.sample(long, max(2, round(SHARE * len(long))))


def swapped(texts: list[str], dice: random.Random) -> dict[int, str]:
    """Pairs of texts that have changed places."""
    chosen = some(texts, dice)
    pairs = list(zip(chosen[::2], chosen[1::2], strict=False))
    return {one: texts[other] for pair in pairs for one, other in (pair, pair[::-1])}


def shifted(texts: list[str], dice: random.Random) -> dict[int, str]:
    """A stretch of rows, each with the text of the row before it."""
    length = max(8, round(SHARE * len(texts)))
    start = dice.randrange(len(texts) - length + 1)
    return {start + step: texts[start + (step - 1) % length] for step in range(length)}


def whole(texts: list[str], dice: random.Random) -> dict[int, str]:
    """All rows, each with the text of the row before it."""
    return {number: texts[number - 1] for number in range(len(texts))}


def cut(texts: list[str], dice: random.Random) -> dict[int, str]:
    """The first halves of texts."""
    return {number: texts[number][: len(texts[number]) // 2] for number in some(texts, dice, SHORTEST_CUT)}


def replaced(texts: list[str], dice: random.Random) -> dict[int, str]:
    """The text of another clip, which has it, too."""
    return {number: dice.choice(texts) for number in some(texts, dice)}


def translated(texts: list[str], dice: random.Random) -> dict[int, str]:
    """Another language, in as many letters."""
    return {number: (FOREIGN * 9)[: max(4, len(texts[number]))] for number in some(texts, dice)}


FAULTS: dict[str, Plant] = {
    "swapped": swapped,
    "shifted": shifted,
    "whole manifest": whole,
    "cut": cut,
    "replaced": replaced,
    "translated": translated,
}


@dataclass(frozen=True)
class Found:
    """How one kind of fault was found: means over rounds.

    Attributes:
      precision: of the suspects, those that are faults; 0 in a round without suspects.
      recall: of the faults, those among the suspects.
      first: of as many clips as there are faults, the most suspect first, those that are faults.
    """

    precision: float
    recall: float
    first: float

    @property
    def cells(self) -> list[str]:
        """For the table."""
        return [f"{value:.0%}" for value in (self.precision, self.recall, self.first)]


def prepared(folder: Path, output: Path) -> list[tuple[HeldOut, bytes]]:
    """The clips of a manifest in its order, and the audio of each."""
    words = ["--validation_fraction=0", "--max_rejected_fraction=1", f"--output={output}"]
    manifest = f"--manifest={folder / 'manifest.jsonl'}"
    command = [sys.executable, "-m", "cliptune", "prepare", manifest, *words]
    subprocess.run(command, check=True, capture_output=True)
    made = dataset.load(str(output), Storage())
    lines = (json.loads(line) for _, line in examples(made, "train", []))
    audio = (base64.b64decode(line["contents"][0]["parts"][1]["inline_data"]["data"]) for line in lines)
    pairs = zip(clips.of(made, "train"), audio, strict=True)
    return sorted(pairs, key=lambda pair: parted(pair[0].source))


def heard(recordings: Sequence[tuple[HeldOut, bytes]]) -> System:
    """What pocketsphinx hears."""
    from pocketsphinx import Decoder  # noqa: PLC0415 -- only this needs it

    decoder = Decoder(samprate=16_000, loglevel="FATAL")

    def said(audio: bytes) -> str:
        samples, _ = soundfile.read(io.BytesIO(audio), dtype="int16")
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""

    return System("pocketsphinx", {clip.clip_id: Answer(said(audio)) for clip, audio in recordings})


def weighed(here: Sequence[HeldOut], languages: Sequence[str], systems: Sequence[System]) -> Doubts:
    """What `cliptune suspects` makes of clips."""
    sources = [(clip.source, number) for number, clip in enumerate(here)]
    asked = np.ones(len(here), dtype=bool)
    return doubt.weigh(Asked(here, languages, asked, sources, systems, {}, "cliptune"))


def planted(here: Sequence[HeldOut], plant: Plant, dice: random.Random) -> tuple[list[HeldOut], set[int]]:
    """The clips with faults, and where they are: a text that is as it was is none."""
    texts = [clip.target for clip in here]
    changed = {number: text for number, text in plant(texts, dice).items() if text != texts[number]}
    wrong = [replace(clip, target=changed.get(number, clip.target)) for number, clip in enumerate(here)]
    return wrong, {*changed}


def measure(here: Sequence[HeldOut], languages: Sequence[str], systems: Sequence[System], plant: Plant) -> Found:
    """Plants a fault time and again, and looks for it."""
    rounds = list(_rounds(here, languages, systems, plant))
    return Found(*(sum(values) / len(rounds) for values in zip(*rounds, strict=True)))


def _rounds(
    here: Sequence[HeldOut], languages: Sequence[str], systems: Sequence[System], plant: Plant
) -> Iterator[tuple[float, float, float]]:
    for seed in range(1 if plant is whole else ROUNDS):
        wrong, faults = planted(here, plant, random.Random(seed))
        scores = np.nan_to_num(weighed(wrong, languages, systems).scores)
        named = {*np.flatnonzero(scores >= DEFAULT_MIN_SCORE).tolist()}
        first = {*np.argsort(-scores, kind="stable")[: len(faults)].tolist()}
        right = len(named & faults)
        yield right / max(1, len(named)), right / len(faults), len(first & faults) / len(faults)


def languages_of(folder: Path) -> dict[str, str]:
    """The language of each row that tells one, without its country."""
    rows = map(json.loads, (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
    return {row["id"]: (row.get("language") or "").partition("-")[0] for row in rows}


def row(fault: str, *found: Found) -> str:
    """A row of the table: precision, recall and share among the first, without answers and with them."""
    return f"| {' | '.join([fault, *(cell for each in found for cell in each.cells)])} |"


def main() -> None:
    """Prints a table for the English clips, and one for all."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES
    with tempfile.TemporaryDirectory() as output:
        recordings = prepared(folder, Path(output) / "out")
        system, spoken = heard(recordings), languages_of(folder)
    every = [clip for clip, _ in recordings]
    english = [clip for clip in every if spoken[clip.clip_id] in ("en", "")]
    for name, here in {"English": english, "all": every}.items():
        languages = [spoken[clip.clip_id] for clip in here]
        known: list[list[System]] = [[], [system]]
        clean = [int((weighed(here, languages, some).scores >= DEFAULT_MIN_SCORE).sum()) for some in known]
        print(f"{name}: {len(here)} clips; suspects among the right texts: {clean[0]}, with answers {clean[1]}")
        for fault, plant in FAULTS.items():
            print(row(fault, *(measure(here, languages, some, plant) for some in known)))


if __name__ == "__main__":
    main()
