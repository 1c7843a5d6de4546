import csv
from functools import partial

import pytest
import torch

import winninghand as wh
from winninghand.recipe import make_recipe
from winninghand.training.average import WeightAverage


def train(images, folder, method="lrr", epochs=2, **training):
    recipe = make_recipe(
        {
            "network": {"name": "conv2", "width": 8, "input_size": 16},
            "compression": {"method": method, "sparsity": 0.8, "scope": "layerwise"},
            "training": {"epochs": epochs, "batch_size": 16, "learning_rate": 0.05, **training},
        }
    )
    return wh.train(recipe, images, folder)


def zeros(card):
    weights = [card.network.get_parameter(name) for name in card.metadata.prunable]
    return [int((weight == 0).sum()) for weight in weights]


def test_an_average_follows_the_network_and_lends_itself_to_it():
    network = torch.nn.BatchNorm1d(3)
    average = WeightAverage(network, 0.5)
    expected = torch.ones(3)
    for step in range(30):
        with torch.no_grad():
            network.weight.copy_(torch.randn(3))
        average.after_step()
        share = max(0.5, 9 / (10 + step))
        expected = (1 - share) * expected + share * network.weight.detach()
    present = network.weight.detach().clone()
    with average.in_place():
        assert torch.allclose(network.weight, expected, atol=1e-6)
    assert torch.equal(network.weight, present)


@pytest.mark.parametrize("method", ["lrr", "gmp", "bp"])
def test_the_card_is_the_average_and_as_sparse_as_asked(method, tiny_images, tmp_path):
    card = train(tiny_images, tmp_path / "averaged", method, average=0.9, precision="32-true")
    plain = train(tiny_images, tmp_path / "plain", method, precision="32-true")
    assert zeros(card) == zeros(plain)
    with (tmp_path / "averaged/metrics.csv").open() as file:
        measured = float(list(csv.DictReader(file))[-1]["validation_accuracy"])
    assert card.metadata.accuracies["validation"] == measured
    pairs = zip(card.network.parameters(), plain.network.parameters(), strict=True)
    assert not all(torch.equal(averaged, present) for averaged, present in pairs)
    if method == "bp":
        first = card.network.get_parameter(card.metadata.prunable[0])
        assert first.abs().unique().numel() == 2  # zero, and the layer's magnitude


def test_a_compiled_training_takes_the_same_steps(tiny_images, tmp_path, monkeypatch):
    # Traced as for any compiler, and run without one: code for a CPU takes half a minute to make.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    settings = {"epochs": 1, "validation": 0.0, "average": 0.5, "precision": "32-true"}
    compiled = train(tiny_images, tmp_path / "compiled", compiled=True, **settings)
    plain = train(tiny_images, tmp_path / "plain", **settings)
    for one, other in zip(compiled.network.parameters(), plain.network.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
