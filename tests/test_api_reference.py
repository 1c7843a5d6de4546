"""The API reference, made from docstrings."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import winninghand as wh

SCRIPT = Path(__file__).parent.parent / "docs/make_api.py"


def test_the_reference_shows_every_public_name_with_its_docstring(tmp_path):
    pytest.importorskip("pdoc")
    spec = importlib.util.spec_from_file_location("make_api", SCRIPT)
    make_api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_api)
    make_api.write_api(tmp_path)
    for package in make_api.PACKAGES:
        page = (tmp_path / f"{package.replace('.', '/')}.html").read_text(encoding="utf-8")
        shown = set(re.findall(r'id="([\w.]+)"', page))
        module = importlib.import_module(package)
        names = {
            name
            for name in getattr(module, "__all__", ())
            if not isinstance(getattr(module, name), ModuleType)
        }
        assert names <= shown
    face = (tmp_path / "winninghand.html").read_text(encoding="utf-8")
    words = re.sub(r"<[^>]+>|`", "", face)
    assert wh.corrupt.__doc__.splitlines()[0].replace("`", "") in words
