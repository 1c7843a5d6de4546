import subprocess
import sys

import numpy as np

from winninghand.base.compiled import compiled


@compiled
def total(values: np.ndarray) -> float:
    """Return the sum of the squares."""
    result = 0.0
    for value in values:
        result += square(value)
    return result


@compiled
def square(value: float) -> float:
    return value * value


def test_compiled_functions_call_each_other_and_keep_their_names():
    assert total(np.arange(4.0)) == 14.0
    assert total(np.arange(4)) == 14.0
    assert (total.__name__, total.__doc__) == ("total", "Return the sum of the squares.")


def test_numba_is_imported_at_the_first_call_only():
    program = (
        "import sys, winninghand.augmentation.kernels, winninghand.compression.kernels; "
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
