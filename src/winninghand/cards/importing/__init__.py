"""Cards from other people's checkpoints: read without running their code, checked against the catalog."""

from winninghand.cards.importing.cards import Import, import_cards
from winninghand.cards.importing.state_dicts import Subnetwork

__all__ = ["Import", "Subnetwork", "import_cards"]
