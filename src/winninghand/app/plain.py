"""The page without a script: a form, and the answer below it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

from winninghand.app.panels import STYLE, complaint, heading, options
from winninghand.app.playground import FIRST_CORRUPTION, FIRST_SEVERITY, Playground
from winninghand.app.playing import MOST_SEVERE
from winninghand.base.html import Markup, html_text

PATH = "/plain"
"""Where the page is."""

_STYLE = Path(__file__).with_name("plain.css").read_text(encoding="utf-8")
# The plain page follows the browser, whose colours Gradio's page gets by a class of its own.
_DARK = STYLE[STYLE.index(".dark {") : STYLE.index(".wh, .wh *")].replace(".dark", ":root")


def page(playground: Playground, fields: Mapping[str, str], file: tuple[str, bytes] | None = None) -> str:
    """Return the whole page for a form that was sent, or for none.

    `fields` may hold `sample`, `corruption` and `severity`; `file` is the name and the content of a picture.
    """
    given = {"sample": "0", "corruption": FIRST_CORRUPTION, "severity": str(FIRST_SEVERITY), **fields}
    title = f"{playground.name} · Winning Hand"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html_text(title)}</title><link rel="icon" href="data:,"><style>{STYLE}'
        f"@media (prefers-color-scheme: dark) {{ {_DARK} }}{_STYLE}</style></head><body>"
        f"{heading(playground.player, playground.name)}{_form(playground, given)}"
        f"<main>{_answer(playground, given, file)}</main></body></html>"
    )


def _answer(playground: Playground, given: Mapping[str, str], file: tuple[str, bytes] | None) -> Markup:
    try:
        sample, severity = int(given["sample"]), int(given["severity"])
    except ValueError:
        return complaint("sample and severity must be whole numbers; choose them in the form")
    if file is None:
        return playground.answer(None, "", sample, given["corruption"], severity)
    name, content = file
    with NamedTemporaryFile() as copy:
        copy.write(content)
        copy.flush()
        return playground.answer(Path(copy.name), name, sample, given["corruption"], severity)


def _form(playground: Playground, given: Mapping[str, str]) -> Markup:
    samples = [(label, str(number)) for number, label in enumerate(playground.samples.labels)]
    severities = [(str(level), str(level)) for level in range(MOST_SEVERE + 1)]
    return Markup(
        f'<form class="wh" method="post" action="{PATH.lstrip("/")}" enctype="multipart/form-data">'
        '<label>A picture of yours <input type="file" name="file" accept="image/*"></label>'
        f"<label>or a sample of {html_text(playground.samples.source)} "
        f'<select name="sample">{options(samples, given["sample"])}</select></label>'
        f'<label>Corruption <select name="corruption">{options(playground.corruptions, given["corruption"])}'
        "</select></label>"
        f'<label>Severity <select name="severity">{options(severities, given["severity"])}</select></label>'
        "<button>Ask the model</button></form>"
    )
