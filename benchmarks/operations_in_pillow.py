"""Every image operation as Pillow does it, under the magnitudes of `Operation`."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageOps

from winninghand.augmentation.operations import Operation


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


IN_PILLOW: dict[Operation, Callable[[Image.Image, float], Image.Image]] = {
    Operation.IDENTITY: lambda image, _: image,
    Operation.AUTOCONTRAST: lambda image, _: ImageOps.autocontrast(image),
    Operation.EQUALIZE: lambda image, _: ImageOps.equalize(image),
    Operation.POSTERIZE: lambda image, bits: ImageOps.posterize(image, int(bits)),
    Operation.SOLARIZE: lambda image, level: ImageOps.solarize(image, int(level)),
    Operation.BRIGHTNESS: lambda image, amount: ImageEnhance.Brightness(image).enhance(amount),
    Operation.CONTRAST: lambda image, amount: ImageEnhance.Contrast(image).enhance(amount),
    Operation.COLOR: lambda image, amount: ImageEnhance.Color(image).enhance(amount),
    Operation.SHARPNESS: lambda image, amount: ImageEnhance.Sharpness(image).enhance(amount),
    Operation.ROTATE: lambda image, degrees: image.rotate(degrees, Image.Resampling.BILINEAR),
    Operation.SHEAR_X: lambda image, slope: _affine(image, 1, slope, 0, 0, 1, 0),
    Operation.SHEAR_Y: lambda image, slope: _affine(image, 1, 0, 0, slope, 1, 0),
    Operation.TRANSLATE_X: lambda image, pixels: _affine(image, 1, 0, pixels, 0, 1, 0),
    Operation.TRANSLATE_Y: lambda image, pixels: _affine(image, 1, 0, 0, 0, 1, pixels),
}
