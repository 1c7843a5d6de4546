import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from winninghand.compression import kernels
from winninghand.compression.kernels import compilable

WHOLE = st.lists(st.lists(st.integers(-4, 4), min_size=1, max_size=20), min_size=1, max_size=3)


def reference(values, budget, allowed, costs):
    """Take the largest magnitudes one by one, in the order of a stable sort, until one is too dear."""
    order = sorted(
        (-abs(float(value)), i, j) for i, part in enumerate(values) for j, value in enumerate(part.tolist())
    )
    kept = [torch.zeros(len(part), dtype=torch.bool) for part in values]
    for _, i, j in order:
        if not allowed[i][j]:
            continue
        if costs[i] > budget:
            break
        kept[i][j] = True
        budget -= costs[i]
    return kept


@pytest.mark.parametrize("select", [kernels._compiled, kernels._bisected])
@given(data=st.data(), parts=WHOLE, scale=st.sampled_from([1.0, 1e-30, 3e4]))
def test_the_largest_are_kept_and_the_count_is_exact(select, data, parts, scale):
    values = [torch.tensor(part, dtype=torch.float32) * scale for part in parts]
    allowed = [torch.tensor([data.draw(st.booleans()) for _ in part]) for part in parts]
    costs = [data.draw(st.integers(1, 3)) for _ in parts]
    budget = data.draw(st.integers(0, 60))
    kept, threshold, left = select(values, budget, allowed, costs)
    if threshold >= 0 and left > 0:
        kernels._add_ties(values, allowed, costs, kept, threshold, left)
    expected = reference(values, budget, allowed, costs)
    assert all(torch.equal(one, other) for one, other in zip(kept, expected, strict=True))


@pytest.mark.parametrize("shape", [(6, 4, 1, 1), (6, 1, 3, 3), (1, 4, 3, 3), (6, 4, 3, 3), (6, 4)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_weight_and_its_mask_take_the_compiled_path(shape, memory_format):
    weight = torch.randn(shape)
    weight = weight.to(memory_format=memory_format) if weight.ndim == 4 else weight
    mask = kernels.keep_largest([weight], 7)[0]
    assert compilable(weight, mask, ~mask, torch.empty_like(weight), weight.abs())
    again = kernels.keep_largest([weight], 5, [mask])[0]
    assert torch.equal(again, kernels.keep_largest([weight], 5)[0])


@given(count=st.integers(0, 2 * 3 * 4 * 5), seed=st.integers(0, 20))
def test_the_layout_in_memory_does_not_matter(count, seed):
    torch.manual_seed(seed)
    values = torch.randn(2, 3, 4, 5).mul(2).round()
    plain = kernels.keep_largest([values], count)[0]
    strange = kernels.keep_largest([values.to(memory_format=torch.channels_last)], count)[0]
    strided = kernels.keep_largest([values.repeat_interleave(2, dim=3)[..., ::2]], count)[0]
    assert int(plain.sum()) == count
    assert torch.equal(plain, strange)
    assert torch.equal(plain, strided)
