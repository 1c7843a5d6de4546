import pytest
from made_cards import make_card


@pytest.fixture(scope="session")
def cards():
    """Two smooth cards and two noisy ones."""
    return [
        make_card(domain, seed) for domain, seed in (("smooth", 0), ("noisy", 1), ("smooth", 2), ("noisy", 3))
    ]
