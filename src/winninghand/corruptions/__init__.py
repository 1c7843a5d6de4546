"""The corruptions of CIFAR-10-C, ImageNet-C and C-bar, at five severities, on batches of uint8 images."""

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.archive import Archive, write_archive
from winninghand.corruptions.corrupt import (
    CORRUPTIONS,
    SEVERITIES,
    Corruption,
    available_names,
    checked_severities,
    checked_severity,
    corrupt,
    corruption,
    corruption_names,
    family_of,
    group_of,
    missing_corruptions,
)
from winninghand.corruptions.folders import FolderArchive, open_archive, write_folders
from winninghand.corruptions.jpeg import checked_save
from winninghand.corruptions.parameters import checked_parameters, published_set

__all__ = [
    "CORRUPTIONS",
    "SEVERITIES",
    "Archive",
    "Corruption",
    "CounterRNG",
    "FolderArchive",
    "available_names",
    "checked_parameters",
    "checked_save",
    "checked_severities",
    "checked_severity",
    "corrupt",
    "corruption",
    "corruption_names",
    "family_of",
    "group_of",
    "missing_corruptions",
    "open_archive",
    "published_set",
    "write_archive",
    "write_folders",
]
