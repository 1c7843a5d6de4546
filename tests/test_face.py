import subprocess
import sys

import winninghand as wh


def test_every_public_name_is_there():
    for name in wh.__all__:
        assert getattr(wh, name) is not None


def imports(program):
    """Return the modules that a fresh interpreter has imported after a program."""
    program = f"import sys, winninghand as wh; {program}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_library_imports_no_torch():
    assert not {"torch", "numpy", "importlib.metadata"} & imports("pass")


def test_no_public_name_imports_a_compiler_or_what_some_tasks_need():
    heavy = {
        "torch._dynamo",
        "numba",
        "lightning_fabric",
        "scipy",
        "pyarrow",
        "altair",
        "onnx",
        "torchmetrics",
    }
    assert not heavy & imports("[getattr(wh, name) for name in wh.__all__]")


def test_names_lists_each_kind():
    assert {"resnet18", "conv4"} <= set(wh.names("networks"))
    assert {"dense", "lrr"} <= set(wh.names("methods"))
    assert {"clean", "gaussian"} <= set(wh.names("domains"))
    assert {"average", "spectral"} <= set(wh.names("gates"))
    assert "contrast" in wh.names("corruptions")
