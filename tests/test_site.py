"""The site: every page is built without a warning, and the reference shows every public name."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as `make docs` does, notebooks unexecuted: `test_tutorials.py` runs those."""
    application = pytest.importorskip("sphinx.application")
    pytest.importorskip("myst_nb")
    pytest.importorskip("pydata_sphinx_theme")
    pytest.importorskip("sphinx_copybutton")
    out = tmp_path_factory.mktemp("site")
    settings = {"nb_execution_mode": "off"}
    built = application.Sphinx(
        DOCS, DOCS, out, out / ".doctrees", "html", settings, status=None, warningiserror=True
    )
    built.build()
    assert built.statuscode == 0
    return out


def test_every_page_has_a_place(site):
    pages = {path.stem for path in DOCS.glob("*.md")} | {path.stem for path in DOCS.glob("tutorials/*.ipynb")}
    assert pages <= {path.stem for path in site.rglob("*.html")}
    index = (site / "index.html").read_text(encoding="utf-8")
    for section in ("tutorials/index", "how-to", "reference", "explanation"):
        assert f'href="{section}.html"' in index


def test_the_reference_shows_every_public_name_with_its_docstring(site):
    shown = "".join(page.read_text(encoding="utf-8") for page in sorted((site / "api").glob("*.html")))
    places = set(re.findall(r'id="([\w.]+)"', shown))
    for package in (page.stem for page in (site / "api").glob("winninghand*.html")):
        module = importlib.import_module(package)
        names = {name for name in module.__all__ if not isinstance(getattr(module, name), ModuleType)}
        missing = {name for name in names if not {f"{package}.{name}", f"winninghand.{name}"} & places}
        # What another package tells of is named with it.
        assert {name for name in missing if f">{name}<" not in shown} == set()
    words = re.sub(r"<[^>]+>", "", shown)
    assert importlib.import_module("winninghand").corrupt.__doc__.splitlines()[0].replace("`", "") in words
