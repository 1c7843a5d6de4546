"""The weather family, one file per corruption."""
