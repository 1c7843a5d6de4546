"""C-bar against the reference's pixels under the reference's draws, and these against the library's."""

import numpy as np
import pytest
from bar_draws import BAR, IMAGENET_BAR, corrupted
from corruption_statistics import reference_statistics, statistics_of
from scipy.stats import ks_2samp

from winninghand.corruptions import SEVERITIES, corrupt, corruption_names

# Shares of values that may be one level off, where a result lies on the edge between two levels.
ONE_LEVEL_OFF = {
    "sparkles": 3e-5,
    "pinch_and_twirl": 2e-4,
    "circular_motion_blur": 3e-5,
    "transverse_chromatic_abberation": 5e-3,
    "perlin_noise": 7e-4,
    "caustic_refraction": 2e-5,
}


def test_these_are_all():
    assert corruption_names("bar") == tuple(BAR)
    assert corruption_names("imagenet_bar") == tuple(IMAGENET_BAR)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("name", [*BAR, *IMAGENET_BAR])
def test_the_references_draws_give_the_references_pixels(bar_reference, name, severity, seed):
    found = corrupted(bar_reference["clean"], name, severity, seed).astype(int)
    difference = np.abs(found - bar_reference[f"{name}_{severity}_seed{seed}"])
    assert difference.max() <= (name in ONE_LEVEL_OFF)
    assert difference.mean() <= ONE_LEVEL_OFF.get(name, 0)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_circular_motion_is_the_references_over_all_photographs(photographs, severity):
    found = statistics_of(photographs, corrupt(photographs, "circular_motion_blur", severity))
    known = reference_statistics()[f"circular_motion_blur_{severity}"]["mean8"]
    for key, value in known.items():
        assert found[key] == pytest.approx(np.array(value), abs=2e-4), key


@pytest.mark.parametrize("name", IMAGENET_BAR)
def test_the_librarys_draws_are_distributed_like_the_references(photographs, name):
    """By the error and the mean change of each image; of the others there are statistics of many seeds."""
    library, benchmark = (
        made.astype(float) - photographs
        for made in (corrupt(photographs, name, 3), corrupted(photographs, name, 3, seed=0))
    )
    for figure in (lambda residual: (residual**2).mean((1, 2, 3)), lambda residual: residual.mean((1, 2, 3))):
        assert ks_2samp(figure(library), figure(benchmark)).pvalue > 0.005
