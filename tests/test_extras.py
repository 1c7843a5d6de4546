import sys

import pytest

from winninghand import InputError
from winninghand.base.extras import needed


def test_a_library_that_is_there_is_imported():
    assert needed("json.decoder", "text", "to read JSON").JSONDecoder().decode("[1]") == [1]


def test_a_missing_library_names_its_extra():
    with pytest.raises(InputError) as caught:
        needed("no_such_library.part", "plots", "to draw plots")
    assert str(caught.value) == (
        "no_such_library is needed to draw plots and cannot be imported; pip install 'winninghand[plots]'"
    )


def test_a_library_that_lacks_one_of_its_own_says_which(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"No module named 'no_such_library'.*winninghand\[plots\]"):
        needed("half_installed", "plots", "to draw plots")
    sys.modules.pop("half_installed", None)
