"""set and rigl, whose masks move, and snip, grasp and synflow, which prune once before the first step."""

import logging
import math

import pytest
import torch
from random_networks import network_of
from torch import nn
from torch.nn.functional import cross_entropy

import winninghand as wh
from winninghand.compression import Budget, prunable_weights
from winninghand.compression.budget import erdos_renyi_kernel, kept_count, layer_shares
from winninghand.compression.saliency import TEMPERATURE, grasp, ranks, snip, synflow

STEPS = 60
MOVING = ("set", "rigl")


class Loop:
    """A training whose every step can be looked at."""

    def __init__(self, method, sparsity=0.8, momentum=0.9, **settings):
        self.module = network_of([6, 8], seed=1)
        self.pruner = wh.Pruner(
            self.module, method, sparsity, STEPS, **{"regrow_every": 10, "drop_fraction": 0.4, **settings}
        )
        self.optimizer = torch.optim.SGD(
            self.module.parameters(), lr=0.1, momentum=momentum, weight_decay=1e-2
        )
        self.weights = {name: self.module.get_parameter(name) for name in self.pruner.masks}

    def step(self):
        """Return the weights that the optimizer left, and the masks before and after the pruner's step."""
        before = self.pruner.masks
        self.optimizer.zero_grad()
        cross_entropy(self.module(torch.randn(4, 3, 6, 6)), torch.randint(5, (4,))).backward()
        self.optimizer.step()
        left = {name: weight.detach() * before[name] for name, weight in self.weights.items()}
        self.pruner.step(optimizer=self.optimizer)
        return left, before, self.pruner.masks


@pytest.mark.parametrize("method", MOVING)
def test_the_start_is_drawn_with_the_densities_of_erdos_and_renyi(method):
    loop, again, other = Loop(method), Loop(method), Loop(method, seed=5)
    shapes = [tuple(weight.shape) for weight in loop.weights.values()]
    sizes = [math.prod(shape) for shape in shapes]
    shares = layer_shares(shapes, kept_count(sum(sizes), 0.8), erdos_renyi_kernel, sizes)
    masks = loop.pruner.masks
    assert [int(mask.sum()) for mask in masks.values()] == shares
    assert all(torch.equal(mask, again.pruner.masks[name]) for name, mask in masks.items())
    assert not all(torch.equal(mask, other.pruner.masks[name]) for name, mask in masks.items())


@pytest.mark.parametrize("method", MOVING)
def test_the_smallest_make_room_for_as_many(method):
    loop, moments = Loop(method), []
    for step in range(1, STEPS + 1):
        left, before, after = loop.step()
        due = step % 10 == 0 and step < 0.75 * STEPS
        share = 0.2 * (1 + math.cos(math.pi * step / (0.75 * STEPS))) if due else 0.0
        moved = 0
        for name, weight in loop.weights.items():
            active, size = before[name], left[name].abs()
            count = int(active.sum())
            dropped, grown = active & ~after[name], after[name] & ~active
            moved += int(grown.sum())
            assert int(after[name].sum()) == count
            assert int(grown.sum()) <= math.floor(share * count)
            # The smallest may have grown again, and keep their values.
            stays = active & after[name]
            bound = size[active].sort().values[: math.floor(share * count)]
            assert not dropped.any() or size[dropped].max() <= bound.max()
            assert torch.equal(weight.detach(), left[name] * stays)
            assert not loop.optimizer.state[weight]["momentum_buffer"][grown].any()
            if method == "rigl" and grown.any():
                free = ~active | (size <= bound.max()) & active
                gradient = weight.grad.abs()
                assert gradient[grown].min() >= gradient[free & ~after[name]].max()
        assert due or moved == 0
        moments.append(moved)
    assert moments[9] > moments[29] > 0


def test_a_global_budget_moves_between_layers_and_stays_exact():
    loop = Loop("rigl", scope="global", layer_floor=0.2)
    first = [int(mask.sum()) for mask in loop.pruner.masks.values()]
    for _ in range(STEPS):
        loop.step()
    last = [int(mask.sum()) for mask in loop.pruner.masks.values()]
    layerwise = [int(mask.sum()) for mask in Loop("rigl").pruner.masks.values()]
    assert first == layerwise != last and sum(first) == sum(last) and min(last) > 0


@pytest.mark.parametrize("method", MOVING)
@pytest.mark.parametrize(("pattern", "sums"), [("2:4", {2}), ("block4", {0, 4})])
def test_a_pattern_holds_in_all_exchanges(method, pattern, sums):
    loop = Loop(method, 0.5, pattern=pattern, exclude=["0", "3"])
    first = loop.pruner.masks["8.weight"]
    for _ in range(STEPS):
        loop.step()
        mask = loop.pruner.masks["8.weight"]
        assert set(mask.view(5, -1, 4).sum(dim=-1).unique().tolist()) == sums
        assert mask.sum() == first.sum() == 80
    assert not torch.equal(mask, first)


def test_what_a_trained_network_holds_is_kept_at_the_start():
    module = network_of([6], seed=0)
    sizes = torch.cat([weight.detach().abs().flatten() for weight in prunable_weights(module).values()])
    pruner = wh.Pruner(module, "set", 0.6, trained=True, scope="global")
    kept = torch.cat([weight.detach().abs()[weight != 0] for weight in prunable_weights(module).values()])
    assert kept.min() == sizes.sort(descending=True).values[len(kept) - 1]
    before = {name: mask.clone() for name, mask in pruner.masks.items()}
    pruner.finish()
    again = wh.Pruner(module, "rigl", pruner.sparsity, trained=True, scope="global")
    assert all(torch.equal(mask, before[name]) for name, mask in again.masks.items())


def test_gradients_that_are_gone_and_trainings_that_are_too_short_are_told(caplog):
    loop = Loop("rigl", regrow_every=1)
    with pytest.raises(wh.InputError, match=r"before zero_grad\(\)"):
        loop.pruner.step()
    with caplog.at_level(logging.WARNING):
        Loop("set", regrow_every=50)
    assert "no weight is dropped or grown in 60 steps at regrow_every = 50" in caplog.text


def example(seed=0):
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)
    ).double()
    batches = [(torch.randn(4, 3, 4, 4).double(), torch.randint(3, (4,))) for _ in range(2)]
    return module.eval(), prunable_weights(module), batches


def test_snip_is_what_the_loss_feels_of_a_mask():
    module, weights, batches = example()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    scores = snip(module, weights, batches, seed=0)
    assert not module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    module.train()
    for name, weight in weights.items():
        for place in range(0, weight.numel(), 7):
            losses, value = [], weight.view(-1)[place].item()
            for factor in (1 + 1e-6, 1 - 1e-6):
                with torch.no_grad():
                    weight.view(-1)[place] = factor * value
                    losses.append(sum(cross_entropy(module(x), y, reduction="sum") for x, y in batches))
                    weight.view(-1)[place] = value
            slope = abs(losses[0] - losses[1]).item() / 2e-6
            assert scores[name].view(-1)[place].item() == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_grasp_is_the_hessian_times_the_gradient():
    module, weights, batches = example()
    scores = grasp(module, weights, batches, seed=0)
    module.train()
    sizes = [weight.numel() for weight in weights.values()]
    point = torch.cat([weight.detach().flatten() for weight in weights.values()])

    def loss(flat):
        parts = {name: p.view_as(w) for (name, w), p in zip(weights.items(), flat.split(sizes), strict=True)}
        outputs = [torch.func.functional_call(module, parts, (x,)) / TEMPERATURE for x, _ in batches]
        return sum(cross_entropy(o, y, reduction="sum") for o, (_, y) in zip(outputs, batches, strict=True))

    gradient = torch.autograd.functional.jacobian(loss, point)
    expected = point * (torch.autograd.functional.hessian(loss, point) @ gradient)
    assert torch.allclose(torch.cat([score.flatten() for score in scores.values()]), expected, rtol=1e-6)
    # The lowest go first, those below 0 included.
    kept = Budget().choose(ranks(scores, weights), 0.4)
    flat = torch.cat([mask.flatten() for mask in kept.values()])
    assert expected[flat].min() > expected[~flat].max()
    assert expected[~flat].min() < 0


def test_synflow_of_a_linear_network_is_its_sum_of_paths():
    module = nn.Sequential(nn.Flatten(), nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False))
    first, second = (module[k].weight.detach().double().abs() for k in (1, 2))
    scores = synflow(module, prunable_weights(module), (3, 1, 1), None)
    assert torch.allclose(scores["1.weight"], first * second.sum(dim=0)[:, None])
    assert torch.allclose(scores["2.weight"], second * first.sum(dim=1))
    assert module[1].weight.min() < 0


def test_synflow_empties_no_layer_of_a_network_whose_flow_float32_cannot_hold():
    torch.manual_seed(0)
    layers = [nn.Linear(40, 40, bias=False) for _ in range(40)]
    module = nn.Sequential(nn.Flatten(), nn.Linear(3, 40), *layers, nn.Linear(40, 5))
    for layer in layers:
        nn.init.normal_(layer.weight, std=1.0)
    pruner = wh.Pruner(module, "synflow", 0.998, 10, input_size=(1, 1), iterations=100)
    assert pruner.end_epoch()["emptied_layers"] == 0
    flow = synflow(module, prunable_weights(module), (3, 1, 1), None)
    assert flow["2.weight"].sum() > 0
    dense = nn.Sequential(nn.Flatten(), nn.Linear(3, 40), *[nn.Linear(40, 40) for _ in range(40)])
    for parameter in dense.parameters():
        nn.init.ones_(parameter)
    assert float(synflow(dense, prunable_weights(dense), (3, 1, 1), None)["1.weight"].sum()) > 3.5e38
