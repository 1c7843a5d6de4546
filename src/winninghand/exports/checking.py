"""Whether what was exported computes what the model does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.cards import Player

TOLERANCE = 1e-4

# Noise drawn on coarser and coarser grids, so that a gate sees different spectra; batches of
# different lengths, none of them the one that was traced.
_BATCHES = ((1, 1), (3, 2), (4, 4), (1, 16))


@torch.no_grad()
def check(name: str, run: Callable[[Tensor], Sequence[Tensor]], player: Player) -> None:
    """Raise `RuntimeError` unless `run` gives a player's outputs, for a deck its gate's weights too.

    Outputs may differ by 1e-4, or by as much of the largest of them.
    """
    generator = torch.Generator().manual_seed(0)
    for count, cell in _BATCHES:
        height, width = player.input_size
        grid = torch.rand(count, 3, -(-height // cell), -(-width // cell), generator=generator)
        images = functional.interpolate(grid, size=(height, width))
        answer = player.answer(images)
        wanted = answer[:1] if player.gate is None else answer
        for expected, found in zip(wanted, run(images), strict=True):
            difference = float((expected - found).abs().max())
            if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
                raise RuntimeError(f"{name} differs from the model by {difference:.2g}; nothing was written")
