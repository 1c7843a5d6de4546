"""Compact, accurate and robust image classifiers (CARDs), played as decks."""
