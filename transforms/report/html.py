"""Pages for people: one file each, without scripts, that fetches nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape

from transforms.printable import printable

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


def document(title: str, parts: Iterable[str], more_style: str = "", *, plays: bool = False) -> str:
    """A whole page.

    Args:
      title: of the page.
      parts: of its body, HTML; "" for none.
      more_style: CSS, beside that of all pages.
      plays: whether the page holds audio, as data: URIs; else it may play nothing.
    """
    style = f"{_STYLE}\n{more_style}".strip()
    # Nothing may run or be fetched, whatever the texts hold; the page's own style is known by its hash.
    policy = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
    policy += "; media-src data:" if plays else ""
    body = "\n".join(part for part in parts if part)
    meta = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    head = f'{meta}<meta name="viewport" content="width=device-width"><title>{title}</title><style>{style}</style>'
    return f'<!doctype html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def shown(text: str) -> str:
    """A text as people read it, as HTML."""
    return escape(printable(text))


def section(title: str, content: str) -> str:
    """A part of a page under a heading."""
    return f"<h2>{shown(title)}</h2>\n{content}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. Columns of numbers are aligned to the right."""
    rows = list(rows)
    numeric = [index > 0 and all(row[index][:1].isdigit() for row in rows) for index in range(len(heads))]
    classes = [' class="n"' if right else "" for right in numeric]
    head = "".join(f"<th{style}>{shown(name)}</th>" for style, name in zip(classes, heads, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{style}>{shown(cell)}</td>" for style, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"
