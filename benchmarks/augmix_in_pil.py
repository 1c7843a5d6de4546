"""AugMix image by image in Pillow, as its authors describe it: what the batched code is measured against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
PillowOperation = Callable[[Image.Image, float, np.random.Generator], Image.Image]


def _signed(value: float, generator: np.random.Generator) -> float:
    return -value if generator.random() < 0.5 else value


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def autocontrast(image: Image.Image, level: float, generator: np.random.Generator) -> Image.Image:
    """Stretch every channel to 0..255."""
    return ImageOps.autocontrast(image)


def equalize(image: Image.Image, level: float, generator: np.random.Generator) -> Image.Image:
    """Equalize every channel's histogram."""
    return ImageOps.equalize(image)


def posterize(image: Image.Image, level: float, generator: np.random.Generator) -> Image.Image:
    """Keep 4 bits or fewer."""
    return ImageOps.posterize(image, 4 - int(level * 4 / 10))


def solarize(image: Image.Image, level: float, generator: np.random.Generator) -> Image.Image:
    """Invert the levels from 256 or fewer up."""
    return ImageOps.solarize(image, 256 - int(level * 256 / 10))


def rotate(image: Image.Image, level: float, generator: np.random.Generator) -> Image.Image:
    """Rotate by up to 30 degrees either way."""
    return image.rotate(_signed(int(level * 30 / 10), generator), resample=Image.Resampling.BILINEAR)


def shear_x(image: Image.Image, level: float, generator: np.random.Generator) -> Image.Image:
    """Shear rows by up to 0.3 pixels per pixel either way."""
    return _affine(image, (1, _signed(level * 0.3 / 10, generator), 0, 0, 1, 0))


def shear_y(image: Image.Image, level: float, generator: np.random.Generator) -> Image.Image:
    """Shear columns by up to 0.3 pixels per pixel either way."""
    return _affine(image, (1, 0, 0, _signed(level * 0.3 / 10, generator), 1, 0))


def translate_x(image: Image.Image, level: float, generator: np.random.Generator) -> Image.Image:
    """Shift by up to a third of the width either way."""
    return _affine(image, (1, 0, _signed(int(level * image.width / 30), generator), 0, 1, 0))


def translate_y(image: Image.Image, level: float, generator: np.random.Generator) -> Image.Image:
    """Shift by up to a third of the height either way."""
    return _affine(image, (1, 0, 0, 0, 1, _signed(int(level * image.height / 30), generator)))


OPERATIONS: tuple[PillowOperation, ...] = (
    autocontrast,
    equalize,
    posterize,
    rotate,
    solarize,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
)


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
            chain = operation(chain, generator.uniform(0.1, severity), generator)
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
