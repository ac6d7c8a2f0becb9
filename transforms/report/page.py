"""`report.html`: the report as a page. One file, without scripts; it fetches nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from html import escape as escape_html

from transforms.printable import printable
from transforms.report.report import ReasonReport, Report, SplitReport, TrimReport

_WIDTH, _HEIGHT, _GAP = 640, 160, 1
_STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d2733; --soft: #67717d; --line: #d9dee4; --bar: #3867a8; --bad: #b3402e; --page: #fff;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaef; --soft: #9aa4af; --line: #343c46; --bar: #7da7e0; --bad: #e58a78; --page: #14181d }
}
body {
  font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
}
h1 { font-size: 1.5rem; margin: 0 }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
p, figcaption { color: var(--soft); margin: .2rem 0 }
p.warning { color: var(--bad) }
figure { margin: 0 }
svg { width: 100%; height: auto }
rect { fill: var(--bar) }
text { fill: var(--soft); font-size: 11px }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
code, td:last-child { overflow-wrap: anywhere }
""".strip()


# Nothing may run or be fetched, whatever the texts hold; the page's own style is known by its hash.
_POLICY = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"


def page(report: Report) -> str:
    """The whole page.

    Args:
      report: of a finished run.
    """
    parts = [
        f"<h1>{report.accepted:,} of {report.rows:,} clips accepted</h1>",
        f"<p>{report.rejected:,} rejected · fingerprint <code>{_shown(report.fingerprint)}</code></p>",
        *(f'<p class="warning">{_shown(warning)}</p>' for warning in report.warnings),
        _splits(report.splits),
        _durations(report.durations),
        _trimmed(report.trimmed),
        _reasons(report.reasons),
        _counts("Tasks", {name: task.examples for name, task in report.tasks.items()}),
        _counts("Source formats", report.source_formats),
    ]
    body = "\n".join(part for part in parts if part)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    meta = f'<meta charset="utf-8">{policy}<meta name="viewport" content="width=device-width">'
    head = f"{meta}<title>Dataset</title><style>{_STYLE}</style>"
    return f'<!doctype html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def _shown(text: str) -> str:
    return escape_html(printable(text))


def _splits(splits: Mapping[str, SplitReport]) -> str:
    rows = [
        [
            name,
            *(f"{number:,}" for number in (split.examples, split.shards, split.bytes, split.audio_tokens)),
            str(timedelta(seconds=round(split.audio_seconds))),
        ]
        for name, split in splits.items()
    ]
    return _section("Splits", _table(["split", "examples", "shards", "bytes", "audio tokens", "audio"], rows))


def _durations(durations: Mapping[str, int]) -> str:
    """A histogram: for every second of length, the clips that last so long."""
    counts = {int(seconds): clips for seconds, clips in durations.items()}
    if not counts:
        return ""
    bins, most = max(counts) + 1, max(counts.values())
    step = _WIDTH / bins
    bars = "".join(_bar(second, clips, step, most) for second, clips in sorted(counts.items()))
    labels = "".join(
        f'<text x="{second * step:.1f}" y="{_HEIGHT + 14}">{second} s</text>'
        for second in range(0, bins, -(-bins // 8))
    )
    svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 18}" role="img" aria-label="Clips by length">{bars}{labels}</svg>'
    caption = f"Clips by their length after trimming; the tallest bar is {most:,}."
    return _section("Lengths", f"<figure>{svg}<figcaption>{caption}</figcaption></figure>")


def _bar(second: int, clips: int, step: float, most: int) -> str:
    height = max(1.0, _HEIGHT * clips / most)
    box = (
        f'x="{second * step:.1f}" y="{_HEIGHT - height:.1f}" width="{max(1.0, step - _GAP):.1f}" height="{height:.1f}"'
    )
    return f"<rect {box}><title>{second}–{second + 1} s: {clips:,} clips</title></rect>"


def _trimmed(trimmed: TrimReport) -> str:
    if not trimmed.samples:
        return ""
    told = f"<p>{trimmed.share:.1%} of the audio of these clips was trimmed from their ends.</p>"
    rows = [[example] for example in trimmed.examples]
    lost = _table([f"{trimmed.mostly_trimmed:,} clips lost more than half, for example"], rows) if rows else ""
    return _section("Trimmed", f"{told}\n{lost}".rstrip())


def _reasons(reasons: Mapping[str, ReasonReport]) -> str:
    rows = [[name, f"{reason.rows:,}", reason.remedy, reason.examples[0]] for name, reason in reasons.items()]
    return _section("Rejected", _table(["reason", "rows", "what to do", "for example"], rows)) if rows else ""


def _counts(title: str, counts: Mapping[str, int]) -> str:
    rows = [[name, f"{number:,}"] for name, number in counts.items()]
    return _section(title, _table([title.lower(), "clips"], rows)) if rows else ""


def _section(title: str, content: str) -> str:
    return f"<h2>{_shown(title)}</h2>\n{content}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. Columns of numbers are aligned to the right."""
    rows = list(rows)
    numeric = [index > 0 and all(row[index][:1].isdigit() for row in rows) for index in range(len(heads))]
    classes = [' class="n"' if right else "" for right in numeric]
    head = "".join(f"<th{style}>{_shown(name)}</th>" for style, name in zip(classes, heads, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{style}>{_shown(cell)}</td>" for style, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"
