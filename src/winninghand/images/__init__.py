"""Image sets: where they come from, and the one shape they are brought to."""

from winninghand.images.catalog import load_images
from winninghand.images.image_set import ImageSet, Split
from winninghand.images.preparation import Preparation
from winninghand.images.source import IMAGE_SETS, LAYOUTS, Source, image_set

__all__ = ["IMAGE_SETS", "LAYOUTS", "ImageSet", "Preparation", "Source", "Split", "image_set", "load_images"]
