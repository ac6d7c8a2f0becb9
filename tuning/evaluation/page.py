"""`evaluation.html`: the evaluation as a page. One file, without scripts; it fetches nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape

import numpy as np

from transforms.printable import printable
from tuning.evaluation import align, faults
from tuning.evaluation.answers import Answer
from tuning.evaluation.bootstrap import Interval
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.report import Evaluation
from tuning.evaluation.scores import NOTHING, Scores

WORST = 20
_STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d2733; --soft: #67717d; --line: #d9dee4; --bad: #b3402e; --good: #2c7a4b; --page: #fff;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaef; --soft: #9aa4af; --line: #343c46; --bad: #e58a78; --good: #7fce9d; --page: #14181d }
}
body {
  font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
}
h1 { font-size: 1.5rem; margin: 0 }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem }
p { color: var(--soft); margin: .2rem 0 }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
del { color: var(--bad) }
ins { color: var(--good); text-decoration: underline }
code, td:last-child { overflow-wrap: anywhere }
""".strip()
_POLICY = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"


def page(evaluation: Evaluation, scored: Sequence[Scores], answers: Mapping[str, Mapping[str, Answer]]) -> str:
    """The whole page.

    Args:
      evaluation: what was found.
      scored: the scores of each kind of target.
      answers: of each system, by clip id.
    """
    normalizer = f"{evaluation.normalizer} ({evaluation.normalizer_version})"
    parts = [
        f"<h1>{evaluation.clips:,} {_shown(evaluation.split)} clips</h1>",
        f"<p>normalizer {_shown(normalizer)} · {_shown(evaluation.interval)}</p>",
        f"<p>dataset <code>{_shown(evaluation.fingerprint)}</code></p>",
        *(f"<p>{_shown(comparison.sentence)}</p>" for comparison in evaluation.comparisons),
        _systems(evaluation, scored),
        _faults(evaluation),
        *_slices(evaluation),
        *(_worst(scores, name, answers[name]) for scores in scored for name in scores.systems),
    ]
    body = "\n".join(part for part in parts if part)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    meta = f'<meta charset="utf-8">{policy}<meta name="viewport" content="width=device-width">'
    head = f"{meta}<title>Evaluation</title><style>{_STYLE}</style>"
    return f'<!doctype html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def _shown(text: str) -> str:
    return escape(printable(text))


def _systems(evaluation: Evaluation, scored: Sequence[Scores]) -> str:
    names = list(dict.fromkeys(metric.name for scores in scored for metric in scores.metrics))
    rows = (
        [name, f"{system.missing:,}", f"{system.empty:,}", *(_percent(getattr(system, metric)) for metric in names)]
        for name, system in evaluation.systems.items()
    )
    return _table("Systems", ["system", "missing", "empty", *names], rows)


def _faults(evaluation: Evaluation) -> str:
    rows = [
        [name, fault.what, f"{system.faults[fault.name]:,}"]
        for name, system in evaluation.systems.items()
        for fault in faults.FAULTS
        if fault.name in system.faults
    ]
    return _table("What goes wrong", ["system", "fault", "answers"], rows) if rows else ""


def _slices(evaluation: Evaluation) -> Iterator[str]:
    names = list(evaluation.systems)
    for by in dict.fromkeys(part.by for part in evaluation.slices):
        parts = [part for part in evaluation.slices if part.by == by]
        rows = ([part.name, f"{part.clips:,}", *(_percent(part.systems.get(name)) for name in names)] for part in parts)
        yield _table(f"{parts[0].metric} by {by.replace('_', ' ')}", [by, "clips", *names], rows)


def _worst(scores: Scores, system: str, answers: Mapping[str, Answer]) -> str:
    """The clips that cost a system most, with every edit."""
    metric = scores.metrics[0]
    counts = scores.of(system, metric)
    rates = metric.value(counts)
    badness = np.nan_to_num(rates if metric.lower_is_better else 1 - rates)
    order = [number for number in np.argsort(-badness, kind="stable")[:WORST] if badness[number] > 0]
    shown = (_clip(scores.clips[number], answers, float(rates[number]), metric.name) for number in order)
    found = "\n".join(shown)
    return f"<h2>Worst clips of {_shown(system)}</h2>\n{found}" if found else ""


def _clip(clip: HeldOut, answers: Mapping[str, Answer], rate: float, metric: str) -> str:
    answer = answers.get(clip.clip_id, NOTHING)
    wrong = faults.of(clip, answer)
    about = " · ".join([clip.source, f"{clip.seconds:.1f} s", f"{metric} {rate:.0%}", *wrong])
    words = " ".join(_span(span) for span in align.spans(clip.target.split(), answer.said.split()))
    return f"<h3>{_shown(clip.clip_id)}</h3>\n<p>{_shown(about)}</p>\n<div>{words}</div>"


def _span(span: align.Span) -> str:
    target, answer = _shown(" ".join(span.target)), _shown(" ".join(span.answer))
    if span.kind == "equal":
        return target
    return " ".join(([f"<del>{target}</del>"] if target else []) + ([f"<ins>{answer}</ins>"] if answer else []))


def _percent(found: Interval | None) -> str:
    if found is None or found.value is None:
        return "–"
    whole = f"{found.value:.1%}"
    return whole if found.low is None or found.high is None else f"{whole} [{found.low:.1%}, {found.high:.1%}]"


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    body = "\n".join(lines)
    return f"<h2>{_shown(title)}</h2>\n<table>\n{body}\n</table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    inner = (f"<{tag}{' class=n' if number else ''}>{_shown(cell)}</{tag}>" for number, cell in enumerate(cells))
    return f"<tr>{''.join(inner)}</tr>"
