"""What a pruner takes in its module, and what it refuses before the first step."""

import warnings

import pytest
import torch
from random_networks import network_of, train, zeros
from torch import nn
from torch.nn.utils import parametrizations, prune

import winninghand as wh
from winninghand.compression import prunable_weights
from winninghand.compression.budget import kept_count

METHODS = ("ft", "gmp", "lth", "lrr", "ep", "bp")


def pruner(module, method="gmp", **settings):
    return wh.Pruner(module, method, 0.75, 12, fraction_per_round=0.5, **settings)


class Doubled(nn.Linear):
    """A layer whose weight is a property."""

    def __init__(self):
        super().__init__(4, 4)
        del self._parameters["weight"]
        self.inner = nn.Parameter(torch.ones(4, 4))

    @property
    def weight(self):
        return 2 * self.inner


def normed(part, by):
    with warnings.catch_warnings(action="ignore"):
        return nn.Sequential(nn.Linear(4, 4), by(part))


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (lambda: normed(nn.Conv2d(3, 4, 3), nn.utils.weight_norm), "'1.weight' is computed by WeightNorm"),
        (lambda: normed(nn.Linear(4, 4), nn.utils.spectral_norm), "'1.weight' is computed by SpectralNorm"),
        (lambda: normed(nn.Linear(4, 4), parametrizations.weight_norm), "'1.weight' is computed by WeightN"),
        (lambda: normed(nn.Linear(4, 4), parametrizations.orthogonal), "'1.weight' is computed by Orthog"),
        (lambda: nn.Sequential(nn.Linear(4, 4), Doubled()), "'1.weight' is computed by"),
        (lambda: pruner(network_of([4], 0), "bp").module, "finish"),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 3)), "lazy"),
        (lambda: nn.Linear(4, 4, device="meta"), "has no values"),
        (lambda: nn.Linear(4, 4, dtype=torch.complex64), "complex"),
        (lambda: nn.Linear, "takes a torch.nn.Module"),
        (lambda: "a.card", "takes a torch.nn.Module"),
    ],
)
def test_what_cannot_be_pruned_is_named(module, named):
    with pytest.raises(wh.InputError, match=named) as error:
        pruner(module())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_that_are_not_finite_are_refused(value, dtype):
    module = network_of([4], 0).to(dtype)
    module[0].weight.data[0, 0, 0, 0] = value
    with pytest.raises(wh.InputError, match=r"'0.weight' holds values that are NaN or infinite"):
        pruner(module)


@pytest.mark.parametrize("by", [nn.utils.weight_norm, parametrizations.weight_norm])
def test_a_layer_left_out_may_be_computed(by):
    module = normed(nn.Linear(4, 4), by)
    found = pruner(module, exclude=["1"])
    found.finish()
    assert set(found.masks) == {"0.weight"}
    assert int(module[0].weight.count_nonzero()) == 4


@pytest.mark.parametrize("method", METHODS)
def test_masks_of_hooks_are_baked_in_and_count(method):
    module = network_of([4, 4], 0)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    prune.l1_unstructured(module[0], "weight", 0.5)
    gone = module[0].weight_mask == 0
    found = wh.Pruner(module, method, 0.75, 12, fraction_per_round=0.5, trained=True, exclude=["7"])
    assert not prune.is_pruned(module)
    train(module, found, 12)
    weights = prunable_weights(module, ["7"])
    total = sum(weight.numel() for weight in weights.values())
    assert zeros(weights.values()) == round(0.75 * total)
    if method not in ("ep", "bp"):  # which draw their weights anew
        assert not module[0].weight[gone].any()
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    assert held == {id(weight) for weight in module.parameters()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("method", METHODS)
def test_the_target_is_met_in_every_float(method, dtype):
    module = network_of([6, 6], 0).to(dtype)
    found = wh.Pruner(module, method, 0.75, 12, fraction_per_round=0.5, trained=True)
    for _ in range(12):
        found.step()
    weights = prunable_weights(module)
    total = sum(weight.numel() for weight in weights.values())
    assert zeros(weights.values()) == total - kept_count(total, 0.75) and found.sparsity == pytest.approx(
        0.75, abs=1e-2
    )
    assert {weight.dtype for weight in weights.values()} == {dtype}


class Keeping(nn.Linear):
    """A layer with a state that is no tensor."""

    kept = 0

    def get_extra_state(self):
        return {"kept": self.kept}

    def set_extra_state(self, state):
        self.kept = state["kept"]


def test_rewinding_takes_an_extra_state_back_too():
    module = nn.Sequential(nn.Flatten(), Keeping(108, 5))
    first = module[1].weight.detach().clone()
    found = wh.Pruner(module, "lth", 0.5, 4, fraction_per_round=0.5)
    module[1].kept = 1
    train(module, found, 2)
    assert found.phase == 1 and module[1].kept == 0
    kept = module[1].weight != 0
    assert int(kept.sum()) == 270 and torch.equal(module[1].weight[kept], first[kept])
