"""Networks for small images, one file per family, by name: `network("resnet18", width=64)`."""

from winninghand.networks import conv, resnet  # noqa: F401  (each registers its networks)
from winninghand.networks.catalog import NETWORKS, Architecture, architecture_of, network

__all__ = ["NETWORKS", "Architecture", "architecture_of", "network"]
