"""Small tables as HTML, for notebooks; no text in them can be markup, move a cursor or turn a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from winninghand.base.errors import shown

_LONGEST = 1000


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def html_table(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Markup:
    """Return a table as HTML; cells are escaped unless they are `Markup`."""
    head = f"<thead><tr>{_cells('th', columns)}</tr></thead>" if columns else ""
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    title = f'<caption style="text-align: left">{html_text(caption)}</caption>' if caption else ""
    return Markup(f"<table>{title}{head}<tbody>{body}</tbody></table>")


def html_sheet(sheet: Mapping[str, str], caption: str = "") -> Markup:
    """Return lines of a name and a text as HTML."""
    rows = [(Markup(f"<b>{html_text(name)}</b>"), text) for name, text in sheet.items()]
    return html_table((), rows, caption)


def html_text(text: str) -> Markup:
    """Return text as HTML that shows it."""
    return text if isinstance(text, Markup) else Markup(escape(shown(text, _LONGEST)))


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f'<{tag} style="text-align: left">{html_text(text)}</{tag}>' for text in texts)
