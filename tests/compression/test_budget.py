import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from winninghand.base.errors import InputError
from winninghand.compression.budget import (
    DISTRIBUTIONS,
    Budget,
    erdos_renyi_kernel,
    kept_count,
    layer_shares,
)
from winninghand.compression.patterns import Blocks, Pattern, parse_pattern
from winninghand.compression.schedules import round_sparsities

SHAPES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=4)
SPARSITIES = st.floats(0, 0.99)


def values_of(shapes):
    torch.manual_seed(0)
    return {f"layer{number}": torch.randn(shape) for number, shape in enumerate(shapes)}


@given(shapes=SHAPES, sparsity=SPARSITIES, distribution=st.sampled_from(["uniform", "erk"]))
def test_layer_shares_sum_to_the_budget_and_are_within_one_of_their_quota(shapes, sparsity, distribution):
    sizes = [math.prod(shape) for shape in shapes]
    kept = kept_count(sum(sizes), sparsity)
    shares = layer_shares(shapes, kept, DISTRIBUTIONS[distribution], sizes)
    assert sum(shares) == kept
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    if distribution == "uniform":
        quotas = [size * kept / sum(sizes) for size in sizes]
        assert all(abs(share - quota) < 1 + 1e-6 for share, quota in zip(shares, quotas, strict=True))


def test_erk_gives_small_layers_more():
    shapes = [(64, 64, 3, 3), (8, 64), (512, 512, 3, 3)]
    sizes = [math.prod(shape) for shape in shapes]
    shares = layer_shares(shapes, kept_count(sum(sizes), 0.9), erdos_renyi_kernel, sizes)
    densities = [share / size for share, size in zip(shares, sizes, strict=True)]
    assert densities[1] == 1
    by_sum = [sum(shape) / math.prod(shape) for shape in shapes]
    assert densities[0] / densities[2] == pytest.approx(by_sum[0] / by_sum[2], rel=1e-3)


@given(shapes=SHAPES, sparsity=SPARSITIES, scope=st.sampled_from(["global", "layerwise"]))
def test_masks_are_exact_in_total(shapes, sparsity, scope):
    values = values_of(shapes)
    masks = Budget(scope).choose(values, sparsity)
    total = sum(value.numel() for value in values.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == kept_count(total, sparsity)
    if scope == "layerwise":
        for mask in masks.values():
            share = mask.numel() * kept_count(total, sparsity) / total
            assert abs(int(mask.sum()) - share) < 1 + 1e-6


@given(shapes=SHAPES, sparsity=SPARSITIES, costs=st.lists(st.integers(1, 50), min_size=4, max_size=4))
def test_a_budget_of_macs_is_met_to_within_one_weight(shapes, sparsity, costs):
    values = values_of(shapes)
    prices = dict(zip(values, costs, strict=False))
    masks = Budget(costs=prices).choose(values, sparsity)
    whole = sum(prices[name] * value.numel() for name, value in values.items())
    spent = sum(prices[name] * int(mask.sum()) for name, mask in masks.items())
    assert kept_count(whole, sparsity) - max(prices.values()) < spent <= kept_count(whole, sparsity)


@given(shapes=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=3))
def test_a_pattern_holds_in_every_group_and_keeps_the_largest(shapes):
    values = values_of([(outputs, 4 * groups, 2) for outputs, groups in shapes] + [(4, 3, 2)])
    *patterned, odd = values
    masks = Budget(pattern=Pattern(2, 4)).choose(values, 0.5)
    assert bool(masks[odd].all())
    for name in patterned:
        groups = masks[name].movedim(1, -1).unflatten(-1, (-1, 4))
        assert bool((groups.sum(dim=-1) == 2).all())
        magnitudes = values[name].abs().movedim(1, -1).unflatten(-1, (-1, 4))
        assert bool(((magnitudes * groups).sum(-1) >= (magnitudes * ~groups).sum(-1)).all())


BLOCK_SHAPES = [(5, 8, 3), (6, 3, 3), (4, 12), (3, 4, 1, 2)]


@given(sparsity=SPARSITIES, scope=st.sampled_from(["global", "layerwise"]), seed=st.integers(0, 9))
def test_blocks_of_four_inputs_stay_or_go_together_and_meet_the_budget_to_within_one(sparsity, scope, seed):
    torch.manual_seed(seed)
    values = {f"layer{number}": torch.randn(shape) for number, shape in enumerate(BLOCK_SHAPES)}
    masks = Budget(scope, pattern=Blocks()).choose(values, sparsity)
    left = kept_count(sum(value.numel() for value in values.values()), sparsity)
    assert 0 <= left - sum(int(mask.sum()) for mask in masks.values()) < 4
    squares = {}
    for name, mask in masks.items():
        size = 1 if name == "layer1" else 4
        kept = mask.unflatten(1, (-1, size))
        assert bool((kept.all(dim=2) == kept.any(dim=2)).all())
        mean = values[name].unflatten(1, (-1, size)).square().mean(dim=2)
        squares[name] = mean[kept.any(dim=2)], mean[~kept.any(dim=2)]
    largest = max((float(gone.max()) for _, gone in squares.values() if gone.numel()), default=0)
    smallest = [float(kept.min()) for kept, _ in squares.values() if kept.numel()]
    if scope == "global":
        assert all(one >= largest * (1 - 1e-6) for one in smallest)


def test_blocks_are_the_same_in_every_layout_and_leave_what_is_gone():
    value = torch.randn(8, 8, 3, 3)
    budget = Budget(pattern=Blocks(), costs={"a": 5})
    plain = budget.choose({"a": value}, 0.5)["a"]
    last = budget.choose({"a": value.contiguous(memory_format=torch.channels_last)}, 0.5)["a"]
    assert torch.equal(plain, last)
    assert last.is_contiguous(memory_format=torch.channels_last)
    # A block with a weight left is whole; one without stays away.
    present = value * plain
    present[:, ::2] = 0
    assert torch.equal(budget.pruned(present), ~plain)
    again = budget.choose({"a": value}, 0.75, {"a": plain})["a"]
    assert bool((again <= plain).all())
    assert int(again.sum()) == 144
    # What is there by then is no reason to refuse the same sparsity again.
    odd = Budget("layerwise", pattern=Blocks())
    kept = odd.choose({"a": value}, 0.99)
    odd.check(kept, 0.99)
    assert torch.equal(odd.choose({"a": value}, 0.99, kept)["a"], kept["a"])


def test_patterns_are_read_from_their_names():
    assert parse_pattern("none") is None
    assert parse_pattern("2:4") == Pattern(2, 4)
    assert parse_pattern("block4") == Blocks(4)
    for text in ("block8", "4:2", "2:4:8", ""):
        with pytest.raises(InputError, match="pattern"):
            parse_pattern(text)


@given(target=st.floats(0.01, 0.99), fraction=st.floats(0.05, 0.9), present=st.floats(0, 0.9))
def test_rounds_remove_a_fraction_of_what_remains_and_end_at_the_target(target, fraction, present):
    sparsities = round_sparsities(target, fraction, present)
    if target <= present:
        assert sparsities == ()
        return
    assert sparsities[-1] == target
    densities = [1 - present, *(1 - sparsity for sparsity in sparsities)]
    removed = [1 - after / before for before, after in pairwise(densities)]
    assert removed[:-1] == pytest.approx([fraction] * (len(removed) - 1))
    assert removed[-1] <= fraction + 1e-5


def test_ninety_five_percent_takes_fourteen_rounds():
    assert len(round_sparsities(0.95, 0.2)) == 14


def test_what_cannot_be_done_is_refused_in_one_line():
    allowed = {"a": torch.ones(4, 4, dtype=torch.bool), "b": torch.ones(1, 2, dtype=torch.bool)}
    with pytest.raises(InputError, match="empty layer 'b'"):
        Budget("layerwise").check(allowed, 0.9)
    with pytest.raises(InputError, match="no weight at all"):
        Budget().check(allowed, 0.99)
    allowed["a"][:3] = False
    with pytest.raises(InputError, match=r"below the present sparsity 0\.6667"):
        Budget().check(allowed, 0.5)
    with pytest.raises(InputError, match="empty layer 'b'"):
        Budget("layerwise", pattern=Blocks()).check(
            {"a": torch.ones(64, 4, dtype=torch.bool), "b": torch.ones(2, 4, dtype=torch.bool)}, 0.8
        )
    with pytest.raises(InputError, match="groups of the pattern"):
        Budget(pattern=Pattern(2, 8)).check(allowed, 0.75)
