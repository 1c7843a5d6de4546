"""What is measured keeps to the bounds that are proved."""

from winninghand.theory.statements import STATEMENTS
from winninghand.theory.statements.depth_l_plus_one import random_weights
from winninghand.theory.statements.signs import width
from winninghand.theory.statements.single_samples import samples_one_by_one

TRIALS = 150
# Three standard deviations of a share of so many draws.
CHANCE = 3 * 0.5 / TRIALS**0.5


def check_of(name):
    return STATEMENTS[name].check(TRIALS, 0)


def test_no_share_is_above_its_bound():
    for name in ("subset-sums", "quantized", "convolutions"):
        check = check_of(name)
        for point in check.points:
            if not point.series.startswith("bound"):
                assert point.y <= check.line(f"bound, {point.series}")[point.x] + CHANCE


def test_samples_grow_with_the_logarithm_by_subsets_and_linearly_by_signs():
    subsets, signs = check_of("depth-2l"), check_of("signs")
    measured = subsets.line("subset sums")
    assert all(count >= subsets.line("subset sums, lower bound")[x] - 1 for x, count in measured.items())
    assert measured[200.0] - measured[5.0] < 12
    assert samples_one_by_one(0.01) == 459
    assert all(count <= width(1 / x) for x, count in signs.line("signs").items())
    assert signs.line("signs")[100.0] > 5 * signs.line("signs")[10.0]


def test_half_of_the_samples_are_the_best_size_and_sparse_sources_are_wider():
    sizes = check_of("fixed-size").line("median")
    assert min(sizes, key=sizes.get) in (7, 9, 11, 13)
    masked = check_of("random-masks").line("measured")
    assert masked[1.0] < masked[0.5] < masked[0.25]


def test_samples_of_every_size_succeed_at_least_as_often_as_is_proved():
    check = check_of("hyperbolic")
    for epsilon in (0.1, 0.01):
        bounds = check.line(f"bound, ε = {epsilon}")
        measured = check.line(f"ε = {epsilon}")
        assert all(share >= bounds[x] - CHANCE for x, share in measured.items())
        assert bounds[100.0] > 0.9


def test_errors_at_both_depths_are_below_their_bounds_and_fall_with_samples():
    check = check_of("depth-l-plus-1")
    for depth in ("2L", "L+1"):
        found, bounds = check.line(f"{depth}, largest error found"), check.line(f"bound, {depth}")
        assert all(error <= bounds[x] for x, error in found.items())
        assert bounds[20.0] < bounds[8.0] / 100
    assert random_weights("2L", 10, (4, 4, 2)) == 160 + 160 + 160 + 80
    assert random_weights("L+1", 10, (4, 4, 2)) == 160 + 1600 + 80


def test_one_source_serves_many_targets_and_scores_of_attention():
    check = check_of("many-targets")
    measured = check.line("one source, measured")
    assert measured[256] < check.line("union of independent targets")[256]
    scores = check_of("attention")
    bounds = scores.line("bound, median")
    assert all(error >= bounds[x] for x, error in scores.line("score, median").items())
    assert scores.line("score, median")[18.0] < 1e-3 * scores.line("score, median")[4.0]
