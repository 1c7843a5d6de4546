"""The documentation site: `make docs` builds it from these pages, the notebooks and the docstrings."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

import winninghand

HERE = Path(__file__).parent
# The public face, then what those who add a part of their own derive it from. Each shows its `__all__`.
PACKAGES = (
    "winninghand",
    "winninghand.images",
    "winninghand.corruptions",
    "winninghand.augmentation",
    "winninghand.networks",
    "winninghand.spectra",
    "winninghand.cards",
    "winninghand.compression",
    "winninghand.decks",
    "winninghand.evaluation",
    "winninghand.metrics",
    "winninghand.exports",
    "winninghand.theory",
    "winninghand.training",
    "winninghand.results",
    "winninghand.studies",
    "winninghand.app",
)

project = "Winning Hand"
author = "Winning Hand maintainers"
copyright = author  # noqa: A001 (Sphinx's name)
release = version = winninghand.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = "Winning Hand"
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "Winning Hand"},
    "navbar_align": "left",
    "navbar_end": ["version-switcher", "theme-switcher"],
    "switcher": {"json_url": "_static/versions.json", "version_match": release},
    "check_switcher": False,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

# Headings up to the third level can be linked to, as they can be where the pages lie.
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath", "attrs_inline"]
# Commands and their answers, and files of settings that hold single lines of Python's.
suppress_warnings = ["misc.highlighting_failure"]
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build/notebooks")
nb_execution_timeout = 3600  # of one cell, for a machine that is slow or busy
nb_execution_raise_on_error = True
nb_execution_in_temp = True  # so that what the notebooks write is not left beside them
nb_merge_streams = True
copybutton_prompt_text = "$ "
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 90

_CODE = re.compile(r"```(.*?)```", re.DOTALL)
_ANNOTATED = re.compile(r"[\w~.]*\bAnnotated\[")
_LITERAL = re.compile(r"(`[^`]+`)")
# Pages that lie beside docs/, and that pages of the site include.
ADOPTED = "CHANGELOG|CONTRIBUTING|SECURITY"
# What would begin something in reStructuredText.
_SIGNS = re.compile(r"[*|\\]|(?<=\w)_(?=\W|$)")


def write_api(app: Sphinx) -> None:
    """Write one page for each package: what it is for, and all its public names."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    places: dict[int, str] = {}
    for package in PACKAGES:
        page = "\n".join(_page(import_module(package), places))
        path = folder / f"{package}.md"
        # A page that is as it was is not read again.
        if not path.exists() or path.read_text(encoding="utf-8") != page:
            path.write_text(page, encoding="utf-8")
    listing = ["# The Python package", "", "```{toctree}", *PACKAGES, "```", ""]
    (folder / "index.md").write_text("\n".join(listing), encoding="utf-8")


def _page(package: ModuleType, places: dict[int, str]) -> list[str]:
    """Return the lines of a page; `places` says which page tells of what: what another does is only named."""
    name = package.__name__
    lines, elsewhere = ["```{eval-rst}"], []
    for public in sorted(package.__all__, key=lambda one: (one[0].islower(), one)):
        thing = getattr(package, public)
        if isinstance(thing, ModuleType):
            continue
        place = places.setdefault(id(thing), name)
        if place != name:
            elsewhere.append(f"`{public}`")
        elif isinstance(thing, type):
            lines += [f".. autoclass:: {name}.{public}", "   :members:", ""]
        elif hasattr(thing, "__code__"):
            lines += [f".. autofunction:: {name}.{public}", ""]
        elif type(thing).__module__ == "builtins":
            # Its docstring would be that of every dict, or of every string.
            lines += [f".. py:data:: {name}.{public}", f"   :type: {type(thing).__name__}", ""]
        else:
            lines += [f".. autodata:: {name}.{public}", "   :no-value:", ""]
    also = (
        [f"Also here, from [`winninghand`](winninghand.md): {', '.join(elsewhere)}.", ""] if elsewhere else []
    )
    return [f"# {name}", "", (package.__doc__ or "").strip(), "", *also, *lines, "```", ""]


def link_within(app: Sphinx, document: str, source: list[str]) -> None:
    """Have a page's links to what lies beside docs/ lead to its page here, or to the file itself."""
    text = re.sub(rf"\]\((?:\.\./)?({ADOPTED})\.md", lambda link: f"]({link[1].lower()}.md", source[0])
    page = Path(app.srcdir, document)

    def led(link: re.Match[str]) -> str:
        within = (page.parent / link[2]).resolve().is_relative_to(Path(app.srcdir).resolve())
        return link[0] if within else f"{{download}}`{link[1]} <{link[2]}>`"

    source[0] = re.sub(r"\[([^\]]+)\]\((\.\./[^)#]+)(?:#[^)]*)?\)", led, text)


def link_included_within(app: Sphinx, path: Path, document: str, source: list[str]) -> None:
    """Do the same for what a page includes."""
    link_within(app, document, source)


def without_annotations(
    app: Sphinx,
    what: str,
    name: str,
    thing: Any,  # noqa: ANN401
    options: Any,  # noqa: ANN401
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Show types without what pydantic is told of them: `Annotated[X, …]` is X."""
    return tuple(one and _plain(one) for one in (signature, returned))  # type: ignore[return-value]


def _plain(text: str) -> str:
    """Return a signature whose annotated types are the types alone."""
    while found := _ANNOTATED.search(text):
        depth, ends = 0, []
        for place in range(found.end(), len(text)):
            depth += (text[place] in "([{") - (text[place] in ")]}")
            if depth < 0 or (depth == 0 and text[place] == ","):
                ends.append(place)
            if depth < 0:
                break
        text = text[: found.start()] + text[found.end() : ends[0]] + text[ends[-1] + 1 :]
    return text


def to_restructured_text(
    app: Sphinx,
    what: str,
    name: str,
    thing: Any,  # noqa: ANN401
    options: Any,  # noqa: ANN401
    lines: list[str],
) -> None:
    """Turn fences and backticks into blocks and literals; what stands between them means itself."""
    text = "\n".join(lines)
    parts = _CODE.split(text)
    lines[:] = "".join(
        _block(part) if number % 2 else _escaped(part) for number, part in enumerate(parts)
    ).split("\n")


def _block(code: str) -> str:
    """Return code as a block."""
    return "\n.. code-block:: python\n\n" + indent(code.removeprefix("python\n"), "    ") + "\n"


def _escaped(text: str) -> str:
    """Return prose in which only backticks mean something: what lies between them is literal."""
    parts = _LITERAL.split(text)
    prose = [_SIGNS.sub(r"\\\g<0>", part) for part in parts[::2]]
    # A literal ends at a space; one that is escaped is not seen.
    prose[1:] = [rf"\ {part}" if re.match(r"[\w([{<]", part) else part for part in prose[1:]]
    return "".join(
        one
        for pair in zip_longest(prose, (f"`{part}`" for part in parts[1::2]), fillvalue="")
        for one in pair
    )


def setup(app: Sphinx) -> None:
    """Register what is done while the site is built."""
    app.connect("builder-inited", write_api)
    app.connect("source-read", link_within)
    app.connect("include-read", link_included_within)
    app.connect("autodoc-process-signature", without_annotations)
    app.connect("autodoc-process-docstring", to_restructured_text)
