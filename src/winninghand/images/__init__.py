"""Image sets: where they come from, and the one shape they are brought to."""

from winninghand.images.catalog import load_images
from winninghand.images.image_set import ImageSet, Split

__all__ = ["ImageSet", "Split", "load_images"]
