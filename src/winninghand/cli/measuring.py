"""Measuring model files on test images, with progress."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import nn

from winninghand.base.device import resolve_device
from winninghand.base.progress import progress_bar
from winninghand.base.version import __version__
from winninghand.cards import Card
from winninghand.decks import Deck, load
from winninghand.evaluation import Measurement, RobustnessTable, Sample
from winninghand.images import ImageSet
from winninghand.report.terminal import print_missing, say
from winninghand.zoo import PREFIX, ZOO


def as_given(path: Path | str) -> str:
    """Return the path of a model as people give it: zoo:NAME, or the path itself.

    Every run calls its card card.card, so the name of a file alone says nothing.
    """
    path = str(path)
    return next((f"{PREFIX}{name}" for name in ZOO if str(ZOO[name]) == path), path)


def portable(path: Path | str) -> str:
    """Return a path without what only this machine knows: zoo:NAME, a relative path, or a name alone."""
    named = as_given(path)
    return Path(named).name if Path(named).is_absolute() else named


def digest_of(model: Path) -> str:
    """Return a hash of a model's file, 16 hexadecimal digits, as in the results of studies."""
    return hashlib.blake2b(model.read_bytes(), digest_size=8).hexdigest()


def about(model: Path, data: str, images: ImageSet) -> dict[str, str]:
    """Return what figures are of: the model and the test images, by name and by hash, and the version."""
    return {
        "model": portable(model),
        "model_digest": digest_of(model),
        "data": portable(data),
        "test_digest": images.test.digest,
        "winninghand": __version__,
    }


def opened(path: Path, device: str | None = None, trust: bool = False) -> Card | Deck:
    """Return the model in a file on a device, the best one for None; with `trust` its code is run."""
    return load(path, trust=trust).to(resolve_device(device))


def announced(measurement: Measurement, images: ImageSet) -> Sample:
    """Say where corrupted images come from and which are left out; return the images that are measured.

    Raises `InputError` where the archive is not of these images.
    """
    sample = measurement.sample(images.test)
    if measurement.archives:
        folders = ", ".join(str(archive.folder) for archive in measurement.archives)
        say(f"archive: {folders}; what is not there is generated")
    print_missing(measurement.missing)
    return sample


def measured(name: str, model: nn.Module, measurement: Measurement, sample: Sample) -> RobustnessTable:
    """Measure a model under a bar with its name."""
    with progress_bar(name, len(measurement) * len(sample.indices)) as progress:
        return measurement.table(model, measurement.cells(model, sample, progress), sample.split.size)
