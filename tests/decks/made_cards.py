"""Cards of two domains, and images that tell them apart by their spectrum alone."""

import torch

import winninghand as wh
from winninghand.spectra import SpectralProfile

CLASSES = ("a", "b", "c")
SIZE = (16, 16)


def smooth(count, seed=0):
    """Images (N, 3, 16, 16) of little high frequency."""
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.avg_pool2d(torch.rand(count, 3, 20, 20, generator=generator), 5, 1)


def noisy(count, seed=0):
    """The same images under noise."""
    generator = torch.Generator().manual_seed(seed + 1)
    images = smooth(count, seed)
    return (images + 0.2 * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def make_card(domain, seed=0, classes=CLASSES, size=SIZE, clean=True):
    torch.manual_seed(seed)
    module = wh.network("resnet18", width=2, classes=len(classes))
    shown = smooth(256, 10 + seed) if domain == "smooth" else noisy(256, 10 + seed)
    profile = SpectralProfile.of(shown, clean=smooth(256, 10 + seed) if clean else None)
    # A card of other images has a profile of these.
    if size != SIZE:
        profile = SpectralProfile.of(torch.nn.functional.interpolate(shown, size))
    return wh.Card.from_module(module, classes, size, profile=profile)
