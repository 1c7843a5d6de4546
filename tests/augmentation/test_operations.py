"""Every operation against Pillow's, on photographs: equal to the level, on both paths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks.operations_in_pillow import IN_PILLOW
from winninghand.augmentation.chains import mix_compiled
from winninghand.augmentation.operations import Operation
from winninghand.augmentation.tensor_operations import mix_tensors

PATHS = {"compiled": mix_compiled, "tensors": mix_tensors}
Path = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


MAGNITUDES: dict[Operation, tuple[float, ...]] = {
    Operation.POSTERIZE: (1, 3, 4, 8),
    Operation.SOLARIZE: (0, 180, 231, 256),
    Operation.BRIGHTNESS: (0.01, 0.7, 1.99),
    Operation.CONTRAST: (0.01, 0.7, 1.99),
    Operation.COLOR: (0.01, 0.7, 1.99),
    Operation.SHARPNESS: (0.01, 0.7, 1.99),
    Operation.ROTATE: (-9, 1, 8, 30, 127.5),
    Operation.SHEAR_X: (-0.3, 0.0721, 0.99),
    Operation.SHEAR_Y: (-0.3, 0.0721, 0.99),
    Operation.TRANSLATE_X: (-3, 2, 2.5, 32),
    Operation.TRANSLATE_Y: (-3, 2, 2.5, 32),
}


def through(path: Path, images: Tensor, chain: list[tuple[Operation, float]]) -> Tensor:
    """Return uint8: each image after the operations in turn, nothing mixed in."""
    shape = (len(images), 1, 1, len(chain))
    operations = torch.tensor([int(operation) for operation, _ in chain]).expand(shape)
    magnitudes = torch.tensor([magnitude for _, magnitude in chain], dtype=torch.float64).expand(shape)
    shares = torch.tensor([0.0, 1.0]).expand(len(images), 1, 2)
    return path(images, operations, magnitudes, shares)[0].mul(255).round().byte()


def in_pillow(images: Tensor, chain: list[tuple[Operation, float]]) -> Tensor:
    found = []
    for pixels in images.numpy():
        image = Image.fromarray(pixels)
        for operation, magnitude in chain:
            image = IN_PILLOW[operation](image, magnitude)
        found.append(np.asarray(image))
    return torch.from_numpy(np.stack(found))


@pytest.fixture(params=[(32, 32), (32, 21), (19, 32)], ids=str)
def images(request: pytest.FixtureRequest, photographs: Tensor) -> Tensor:
    """Photographs in three shapes, and images whose histograms are degenerate."""
    height, width = request.param
    degenerate = torch.full((3, 32, 32, 3), 7, dtype=torch.uint8)
    degenerate[1, 5:9] = 250
    degenerate[2] = torch.arange(32, dtype=torch.uint8)[:, None] * 8
    return torch.cat([photographs[::8], degenerate])[:, :height, :width].contiguous()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("operation", Operation, ids=lambda operation: operation.name.lower())
def test_an_operation_equals_pillow_to_the_level(operation: Operation, path: str, images: Tensor):
    for magnitude in MAGNITUDES.get(operation, (0,)):
        chain = [(operation, magnitude)]
        assert torch.equal(through(PATHS[path], images, chain), in_pillow(images, chain)), magnitude


@pytest.mark.parametrize("path", PATHS)
def test_operations_follow_each_other_in_turn(path: str, images: Tensor):
    chain = [
        (Operation.SHEAR_X, 0.2),
        (Operation.EQUALIZE, 0.0),
        (Operation.SHARPNESS, 1.7),
        (Operation.ROTATE, 5),
    ]
    assert torch.equal(through(PATHS[path], images, chain), in_pillow(images, chain))


def test_both_paths_give_the_same_mixtures(photographs: Tensor):
    generator = torch.Generator().manual_seed(0)
    images = photographs[:40]
    operations = torch.randint(len(Operation), (40, 2, 3, 3), generator=generator)
    magnitudes = 4 * torch.rand(40, 2, 3, 3, generator=generator)
    shares = torch.rand(40, 2, 4, generator=generator)
    shares = shares / shares.sum(-1, keepdim=True)
    mixtures = [path(images, operations, magnitudes, shares) for path in PATHS.values()]
    assert mixtures[0].shape == (2, 40, 32, 32, 3)
    torch.testing.assert_close(mixtures[0], mixtures[1], atol=1e-6, rtol=0)
