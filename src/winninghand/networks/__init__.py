"""Networks for small images, one file per family, by name: `network("resnet18", width=64)`."""

from winninghand.networks.catalog import (
    NETWORKS,
    Architecture,
    Classes,
    Count,
    architecture_of,
    complete_settings,
    network,
)
from winninghand.networks.entering import (
    as_logits,
    copied,
    entering,
    has_unsafe_layer,
    laid_out,
    takes_channels_last,
)
from winninghand.networks.size import count_macs, count_parameters

__all__ = [
    "NETWORKS",
    "Architecture",
    "Classes",
    "Count",
    "architecture_of",
    "as_logits",
    "complete_settings",
    "copied",
    "count_macs",
    "count_parameters",
    "entering",
    "has_unsafe_layer",
    "laid_out",
    "network",
    "takes_channels_last",
]
