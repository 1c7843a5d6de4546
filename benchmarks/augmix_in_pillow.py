"""AugMix image by image in Pillow, as its authors describe it: what the batched code is measured against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from benchmarks.operations_in_pillow import IN_PILLOW
from winninghand.augmentation.operations import Operation

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

# The magnitude that a level, a sign and the image's size stand for.
MAGNITUDES: dict[Operation, Callable[[float, int, Image.Image], float]] = {
    Operation.AUTOCONTRAST: lambda level, sign, image: 0,
    Operation.EQUALIZE: lambda level, sign, image: 0,
    Operation.POSTERIZE: lambda level, sign, image: 4 - int(level * 4 / 10),
    Operation.ROTATE: lambda level, sign, image: sign * int(level * 30 / 10),
    Operation.SOLARIZE: lambda level, sign, image: 256 - int(level * 256 / 10),
    Operation.SHEAR_X: lambda level, sign, image: sign * level * 0.3 / 10,
    Operation.SHEAR_Y: lambda level, sign, image: sign * level * 0.3 / 10,
    Operation.TRANSLATE_X: lambda level, sign, image: sign * int(level * image.width / 3 / 10),
    Operation.TRANSLATE_Y: lambda level, sign, image: sign * int(level * image.height / 3 / 10),
}
OPERATIONS = tuple(MAGNITUDES)


def flip_and_crop(image: Image.Image, padding: int, generator: np.random.Generator) -> Image.Image:
    """Flip with probability ½ and crop at random from the image padded with black."""
    if generator.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    left, top = generator.integers(0, 2 * padding + 1, 2)
    padded = ImageOps.expand(image, padding)
    return padded.crop((left, top, left + image.width, top + image.height))


def to_unit(image: Image.Image) -> FloatArray:
    """Return float32 (H, W, 3) in [0, 1]."""
    return np.asarray(image, np.float32) / np.float32(255)


def augmix(
    image: Image.Image,
    generator: np.random.Generator,
    width: int = 3,
    depth: int = -1,
    severity: float = 3,
    alpha: float = 1.0,
) -> FloatArray:
    """Return one augmented view of an image that is flipped and cropped already."""
    weights = generator.dirichlet([alpha] * width).astype(np.float32)
    share = np.float32(generator.beta(alpha, alpha))
    mixture = np.zeros((image.height, image.width, 3), np.float32)
    for weight in weights:
        chain = image
        for _ in range(depth if depth > 0 else generator.integers(1, 4)):
            operation = OPERATIONS[generator.integers(len(OPERATIONS))]
            level, sign = generator.uniform(0.1, severity), 1 - 2 * int(generator.random() < 0.5)
            chain = IN_PILLOW[operation](chain, MAGNITUDES[operation](level, sign, image))
        mixture += weight * to_unit(chain)
    return (1 - share) * to_unit(image) + share * mixture


def views(
    images: UInt8Array, generator: np.random.Generator, augmented: int, padding: int = 4
) -> list[FloatArray]:
    """Return, image after image, its clean view and `augmented` others that share its flip and crop."""
    found = []
    for pixels in images:
        base = flip_and_crop(Image.fromarray(pixels), padding, generator)
        found.append(to_unit(base))
        found.extend(augmix(base, generator) for _ in range(augmented))
    return found
