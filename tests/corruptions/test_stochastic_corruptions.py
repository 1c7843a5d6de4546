"""The stochastic corruptions against the reference's statistics over 300 images and 8 seeds.

A cell has nine statistics, ten for C-bar's, and about one cell in fifty leaves the 4σ band by chance;
of the 45 cells of C-bar, with one statistic more, about one in fifteen.
"""

import pytest
from corruption_statistics import deviations, is_outside, reference_statistics, statistics_of

from winninghand.corruptions import CORRUPTIONS, SEVERITIES, corrupt, corruption_names, missing_corruptions

WITH_STATISTICS = corruption_names("all,bar")
STOCHASTIC = [name for name in WITH_STATISTICS if not CORRUPTIONS[name].deterministic]
AVAILABLE = [name for name in STOCHASTIC if not missing_corruptions([name])]
BAR = corruption_names("bar")
ALLOWED_OUTSIDE = 3
NEVER_BEYOND = 8

# Both blur with σ = 2, and the reference's outputs are the same for the same angle.
SAME = {("motion_blur", 3, 4), ("motion_blur", 4, 3)}


@pytest.fixture(scope="module")
def measured(photographs):
    """The statistics of every cell that can be had, under one seed."""
    return {
        (name, severity): statistics_of(photographs, corrupt(photographs, name, severity))
        for name in AVAILABLE
        for severity in SEVERITIES
    }


def compared(measured, name, severity, other):
    return deviations(measured[name, severity], reference_statistics()[f"{name}_{other}"])


def test_the_reference_has_the_same_stochastic_cells(photographs):
    cells = reference_statistics()
    assert {name for name in WITH_STATISTICS if "tol" in cells[f"{name}_1"]} == set(STOCHASTIC)


@pytest.mark.parametrize("is_bar", [False, True], ids=["CIFAR-10-C", "C-bar"])
def test_cells_lie_in_the_references_band(measured, is_bar):
    found = {cell: compared(measured, *cell, cell[1]) for cell in measured if (cell[0] in BAR) == is_bar}
    outside = {cell: values for cell, values in found.items() if is_outside(values)}
    assert len(outside) <= ALLOWED_OUTSIDE + is_bar, outside
    assert max(max(values.values()) for values in found.values()) < NEVER_BEYOND, outside


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_severity_shifted_by_one_is_noticed(measured, name):
    for severity in SEVERITIES:
        for other in {severity - 1, severity + 1} & set(SEVERITIES):
            if (name, severity, other) not in SAME:
                assert is_outside(compared(measured, name, severity, other)), (severity, other)
