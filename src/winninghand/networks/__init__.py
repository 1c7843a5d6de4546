"""Networks by name: a catalog for small images, one file per family, and those of libraries."""

from winninghand.networks.catalog import (
    NETWORKS,
    Architecture,
    Classes,
    Count,
    architecture_of,
    check_network,
    complete_settings,
    empty_network,
    is_outside,
    network,
    preprocessing_of,
    rebuilt,
    recognised,
    runs_code,
    size_setting,
    version_of,
)
from winninghand.networks.entering import (
    as_logits,
    copied,
    entering,
    has_unsafe_layer,
    laid_out,
    takes_channels_last,
)
from winninghand.networks.libraries import Preprocessing
from winninghand.networks.size import count_macs, count_parameters

__all__ = [
    "NETWORKS",
    "Architecture",
    "Classes",
    "Count",
    "Preprocessing",
    "architecture_of",
    "as_logits",
    "check_network",
    "complete_settings",
    "copied",
    "count_macs",
    "count_parameters",
    "empty_network",
    "entering",
    "has_unsafe_layer",
    "is_outside",
    "laid_out",
    "network",
    "preprocessing_of",
    "rebuilt",
    "recognised",
    "runs_code",
    "size_setting",
    "takes_channels_last",
    "version_of",
]
