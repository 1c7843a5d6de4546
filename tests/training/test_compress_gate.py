"""What `compress` takes, and what it refuses before a folder is made."""

import threading

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.optim.swa_utils import AveragedModel

import winninghand as wh

SETTINGS = {"method": "gmp", "sparsity": 0.5, "epochs": 1, "training": {"precision": "32-true"}}


def net(outputs=2, channels=3):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, outputs),
    )


class Around(nn.Module):
    def __init__(self, wrap=lambda x: x, body=None, **attributes):
        super().__init__()
        self.body = net() if body is None else body
        self.wrap = wrap
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.wrap(self.body(x))


def changed(module, name, value):
    module.state_dict()[name].view(-1)[0] = value
    return module


def hooked(part, by=parametrizations.weight_norm):
    module = net()
    by(module[part])
    return module


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (lambda: net(11), r"one per class, not \(2, 11\)"),
        (lambda: net(1), r"one per class, not \(2, 1\)"),
        (lambda: Around(lambda x: x[:, 0]), "one per class"),
        (lambda: Around(lambda x: {"out": x}), "logits"),
        (lambda: net(channels=1), "cannot take images of 16 × 16"),
        (lambda: hooked(0), "'0.weight' is computed by WeightNorm"),
        (lambda: hooked(6, parametrizations.orthogonal), "'6.weight' is computed by Orthogonal"),
        (lambda: wh.Pruner(net(), "ep", 0.5, 2).module, "by the pruner's finish"),
        (lambda: changed(net(), "3.weight", torch.nan), "'3.weight' holds values that are NaN"),
        (lambda: changed(net(), "1.running_var", -1.0), "'1.running_var' holds a negative variance"),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2)), "lazy"),
        (lambda: Around(held=nn.Buffer(torch.eye(3).to_sparse())), "sparse"),
        (lambda: net().to("meta"), "has no values"),
        (lambda: nn.Sequential, "not the class Sequential"),
    ],
)
def test_what_is_refused_is_refused_before_a_folder_is_made(module, named, tiny_images, tmp_path):
    with pytest.raises(wh.InputError, match=named) as error:
        wh.compress(module(), tiny_images, out=tmp_path / "run", **SETTINGS)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_catalog_network_that_images_do_not_fit_leaves_no_folder(tiny_images, tmp_path):
    recipe = {"network": {"name": "conv2", "width": 2, "input_size": 32}}
    with pytest.raises(wh.InputError, match="cannot take images of 16 × 16"):
        wh.train(recipe, tiny_images, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "form",
    [
        nn.DataParallel,
        AveragedModel,
        lambda module: torch.compile(nn.DataParallel(module)),
        nn.Module.double,
        lambda module: Around(lambda x: (x, x), module),
        lambda module: Around(lambda x: {"loss": None, "logits": x}, module),
        lambda module: Around(lambda x: x[:, :, None, None], module),
        lambda module: Around(body=module, lock=threading.Lock()),
    ],
)
def test_every_form_of_a_network_becomes_the_card_of_the_plain_one(form, tiny_images, tmp_path):
    plain = wh.compress(net(), tiny_images, **SETTINGS).network
    module = form(net())
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    card = wh.compress(module, tiny_images, out=tmp_path, **SETTINGS)
    body = card.network.body if isinstance(card.network, Around) else card.network
    assert body.state_dict().keys() == plain.state_dict().keys()
    assert all(map(torch.equal, body.state_dict().values(), plain.state_dict().values()))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    again = wh.compress(form(net()), tiny_images, out=tmp_path, **SETTINGS)  # from the folder
    assert torch.equal(again(torch.ones(1, 3, 16, 16)), card(torch.ones(1, 3, 16, 16)))


def test_masks_of_hooks_stay_pruned(tiny_images):
    module = net()
    prune.random_unstructured(module[3], "weight", 0.5)
    card = wh.compress(module, tiny_images, **SETTINGS)
    assert not card.network[3].weight[module[3].weight_mask == 0].any()
    assert card.inspect().sparsity == pytest.approx(0.5, abs=2e-3)
    assert prune.is_pruned(module)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_mode_of_the_caller_does_not_matter(mode, tiny_images):
    plain = wh.compress(net(), tiny_images, **SETTINGS)
    with mode():
        card = wh.compress(net(), tiny_images, **SETTINGS)
    assert all(map(torch.equal, plain.state_dict().values(), card.state_dict().values()))


class Own(nn.Conv2d):
    """A convolution by a parameter of another name."""

    def __init__(self):
        super().__init__(4, 6, 3)
        self.kernel = nn.Parameter(self._parameters.pop("weight").detach())

    def forward(self, x):
        return self._conv_forward(x, self.kernel, self.bias)


def test_a_layer_without_a_weight_is_named():
    module = net()
    module[3] = Own()
    with pytest.warns(UserWarning, match="the layer '3' has no parameter 'weight'"):
        wh.Pruner(module, steps=2)


def test_weights_that_become_nan_are_named_at_the_next_pruning():
    module = net()
    pruner = wh.Pruner(module, sparsity=0.5, steps=4, epochs=1)
    with torch.no_grad():
        module[3].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(wh.InputError, match=r"'3\.weight' holds values that are NaN"):
        pruner.finish()
