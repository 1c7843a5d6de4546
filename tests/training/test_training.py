import csv

import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.recipe import make_recipe
from winninghand.training import RunFolder

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
        wh.compress(nn.Sequential(nn.Flatten(), nn.LayerNorm(768), nn.AdaptiveAvgPool1d(2)), tiny_images)


def test_a_diverging_loss_stops_with_advice(tiny_images):
    table = {**TABLE, "training": {**TABLE["training"], "learning_rate": 1e9}}
    with pytest.raises(wh.InputError, match="learning_rate"):
        wh.train(make_recipe(table), tiny_images)


class Enlarged(wh.Callback):
    def on_train_end(self, trainer):
        for weight in trainer.network.parameters():
            weight.data *= 1e30


def test_finite_weights_without_finite_answers_are_told_as_a_diverged_training(tiny_images, tmp_path):
    recipe = {
        "network": {"name": "resnet20", "width": 4},
        "compression": {"method": "dense"},
        "training": {"epochs": 1, "batch_size": 16, "precision": "32-true"},
    }
    with pytest.raises(
        wh.InputError, match=r"^the training diverged: .*NaN.*; lower training\.learning_rate"
    ):
        wh.train(recipe, tiny_images, tmp_path / "run", device="cpu", callbacks=[Enlarged()])
    assert not (tmp_path / "run/card.card").exists()


def test_a_fresh_module_is_trained_first_where_asked(tiny_images, tmp_path):
    def rows(train_first, name):
        settings = {"batch_size": 16, "learning_rate": 0.05, "warmup": 0.1, "precision": "32-true"}
        wh.compress(
            module,
            tiny_images,
            sparsity=0.5,
            epochs=1,
            out=tmp_path / name,
            train_first=train_first,
            compression={"fraction_per_round": 0.5},
            training=settings,
        )
        return [float(row["sparsity"]) for row in RunFolder(tmp_path / name).read_metrics()]

    module = Plain()
    assert rows(False, "at once") == [pytest.approx(0.5, abs=0.01)]
    assert rows(True, "first") == [0, pytest.approx(0.5, abs=0.01)]
    with pytest.raises(wh.InputError, match="trained is true there and false here"):
        rows(True, "at once")


def test_bf16_trains_and_measures(tiny_images, tmp_path):
    """The card's own weights and answers are float32; only the steps are taken in bf16."""

    class Types(wh.Callback):
        def on_step_end(self, trainer, loss, logits, labels):
            seen.add((trainer.network.features[0].weight.dtype, inner.pop()))

        def on_phase_start(self, trainer):
            trainer.network.features[0].register_forward_hook(lambda *call: inner.append(call[2].dtype))

    seen, inner = set(), []
    table = {**TABLE, "training": {**TABLE["training"], "precision": "bf16-mixed"}}
    card = wh.train(table, tiny_images, tmp_path, callbacks=[Types()])
    assert seen == {(torch.float32, torch.bfloat16)}
    assert card(torch.rand(2, 3, 16, 16)).dtype == torch.float32
    assert card.metadata.accuracies["test"] > 0.9
    rows = RunFolder(tmp_path).read_metrics()
    assert float(rows[-1]["validation_accuracy"]) == card.metadata.accuracies["validation"]


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_wrong_number_of_outputs_is_refused_before_the_first_step(outputs, tiny_images, tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(768, outputs))
    with pytest.raises(wh.InputError, match=r"logits of shape \(2, 2\), one per class"):
        wh.compress(network, tiny_images, epochs=1, out=tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_what_cannot_be_trained_on_is_told_plainly(tiny_images):
    with pytest.raises(wh.InputError, match="unknown image set 'photos', and no such folder"):
        wh.train(TABLE, "photos")
    with pytest.raises(wh.InputError, match="16 × 16"):
        wh.train({**TABLE, "network": {"name": "conv2", "width": 2, "input_size": 32}}, tiny_images)


def test_a_module_is_compressed_within_no_grad(tiny_images):
    with torch.inference_mode():
        card = wh.compress(Plain(), tiny_images, sparsity=0.5, epochs=1, training={"batch_size": 16})
    assert card.metadata.accuracies["test"] >= 0


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"callbacks": [wh.Callback]}, "an object of wh.Callback, not <class"),
        ({"callbacks": wh.Callback()}, "callbacks must be a list, not Callback"),
        ({"loggers": "tensorboard"}, "loggers must be a list, not str"),
        ({"loggers": [3]}, "log_hyperparams, log_metrics, save, finalize, as Lightning's are, not 3"),
        (
            {"normalisation": ((0, 0, 0), (1, 0, 1))},
            r"the standard deviation of each channel.* 1\.1: .*not 0",
        ),
        ({"normalisation": ((0, 0, float("nan")), (1, 1, 1))}, r"0\.2: .*finite"),
        ({"training": {"validation": 0.001}}, "for validation: add images"),
        ({"device": "nope"}, "'nope' cannot be used"),
    ],
)
def test_what_is_refused_before_the_training_leaves_no_folder(tiny_images, tmp_path, given, named):
    few = wh.ImageSet(tiny_images.train.take([0, 1]), tiny_images.test, tiny_images.classes)
    with pytest.raises(wh.InputError, match=named):
        wh.compress(
            wh.network("conv2", width=2, classes=2, input_size=16),
            few,
            epochs=1,
            out=tmp_path / "runs/first",
            **given,
        )
    assert not list(tmp_path.iterdir())
