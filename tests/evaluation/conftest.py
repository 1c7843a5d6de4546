import numpy as np
import pytest
import torch
from made_outcomes import outcome_of
from torch import nn

from winninghand.corruptions import write_archive
from winninghand.evaluation import Cell, RobustnessTable


class Threshold(nn.Module):
    """Calls an image of `tiny_images` bright when its mean is above a half; `steepness` is its confidence."""

    def __init__(self, steepness=100.0):
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(steepness))

    def forward(self, images):
        excess = self.steepness * (images.mean(dim=(1, 2, 3)) - 0.5)
        return torch.stack([-excess, excess], dim=1)


@pytest.fixture
def threshold():
    return Threshold()


@pytest.fixture
def official(tmp_path, tiny_images):
    """An archive as the official ones are, without a description: here every cell is inverted images."""
    folder = tmp_path / "tiny-C"
    write_archive(tiny_images.test.images, tiny_images.test.labels, folder, ["fog", "contrast"])
    (folder / "archive.json").unlink()
    np.save(folder / "fog.npy", np.concatenate([255 - tiny_images.test.images] * 5))
    return folder


@pytest.fixture
def table_of():
    """Make a table of ten images from the clean accuracy and the accuracies of each corruption, in tenths."""

    def make(clean, **corruptions):
        cells = tuple(
            Cell(name, severity, outcome_of(np.arange(10) < right))
            for name, tenths in corruptions.items()
            for severity, right in enumerate(tenths, start=1)
        )
        return RobustnessTable(outcome_of(np.arange(10) < clean), cells, batch_size=256, seed=0)

    return make
