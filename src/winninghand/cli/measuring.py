"""Measuring model files on test images, with progress."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from winninghand.base.device import resolve_device
from winninghand.base.progress import progress_bar
from winninghand.base.version import __version__
from winninghand.cards import Card
from winninghand.cards.container import model_digest
from winninghand.decks import Deck, load
from winninghand.evaluation import Measurement, RobustnessTable, Sample
from winninghand.hub.address import FILES, address_of
from winninghand.images import ImageSet
from winninghand.report.terminal import print_missing, say
from winninghand.zoo import PREFIX, name_of


def as_given(path: Path | str) -> str:
    """Return the file of a model as people give it: zoo:NAME, hf:OWNER/NAME@COMMIT, or the path itself.

    Every run calls its card card.card, so the name of a file alone says nothing.
    """
    name, address = name_of(Path(path)), address_of(path)
    if name is not None:
        return f"{PREFIX}{name}"
    if address is None:
        return str(path)
    # A file that is called as the library calls it is the only one there.
    return str(address._replace(file=None) if address.file in FILES else address)


def portable(path: Path | str) -> str:
    """Return a path without what only this machine knows: as people give it, or a name alone."""
    named = as_given(path)
    return Path(named).name if Path(named).is_absolute() else named


def about(model: Path, data: str, images: ImageSet) -> dict[str, str]:
    """Return what figures are of: the model and the test images, by name and by hash, and the version."""
    return {
        "model": portable(model),
        "model_digest": model_digest(model),
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
