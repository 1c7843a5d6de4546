"""`.c`: a card or a deck as one file of C99, for machines without Python."""
