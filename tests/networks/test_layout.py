"""Which layout a network is shown its images in: one that is safe, and that it can take."""

import copy

import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.evaluation import fourier_heatmap
from winninghand.images import Split
from winninghand.networks import has_unsafe_layer, network, takes_channels_last

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class Viewing(nn.Module):
    """A classifier that flattens by `view`, which channels-last features do not allow."""

    def __init__(self, side=16):
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4 * side * side, 2)

    def forward(self, x):
        x = self.body(x)
        return self.head(x.view(x.size(0), -1))


def laid_last(module):
    return module.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("layer", "unsafe"),
    [
        (nn.Conv2d(3, 8, 1, stride=2), True),
        (nn.Conv2d(15, 8, 1, stride=(1, 2)), True),
        (nn.Conv2d(32, 32, 1, stride=2, groups=4), True),
        (nn.Conv2d(16, 8, 1, stride=2), False),
        (nn.Conv2d(8, 8, 1), False),
        (nn.Conv2d(8, 8, 3, stride=2), False),
        (nn.Conv2d(8, 8, (1, 3), stride=2), False),
    ],
)
def test_the_layer_says_what_is_unsafe(layer, unsafe):
    assert has_unsafe_layer(nn.Sequential(nn.Sequential(layer))) == unsafe


def test_channels_last_is_for_those_who_take_it_and_are_safe():
    wide, narrow = network("resnet18", width=16), network("resnet18", width=8)
    assert takes_channels_last(wide, CPU) and takes_channels_last(wide, GPU)
    assert not takes_channels_last(narrow, CPU) and takes_channels_last(narrow, GPU)
    assert not takes_channels_last(laid_last(copy.deepcopy(narrow)), CPU)
    assert not takes_channels_last(Viewing(), CPU)
    assert takes_channels_last(laid_last(nn.Sequential(nn.Conv2d(3, 4, 3))), CPU)
    assert not takes_channels_last(wide, torch.device("mps"))


def test_a_card_brings_unsafe_layers_the_gradients_of_the_contiguous_layout():
    module = network("resnet18", width=8, classes=4)
    card = wh.Card.from_module(module, list("abcd"), (96, 96))
    images = torch.rand(4, 3, 96, 96)
    found = []
    for given in (images, images.contiguous(memory_format=torch.channels_last)):
        given = given.clone(memory_format=torch.preserve_format).requires_grad_()
        card.zero_grad()
        card(given).square().sum().backward()
        found.append([given.grad, *(weight.grad for weight in card.parameters())])
    assert all(map(torch.equal, *found))


def test_networks_that_view_their_features_work_everywhere(tiny_images, tmp_path):
    module = Viewing()
    card = wh.compress(module, tiny_images, method="gmp", sparsity=0.5, epochs=1)
    assert card.metadata.accuracies["test"] > 0.9
    for player in (module, card, wh.Deck([card, card])):
        assert wh.evaluate(player, tiny_images.test, ["contrast"], [1]).cells
    quarter = Split(tiny_images.test.images[:2, :4, :4], tiny_images.test.labels[:2])
    assert fourier_heatmap(Viewing(4), quarter).images == 2
    pixels = tiny_images.test.images[:2]
    assert [one.label for one in card.predict(pixels)] == ["dark", "bright"]
    card.save(tmp_path / "a.card")
    loaded = wh.load(tmp_path / "a.card", network=Viewing())
    assert [one.label for one in loaded.predict(list(pixels))] == ["dark", "bright"]
    assert card.quantized("int8", torch.rand(4, 16, 16, 3).movedim(-1, 1)).inspect().sparsity >= 0.5
