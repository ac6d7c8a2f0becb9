"""`report.html`: the report as a page. One file, without scripts; it fetches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from transforms.report import html
from transforms.report.report import ReasonReport, Report, SplitReport, TrimReport

_WIDTH, _HEIGHT, _GAP = 640, 160, 1


def page(report: Report) -> str:
    """The whole page.

    Args:
      report: of a finished run.
    """
    parts = [
        f"<h1>{report.accepted:,} of {report.rows:,} clips accepted</h1>",
        f"<p>{report.rejected:,} rejected · fingerprint <code>{html.shown(report.fingerprint)}</code></p>",
        *(f'<p class="warning">{html.shown(warning)}</p>' for warning in report.warnings),
        _splits(report.splits),
        _durations(report.durations),
        _trimmed(report.trimmed),
        _reasons(report.reasons),
        _counts("Tasks", {name: task.examples for name, task in report.tasks.items()}),
        _counts("Source formats", report.source_formats),
    ]
    return html.document("Dataset", parts)


def _splits(splits: Mapping[str, SplitReport]) -> str:
    rows = [
        [
            name,
            *(f"{number:,}" for number in (split.examples, split.shards, split.bytes, split.audio_tokens)),
            str(timedelta(seconds=round(split.audio_seconds))),
        ]
        for name, split in splits.items()
    ]
    return html.section("Splits", html.table(["split", "examples", "shards", "bytes", "audio tokens", "audio"], rows))


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
    return html.section("Lengths", f"<figure>{svg}<figcaption>{caption}</figcaption></figure>")


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
    lost = html.table([f"{trimmed.mostly_trimmed:,} clips lost more than half, for example"], rows) if rows else ""
    return html.section("Trimmed", f"{told}\n{lost}".rstrip())


def _reasons(reasons: Mapping[str, ReasonReport]) -> str:
    rows = [[name, f"{reason.rows:,}", reason.remedy, reason.examples[0]] for name, reason in reasons.items()]
    return html.section("Rejected", html.table(["reason", "rows", "what to do", "for example"], rows)) if rows else ""


def _counts(title: str, counts: Mapping[str, int]) -> str:
    rows = [[name, f"{number:,}"] for name, number in counts.items()]
    return html.section(title, html.table([title.lower(), "clips"], rows)) if rows else ""
