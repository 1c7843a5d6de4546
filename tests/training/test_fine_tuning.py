"""What is other where a network was trained before, comes from elsewhere, or sees few images."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.recipe import LAYER_FLOOR, FineTuning, Recipe, Training, make_recipe
from winninghand.training import RunFolder, identity, new_run

QUICK = {"precision": "32-true", "batch_size": 16}


def net(classes=2, width=32):
    """A network whose second layer any global budget would empty."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, width, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )
    with torch.no_grad():
        module[2].weight.mul_(1e-4)
    return module


def layers_of(card):
    return {layer.name: layer for layer in card.inspect().layers}


@pytest.mark.parametrize("method", ["ft", "gmp", "lrr", "lth", "ep", "bp"])
def test_no_layer_is_emptied_and_the_total_is_exact(method, tiny_images):
    card = wh.compress(net(), tiny_images, method, 0.8, epochs=1, training=QUICK)
    layers = layers_of(card)
    assert set(layers) == {
        "0.weight",
        "2.weight",
        "4.weight",
    }  # the head's 64 of 3,160 weights are left alone
    total = sum(layer.size for layer in layers.values())
    assert sum(layer.nonzero for layer in layers.values()) == total - round(0.8 * total)
    assert all(layer.nonzero >= int(LAYER_FLOOR * 0.2 * layer.size) for layer in layers.values())
    assert bool((card.network[7].weight != 0).all())


@pytest.mark.parametrize("method", ["lrr", "gmp"])
def test_an_emptied_layer_is_an_error_unless_it_is_allowed(method, tiny_images, tmp_path, caplog):
    def compressed(**compression):
        return wh.compress(
            net(),
            tiny_images,
            method,
            0.8,
            epochs=1,
            out=tmp_path,
            compression={"layer_floor": 0.0, **compression},
            training=QUICK | {"learning_rate": 1e-4},
        )

    with pytest.raises(
        wh.InputError, match=r"1 layer of 3 would have no weight left: 2\.weight; set .*floor"
    ):
        compressed()
    assert not (tmp_path / "card.card").exists()
    assert "2.weight" not in caplog.text
    card = compressed(allow_empty=True)  # the same run goes on
    assert layers_of(card)["2.weight"].nonzero == 0
    assert "emptied 2.weight" in caplog.text


def test_what_arrives_empty_is_no_error(tiny_images):
    module = net()
    with torch.no_grad():
        module[2].weight.zero_()
    card = wh.compress(module, tiny_images, "lrr", 0.8, epochs=1, training=QUICK)
    assert [layer.nonzero > 0 for layer in layers_of(card).values()] == [True, False, True]


def test_a_sparsity_that_leaves_layers_nothing_is_refused_at_once(tiny_images, tmp_path):
    with pytest.raises(wh.InputError, match="less than a weight for each of 3 layers"):
        wh.compress(net(), tiny_images, "lrr", 0.9995, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_large_head_is_pruned_and_a_small_one_where_that_is_asked_for(tiny_images):
    def pruned(module, **settings):
        card = wh.compress(module, tiny_images, "lrr", 0.5, epochs=1, training=QUICK, **settings)
        return [layer.nonzero < layer.size for layer in card.inspect().layers if layer.shape[0] == 2]

    assert pruned(net()) == []
    assert pruned(net(), compression={"prune_head": True}) == [True]
    assert pruned(net(), train_first=True) == [True]
    flat = nn.Sequential(nn.Flatten(), nn.Linear(768, 8), nn.ReLU(), nn.Linear(8, 2))
    assert pruned(flat) == []
    flat = nn.Sequential(nn.Flatten(), nn.Linear(768, 2))
    assert pruned(flat) == [True]
    with pytest.raises(wh.InputError, match="no prunable weights but the head's; set prune_head = true"):
        pruned(flat, compression={"prune_head": False})


def test_a_pruner_leaves_the_last_layer_alone_where_asked():
    assert "7.weight" in wh.Pruner(net(), trained=True).masks
    assert "7.weight" not in wh.Pruner(net(), prune_head=False).masks


def test_defaults_of_a_trained_network_are_others_and_what_is_set_stays(tiny_images, tmp_path):
    card = wh.compress(net(), tiny_images, "ft", 0.5, out=tmp_path, training={"warmup": 0.5, **QUICK})
    training, tuned = card.metadata.recipe["training"], FineTuning()
    assert (training["epochs"], training["learning_rate"]) == (tuned.epochs, tuned.learning_rate)
    assert (training["warmup"], training["batch_size"]) == (0.5, 16)
    assert card.metadata.recipe["compression"]["fine_tune_rate"] == 0.2
    assert FineTuning().learning_rate < Training().learning_rate
    assert len(RunFolder(tmp_path).read_metrics()) == tuned.epochs
    fresh = wh.compress(
        net(), tiny_images, "dense", 0.0, epochs=1, train_first=True, training={"batch_size": 16}
    )
    assert fresh.metadata.recipe["training"]["learning_rate"] == Training().learning_rate


def test_a_pretrained_network_of_a_recipe_has_them_too():
    table = {"network": {"name": "x:net", "pretrained": True}, "compression": {"method": "ft"}}
    recipe = make_recipe(table, known_network=False)
    assert isinstance(recipe.training, FineTuning)
    assert recipe.compression.layer_floor == LAYER_FLOOR and recipe.compression.fine_tune_rate == 0.2
    set_by_hand = {"training": {"epochs": 3}, "compression": {"layer_floor": 0.0, "fine_tune_rate": 0.1}}
    recipe = make_recipe(table | set_by_hand, known_network=False)
    assert (recipe.training.epochs, recipe.training.learning_rate) == (3, FineTuning().learning_rate)
    assert (recipe.compression.layer_floor, recipe.compression.method) == (0.0, "lrr")
    fresh = make_recipe({"network": "x:net"}, known_network=False)
    assert type(fresh.training) is Training and fresh.compression.layer_floor == LAYER_FLOOR
    assert Recipe().compression.layer_floor == 0.0
    again = make_recipe(recipe.model_dump(mode="json"), known_network=False)
    assert again.training.model_dump() == recipe.training.model_dump()
    with pytest.raises(wh.InputError, match=r"training\.epochz"):
        make_recipe(table | {"training": {"epochz": 3}}, known_network=False)


def test_a_batch_that_nobody_set_leaves_eight_steps(tiny_images, tmp_path, caplog):
    table = {"network": {"name": "conv2", "width": 2, "input_size": 16}, "compression": {"method": "dense"}}
    run = new_run(make_recipe(table | {"training": {"epochs": 1}}), tiny_images)
    assert run.recipe.training.batch_size == 115 // 8
    assert [row.steps for row in run.forecast().phases] == [8]
    card = wh.train(table | {"training": {"epochs": 1}}, tiny_images, tmp_path)
    assert card.metadata.recipe["training"]["batch_size"] == 14
    assert "step" not in caplog.text
    set_by_hand = {"training": {"epochs": 1, "batch_size": 50}}
    with caplog.at_level(logging.WARNING):
        wh.train(table | set_by_hand, tiny_images)
    assert "an epoch has only 2 steps, of 50 images" in caplog.text
    many = wh.ImageSet.from_arrays(
        (np.zeros((4096, 16, 16, 3), np.uint8), np.arange(4096) % 2),
        (tiny_images.test.images, tiny_images.test.labels),
        tiny_images.classes,
    )
    assert new_run(make_recipe(table), many).recipe.training.batch_size == 256


def test_what_only_decides_whether_a_run_goes_on_names_no_other(tiny_images):
    names = {
        identity.run_name(make_recipe({"compression": {"allow_empty": allowed}})) for allowed in (True, False)
    }
    assert len(names) == 1
