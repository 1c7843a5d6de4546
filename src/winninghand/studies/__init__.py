"""Work that takes several runs."""
