"""The gates, one file and one registered name each."""
