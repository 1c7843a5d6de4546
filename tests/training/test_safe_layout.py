"""A network with a layer that is not safe channels-last trains in the contiguous layout."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import winninghand as wh
from winninghand.base.device import to_unit
from winninghand.recipe import make_recipe
from winninghand.training import new_run, trainer

TRAINING = {"epochs": 1, "batch_size": 16, "precision": "32-true", "learning_rate": 0.05}
DENSE = {"method": "dense"}


class Layouts(wh.Callback):
    """Notes whether weights lie, and features come, channels-last."""

    def on_train_start(self, trainer):
        self.seen = set()
        layers = [layer for layer in trainer.network.modules() if isinstance(layer, nn.Conv2d)]
        self.hooks = [layer.register_forward_hook(self.note) for layer in layers]

    def on_train_end(self, trainer):
        for hook in self.hooks:
            hook.remove()

    def note(self, layer, images, features):
        self.seen |= {last(images[0]), last(features), last(layer.weight)}


def last(tensor):
    if tensor.is_contiguous() == tensor.is_contiguous(memory_format=torch.channels_last):
        return None  # both, or neither
    return not tensor.is_contiguous()


class Strided(nn.Module):
    """A classifier of somebody's own with an unsafe layer."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.skip = nn.Conv2d(8, 16, 1, stride=2)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.skip(self.stem(x)).mean((2, 3)))


def seen_of(images, width):
    watching = Layouts()
    recipe = {"network": {"name": "resnet18", "width": width, "stem_stride": 2}, "compression": DENSE}
    wh.train({**recipe, "training": TRAINING}, images, device="cpu", callbacks=[watching])
    return watching.seen - {None}


def test_narrow_networks_train_contiguous_and_others_channels_last(tiny_images):
    assert seen_of(tiny_images, 8) == {False}
    assert seen_of(tiny_images, 16) == {True}


def test_a_callers_module_is_brought_to_the_layout_that_is_safe(tiny_images):
    watching, module = Layouts(), Strided().to(memory_format=torch.channels_last)
    wh.compress(
        module, tiny_images, "gmp", 0.5, epochs=1, training=TRAINING, device="cpu", callbacks=[watching]
    )
    assert watching.seen - {None} == {False}
    assert last(module.stem.weight)  # the caller's own stays


@pytest.mark.parametrize("width", [8, 16])
def test_the_gradients_of_a_step_are_those_of_the_contiguous_layout(width, tiny_images):
    recipe = make_recipe(
        {
            "network": {"name": "resnet18", "width": width},
            "domain": {"name": "clean", "padding": 0, "flip": False},
            "compression": DENSE,
            "training": TRAINING,
        }
    )
    run = new_run(recipe, tiny_images)
    training = run._trainer(wh.training.RunFolder("unused"), "cpu", (), ())
    training.enter(0)
    images, labels = next(training.batches.epoch(0))
    reference = run.network.train()
    normalised = training.normalisation(to_unit(images)).contiguous()
    cross_entropy(reference(normalised), labels).backward()
    training.stage.model.train()
    training.step(images, labels, torch.Generator())
    for own, other in zip(training.network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-3, atol=1e-5)


def test_the_compiler_is_kept_from_laying_out_what_is_unsafe(tiny_images, monkeypatch):
    given = []

    def compiled(module, **settings):
        given.append(settings["options"])
        return module

    monkeypatch.setattr(trainer.torch, "compile", compiled)
    for width in (8, 16):
        network = {"name": "resnet18", "width": width, "stem_stride": 2}
        training = {**TRAINING, "compiled": True}
        wh.train({"network": network, "compression": DENSE, "training": training}, tiny_images, device="cpu")
    assert given == [{"layout_optimization": False}, None]
