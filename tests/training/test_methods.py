"""Every method from recipe to card."""

import csv

import pytest
import torch
from typer.testing import CliRunner

import winninghand as wh
from winninghand.augmentation.domain import Clean
from winninghand.cli.commands import make_program
from winninghand.engine import costs
from winninghand.recipe import make_recipe
from winninghand.training import new_run
from winninghand.training.run_folder import RunFolder
from winninghand.training.trainer import Trainer

METHODS = ["ft", "gmp", "lth", "lrr", "ep", "bp", "set", "rigl", "snip", "grasp", "synflow"]


def table(method, **compression):
    return {
        "network": {"name": "conv2", "width": 2, "input_size": 16},
        "compression": {
            "method": method,
            "sparsity": 0.9,
            "fraction_per_round": 0.7,
            "regrow_every": 2,
            **compression,
        },
        "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "precision": "32-true"},
    }


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("method", METHODS)
def test_a_card_has_its_sparsity_to_the_weight_and_opens_again(method, scope, tiny_images, tmp_path):
    card = wh.train(make_recipe(table(method, scope=scope)), tiny_images, tmp_path)
    layers = card.inspect().layers
    total = sum(layer.size for layer in layers)
    kept = total - round(0.9 * total)
    assert RunFolder(tmp_path).read_metrics()[-1]["sparsity"] == (total - kept) / total
    nonzero = sum(layer.nonzero for layer in layers)
    # What has grown at a dead unit is still zero.
    assert nonzero <= kept if method in ("set", "rigl") else nonzero == kept
    assert not any("parametrizations" in name for name in card.state_dict())
    opened = wh.load(tmp_path / "card.card").state_dict()
    assert all(torch.equal(tensor, opened[name]) for name, tensor in card.state_dict().items())


@pytest.mark.parametrize("method", ["lth", "gmp", "bp", "set", "rigl", "grasp"])
def test_a_run_that_stopped_ends_with_the_same_bits(method, tiny_images, tmp_path, monkeypatch):
    recipe = make_recipe(table(method, rewind_epoch=0.5))
    undisturbed = wh.train(recipe, tiny_images, tmp_path / "undisturbed")
    save, saved = RunFolder.save_checkpoint, []

    def save_and_stop(folder, state):
        save(folder, state)
        saved.append(state["epoch"])
        if len(saved) < 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "save_checkpoint", save_and_stop)
    card = None
    while card is None:
        try:
            card = wh.train(recipe, tiny_images, tmp_path / "stopped")
        except KeyboardInterrupt:
            continue
    for name, tensor in undisturbed.state_dict().items():
        assert torch.equal(card.state_dict()[name], tensor), name


def test_lth_rewinds_to_the_step_it_remembers(tiny_images, tmp_path, monkeypatch):
    entered = {}
    step = Trainer.step

    def spy(trainer, *arguments):
        entered.setdefault((trainer.masks.phase.sparsity, trainer.masks.step), state_of(trainer))
        return step(trainer, *arguments)

    def state_of(trainer):
        return {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}

    monkeypatch.setattr(Trainer, "step", spy)
    wh.train(make_recipe(table("lth", rewind_epoch=0.5)), tiny_images, tmp_path)
    # 115 images are not held out: 7 steps an epoch, so that epoch 0.5 is step 3.
    first = entered[0.0, 3]
    for sparsity in (0.7, 0.9):
        assert (sparsity, 2) not in entered
        again = entered[nearest(entered, sparsity), 3]
        for name, tensor in again.items():
            kept = tensor != 0
            assert torch.equal(tensor[kept], first[name][kept])


def nearest(entered, sparsity):
    return min((key[0] for key in entered), key=lambda other: abs(other - sparsity))


def test_ft_tunes_at_a_small_constant_rate(tiny_images, tmp_path):
    wh.train(make_recipe(table("ft", fine_tune_epochs=3)), tiny_images, tmp_path)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["phase"] for row in rows] == ["0", "0", "1", "1", "1"]
    assert {float(row["learning_rate"]) for row in rows[2:]} == {0.05 * 0.01}
    assert {row["emptied_layers"] for row in rows} == {"0"}


def test_a_pattern_and_macs_reach_the_card(tiny_images):
    card = wh.train(
        make_recipe(table("gmp") | {"compression": {"method": "gmp", "pattern": "2:4"}}), tiny_images
    )
    weight = card.network.classifier[0].weight
    assert bool((weight.view(len(weight), -1, 4).count_nonzero(dim=-1) == 2).all())
    card = wh.train(make_recipe(table("gmp", budget="macs")), tiny_images)
    kept = {layer.name: layer.nonzero for layer in card.inspect().layers}
    sizes = {layer.name: layer.size for layer in card.inspect().layers}
    costs = {name: 256 if "features" in name else 1 for name in kept}
    spent = sum(costs[name] * count for name, count in kept.items())
    assert 0 <= 0.1 * sum(costs[name] * size for name, size in sizes.items()) - spent < 257


@pytest.mark.parametrize("method", [one for one in METHODS if one not in ("set", "rigl")])
def test_every_method_keeps_blocks_of_four_inputs(method, tiny_images, tmp_path):
    recipe = make_recipe(
        table(method, pattern="block4") | {"network": {"name": "conv2", "width": 8, "input_size": 16}}
    )
    card = wh.train(recipe, tiny_images, tmp_path)
    counts = card.inspect()
    total = sum(layer.size for layer in counts.layers)
    assert 0 <= total - round(0.9 * total) - sum(layer.nonzero for layer in counts.layers) < 4
    for layer in counts.layers[1:]:
        assert layer.nonzero == 4 * layer.kept_blocks
    assert counts.in_blocks
    assert card.data_sheet()["sparsity"].endswith("in blocks of four inputs")
    assert "pattern block4" in card.data_sheet()["method"]
    opened = wh.load(tmp_path / "card.card").state_dict()
    assert all(torch.equal(tensor, opened[name]) for name, tensor in card.state_dict().items())


def test_a_sparse_network_is_brought_to_blocks(tiny_images):
    """Its zeros within a block that has more in it are trained again; then blocks go until the target."""
    sparse = wh.train(make_recipe(table("gmp", sparsity=0.8)), tiny_images)
    assert not sparse.inspect().in_blocks
    settings = {"sparsity": 0.8, "epochs": 1, "compression": {"pattern": "block4"}}
    card = wh.compress(sparse.network, tiny_images, **settings)
    assert card.inspect().in_blocks
    again = wh.compress(card.network, tiny_images, **settings)
    kept = [one.network.classifier[0].weight != 0 for one in (card, again)]
    assert torch.equal(*kept)


def test_a_budget_of_the_engine_goes_by_costs_that_the_run_remembers(tiny_images, tmp_path, monkeypatch):
    measured = []

    def measure(network, size):
        measured.append(size)
        names = [name for name, _ in network.named_parameters() if name.endswith("weight")]
        return {name: 10**7 if "features" in name else len(measured) for name in names}

    monkeypatch.setattr(costs, "measure_costs", measure)
    recipe = make_recipe(table("lrr", budget="engine", pattern="block4"))
    whole = wh.train(recipe, tiny_images, tmp_path / "whole")
    assert measured == [(16, 16)]
    found = {layer.name: layer for layer in whole.inspect().layers}
    prices = whole.metadata.recipe["compression"]["costs"]
    assert prices == {name: 10**7 if "features" in name else 1 for name in found}
    spent = sum(prices[name] * layer.nonzero for name, layer in found.items())
    price = sum(prices[name] * layer.size for name, layer in found.items())
    assert 0 <= 0.1 * price - spent < 10**7 + 1

    begun, save = tmp_path / "begun", RunFolder.save_checkpoint

    def save_and_stop(folder, state):
        save(folder, state)
        monkeypatch.setattr(RunFolder, "save_checkpoint", save)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "save_checkpoint", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        wh.train(recipe, tiny_images, begun)
    card = wh.train(recipe, tiny_images, begun)
    assert len(measured) == 2
    assert card.metadata.recipe["compression"]["costs"]["classifier.0.weight"] == 2
    # A recipe with a table measures nothing, and gives the same again.
    again = wh.train(make_recipe(table("lrr", budget="engine", pattern="block4", costs=prices)), tiny_images)
    assert len(measured) == 2
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name

    (begun / "card.card").unlink()
    (begun / "costs.json").unlink()
    with pytest.raises(wh.InputError, match=r"has lost costs\.json"):
        wh.train(recipe, tiny_images, begun)


def test_a_recipe_quantizes_its_card(tiny_images, tmp_path):
    recipe = make_recipe(table("gmp") | {"quantization": {"weights": "int4", "images": 32}})
    card = wh.train(recipe, tiny_images, tmp_path)
    assert card.metadata.quantization == {"weights": "int4", "images": 32, "norms": False}
    assert set(card.scales) == set(card.metadata.prunable)
    assert set(wh.load(tmp_path / "card.card").scales) == set(card.metadata.prunable)


def test_large_images_are_made_ready_for_the_rounding_in_parts(tiny_images, monkeypatch):
    seen, views = [], Clean.views

    def counted(self, images, generator):
        seen.append(len(images))
        return views(self, images, generator)

    monkeypatch.setattr("winninghand.training.run._SMALL", 0)
    monkeypatch.setattr("winninghand.training.run.images_at_once", lambda *_: 8)
    monkeypatch.setattr(Clean, "views", counted)
    recipe = table("dense") | {"quantization": {"weights": "int8", "images": 20, "norms": True}}
    card = wh.train(recipe, tiny_images)
    assert seen[-6:] == [7, 7, 6] * 2
    assert card.metadata.quantization == {"weights": "int8", "images": 20, "norms": True}


def test_a_loss_that_is_not_finite_names_step_rate_and_checkpoint(tiny_images, tmp_path, monkeypatch):
    step, steps = Trainer.step, []

    def failing(trainer, *arguments):
        loss, logits = step(trainer, *arguments)
        steps.append(loss)
        return (loss * float("nan") if len(steps) >= 10 else loss), logits

    monkeypatch.setattr(Trainer, "step", failing)
    with pytest.raises(wh.InputError) as error:
        wh.train(make_recipe(table("lrr")), tiny_images, tmp_path)
    message = str(error.value)
    assert "step 3 of epoch 2 of phase 1" in message
    assert f"{tmp_path / 'checkpoint.pt'}, after phase 1, epoch 1" in message
    assert "learning rate 0.0" in message


def test_the_plan_is_shown_and_nothing_is_trained(tiny_images, tmp_path):
    run = new_run(make_recipe(table("lth", rewind_epoch=1)), tiny_images)
    before = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    plan = run.forecast()
    assert [row.steps for row in plan.phases] == [14, 7, 7]
    assert [row.sparsity for row in plan.phases] == ["0.00%", "70.00%", "90.00%"]
    assert [row.start for row in plan.phases][1:] == ["the weights of epoch 1"] * 2
    assert plan.seconds_per_step > 0
    assert all(torch.equal(before[name], tensor) for name, tensor in run.network.state_dict().items())

    recipe = tmp_path / "recipe.toml"
    recipe.write_text('network = {name = "conv2", width = 2}\n[training]\nepochs = 1\n')
    result = CliRunner().invoke(
        make_program(["train"]), ["train", str(recipe), "--dry-run", "--out", str(tmp_path / "run")]
    )
    assert result.exit_code == 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("compression", "named"),
    [
        ({"method": "lth", "rewind_epoch": 30}, "rewind_epoch"),
        ({"distribution": "erk"}, "layerwise"),
        ({"pattern": "2:4", "sparsity": 0.9}, "2:4"),
    ],
)
def test_contradictions_are_found_before_anything_runs(compression, named):
    with pytest.raises(wh.InputError, match=named):
        make_recipe({"compression": compression})


def test_a_layerwise_budget_that_would_empty_a_layer_is_refused_at_once(tiny_images, tmp_path):
    recipe = make_recipe(table("lrr", scope="layerwise", sparsity=0.998))
    with pytest.raises(wh.InputError, match="would empty layer"):
        wh.train(recipe, tiny_images, tmp_path / "run")
    assert not (tmp_path / "run").exists()
