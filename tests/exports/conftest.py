import pytest
import torch

import winninghand as wh
from winninghand.spectra import SpectralProfile


def smooth(count, seed=0):
    """Images of a few large patches."""
    grid = torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(grid, size=(16, 16), mode="bilinear")


def noisy(count, seed=0):
    """Images of noise."""
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def made_card(name, seed, training_images=None, **settings):
    torch.manual_seed(seed)
    module = wh.network(name, classes=4, **settings)
    module.train()(noisy(16))  # running statistics that are not those of a fresh network
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim > 1:
                weight.mul_(torch.rand(weight.shape) < 0.3).add_(0.0)
    profile = None if training_images is None else SpectralProfile.of(training_images)
    return wh.Card.from_module(
        module, list("abcd"), (16, 16), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.2), profile=profile
    )


@pytest.fixture(scope="session")
def card():
    return made_card("resnet18", 0, width=4)


@pytest.fixture(scope="session")
def deck():
    """A card for smooth images and one for noise."""
    return wh.Deck(
        [
            made_card("conv2", 1, smooth(32, 1), width=2, input_size=16),
            made_card("conv2", 2, noisy(32, 1), width=2, input_size=16),
        ],
        temperatures=[1.0, 1.7],
    )


@pytest.fixture(scope="session")
def batches():
    """Batches that a gate of the deck tells apart, of other lengths than any that was traced."""
    return {
        "smooth": smooth(3),
        "noisy": noisy(5),
        "mixed": torch.cat([smooth(1), noisy(2)]),
        "one": noisy(1),
    }
