import csv

import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.recipe import make_recipe

TABLE = {
    "network": {"name": "conv2", "width": 2, "input_size": 16},
    "domain": {"name": "gaussian", "padding": 1},
    "compression": {"method": "lrr", "sparsity": 0.9, "fraction_per_round": 0.7},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "precision": "32-true"},
}


def test_a_recipe_becomes_a_card_that_knows_itself(tiny_images, tmp_path):
    card = wh.train(make_recipe(TABLE), tiny_images, tmp_path / "run")
    counts = card.inspect()
    total = sum(layer.size for layer in counts.layers)
    assert sum(layer.nonzero for layer in counts.layers) == total - round(0.9 * total)
    assert card.classes == ("dark", "bright")
    assert card.metadata.architecture["name"] == "conv2"
    assert card.metadata.domain["sigma"] == 0.1
    assert card.metadata.accuracies["test"] > 0.9
    assert card.profile.mean.shape == (16, 9)

    loaded = wh.load(tmp_path / "run/card.card")
    images = torch.rand(4, 3, 16, 16)
    assert torch.equal(loaded(images), card(images))


def test_metrics_have_a_row_per_epoch_of_each_phase(tiny_images, tmp_path):
    wh.train(make_recipe(TABLE), tiny_images, tmp_path)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["phase"], row["epoch"]) for row in rows] == [(p, e) for p in "012" for e in "01"]
    assert [round(float(row["sparsity"]), 2) for row in rows[::2]] == [0, 0.7, 0.9]
    assert all(0 <= float(row["validation_accuracy"]) <= 1 for row in rows)


def test_a_finished_run_is_not_trained_again(tiny_images, tmp_path):
    first = wh.train(make_recipe(TABLE), tiny_images, tmp_path)
    written = (tmp_path / "metrics.csv").stat().st_mtime_ns
    again = wh.train(make_recipe(TABLE), tiny_images, tmp_path)
    assert (tmp_path / "metrics.csv").stat().st_mtime_ns == written
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("change", [{"seed": 1}, {"training": {**TABLE["training"], "epochs": 3}}])
def test_a_folder_of_another_run_is_refused(tiny_images, tmp_path, change):
    wh.train(make_recipe(TABLE), tiny_images, tmp_path)
    with pytest.raises(wh.InputError, match="holds another run"):
        wh.train(make_recipe({**TABLE, **change}), tiny_images, tmp_path)


def test_the_seed_decides_the_weights(tiny_images):
    def weights(seed):
        card = wh.train(make_recipe({**TABLE, "seed": seed}), tiny_images)
        return card.state_dict()["network.features.0.weight"]

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


class Plain(nn.Module):
    """A classifier from outside the catalog, with dropout and a frozen layer."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1).requires_grad_(False)
        self.body = nn.Conv2d(4, 8, 3, padding=1)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.body(self.stem(x).relu()).relu().mean(dim=(2, 3))
        return self.head(self.drop(x))


def test_any_module_is_compressed_from_where_it_is(tiny_images, tmp_path):
    torch.manual_seed(0)
    module = Plain()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    card = wh.compress(
        module,
        tiny_images,
        sparsity=0.5,
        epochs=1,
        out=tmp_path,
        training={"batch_size": 16},
        exclude=["head"],
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert torch.equal(card.network.stem.weight, before["stem.weight"])
    assert card.metadata.prunable == ("body.weight",)
    assert int((card.network.body.weight == 0).sum()) == before["body.weight"].numel() // 2
    with pytest.raises(wh.InputError, match="network=module"):
        wh.load(tmp_path / "card.card")
    loaded = wh.load(tmp_path / "card.card", network=Plain())
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(loaded(images), card(images))


def test_a_network_without_prunable_weights_is_refused(tiny_images):
    with pytest.raises(wh.InputError, match="no prunable weights"):
        wh.compress(nn.Sequential(nn.Flatten(), nn.LayerNorm(768)), tiny_images)


def test_a_diverging_loss_stops_with_advice(tiny_images):
    table = {**TABLE, "training": {**TABLE["training"], "learning_rate": 1e9}}
    with pytest.raises(wh.InputError, match="learning_rate"):
        wh.train(make_recipe(table), tiny_images)
