"""What a pruner refuses: states and copies that do not fit, and weights that another one prunes."""

import copy

import pytest
import torch
from random_networks import network_of, train
from torch import nn

import winninghand as wh

SETTINGS = {"fraction_per_round": 0.5, "update_every": 3}


def begin(method, steps=12, **settings):
    module = network_of([4, 6], 0)
    return module, wh.Pruner(module, method, 0.8, steps, **SETTINGS, **settings)


def everything(module, pruner):
    return copy.deepcopy((module.state_dict(), pruner.state_dict(), pruner.masks))


def equal(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, tuple):
        return all(map(equal, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def without(key):
    return lambda state: {name: value for name, value in state.items() if name != key}


def within(part, key, value=None):
    """Change one entry of a part of the state, or take it away."""

    def change(state):
        kept = {name: tensor for name, tensor in state[part].items() if name != key}
        return {**state, part: kept if value is None else {**kept, key: value}}

    return change


CHANGES = [
    ("gmp", lambda _: {}, "has no 'method'"),
    ("gmp", lambda _: None, "must be a dict .* not NoneType"),
    ("gmp", without("remembered"), "has no 'remembered'"),
    ("gmp", lambda state: {**state, "step": 99}, "from 0 to 12, not 99"),
    ("gmp", lambda state: {**state, "step": -3}, "from 0 to 12, not -3"),
    ("gmp", lambda state: {**state, "step": 2.0}, "whole number"),
    ("gmp", lambda state: {**state, "steps": torch.ones(2)}, "other steps"),
    ("gmp", lambda state: {**state, "trained": True}, "other trained: True, not False"),
    ("gmp", lambda state: {**state, "epochs": 7}, "other epochs: 7, not 30"),
    ("gmp", lambda state: {**state, "present": 0.3}, "began with a sparsity of 0.3"),
    ("gmp", lambda state: {**state, "masks": None}, "masks .* must be a dict"),
    ("gmp", lambda state: {**state, "masks": {}}, "no tensor '0.weight' of shape"),
    ("gmp", lambda state: {**state, "step": 1}, "has '0.weight', of which"),
    ("gmp", within("masks", "0.weight", torch.ones(4, 3, 3, 2, dtype=torch.bool)), r"not \(4, 3, 3, 3\)"),
    ("gmp", within("masks", "0.weight", torch.ones(4, 3, 3, 3)), "is torch.float32, not torch.bool"),
    ("gmp", within("masks", "9.weight", torch.ones(1)), "has '9.weight', of which"),
    ("gmp", within("masks", 9, torch.ones(1)), "has 9, of which"),
    ("lth", lambda state: {**state, "remembered": {}}, "remembers has no tensor '0.weight'"),
    ("lth", within("remembered", "0.bias"), "remembers has no tensor '0.bias'"),
    ("lth", within("remembered", "0.bias", torch.ones(5)), r"shape \(5,\), not \(4,\)"),
    ("bp", within("masks", "final.0.weight", torch.ones(4, 3, 3, 3)), "has 'final.0.weight', of which"),
    ("bp", lambda state: {**state, "step": 12}, "no tensor 'final.0.weight'"),
]


@pytest.mark.parametrize(("method", "change", "named"), CHANGES)
def test_a_state_that_does_not_fit_changes_nothing(method, change, named):
    first, pruner = begin(method)
    train(first, pruner, 8)
    state = pruner.state_dict()
    other = begin(method)
    before = everything(*other)
    with pytest.raises(wh.InputError, match=named) as error:
        other[1].load_state_dict(change(state))
    assert "\n" not in str(error.value)
    assert equal(everything(*other), before)
    other[1].load_state_dict(state)
    assert equal(other[1].state_dict(), state)


@pytest.mark.parametrize("method", ["gmp", "bp"])
@pytest.mark.parametrize("steps", [0, 12])
@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda: nn.Linear(3, 3), "no tensor '0.weight'"),
        (lambda: network_of([4, 7], 0), "'3.weight' of the module, .* has shape"),
        (lambda: nn.Sequential(network_of([4, 6], 0)), "no tensor '0.weight'"),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 3)), "lazy"),
        (dict, "not dict"),
    ],
)
def test_what_is_no_copy_is_refused(method, steps, other, named):
    module, pruner = begin(method)
    train(module, pruner, steps)
    with pytest.raises(wh.InputError, match=named) as error:
        pruner.apply_to(other())
    assert "\n" not in str(error.value)


def test_a_covered_copy_of_another_shape_stays_covered():
    _, pruner = begin("bp")
    module = network_of([4, 7], 0)
    wh.Pruner(module, "bp", 0.8, 12)
    names = list(module.state_dict())
    with pytest.raises(wh.InputError, match="has shape"):
        pruner.apply_to(module)
    assert list(module.state_dict()) == names


def test_apply_to_leaves_the_module_itself_to_finish():
    module, pruner = begin("bp")
    with pytest.raises(wh.InputError, match="for the module itself call finish"):
        pruner.apply_to(module)
    train(module, pruner, 12)
    pruner.apply_to(module)
    assert torch.equal(module[0].weight != 0, pruner.masks["0.weight"])


@pytest.mark.parametrize("second", ["gmp", "bp"])
@pytest.mark.parametrize("first", ["gmp", "lrr", "bp"])
def test_a_second_pruner_waits_for_the_first(first, second):
    module, pruner = begin(first)
    names = list(module.state_dict())
    with pytest.raises(wh.InputError, match=r"'0\.weight' is .* finish\(\)"):
        wh.Pruner(module, second, 0.5, 12)
    assert list(module.state_dict()) == names
    pruner.finish()
    names = set(pruner.masks)
    assert set(wh.Pruner(module, second, 0.5, 12).masks) == names


def test_pruners_of_other_weights_and_deleted_ones_are_no_hindrance():
    module, pruner = begin("gmp", exclude=["8"])
    wh.Pruner(module[8:], "gmp", 0.5, 12)
    del pruner
    assert wh.Pruner(module, "bp", 0.5, 12).masks


def test_finish_prunes_again_what_was_put_in_place_of_the_weights():
    for method in ("gmp", "bp"):
        module, pruner = begin(method)
        train(module, pruner, 12)
        with torch.no_grad():
            module[0].weight.fill_(1.0)
        pruner.finish()
        assert torch.equal(module[0].weight != 0, pruner.masks["0.weight"])
