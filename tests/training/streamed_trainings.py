"""What the tests of streamed trainings share: small drawn photographs, a recipe, and batches to compare."""

import numpy as np
from PIL import Image

from winninghand.recipe import make_recipe


def draw_folders(root, counts, classes, suffix):
    """Write `counts[SPLIT]` files `SPLIT/CLASS/NUMBER` of a class of few soft colours and one of details."""
    generator = np.random.default_rng(0)
    for split, count in counts.items():
        for kind, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                small = generator.integers(0, 256, (4 + 6 * kind, 5, 3), dtype=np.uint8)
                path = root / split / name / f"{number:03}{suffix}"
                Image.fromarray(small).resize((40 + number % 7, 36)).save(path)


def recipe(compression, workers, **training):
    return make_recipe(
        {
            "network": {"name": "conv2", "width": 2, "input_size": 16},
            "images": {"size": 16, "stream": True},
            "compression": compression,
            "training": {
                "epochs": 2,
                "batch_size": 16,
                "learning_rate": 0.05,
                "precision": "32-true",
                "workers": workers,
                **training,
            },
        }
    )


def drawn(batches, *parts, first=0):
    return [(one.numpy().copy(), labels.numpy()) for one, labels in batches.epoch(*parts, first=first)]


def same(some, others):
    assert len(some) == len(others) > 0
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
