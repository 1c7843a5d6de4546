"""The pruner beside other things that a loop has: checkpoints, averages, skipped steps, compilers."""

import copy

import pytest
import torch
from random_networks import network_of, train, zeros
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import winninghand as wh
from winninghand.compression import MagnitudeMasks, Method, prunable_weights
from winninghand.compression.budget import kept_count
from winninghand.compression.lightning import PruningCallback
from winninghand.compression.methods import GradualMagnitudePruning

lightning = pytest.importorskip("pytorch_lightning")

GRADUAL = ("ft", "gmp", "lth", "lrr", "ep", "bp")
METHODS = (*GRADUAL, "set", "rigl", "snip", "synflow")
SETTINGS = {"fraction_per_round": 0.5, "update_every": 3, "regrow_every": 3, "iterations": 10}
EXAMPLES = torch.linspace(-1, 1, 10 * 108).view(10, 3, 6, 6).sin(), torch.arange(10) % 5


def step(module, optimizer, number):
    generator = torch.Generator().manual_seed(number)
    images, labels = (
        torch.randn(4, 3, 6, 6, generator=generator),
        torch.randint(5, (4,), generator=generator),
    )
    optimizer.zero_grad()
    nn.functional.cross_entropy(module(images), labels).backward()
    optimizer.step()


def begin(method, seed=0, **settings):
    module = network_of([4, 6], seed)
    pruner = wh.Pruner(module, method, 0.8, 20, examples=EXAMPLES, **SETTINGS, **settings)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    return module, pruner, optimizer


def run(parts, first, last):
    module, pruner, optimizer = parts
    for number in range(first, last):
        step(module, optimizer, number)
        pruner.step(optimizer=optimizer)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("at", [0, 7, 19, 20])
def test_a_loop_that_stopped_ends_with_the_same_bits(method, at, tmp_path):
    parts = begin(method)
    run(parts, 0, at)
    torch.save([part.state_dict() for part in parts], tmp_path / "state.pt")
    run(parts, at, 22)
    again = begin(method, seed=2)
    module, pruner, optimizer = torch.load(tmp_path / "state.pt")
    again[1].load_state_dict(pruner)
    again[0].load_state_dict(module)
    if at < 20:
        again[2].load_state_dict(optimizer)
        run(again, at, 22)
        assert again[1].phase == parts[1].phase
        for name, tensor in parts[0].state_dict().items():
            assert torch.equal(again[0].state_dict()[name], tensor), name
    else:
        assert again[0].state_dict().keys() == module.keys()
    assert again[1].sparsity == parts[1].sparsity


def test_a_state_of_another_pruner_is_refused():
    state = begin("gmp")[1].state_dict()
    with pytest.raises(wh.InputError, match="other method"):
        begin("lrr")[1].load_state_dict(state)
    module = network_of([4, 6], 0)
    with pytest.raises(wh.InputError, match="other steps: 20, not 21"):
        wh.Pruner(module, "gmp", 0.8, 21, update_every=3).load_state_dict(state)


def test_a_finished_pruner_does_not_go_back():
    _, pruner, _ = begin("bp")
    state = pruner.state_dict()
    pruner.finish()
    with pytest.raises(wh.InputError, match="into a new one"):
        pruner.load_state_dict(state)


def test_a_sparse_start_is_remembered_by_the_state():
    module, pruner, _ = begin("ft")
    run((module, pruner, torch.optim.SGD(module.parameters(), lr=0.1)), 0, 20)
    first = wh.Pruner(module, "gmp", 0.9, 20, trained=True)
    other = wh.Pruner(network_of([4, 6], 2), "gmp", 0.9, 20, trained=True)
    other.load_state_dict(first.state_dict())
    assert other.sparsity == first.sparsity == pytest.approx(0.8, abs=1e-2)


@pytest.mark.parametrize("method", ["ft", "lrr"])
def test_a_fresh_network_is_trained_before_anything_is_pruned(method):
    module, pruner, _ = begin(method)
    assert pruner.sparsity == 0
    trained = wh.Pruner(network_of([4, 6], 0), method, 0.8, 20, trained=True, fraction_per_round=0.5)
    assert trained.sparsity == pytest.approx(0.8 if method == "ft" else 0.5, abs=1e-2)
    assert zeros(prunable_weights(module).values()) == 0


@pytest.mark.parametrize("method", GRADUAL)
def test_finish_in_mid_run_prunes_to_the_target(method):
    names = list(network_of([4, 6], 0).state_dict())
    module, pruner, optimizer = begin(method)
    run((module, pruner, optimizer), 0, 2)
    assert pruner.sparsity < 0.75
    pruner.finish()
    weights = prunable_weights(module)
    total = sum(weight.numel() for weight in weights.values())
    assert zeros(weights.values()) == total - kept_count(total, 0.8)
    assert sorted(module.state_dict()) == sorted(names)
    before = {name: mask.clone() for name, mask in pruner.masks.items()}
    run((module, pruner, optimizer), 5, 8)
    assert pruner.finished
    for name, mask in pruner.masks.items():
        assert torch.equal(mask, before[name])
        assert torch.equal(weights[name] != 0, mask)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("use_buffers", [False, True])
def test_averaged_weights_end_sparse(method, use_buffers):
    module, pruner, optimizer = begin(method)
    averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=use_buffers)
    for number in range(20):
        step(module, optimizer, number)
        pruner.step()
        averaged.update_parameters(module)
    pruner.apply_to(averaged)
    assert averaged.module.state_dict().keys() == module.state_dict().keys()
    for name, weight in prunable_weights(module).items():
        copied = averaged.module.get_parameter(name)
        assert torch.equal(copied != 0, weight != 0)
        assert (method in ("ep", "bp")) == torch.equal(copied, weight)
    assert averaged(torch.randn(2, 3, 6, 6)).shape == (2, 5)


def test_a_copy_in_mid_run_gets_ordinary_weights():
    module, pruner, optimizer = begin("bp")
    run((module, pruner, optimizer), 0, 15)
    other = copy.deepcopy(module)
    pruner.apply_to(other)
    plain = network_of([4, 6], 0)
    assert sorted(other.state_dict()) == sorted(plain.state_dict())
    for name, mask in pruner.masks.items():
        assert torch.equal(other.get_parameter(name) != 0, mask)
    run((module, pruner, optimizer), 15, 16)
    assert isinstance(module[0].parametrizations, nn.ModuleDict)


def test_a_skipped_step_changes_nothing():
    _, pruner, _ = begin("gmp")
    before = pruner.state_dict()["step"], pruner.sparsity
    for _ in range(5):
        pruner.step(skipped=True)
    assert (pruner.state_dict()["step"], pruner.sparsity) == before


def test_an_optimizer_made_before_the_pruner_trains_the_scores():
    module = network_of([4, 6], 0)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    parameters = list(module.parameters())
    pruner = wh.Pruner(module, "ep", 0.8, 20)
    before = [parameter.clone() for parameter in parameters]
    run((module, pruner, optimizer), 0, 1)
    assert any(not torch.equal(one, other) for one, other in zip(before, parameters, strict=True))
    pruner.finish()
    assert {id(parameter) for parameter in parameters} == {id(one) for one in module.parameters()}


@pytest.mark.parametrize("method", ["ep", "bp"])
def test_all_layers_share_one_type_and_nothing_is_compiled_again(method):
    module = network_of([4] * 10, seed=0, norm=False)
    pruner = wh.Pruner(module, method, 0.9, 20)
    assert len({type(part) for part in module if hasattr(part, "parametrizations")}) == 2  # with the head
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    torch._dynamo.utils.counters.clear()
    train(compiled, pruner, 19)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    images = torch.randn(4, 3, 6, 6)
    assert torch.allclose(compiled(images), module(images), atol=1e-5)


@pytest.mark.parametrize("method", ["gmp", "bp"])
@pytest.mark.parametrize("how", ["assign", "head"])
def test_a_weight_that_is_replaced_is_named(method, how):
    module, pruner, _ = begin(method)
    if how == "assign":
        module.load_state_dict({name: t.clone() for name, t in module.state_dict().items()}, assign=True)
    else:
        module[-1] = nn.Linear(24, 5)
    for call in (pruner.step, pruner.end_epoch, pruner.finish, lambda: pruner.sparsity):
        with pytest.raises(wh.InputError, match="was replaced after the pruner was made"):
            call()


def test_the_old_name_of_step_warns():
    _, pruner, _ = begin("gmp")
    with pytest.warns(DeprecationWarning, match="Pruner.step"):
        pruner.after_step()
    assert pruner.state_dict()["step"] == 1


class Shrinking(GradualMagnitudePruning):
    """A method whose parts are objects: scores that prefer what is small."""

    def masks(self, network, weights, budget, start, seed):
        return MagnitudeMasks(weights, budget, score=lambda weight: 1 / weight.detach().abs())


def test_a_method_can_be_passed_with_parts_of_its_own():
    module = network_of([6], 0)
    before = module[0].weight.detach().clone()
    pruner = wh.Pruner(module, Shrinking(sparsity=0.5, scope="layerwise"))
    pruner.finish()
    kept = pruner.masks["0.weight"]
    assert before[kept].abs().max() < before[~kept].abs().min()
    with pytest.raises(wh.InputError, match="'sparsity' is a setting"):
        wh.Pruner(module, Method.model_validate({}), 0.9)


class Classifier(lightning.LightningModule):
    def __init__(self, seed):
        super().__init__()
        self.network = network_of([4, 6], seed)

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def fit(folder, method, seed, epochs, path=None, steps=12):
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(24, 3, 6, 6, generator=generator), torch.arange(24) % 5
    data = torch.utils.data.TensorDataset(images, labels)
    callback = PruningCallback(method, 0.8, steps, **SETTINGS)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        callbacks=[callback],
        accelerator="cpu",
        default_root_dir=folder,
        accumulate_grad_batches=2,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Classifier(seed)
    trainer.fit(model, torch.utils.data.DataLoader(data, batch_size=4), ckpt_path=path, weights_only=True)
    return model, callback.pruner, trainer


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["gmp", "lth", "bp"])
def test_lightning_goes_on_from_its_checkpoint(method, tmp_path):
    whole, pruner, _ = fit(tmp_path / "whole", method, 0, 4)
    assert pruner.finished
    _, _, trainer = fit(tmp_path / "part", method, 0, 2)
    again, pruner, trainer = fit(tmp_path / "part", method, 2, 4, trainer.checkpoint_callback.best_model_path)
    assert trainer.callback_metrics["sparsity"] == pytest.approx(0.8, abs=1e-2)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    done = trainer.checkpoint_callback.best_model_path
    longer, pruner, _ = fit(tmp_path / "longer", method, 4, 5, done)
    assert pruner.finished
    for name, mask in pruner.masks.items():
        assert torch.equal(longer.get_parameter(name) != 0, mask)
