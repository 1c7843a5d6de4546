"""Small drawn photographs in class folders: few soft colours for one class, more details for the other."""

import numpy as np
from PIL import Image


def draw_folders(root, counts, classes, suffix):
    """Write so many files `SPLIT/CLASS/NUMBER` of two classes, as `counts` says of each split."""
    generator = np.random.default_rng(0)
    for split, count in counts.items():
        for kind, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                small = generator.integers(0, 256, (4 + 6 * kind, 5, 3), dtype=np.uint8)
                path = root / split / name / f"{number:03}{suffix}"
                Image.fromarray(small).resize((40 + number % 7, 36)).save(path)
