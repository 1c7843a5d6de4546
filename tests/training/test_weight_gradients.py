"""Weight gradients by one product are PyTorch's own, and a training takes them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import winninghand as wh
from winninghand.recipe import make_recipe
from winninghand.training import weight_gradients
from winninghand.training.weight_gradients import SmallPlanes, _Convolution


@st.composite
def convolutions(draw):
    """Draw a convolution and images for it, on which it returns rows of one to five pixels."""
    kernel, stride, padding, dilation = (
        (draw(st.integers(low, 3)), draw(st.integers(low, 3))) for low in (1, 1, 0, 1)
    )
    channels, returned = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    layer = nn.Conv2d(channels, returned, kernel, stride, padding, dilation, bias=draw(st.booleans()))
    sides = [
        dilation[i] * (kernel[i] - 1) + 1 + draw(st.integers(0, 4)) * stride[i] - 2 * padding[i]
        for i in (0, 1)
    ]
    images = torch.randn(draw(st.integers(1, 3)), channels, *(max(1, side) for side in sides))
    return layer, images.contiguous(
        memory_format=draw(st.sampled_from([torch.channels_last, torch.contiguous_format]))
    )


def gradients(layer, images, direction):
    """Return the answer of a layer, and the gradients of images and weights along a direction."""
    images = images.clone(memory_format=torch.preserve_format).requires_grad_()
    layer.zero_grad()
    answer = layer(images)
    answer.backward(direction)
    return [answer.detach(), images.grad, *(weight.grad for weight in layer.parameters())]


@settings(deadline=None)
@given(convolutions())
def test_gradients_are_those_of_pytorch(drawn):
    """Whatever kernel, stride, padding, dilation and layout: the same answer and the same gradients."""
    layer, images = drawn
    # oneDNN 3 crashes on some padded strips of a pixel, whoever calls it.
    with torch.backends.mkldnn.flags(enabled=False):
        compare(layer, images)


def compare(layer, images):
    """Hold the gradients of a layer within the mode against those without."""
    direction = torch.randn_like(layer(images))
    wanted = gradients(layer, images, direction)
    with SmallPlanes():
        found = gradients(layer, images, direction)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "side", "taken"),
    [
        (nn.Conv2d(2, 2, 3, padding=1), 4, True),
        (nn.Conv2d(2, 2, 3, padding=1), 5, False),
        (nn.Conv2d(2, 2, 3, stride=2, padding=1), 8, True),
        (nn.Conv2d(2, 2, 1), 4, True),
        (nn.Conv2d(2, 2, 3, padding=1, groups=2), 4, False),
        (nn.Conv2d(2, 2, 3, padding="same"), 4, False),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), 4, True),
    ],
)
def test_rows_of_up_to_four_pixels_in_bf16(layer: nn.Conv2d, side, taken, monkeypatch):
    """Under autocast the product takes narrow planes, in bf16; others stay PyTorch's."""
    calls = []
    apply = _Convolution.apply

    def counted(image, *rest):
        calls.append(image.dtype)
        return apply(image, *rest)

    monkeypatch.setattr(weight_gradients._Convolution, "apply", counted)
    images = torch.randn(2, 2, side, side)
    with torch.autocast("cpu", dtype=torch.bfloat16), SmallPlanes():
        answer = layer(images)
    assert calls == [torch.bfloat16] * taken
    assert answer.dtype == torch.bfloat16


def test_training_takes_them(tiny_images, monkeypatch):
    """A recipe's steps form gradients of small planes by the product, and the card is finite."""
    taken = []
    backward = _Convolution.backward

    def counted(ctx, gradient):
        taken.append(gradient.shape[-1])
        return backward(ctx, gradient)

    monkeypatch.setattr(_Convolution, "backward", staticmethod(counted))
    recipe = make_recipe(
        {
            "network": {"name": "resnet20", "width": 4},
            "compression": {"method": "dense"},
            "training": {"epochs": 1, "precision": "bf16-mixed"},
        }
    )
    wh.train(recipe, tiny_images)
    assert taken and max(taken) <= 4
