"""What NIST's sclite counts of pairs of texts: `sclite.jsonl`, which `python -m tests.tuning.evaluation.sclite` makes.

It needs sclite: Debian's package sctk has it, below /usr/lib/sctk/bin. Made with sclite 2.10 of SCTK 2.4.10
(2.4.10-20151007-1312Z+dfsg2-3.1), case-sensitive, in UTF-8.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

SCLITE = "/usr/lib/sctk/bin/sclite"
FIXTURE = Path(__file__).with_name("sclite.jsonl")
PAIRS = 300
COUNTS = ("correct", "substitutions", "deletions", "insertions")

VOCABULARIES = (
    ("a", "b"),  # every alignment has ties
    ("the", "cat", "sat", "on", "a", "mat"),
    ("The", "the", "THE", "don't", "dont", "well-known", "known.", "known", "3.14", "¿qué?", "qué"),
    ("今天", "天气", "很", "好", "真", "的"),
    tuple("東京は今日も雨です"),
    ("Straße", "strasse", "naïve", "naive", "été", "ete", "Ёлка", "елка"),
)
CHOSEN = (
    ("the cat sat", "the cat sat"),
    ("the cat sat", ""),
    ("", "thank you"),
    ("the cat sat", "oh the cat sat down"),
    ("a b", "b a"),  # two replaced, or one left out and one added
    ("one two three a b", "a b four five six"),  # five replaced, or three left out and three added
    ("Hello, World.", "hello world"),
    ("今天 天气 很 好", "今天 天气 好"),
)


def pairs() -> Iterator[tuple[str, str]]:
    """Pairs of a target and an answer; most are a target with edits at random."""
    yield from CHOSEN
    dice = random.Random(1)
    for number in range(PAIRS - len(CHOSEN)):
        words = VOCABULARIES[number % len(VOCABULARIES)]
        target = dice.choices(words, k=dice.randint(1, 12))
        rate = dice.choice((0.1, 0.3, 0.6, 1.0))
        answer = [said for word in target for said in _edited(word, words, rate, dice)]
        yield " ".join(target), " ".join(answer)


def _edited(word: str, words: tuple[str, ...], rate: float, dice: random.Random) -> list[str]:
    if dice.random() >= rate:
        return [word]
    return dice.choice(([], [dice.choice(words)], [word, dice.choice(words)], dice.choices(words, k=2)))


def counted(texts: list[tuple[str, str]]) -> list[dict[str, int]]:
    """The counts of sclite, pair by pair."""
    with tempfile.TemporaryDirectory() as folder:
        for side, name in enumerate(("ref", "hyp")):
            lines = (f"{pair[side]} (s_{number:04})\n" for number, pair in enumerate(texts))
            (Path(folder) / name).write_text("".join(lines), encoding="utf-8")
        words = [SCLITE, "-s", "-e", "utf-8", "-i", "spu_id", "-r", "ref", "trn", "-h", "hyp", "trn"]
        told = subprocess.run(
            [*words, "-o", "pralign", "stdout"], cwd=folder, check=True, capture_output=True
        ).stdout.decode()
    found = re.findall(r"^id: \(s_(\d+)\)\s+Scores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)", told, re.MULTILINE)
    scores = {int(number): dict(zip(COUNTS, map(int, counts), strict=True)) for number, *counts in found}
    return [scores[number] for number in range(len(texts))]


def main() -> None:
    """Writes the fixture."""
    texts = list(pairs())
    rows = [
        {"target": target, "answer": answer} | counts
        for (target, answer), counts in zip(texts, counted(texts), strict=True)
    ]
    FIXTURE.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
