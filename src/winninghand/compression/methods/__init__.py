"""The compression methods, one file and one registered name each."""
