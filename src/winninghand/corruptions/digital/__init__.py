"""The digital family, one file per corruption."""
