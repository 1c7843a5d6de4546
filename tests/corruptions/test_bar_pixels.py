"""C-bar against the reference's own pixels, given the reference's draws."""

import numpy as np
import pytest
from bar_draws import BAR, corrupted

from winninghand.corruptions import corruption_names

# Shares of values that may be one level off, where a result lies on the edge between two levels.
ONE_LEVEL_OFF = {
    "sparkles": 3e-5,
    "pinch_and_twirl": 2e-4,
    "circular_motion_blur": 3e-5,
    "transverse_chromatic_abberation": 5e-3,
}


def test_these_are_all():
    assert corruption_names("bar") == tuple(BAR)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("name", BAR)
def test_the_references_draws_give_the_references_pixels(bar_reference, name, severity, seed):
    found = corrupted(bar_reference["clean"], name, severity, seed).astype(int)
    difference = np.abs(found - bar_reference[f"{name}_{severity}_seed{seed}"])
    assert difference.max() <= (name in ONE_LEVEL_OFF)
    assert difference.mean() <= ONE_LEVEL_OFF.get(name, 0)
