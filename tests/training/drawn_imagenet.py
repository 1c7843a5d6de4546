"""Draw a small ImageNet: class folders of JPEG files of many sizes, of which some colours tell the class.

    python tests/training/drawn_imagenet.py FOLDER [CLASSES] [IMAGES]

So many images a class, of 256 to 500 pixels a side; every fifth is one to test. The same ones each time.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

LEAST, MOST = 256, 500
TESTED = 5


def draw(root, classes=100, images=50):
    """Write `train/CLASS/CLASS_NUMBER.JPEG` and `val/CLASS/…` below a folder."""

    def draw_class(number):
        name = f"n{number:08}"
        generator = np.random.default_rng(number)
        colours = generator.integers(0, 256, (3, 3, 3), dtype=np.uint8)
        for split in ("train", "val"):
            (root / split / name).mkdir(parents=True)
        for place in range(images):
            split = "val" if place % TESTED == 0 else "train"
            picture = drawn(colours, generator)
            picture.save(root / split / name / f"{name}_{place}.JPEG", quality=90)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(draw_class, range(classes)))


def drawn(colours, generator):
    """Return a picture of a class's colours, which shine more or less, under details of all sizes."""
    size = tuple(generator.integers(LEAST, MOST + 1, 2).tolist())
    light = np.clip(colours * generator.uniform(0.6, 1.4), 0, 255).astype(np.uint8)
    picture = Image.fromarray(light).resize(size, Image.Resampling.BICUBIC)
    for side in (8, 32, 128):
        noise = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
        picture = Image.blend(picture, Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC), 0.2)
    return picture


if __name__ == "__main__":
    draw(Path(sys.argv[1]), *map(int, sys.argv[2:]))
