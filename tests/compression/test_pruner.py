import logging

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import SEEDS, WIDTHS, network_of, train, zeros
from torch import nn

import winninghand as wh
from winninghand.compression import prunable_weights
from winninghand.compression.budget import kept_count

MAGNITUDE = ("ft", "gmp", "lth", "lrr")
SCORES = ("ep", "bp")
STEPS = 40

few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


def pruned(method, module, sparsity, steps=STEPS, **more):
    return wh.Pruner(module, method, sparsity, steps, fraction_per_round=0.5, **{"trained": True, **more})


@pytest.mark.parametrize("method", [*MAGNITUDE, *SCORES])
@few
@given(widths=WIDTHS, seed=SEEDS, sparsity=st.floats(0, 0.95), norm=st.booleans())
def test_the_final_sparsity_is_the_target_to_the_weight(method, widths, seed, sparsity, norm):
    module = network_of(widths, seed, norm)
    names = list(module.state_dict())
    total = sum(weight.numel() for weight in prunable_weights(module).values())
    train(module, pruned(method, module, sparsity), STEPS)
    assert zeros(prunable_weights(module).values()) == total - kept_count(total, sparsity)
    assert sorted(module.state_dict()) == sorted(names)
    assert all(type(part) in (*TYPES, nn.Sequential) for part in module.modules())


TYPES = (nn.Conv2d, nn.BatchNorm2d, nn.Identity, nn.ReLU, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear)


@pytest.mark.parametrize("method", [*MAGNITUDE, *SCORES])
@few
@given(widths=st.lists(st.integers(3, 6), min_size=1, max_size=3), seed=SEEDS)
def test_layerwise_each_layer_is_within_one_weight_of_its_share(method, widths, seed):
    module = network_of(widths, seed)
    train(module, pruned(method, module, 0.7, scope="layerwise"), STEPS)
    for weight in prunable_weights(module).values():
        assert abs(int(weight.count_nonzero()) - 0.3 * weight.numel()) <= 1.5


@pytest.mark.parametrize("method", ["ft", "gmp", "lrr"])
@few
@given(widths=WIDTHS, seed=SEEDS)
def test_what_is_pruned_stays_exactly_zero(method, widths, seed):
    module = network_of(widths, seed)
    pruner = pruned(method, module, 0.8)
    weights = list(prunable_weights(module).values())
    before = [weight == 0 for weight in weights]

    def check():
        for index, weight in enumerate(weights):
            assert not weight[before[index]].any()
            before[index] = weight == 0
        assert pruner.sparsity == zeros(weights) / sum(weight.numel() for weight in weights)

    train(module, pruner, STEPS + 5, check)


@pytest.mark.parametrize("method", SCORES)
@few
@given(widths=WIDTHS, seed=SEEDS, init=st.sampled_from(["signed_constant", "kaiming_normal", "keep"]))
def test_weights_under_scores_never_move(method, widths, seed, init):
    module = network_of(widths, seed)
    pruner = wh.Pruner(module, method, 0.6, STEPS, init=init)
    frozen = {name: tensor.clone() for name, tensor in module.state_dict().items() if "original" in name}
    moving = {name: tensor.clone() for name, tensor in module.named_parameters() if "scores" in name}
    train(module, pruner, STEPS - 1)
    state = module.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in frozen.items())
    assert any(not torch.equal(state[name], tensor) for name, tensor in moving.items())
    train(module, pruner, 1)
    for name, weight in prunable_weights(module).items():
        path, attribute = name.rsplit(".", 1)
        original = frozen[f"{path}.parametrizations.{attribute}.original"]
        kept = weight != 0
        if method == "bp" and bool(kept.any()):
            original = original.sign() * original[kept].abs().mean()
            assert len(weight[kept].abs().unique()) == 1
        assert torch.allclose(weight[kept], original[kept], rtol=1e-5)


def test_biases_and_norms_rest_under_scores_unless_told():
    for train_norm in (False, True):
        module = network_of([4], seed=0)
        before = {name: tensor.clone() for name, tensor in module.named_parameters()}
        pruner = wh.Pruner(module, "ep", 0.5, STEPS, exclude=["5"], train_norm=train_norm)
        train(module, pruner, STEPS)
        moved = {name for name, tensor in module.named_parameters() if not torch.equal(tensor, before[name])}
        rest = {"0.bias", "1.weight", "1.bias", "5.bias"}
        assert moved & rest == (rest if train_norm else set())
        assert "5.weight" in moved
        assert all(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("method", SCORES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_of_scores_is_straight_through(method, dtype):
    module = nn.Sequential(nn.Linear(6, 3, bias=False, dtype=dtype))
    wh.Pruner(module, method, 0.5, 10, seed=1)
    popup = module[0].parametrizations.weight[0]
    original = module[0].parametrizations.weight.original
    kept = popup.scores.abs() >= popup.scores.abs().flatten().kthvalue(10).values
    seen = original
    if method == "bp":
        seen = original.sign() * original[kept].abs().mean()
    assert torch.allclose(module[0].weight, seen * kept)
    x, goal = torch.randn(7, 6, dtype=dtype), torch.randn(7, 3, dtype=dtype)
    (module(x) * goal).sum().backward()
    assert torch.allclose(popup.scores.grad, goal.T @ x * seen * popup.scores.sign(), atol=1e-5)
    assert original.grad is None


@pytest.mark.parametrize("method", [*MAGNITUDE, *SCORES])
def test_other_number_formats_take_the_tensor_path(method):
    module = nn.Sequential(nn.Flatten(), nn.Linear(108, 20), nn.ReLU(), nn.Linear(20, 5)).double()
    pruner = pruned(method, module, 0.8)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    for _ in range(STEPS):
        optimizer.zero_grad()
        module(torch.randn(4, 3, 6, 6, dtype=torch.float64)).square().mean().backward()
        optimizer.step()
        pruner.step()
    weights = prunable_weights(module).values()
    assert zeros(weights) == round(0.8 * (108 * 20 + 100))


def test_gmp_follows_its_cubic_schedule():
    module = network_of([6, 6], seed=0)
    pruner = wh.Pruner(module, "gmp", 0.9, 100, prune_from=0.1, prune_until=0.6, update_every=5)
    seen = []
    train(module, pruner, 100, lambda: seen.append(pruner.sparsity))
    total = sum(weight.numel() for weight in prunable_weights(module).values())
    for step in (5, 10, 15, 30, 55, 60, 100):
        progress = min(max((step - 10) / 50, 0), 1)
        assert seen[step - 1] == pytest.approx(0.9 * (1 - (1 - progress) ** 3), abs=1 / total)
    assert seen[30] == seen[33]


def test_scores_come_to_their_sparsity_from_one_half():
    module = network_of([6, 6], seed=0)
    total = sum(weight.numel() for weight in prunable_weights(module).values())
    pruner = wh.Pruner(module, "ep", 0.9, 60, epochs=30, ramp_epochs=10)
    assert pruner.sparsity == pytest.approx(0.5, abs=1 / total)
    train(module, pruner, 10)
    assert pruner.sparsity == pytest.approx(0.9 - 0.4 * 0.5**3, abs=1 / total)
    train(module, pruner, 10)
    assert pruner.sparsity == pytest.approx(0.9, abs=1 / total)


def test_lth_goes_back_to_the_weights_of_its_first_step():
    module = network_of([4, 4], seed=0)
    first = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    pruner = pruned("lth", module, 0.75, steps=30)
    train(module, pruner, 10)
    assert pruner.phase == 1
    for name, weight in module.state_dict().items():
        kept = weight != 0 if name in prunable_weights(module) else torch.ones_like(weight, dtype=torch.bool)
        assert torch.equal(weight[kept], first[name][kept])


def test_a_sparse_module_is_pruned_further_and_never_less():
    module = network_of([6, 6], seed=0)
    train(module, pruned("ft", module, 0.5), 3)
    gone = {name: weight == 0 for name, weight in prunable_weights(module).items()}
    with pytest.raises(wh.InputError, match="below the present sparsity"):
        wh.Pruner(module, "gmp", 0.3, 100, trained=True)
    train(module, pruned("lrr", module, 0.8), STEPS)
    assert not any(weight[gone[name]].any() for name, weight in prunable_weights(module).items())


class Attentive(nn.Module):
    """Attention, a convolution without norm whose weights another shares, and a frozen one."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.again = nn.Conv2d(8, 8, 1)
        self.twin = nn.Conv2d(8, 8, 1)
        self.twin.weight = self.again.weight
        self.frozen = nn.Conv2d(8, 8, 1).requires_grad_(False)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.frozen(self.twin(self.again(self.stem(x)).relu()))
        tokens = x.flatten(2).transpose(1, 2)
        return self.head(self.attention(tokens, tokens, tokens)[0].mean(dim=1))


@pytest.mark.parametrize("method", [*MAGNITUDE, *SCORES])
@pytest.mark.parametrize("budget", ["weights", "macs"])
def test_attention_shared_and_frozen_weights(method, budget):
    module = Attentive()
    frozen = module.frozen.weight.clone()
    pruner = wh.Pruner(module, method, 0.75, STEPS, budget=budget, input_size=(6, 6))
    train(module, pruner, STEPS)
    assert module.twin.weight is module.again.weight
    assert torch.equal(module.frozen.weight, frozen)
    weights = prunable_weights(module)
    assert set(weights) == {
        "stem.weight",
        "again.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "head.weight",
    }
    if budget == "weights":
        total = sum(weight.numel() for weight in weights.values())
        assert zeros(weights.values()) == total - kept_count(total, 0.75)


def test_an_emptied_layer_is_reported(caplog):
    module = nn.Sequential(nn.Conv2d(3, 50, 3), nn.Flatten(), nn.Linear(50 * 16, 5))
    with torch.no_grad():
        module[0].weight.mul_(1e-6)
    pruner = wh.Pruner(module, "ft", 0.8, 10, trained=True)
    with caplog.at_level(logging.WARNING):
        report = pruner.end_epoch()
        pruner.end_epoch()
    assert report == {"sparsity": pytest.approx(0.8, abs=1e-3), "emptied_layers": 1}
    assert [record.getMessage().count("0.weight") for record in caplog.records] == [1]


CONTRADICTIONS = [
    ({"distribution": "erk"}, "layerwise"),
    ({"budget": "macs", "scope": "layerwise"}, "global"),
    ({"budget": "macs"}, "input_size"),
    ({"budget": "engine"}, "measure_costs"),
    ({"budget": "engine", "costs": {"other.weight": 3}}, "other.weight"),
    ({"budget": "engine", "costs": {}}, "lacks the layer"),
    ({"budget": "engine", "costs": {"other.weight": 0}}, "costs.other.weight"),
    ({"pattern": "2:4"}, "sparsity 0.5, not 0.9"),
    ({"pattern": "4:2"}, "N < M"),
    ({"pattern": "half"}, "N:M"),
    ({"prune_from": 0.9}, "prune_until"),
    ({"method": "lth", "rewind_epoch": 30.0}, "rewind_epoch"),
    ({"method": "lrr", "steps": 3}, "phases"),
    ({"method": "snips"}, "unknown method"),
    ({"rounds": 3}, "rounds"),
    ({"method": "snip"}, r"give examples = \(images, labels\)"),
    ({"method": "snip", "examples": (torch.rand(2, 3, 6, 6), torch.rand(2))}, "labels, int64"),
    ({"method": "synflow"}, r"give input_size = \(H, W\)"),
    ({"exclude": ["heads"]}, "heads"),
]


@pytest.mark.parametrize(("changes", "named"), CONTRADICTIONS)
def test_contradictory_settings_are_refused_in_one_line(changes, named):
    with pytest.raises(wh.InputError, match=named) as error:
        wh.Pruner(network_of([4], seed=0), **{"sparsity": 0.9, **changes})
    assert "\n" not in str(error.value)
