"""`evaluation.html`: the evaluation as a page. One file, without scripts; it fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from transforms.report import html
from tuning.evaluation import align, details, faults, players, scripts, slices
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.bootstrap import percent
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.report import Evaluation
from tuning.evaluation.scores import NOTHING, Scores

WORST = 20
RANDOM = 6
# Of the whole file; and of the clips' words, which come before their recordings.
MAX_PAGE_BYTES = 5_000_000
MAX_CLIPS_CHARS = 2_000_000
# Words that are aligned, and that are shown, of one answer: one that loops may have many thousands.
MAX_ALIGNED = 2_000
MAX_WORDS = 300
MAX_WORD_CHARS = 100
_LEGEND = "<del>Struck out</del>: in the target, and not in the answer. <ins>Underlined</ins>: in the answer instead."
# What colour and lines say is also said in words, to those who listen to the page.
_STYLE = """
body { max-width: 70rem; overflow-wrap: anywhere }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; break-after: avoid }
a { color: inherit }
table { display: block; overflow-x: auto }
audio { display: block; width: 100%; max-width: 30rem; margin: .3rem 0 }
del { color: var(--bad) }
ins { color: var(--bar) }
del::before, ins::before, del::after, ins::after {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
del::before { content: " [left out: " }
ins::before { content: " [said: " }
del::after, ins::after { content: "] " }
@media print { audio { display: none } }
""".strip()


def page(
    evaluation: Evaluation,
    scored: Sequence[Scores],
    systems: Sequence[System],
    wrong: faults.Found,
    audio: Mapping[str, str],
) -> str:
    """The whole page.

    Args:
      evaluation: what was found.
      scored: the scores of each task.
      systems: all of them.
      wrong: the faults of their answers.
      audio: data: URIs of the recordings that it holds, by the ids of their clips.
    """
    normalizer = f"{evaluation.normalizer} ({evaluation.normalizer_version})"
    clips = _Clips(wrong, audio)
    parts = [
        f"<h1>{evaluation.clips:,} {html.shown(evaluation.split)} clips</h1>",
        f"<p>normalizer {html.shown(normalizer)} · {html.shown(evaluation.interval)}</p>",
        f"<p>dataset <code>{html.shown(evaluation.fingerprint)}</code></p>",
        *(f"<p>{html.shown(comparison.sentence)}</p>" for comparison in evaluation.comparisons),
        *(f"<p>{html.shown(remark)}</p>" for remark in evaluation.remarks),
        *(_systems(evaluation, scores, len(scored) > 1) for scores in scored),
        _faults(evaluation),
        _silence(evaluation),
        *(details.details(name, task.systems) for name, task in evaluation.tasks.items()),
        details.details("", evaluation.systems) if not evaluation.tasks else "",
        *_slices(evaluation),
        f"<h2>Clips</h2>\n<p>{_LEGEND}</p>",
        *(clips.worst(scores, system) for scores in scored for system in systems),
        *(clips.random(scores, systems) for scores in scored),
    ]
    return html.document("Evaluation", parts, _STYLE, plays=bool(audio))


def _systems(evaluation: Evaluation, scores: Scores, is_one_of_many: bool) -> str:
    told = evaluation.tasks[scores.task].systems if scores.task in evaluation.tasks else evaluation.systems
    names = [metric.name for metric in scores.metrics]
    rows = (
        [
            name,
            *(f"{count:,}" for count in (system.clips, system.missing, system.empty)),
            *(percent(getattr(system, metric)) for metric in names),
        ]
        for name, system in told.items()
    )
    title = f"Systems, {scores.task or 'no task'} (normalizer {scores.normalizer})" if is_one_of_many else "Systems"
    return html.section(title, html.table(["system", "clips", "missing", "empty", *names], rows))


def _faults(evaluation: Evaluation) -> str:
    rows = [
        [name, fault.what, f"{system.faults[fault.name]:,}"]
        for name, system in evaluation.systems.items()
        for fault in faults.FAULTS
        if fault.name in system.faults
    ]
    return html.section("What goes wrong", html.table(["system", "fault", "answers"], rows)) if rows else ""


def _silence(evaluation: Evaluation) -> str:
    heads = ["system", "sounds", "asked", "seconds", "answered with words", "words invented"]
    rows = [
        [
            *(told.system, told.kind.replace("_", " ")),
            *(f"{number:,}" for number in (told.probes, round(told.seconds), told.spoke, told.insertions)),
        ]
        for told in evaluation.silence
    ]
    return html.section("Where nobody speaks", html.table(heads, rows)) if rows else ""


def _slices(evaluation: Evaluation) -> Iterator[str]:
    names = list(evaluation.systems)
    tasks = {*(part.task for part in evaluation.slices)}
    for task, by in dict.fromkeys((part.task, part.by) for part in evaluation.slices):
        parts = [part for part in evaluation.slices if (part.task, part.by) == (task, by)]
        rows = (
            [part.name[:100], f"{part.clips:,}", *(percent(part.systems.get(name)) for name in names)] for part in parts
        )
        title = f"{parts[0].metric} by {by.replace('_', ' ')}{f', {task}' if len(tasks) > 1 else ''}"
        yield html.section(title, html.table([by, "clips", *names], rows))


def worst(scores: Scores, system: str) -> list[int]:
    """The numbers of the clips that cost a system most, the worst first; those without an error are none."""
    metric = scores.metrics[0]
    rates = metric.value(scores.of(system, metric))
    badness = np.nan_to_num(rates if metric.lower_is_better else 1 - rates)
    return [int(number) for number in np.argsort(-badness, kind="stable")[:WORST] if badness[number] > 0]


def heard(scored: Sequence[Scores], systems: Sequence[System]) -> list[HeldOut]:
    """The clips that the page shows, those to be heard first first."""
    bad = [[scores.clips[n] for n in worst(scores, system.name)] for scores in scored for system in systems]
    return players.in_turn([*bad, *(scores.clips[:RANDOM] for scores in scored)])


class _Clips:
    """The clips as parts of the page: each recording once, and no more than there is room for."""

    def __init__(self, wrong: faults.Found, audio: Mapping[str, str]) -> None:
        self._wrong = wrong
        self._audio = audio
        self._numbers: dict[str, int] = {}
        self._left = MAX_CLIPS_CHARS

    def worst(self, scores: Scores, system: System) -> str:
        """The clips that cost a system most, with every edit."""
        found = [self._clip(scores, number, [system]) for number in worst(scores, system.name)]
        of = f"{system.name}, {scores.task}" if scores.task else system.name
        return self._section(f"Worst clips of {of}", found)

    def random(self, scores: Scores, systems: Sequence[System]) -> str:
        """The first clips, which are a uniform sample because clips are in hash order."""
        found = [self._clip(scores, number, systems) for number in range(len(scores.clips[:RANDOM]))]
        return self._section("Clips drawn at random", found)

    def _section(self, title: str, found: Sequence[str]) -> str:
        parts = []
        for part in found:
            self._left -= len(part.encode())
            if self._left < 0:
                break
            parts.append(part)
        more = f"<p>{len(found) - len(parts):,} more are in scores.parquet</p>" if len(parts) < len(found) else ""
        return html.section(title, "\n".join([*parts, more])) if found else ""

    def _clip(self, scores: Scores, number: int, systems: Sequence[System]) -> str:
        clip, metric = scores.clips[number], scores.metrics[0]
        about = [
            clip.source,
            f"{clip.seconds:.1f} s",
            *filter(None, [slices.language(clip.language), clip.group[:100]]),
        ]
        shown = f"<p>{html.shown(' · '.join(about))}</p>"
        for system in systems:
            rate = float(metric.value(scores.of(system.name, metric))[number])
            answer = system.answers.get(clip.clip_id, NOTHING)
            said = [system.name, f"{metric.name} {rate:.0%}", *self._wrong[system.name].get(clip.clip_id, ())]
            shown += f'\n<p>{html.shown(" · ".join(said))}</p>\n<div dir="auto">{_words(clip, answer)}</div>'
        return f"{self._heading(clip)}\n{shown}"

    def _heading(self, clip: HeldOut) -> str:
        """The clip's name and its player; where it was shown before, a link to it."""
        name, earlier = html.shown(clip.clip_id), self._numbers.get(clip.clip_id)
        if earlier is not None:
            return f'<h3><a href="#clip{earlier}">{name}</a></h3>'
        number = self._numbers[clip.clip_id] = len(self._numbers) + 1
        label = f"recording of {html.shown(clip.clip_id[:100])}, {clip.seconds:.1f} seconds; its words are below"
        uri = self._audio.get(clip.clip_id)
        player = f'\n<audio controls preload="none" aria-label="{label}" src="{uri}"></audio>' if uri else ""
        return f'<h3 id="clip{number}">{name}</h3>{player}'


def _words(clip: HeldOut, answer: Answer) -> str:
    """The target with what an answer makes of it: word by word, or by characters where words are not parted."""
    if scripts.unspaced(clip.target):
        between, target, said = "", list(clip.target), list(answer.said)
    else:
        between, target, said = " ", clip.target.split(), answer.said.split()
    shown, left = [], MAX_WORDS
    for span in align.spans(target[:MAX_ALIGNED], said[:MAX_ALIGNED]):
        shown.append(_span(replace(span, target=span.target[:left], answer=span.answer[:left]), between))
        left -= max(len(span.target), len(span.answer))
        if left < 0:
            return between.join([*shown, "…"])
    return between.join(shown)


def _span(span: align.Span, between: str) -> str:
    target, answer = (
        html.shown(between.join(word[:MAX_WORD_CHARS] for word in words)) for words in (span.target, span.answer)
    )
    if span.kind == "equal":
        return target
    return " ".join(([f"<del>{target}</del>"] if target else []) + ([f"<ins>{answer}</ins>"] if answer else []))
