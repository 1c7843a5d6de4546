"""The blur family, one file per corruption."""
