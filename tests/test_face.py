import subprocess
import sys

import winninghand as wh


def test_every_public_name_is_there():
    for name in wh.__all__:
        assert getattr(wh, name) is not None


def test_importing_the_library_imports_no_torch():
    program = "import sys, winninghand; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_names_lists_each_kind():
    assert {"resnet18", "conv4"} <= set(wh.names("networks"))
    assert {"dense", "lrr"} <= set(wh.names("methods"))
    assert {"clean", "gaussian"} <= set(wh.names("domains"))
    assert {"average", "spectral"} <= set(wh.names("gates"))
    assert "contrast" in wh.names("corruptions")
