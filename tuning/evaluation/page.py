"""`evaluation.html`: the evaluation as a page. One file, without scripts; it fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from transforms.report import html
from tuning.evaluation import align, details, faults
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.bootstrap import Interval
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.report import Evaluation
from tuning.evaluation.scores import NOTHING, Scores

WORST = 20
_STYLE = """
body { max-width: 70rem }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem }
del { color: var(--bad) }
ins { color: var(--bar) }
""".strip()


def page(evaluation: Evaluation, scored: Sequence[Scores], systems: Sequence[System], wrong: faults.Found) -> str:
    """The whole page.

    Args:
      evaluation: what was found.
      scored: the scores of each task.
      systems: all of them.
      wrong: the faults of their answers.
    """
    normalizer = f"{evaluation.normalizer} ({evaluation.normalizer_version})"
    parts = [
        f"<h1>{evaluation.clips:,} {html.shown(evaluation.split)} clips</h1>",
        f"<p>normalizer {html.shown(normalizer)} · {html.shown(evaluation.interval)}</p>",
        f"<p>dataset <code>{html.shown(evaluation.fingerprint)}</code></p>",
        *(f"<p>{html.shown(comparison.sentence)}</p>" for comparison in evaluation.comparisons),
        *(f"<p>{html.shown(remark)}</p>" for remark in evaluation.remarks),
        *(_systems(evaluation, scores, len(scored) > 1) for scores in scored),
        _faults(evaluation),
        *(details.details(name, task.systems) for name, task in evaluation.tasks.items()),
        details.details("", evaluation.systems) if not evaluation.tasks else "",
        *_slices(evaluation),
        *(_worst(scores, system, wrong[system.name]) for scores in scored for system in systems),
    ]
    return html.document("Evaluation", parts, _STYLE)


def _systems(evaluation: Evaluation, scores: Scores, is_one_of_many: bool) -> str:
    told = evaluation.tasks[scores.task].systems if scores.task in evaluation.tasks else evaluation.systems
    names = [metric.name for metric in scores.metrics]
    rows = (
        [
            name,
            *(f"{count:,}" for count in (system.clips, system.missing, system.empty)),
            *(_percent(getattr(system, metric)) for metric in names),
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


def _slices(evaluation: Evaluation) -> Iterator[str]:
    names = list(evaluation.systems)
    tasks = {*(part.task for part in evaluation.slices)}
    for task, by in dict.fromkeys((part.task, part.by) for part in evaluation.slices):
        parts = [part for part in evaluation.slices if (part.task, part.by) == (task, by)]
        rows = ([part.name, f"{part.clips:,}", *(_percent(part.systems.get(name)) for name in names)] for part in parts)
        title = f"{parts[0].metric} by {by.replace('_', ' ')}{f', {task}' if len(tasks) > 1 else ''}"
        yield html.section(title, html.table([by, "clips", *names], rows))


def _worst(scores: Scores, system: System, wrong: Mapping[str, tuple[str, ...]]) -> str:
    """The clips that cost a system most, with every edit."""
    metric = scores.metrics[0]
    counts = scores.of(system.name, metric)
    rates = metric.value(counts)
    badness = np.nan_to_num(rates if metric.lower_is_better else 1 - rates)
    order = [number for number in np.argsort(-badness, kind="stable")[:WORST] if badness[number] > 0]
    shown = []
    for clip, rate in ((scores.clips[number], float(rates[number])) for number in order):
        about = [clip.source, f"{clip.seconds:.1f} s", f"{metric.name} {rate:.0%}", *wrong.get(clip.clip_id, ())]
        shown.append(_clip(clip, system.answers.get(clip.clip_id, NOTHING), " · ".join(about)))
    found = "\n".join(shown)
    of = f"{system.name}, {scores.task}" if scores.task else system.name
    return f"<h2>Worst clips of {html.shown(of)}</h2>\n{found}" if found else ""


def _clip(clip: HeldOut, answer: Answer, about: str) -> str:
    words = " ".join(_span(span) for span in align.spans(clip.target.split(), answer.said.split()))
    return f"<h3>{html.shown(clip.clip_id)}</h3>\n<p>{html.shown(about)}</p>\n<div>{words}</div>"


def _span(span: align.Span) -> str:
    target, answer = html.shown(" ".join(span.target)), html.shown(" ".join(span.answer))
    if span.kind == "equal":
        return target
    return " ".join(([f"<del>{target}</del>"] if target else []) + ([f"<ins>{answer}</ins>"] if answer else []))


def _percent(found: Interval | None) -> str:
    if found is None or found.value is None:
        return "–"
    whole = f"{found.value:.1%}"
    return whole if found.low is None or found.high is None else f"{whole} [{found.low:.1%}, {found.high:.1%}]"
