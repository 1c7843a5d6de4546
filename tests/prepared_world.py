"""What the code blocks of the documents take as given: files in a folder, and values by their names.

docs/reference.md says the same of these names.
"""

from __future__ import annotations

import pickle
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import winninghand as wh
from winninghand.corruptions import corruption_names, missing_corruptions, write_archive
from winninghand.studies import load_study, run_study

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
RECIPE = """
network = {name = "cifar_resnet", depth = 8, width = 4}
compression = {method = "gmp", sparsity = 0.5}
training = {epochs = 1, batch_size = 8}
"""
STUDY = """
title = "two methods"
[recipe]
network = {name = "conv2", width = 2}
training = {epochs = 1}
[[sweeps]]
"compression.method" = ["dense", "lrr"]
"compression.sparsity" = 0.5
[evaluation]
corruptions = "contrast"
severities = [5]
limit = 10
"""
NETWORKS = """
from torch import nn

def small(width=8, classes=10):
    layers = [nn.Conv2d(3, width, 3, 2), nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, classes))
"""


def prepare(folder: Path) -> None:
    """Write the files. CIFAR-10 is a tiny set in its official layout; a training takes one epoch."""
    generator = np.random.default_rng(0)
    _write_cifar(folder / "data/cifar-10-batches-py", generator)
    images = wh.load_images("cifar10", root=folder / "data")
    here = [name for name in corruption_names("common") if not missing_corruptions([name])]
    write_archive(images.test.images, images.test.labels, folder / "data/CIFAR-10-C", here)
    for path in ("recipe.toml", "recipes/cifar10-cpu.toml"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(RECIPE)
    (folder / "study.toml").write_text(STUDY)
    (folder / "my_networks.py").write_text(NETWORKS)

    card = wh.train(folder / "recipe.toml", images)
    other = wh.train({**tomllib.loads(RECIPE), "domain": "gaussian"}, images)
    card.save(folder / "a.card")
    other.save(folder / "b.card")
    wh.Deck([card, other], "spectral").save(folder / "a.deck")
    for seed in range(2):
        torch.manual_seed(seed)
        torch.save(wh.network("card_lrr", width=2).state_dict(), folder / f"m{seed}.pt")

    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(10):
            _picture(generator).save(folder / f"photos/{name}/{number}.png")
    wh.train(folder / "recipe.toml", wh.load_images(folder / "photos", size=32), out=folder / "runs/photos")
    for name in ("a.jpg", "a.png", "holiday.jpg"):
        _picture(generator, 40).save(folder / name)
    list(run_study(load_study(folder / "study.toml"), images, folder / "runs/study"))


def names(folder: Path) -> dict[str, Any]:
    """Return the values that blocks name, made anew for each page."""
    images = wh.load_images("cifar10", root=folder / "data")
    torch.manual_seed(0)
    module = wh.network("cifar_resnet", depth=8, width=4)
    pixels, labels = images.test.images, images.test.labels
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return {
        "images": images,
        "pixels": pixels,
        "labels": torch.from_numpy(labels),
        "x": x,
        "indices": np.array([3, 5, 7]),
        "picture": Image.open(folder / "a.png"),
        "module": module,
        "optimizer": torch.optim.SGD(module.parameters(), 0.1),
        "batches": [(x, torch.from_numpy(labels))] * 3,
        "logits": torch.randn(len(x), 10),
        "card": wh.load(folder / "a.card"),
        "other": wh.load(folder / "b.card"),
        "deck": wh.load(folder / "a.deck"),
        "recipe": tomllib.loads(RECIPE),
    }


def _picture(generator: np.random.Generator, side: int = 32) -> Image.Image:
    return Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8))


def _write_cifar(folder: Path, generator: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for name, count in (("data_batch_1", 80), ("test_batch", 20)):
        labels = np.arange(count) % 10
        rows = generator.integers(0, 100, (count, 3 * 32 * 32)) + 15 * labels[:, None]
        content = {b"data": rows.astype(np.uint8), b"labels": labels.tolist()}
        (folder / name).write_bytes(pickle.dumps(content))
    meta = {b"label_names": [name.encode() for name in CLASSES]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
