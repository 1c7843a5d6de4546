"""What many tests share."""

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

# Small tensors gain nothing from a second thread, and results must not depend on how many there are.
# PyTorch reads this when it is imported; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Libraries of networks find their weights without a network, in caches that tests write. They read these
# variables when they are imported. Where there are none, other tests have the variables as they were.
if find_spec("transformers"):
    _CACHES = Path(tempfile.mkdtemp(prefix="winninghand-caches-"))
    os.environ.update(HF_HOME=str(_CACHES / "hf"), HF_HUB_OFFLINE="1", TORCH_HOME=str(_CACHES / "torch"))

import numpy as np
import pytest
import torch

from winninghand.cli import main
from winninghand.images import ImageSet


def pytest_collection_modifyitems(items):
    """Begin with the files whose tests take long, so that at the end no process waits for another."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def one_seed():
    """Networks are drawn anew in most tests; a test must not pass or fail by the draw."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_images():
    """Two classes of noisy 16×16 images, dark and bright, that any network tells apart."""
    generator = np.random.default_rng(0)

    def split(count):
        labels = np.arange(count) % 2
        images = generator.integers(0, 128, (count, 16, 16, 3)) + 127 * labels[:, None, None, None]
        return images.astype(np.uint8), labels

    return ImageSet.from_arrays(split(128), split(32), ["dark", "bright"], name="tiny")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the program in this process; return its exit code, standard output and standard error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["winninghand", *(str(word) for word in words)])
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capsys.readouterr()
        return leaving.value.code or 0, printed.out, printed.err

    return call
