"""Panels of bars, as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

_LABELS, _WIDTH, _NUMBERS, _LINE, _GAP = 150, 420, 60, 20, 34
_OURS, _OTHERS = "#2563eb", "#94a3b8"


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its spread."""

    name: str
    value: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars of one scale, the first of them highlighted."""

    title: str
    bars: tuple[Bar, ...]


def panels(given: Iterable[Panel]) -> str:
    """One panel below the other."""
    parts: list[str] = []
    y = 0
    for panel in given:
        parts += _panel(panel, y)
        y += _GAP + _LINE * len(panel.bars)
    width = _LABELS + _WIDTH + _NUMBERS
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 8}" width="{width}" height="{y + 8}"'
    ground = '<rect width="100%" height="100%" fill="white"/>'
    return f'{head} font-family="sans-serif" font-size="12">\n{ground}\n' + "\n".join(parts) + "\n</svg>\n"


def _panel(panel: Panel, y: int) -> Iterator[str]:
    yield f'<text x="8" y="{y + 22}" font-weight="bold">{escape(panel.title)}</text>'
    scale = _WIDTH / max(bar.most for bar in panel.bars)
    for number, bar in enumerate(panel.bars):
        top = y + _GAP - 4 + number * _LINE
        middle, color = top + _LINE // 2 - 2, _OTHERS if number else _OURS
        yield f'<text x="{_LABELS - 6}" y="{middle + 4}" text-anchor="end">{escape(bar.name)}</text>'
        yield f'<rect x="{_LABELS}" y="{top}" width="{bar.value * scale:.1f}" height="{_LINE - 5}" fill="{color}"/>'
        ends = f'x1="{_LABELS + bar.least * scale:.1f}" x2="{_LABELS + bar.most * scale:.1f}"'
        yield f'<line {ends} y1="{middle}" y2="{middle}" stroke="black"/>'
        number_text = f"{bar.value:.0f}" if bar.most >= 100 else f"{bar.value:.2f}"
        yield f'<text x="{_LABELS + bar.most * scale + 6:.1f}" y="{middle + 4}">{number_text}</text>'
