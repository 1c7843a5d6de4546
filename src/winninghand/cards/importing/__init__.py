"""Cards from other people's checkpoints: read without running their code, checked against the catalog."""

from winninghand.cards.importing.baking import Subnetwork
from winninghand.cards.importing.cards import Import, import_cards

__all__ = ["Import", "Subnetwork", "import_cards"]
