"""Cards and decks in the formats of other tools, one file per format."""

from winninghand.exports.export import EXPORTS, export

__all__ = ["EXPORTS", "export"]
