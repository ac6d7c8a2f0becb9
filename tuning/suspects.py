"""Ranks the clips of a split whose texts do not fit their audio, as a manifest that is mended and merged back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson

from transforms import text as texts
from transforms.clip import Clip
from transforms.dataset import merging
from transforms.errors import UserError
from transforms.listener import SILENT, Listener
from transforms.manifests import dead_letters
from transforms.manifests.dead_letters import NOWHERE, Origins
from transforms.settings import JSON, LABELS, TEXT, Settings
from transforms.storage import Storage, uris
from tuning import dataset, tables
from tuning.dataset import Dataset
from tuning.evaluation import clips, doubt, slices, systems
from tuning.evaluation.answers import Index, System
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.doubt import Asked, Doubts
from tuning.evaluation.scores import NOTHING
from tuning.evaluation.shifts import Shift
from tuning.requests import SuspectsRequest

FORMAT_VERSION = 1
FILE = "evaluation/suspects.jsonl"
_SHOWN = 10
_SHOWN_CHARS = 40
_LEFT_OUT = {
    TEXT: "too few like them to know what is usual, and no answers that tell",
    LABELS: "labels are compared with answers, and there are none that tell",
    JSON: "JSON is not compared",
}


@dataclass(frozen=True, slots=True)
class SystemUsed:
    """A system whose answers were looked at.

    Attributes:
      answers: about clips of the split.
      strangers: of its answers that are about no clip of the split.
      tells: whether its answers fit their own texts clearly better than those of other clips; else it is not believed.
    """

    answers: int
    strangers: int
    tells: bool


@dataclass(frozen=True, slots=True)
class SuspectsReport:
    """The report that `cliptune suspects` prints on stdout.

    Attributes:
      ok: true.
      split: whose clips were looked at.
      clips: of the split.
      judged: of these, those of which anything is known.
      left_out: clips that nothing is known of, by their kind of target: "text", "labels" or "json".
      suspects: lines of `OUT/evaluation/suspects.jsonl`: clips with `min_score` or more.
      without_row: of these, those whose row is not in its manifest any more, so that they cannot be merged back.
      min_score: clips with less are not written.
      normalizer: what made the texts alike before they were compared.
      systems: whose answers were looked at, by name.
      shifts: stretches of rows whose texts are of other rows, in any split.
      file: the suspects.
      fingerprint: of the dataset, hexadecimal.
      format_version: version of these fields.
    """

    ok: bool
    split: str
    clips: int
    judged: int
    left_out: dict[str, int]
    suspects: int
    without_row: int
    min_score: float
    normalizer: str
    systems: dict[str, SystemUsed]
    shifts: tuple[Shift, ...]
    file: str
    fingerprint: str
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


@dataclass(frozen=True)
class _Rows:
    """What the manifests say of the clips of a split, by "manifest:line"."""

    clips: Mapping[str, Clip]
    origins: Origins = NOWHERE


def run(request: SuspectsRequest, listener: Listener = SILENT) -> SuspectsReport:
    """Ranks the clips, and writes `OUT/evaluation/suspects.jsonl`.

    Raises:
      UserError: the split has no clips, the dataset is damaged, or a file of predictions cannot be read.
    """
    storage = Storage(request.billing_project)
    prepared = dataset.load(request.dataset, storage)
    if request.split not in prepared.splits or not prepared.examples(request.split):
        raise UserError(f"{prepared.name} has no {request.split} clips to look at")
    every = _every_clip(prepared, listener)
    found = systems.untaught(prepared, request.split, dict(request.predictions), Index(every[request.split]), listener)
    rows = _rows(prepared, every[request.split], storage, listener)
    asked = _asked(request, prepared, every, found)
    with listener.waiting("looking for texts that do not fit"):
        doubts = doubt.weigh(asked)
    ranked = _ranked(asked, doubts, request.min_score)
    content = b"".join(_line(asked, doubts, number, rows) for number in ranked)
    prepared.storage.write_bytes(uris.join(prepared.uri, FILE), content)
    report = _report(request, prepared, asked, doubts, ranked, rows)
    _say(report, asked, doubts, ranked, rows, listener)
    return report


def _every_clip(prepared: Dataset, listener: Listener) -> dict[str, list[HeldOut]]:
    """The clips of each split."""
    total = sum(map(prepared.examples, prepared.splits))
    found: dict[str, list[HeldOut]] = {split: [] for split in prepared.splits}
    with listener.progress("reading texts", total, "examples") as update:
        pairs = ((split, clip) for split in prepared.splits for clip in clips.each(prepared, split))
        for done, (split, clip) in enumerate(pairs, 1):
            found[split].append(clip)
            update(done, "")
    return found


def _rows(prepared: Dataset, looked_at: Sequence[HeldOut], storage: Storage, listener: Listener) -> _Rows:
    """What the manifests say; nothing, which is told, if they are not there any more."""
    wanted = {clip.source: clip for clip in looked_at}
    kept: dict[str, Clip] = {}
    try:
        made, settings, _ = merging.load(prepared.name, prepared.uri, storage)
        found, origins = merging.clips(made, settings, prepared.uri, storage)
        with listener.progress("reading manifests", None, "rows") as update:
            for done, row in enumerate(found, 1):
                clip = wanted.get(row.source)
                if clip is not None and _is_of(row, clip, settings):
                    kept[row.source] = row
                update(done, "")
    except UserError as fault:
        listener.say(f"warning: suspects cannot be merged back: {fault}")
        return _Rows({})
    return _Rows(kept, origins)


def _is_of(row: Clip, clip: HeldOut, settings: Settings) -> bool:
    """Whether a row still is what a clip was made from."""
    steps = settings.normalize_text if clip.kind == TEXT else ()
    return (row.clip_id, texts.normalize(row.target, steps)) == (clip.clip_id, clip.target)


def _asked(
    request: SuspectsRequest, prepared: Dataset, every: Mapping[str, Sequence[HeldOut]], found: Sequence[System]
) -> Asked:
    all_clips = [clip for some in every.values() for clip in some]
    number_of = {clip.source: number for number, clip in enumerate(all_clips)}
    sources = (str(row["source"]) for row in prepared.ledger_rows(["source"]))
    return Asked(
        clips=all_clips,
        languages=[slices.language(clip.language).partition("-")[0] for clip in all_clips],
        asked=np.array([split == request.split for split, some in every.items() for _ in some], dtype=bool),
        sources=[(source, number_of.get(source, -1)) for source in sources],
        systems=found,
        tasks=clips.tasks_of(prepared),
        normalizer=request.normalizer,
    )


def _ranked(asked: Asked, doubts: Doubts, least: float) -> list[int]:
    """The numbers of the suspects, the most suspect first; of equals, the first in the dataset."""
    scores = np.where(asked.asked & ~np.isnan(doubts.scores), doubts.scores, -1.0)
    order = np.argsort(-scores, kind="stable")
    return [int(number) for number in order if scores[number] >= least]


def _line(asked: Asked, doubts: Doubts, number: int, rows: _Rows) -> bytes:
    """A suspect as a line of a manifest; without its row, what is known of it."""
    clip, score, why = asked.clips[number], round(float(doubts.scores[number]), 4), doubts.why[number]
    row = rows.clips.get(clip.source)
    if row is None:
        told = {"clip_id": clip.clip_id, "source": clip.source, "score": score, "why": why}
        return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
    answers = {system.name: system.answers.get(clip.clip_id, NOTHING).said for system in asked.systems}
    return dead_letters.suspect(row, rows.origins, score, why, {name: said for name, said in answers.items() if said})


def _report(
    request: SuspectsRequest, prepared: Dataset, asked: Asked, doubts: Doubts, ranked: Sequence[int], rows: _Rows
) -> SuspectsReport:
    here = np.flatnonzero(asked.asked).tolist()
    silent = Counter(asked.clips[number].kind for number in here if np.isnan(doubts.scores[number]))
    return SuspectsReport(
        ok=True,
        split=request.split,
        clips=len(here),
        judged=len(here) - silent.total(),
        left_out=dict(sorted(silent.items())),
        suspects=len(ranked),
        without_row=sum(asked.clips[number].source not in rows.clips for number in ranked),
        min_score=request.min_score,
        normalizer=request.normalizer,
        systems={
            system.name: SystemUsed(len(system.answers), len(system.strangers), system.name in doubts.telling)
            for system in asked.systems
        },
        shifts=doubts.shifts,
        file=f"{prepared.name.rstrip('/')}/{FILE}",
        fingerprint=prepared.fingerprint,
    )


def _say(
    report: SuspectsReport, asked: Asked, doubts: Doubts, ranked: Sequence[int], rows: _Rows, listener: Listener
) -> None:
    for shift in report.shifts:
        listener.say(shift.sentence)
    for line in _table(asked, doubts, ranked[:_SHOWN]):
        listener.say(line)
    for name, system in report.systems.items():
        if not system.tells:
            listener.say(f"{name}: too few answers, or they fit other texts as well as their own; it is not believed")
    if not report.systems:
        ask = f"cliptune predict {report.file.removesuffix('/' + FILE)} --split {report.split} --model base"
        listener.say(f"no system was heard; far more is found with answers: {ask}, or --predictions NAME=FILE")
    for kind, count in report.left_out.items():
        listener.say(f"{count:,} of {report.clips:,} clips left out: {_LEFT_OUT[kind]}")
    if report.without_row and rows.clips:
        listener.say(
            f"warning: {report.without_row:,} suspects are not what their manifests have now: they have no row"
        )
    listener.say(f"suspects: {report.suspects:,} of {report.clips:,} clips: {report.file}")
    if report.suspects > report.without_row:
        out = report.file.removesuffix(f"/{FILE}")
        listener.say(f"mend its rows, then: cliptune prepare --manifest {report.file} --merge_into {out}")


def _table(asked: Asked, doubts: Doubts, shown: Sequence[int]) -> list[str]:
    """The first suspects as lines of a table."""
    head = ["score", "source", "text", "why"]
    rows = [
        [
            f"{doubts.scores[number]:.2f}",
            asked.clips[number].source,
            _cut(asked.clips[number].target),
            doubts.why[number],
        ]
        for number in shown
    ]
    if not rows:
        return []
    return tables.lines([head, *rows], figures=False)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"
