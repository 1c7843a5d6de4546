"""What every floor stands on: errors, files, random numbers, the registry; it knows nothing of the rest."""
