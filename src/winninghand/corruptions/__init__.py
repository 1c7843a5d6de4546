"""The nineteen corruptions of CIFAR-10-C, at five severities, on batches of uint8 images."""

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
