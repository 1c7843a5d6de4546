"""`bp`: biprop (Diffenderfer & Kailkhura 2021, arXiv:2103.09377)."""

from __future__ import annotations

from typing import ClassVar

from winninghand.compression.methods.ep import EdgePopup


class Biprop(EdgePopup):
    """Edge-popup on binary weights: each is its sign times one magnitude per layer.

    The magnitude is the mean |w| of what is kept, measured again with every new mask.
    """

    name: ClassVar[str] = "bp"
    binary: ClassVar[bool] = True
