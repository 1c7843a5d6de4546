"""How a release is made: `python -m release`, or `make release`. It is no part of what people install."""
