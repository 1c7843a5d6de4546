"""The nineteen corruptions of CIFAR-10-C, at five severities, on batches of uint8 images."""

# Imported to be registered; the order of registration is the benchmark's.
# isort: off
from winninghand.corruptions import noise  # noqa: F401
from winninghand.corruptions.blur import defocus, glass, motion, zoom, gaussian  # noqa: F401
from winninghand.corruptions.weather import snow, frost, fog, brightness, spatter  # noqa: F401
from winninghand.corruptions.digital import contrast, elastic, pixelate, jpeg, saturate  # noqa: F401

# isort: on
from winninghand.corruptions.archive import Archive, open_archive
from winninghand.corruptions.archive_writer import write_archive
from winninghand.corruptions.catalog import (
    CORRUPTIONS,
    SEVERITIES,
    Corruption,
    corruption_names,
    missing_corruptions,
)
from winninghand.corruptions.corrupt import corrupt

__all__ = [
    "CORRUPTIONS",
    "SEVERITIES",
    "Archive",
    "Corruption",
    "corrupt",
    "corruption_names",
    "missing_corruptions",
    "open_archive",
    "write_archive",
]
