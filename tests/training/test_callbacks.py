"""Callbacks and loggers see a training; nothing that they see costs a step that does not ask for it."""

import csv

import pytest
import torch
from lightning_fabric.loggers import CSVLogger
from lightning_fabric.loggers.logger import Logger

import winninghand as wh
from winninghand.recipe import make_recipe
from winninghand.training import make_logger
from winninghand.training.trainer import Trainer

TABLE = {
    "network": {"name": "conv2", "width": 2, "input_size": 16},
    "compression": {"method": "lrr", "sparsity": 0.8, "fraction_per_round": 0.8},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "precision": "32-true"},
}


class Recorder(wh.Callback):
    def __init__(self):
        self.calls, self.steps = [], 0

    def on_train_start(self, trainer):
        self.calls.append("train")

    def on_phase_start(self, trainer):
        self.calls.append(f"phase {trainer.stage.number}: {trainer.masks.sparsity:.1f}")

    def on_step_end(self, trainer, loss, logits, labels):
        assert logits.shape == (16, 2) and labels.shape == (16,) and loss.ndim == 0
        self.steps += 1

    def on_epoch_end(self, trainer, metrics):
        self.calls.append(f"epoch {trainer.epoch}")
        assert 0 < metrics["validation_accuracy"] <= 1
        metrics["seen"] = self.steps

    def on_train_end(self, trainer):
        self.calls.append("end")

    def on_card(self, trainer, card):
        self.calls.append(tuple(card.metadata.accuracies))

    def on_exception(self, trainer, error):
        self.calls.append(type(error).__name__)


def test_callbacks_are_called_in_order_and_may_add_metrics(tiny_images, tmp_path):
    recorder = Recorder()
    wh.train(TABLE, tiny_images, tmp_path, callbacks=[recorder])
    epochs = ["epoch 0", "epoch 1"]
    assert recorder.calls == [
        "train",
        "phase 0: 0.0",
        *epochs,
        "phase 1: 0.8",
        *epochs,
        "end",
        ("validation", "test"),
    ]
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert rows[0].endswith(",seen")
    assert [row.rpartition(",")[2] for row in rows[1:]] == ["7", "14", "21", "28"]


def test_a_callback_is_told_of_an_exception(tiny_images):
    class Stop(Recorder):
        def on_epoch_end(self, trainer, metrics):
            raise RuntimeError("enough")

    recorder = Stop()
    with pytest.raises(RuntimeError, match="enough"):
        wh.train(TABLE, tiny_images, callbacks=[recorder])
    assert recorder.calls[-1] == "RuntimeError"


class Memory(Logger):
    """A logger of one's own, as Lightning defines them."""

    def __init__(self):
        self.logged, self.params, self.status = [], {}, None

    name = version = property(lambda self: "memory")

    def log_hyperparams(self, params, *_, **__):
        self.params = params

    def log_metrics(self, metrics, step=None):
        self.logged.append((step, metrics))

    def finalize(self, status):
        self.status = status


def test_any_logger_of_lightnings_gets_recipe_metrics_and_card(tiny_images):
    logger = Memory()
    card = wh.train(TABLE, tiny_images, loggers=[logger])
    assert logger.params["training"]["weight_decay"] == 5e-4
    assert [step for step, _ in logger.logged] == [7, 14, 21, 28, 28]
    assert logger.logged[3][1]["sparsity"] == pytest.approx(0.8, abs=1e-3)
    assert logger.logged[4][1] == {f"card_{key}": value for key, value in card.metadata.accuracies.items()}
    assert logger.status == "success"


def test_tensorboard_keeps_the_curves(tiny_images, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    wh.train(TABLE, tiny_images, tmp_path, loggers=[make_logger("tensorboard", tmp_path)])
    [file] = (tmp_path / "logs").rglob("events.*")
    events = accumulator.EventAccumulator(str(file)).Reload()
    assert [event.step for event in events.Scalars("train_loss")] == [7, 14, 21, 28]
    assert len(events.Scalars("card_test")) == 1


def test_a_logger_that_keeps_no_hyperparameters_logs_the_rest(tiny_images, tmp_path):
    card = wh.train(TABLE, tiny_images, loggers=[CSVLogger(tmp_path, flush_logs_every_n_steps=1)])
    [written] = tmp_path.rglob("metrics.csv")
    rows = list(csv.DictReader(written.open()))
    assert [row["step"] for row in rows] == ["7", "14", "21", "28", "28"]
    assert float(rows[-1]["card_test"]) == card.metadata.accuracies["test"]


def test_a_logger_that_is_missing_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(wh.InputError, match=r"pip install 'winninghand\[mlflow\]'"):
        make_logger("mlflow", tmp_path)
    with pytest.raises(wh.InputError, match="tensorboard"):
        make_logger("tensorbord", tmp_path)


def test_a_weight_that_is_not_finite_under_a_finite_loss_stops_the_run(tiny_images, tmp_path):
    class Poison(wh.Callback):
        def on_step_end(self, trainer, loss, logits, labels):
            if trainer.steps_done == 10:
                with torch.no_grad():
                    # An unused entry: the loss stays finite.
                    trainer.network.spare.fill_(float("inf"))

    class Spare(torch.nn.Sequential):
        def __init__(self):
            super().__init__(torch.nn.Flatten(), torch.nn.Linear(768, 2))
            self.spare = torch.nn.Parameter(torch.zeros(3))

        def forward(self, x):
            return self[1](self[0](x))

    with pytest.raises(wh.InputError, match=r"step 7 of epoch 2 of phase 1.*after phase 1, epoch 1"):
        wh.compress(
            Spare(),
            tiny_images,
            epochs=2,
            out=tmp_path,
            train_first=True,
            training=TABLE["training"] | {"learning_rate": 1e-3},
            callbacks=[Poison()],
        )


def test_a_device_that_is_not_there_is_refused(tiny_images, tmp_path):
    with pytest.raises(wh.InputError, match="cannot be used here"):
        wh.train(TABLE, tiny_images, tmp_path, device="cuda:7")
    card = wh.train(TABLE, tiny_images, device="cpu")
    assert next(card.parameters()).device.type == "cpu"


def test_only_overridden_hooks_are_called_after_a_step(tiny_images, monkeypatch):
    hooks = []
    monkeypatch.setattr(Trainer, "run", lambda trainer: hooks.extend(trainer._after_step) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        wh.train(make_recipe(TABLE), tiny_images, callbacks=[wh.Callback(), Recorder()])
    assert [type(hook.__self__).__name__ for hook in hooks] == ["Meter", "Recorder", "Progress"]
