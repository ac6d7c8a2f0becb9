"""`curve.html`: error against the size of the training set, as a page without scripts that fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log

from transforms.report import html
from tuning.evaluation.bootstrap import Interval
from tuning.evaluation.growth import Growth
from tuning.evaluation.power_law import PowerLaw

_WIDTH, _HEIGHT, _MARGIN = 700, 260, 60
_STEPS = 60
_STYLE = """
polyline { fill: none; stroke: var(--bar); stroke-width: 2 }
polyline.guess { stroke-dasharray: 5 4 }
line { stroke: var(--soft) }
circle { fill: var(--bad) }
""".strip()

Point = tuple[str, int, Interval]


def page(
    title: str, about: Sequence[str], growths: Sequence[Growth], values: Sequence[Sequence[Point]], table: str
) -> str:
    """The whole page.

    Args:
      title: of the page.
      about: lines above all.
      growths: one for each metric.
      values: the errors of each size, for each of `growths`: name, examples, interval.
      table: the sizes as an HTML table.
    """
    parts = [
        f"<h1>{html.shown(title)}</h1>",
        *(f"<p>{html.shown(line)}</p>" for line in about),
        html.section("Sizes", table),
        *(_section(growth, list(points)) for growth, points in zip(growths, values, strict=True)),
    ]
    return html.document("Would more data help?", parts, _STYLE)


def _section(growth: Growth, points: list[Point]) -> str:
    caption = f"<figcaption>{html.shown(_formula(growth))}</figcaption>"
    return html.section(
        growth.metric, f"<p>{html.shown(growth.sentence)}</p>\n<figure>{_picture(growth, points)}{caption}</figure>"
    )


def _formula(growth: Growth) -> str:
    what = growth.metric if growth.error == "metric" else f"1 - {growth.metric}"
    curve = _curve(growth)
    if curve is None:
        return f"{what} by the number of training examples"
    law = f"{curve.floor:.4f} {'-' if curve.scale < 0 else '+'} {abs(curve.scale):.4f}"
    return f"{what} by training examples n (logarithmic): {law} · (n / {growth.unit:,})^-{curve.exponent:.2f}"


def _curve(growth: Growth) -> PowerLaw | None:
    if growth.floor is None or growth.scale is None or growth.exponent is None:
        return None
    return PowerLaw(growth.floor, growth.scale, growth.exponent, float(growth.unit))


def _picture(growth: Growth, points: list[Point]) -> str:
    """The points with their intervals, the curve through them, and where it goes with twice the examples."""
    measured = [(size, found) for _, size, found in points if found.value is not None]
    if not measured:
        return ""
    first, last = min(size for size, _ in measured), 2 * growth.unit
    shown = [*measured, *([(last, growth.doubled)] if growth.doubled else [])]
    ends = [end for _, found in shown for end in (found.value, found.low, found.high) if end is not None]
    top = max([*ends, 1e-3]) * 1.05

    def x(size: float) -> float:
        return _MARGIN + (_WIDTH - 2 * _MARGIN) * log(size / first) / log(last / first)

    def y(error: float) -> float:
        return _HEIGHT * (1 - min(max(error, 0.0), top) / top)

    def bars() -> Iterator[str]:
        for size, found in shown:
            if found.low is not None and found.high is not None:
                yield f'<line x1="{x(size):.1f}" x2="{x(size):.1f}" y1="{y(found.low):.1f}" y2="{y(found.high):.1f}"/>'
            if found.value is not None:
                yield f'<circle cx="{x(size):.1f}" cy="{y(found.value):.1f}" r="3"/>'
            yield f'<text x="{x(size):.1f}" y="{_HEIGHT + 14}" text-anchor="middle">{size:,}</text>'

    def line(start: float, end: float, style: str) -> str:
        curve = _curve(growth)
        if curve is None:
            return ""
        sizes = [start * (end / start) ** (step / _STEPS) for step in range(_STEPS + 1)]
        path = " ".join(f"{x(size):.1f},{y(curve.at(size)):.1f}" for size in sizes)
        return f'<polyline{style} points="{path}"/>'

    labels = "".join(
        f'<text x="0" y="{y(share * top) + 4:.1f}">{share * top:.1%}</text>' for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    curves = line(first, growth.unit, "") + line(growth.unit, last, ' class="guess"')
    view = f"0 -10 {_WIDTH} {_HEIGHT + 34}"
    return f'<svg viewBox="{view}" role="img" aria-label="Error by size">{labels}{curves}{"".join(bars())}</svg>'
