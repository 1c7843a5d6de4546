"""`.safetensors` and `.sparse.pt`: the weights alone, under the network's own names."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from winninghand.cards import Card
from winninghand.decks import Deck


def write_dense(model: Card | Deck, path: Path) -> None:
    """Write a plain state dict, zeros included, that every safetensors reader opens."""
    metadata = model.cards[0].metadata
    path.write_bytes(safetensors.torch.save(_weights(model), {"metadata": metadata.model_dump_json()}))


def write_sparse(model: Card | Deck, path: Path) -> None:
    """Write a state dict whose prunable weights are sparse COO tensors, for `torch.load`.

    `{name: tensor.to_dense() …}` of it is the plain state dict. A weight that is kept takes a
    whole index per dimension, 36 bytes in a convolution, so that it pays from 89% sparsity on.
    """
    prunable = {prefix + name for prefix, card in _cards(model) for name in card.metadata.prunable}
    weights = _weights(model)
    torch.save(
        {name: tensor.to_sparse() if name in prunable else tensor for name, tensor in weights.items()}, path
    )


def _weights(model: Card | Deck) -> dict[str, Tensor]:
    """Return all weights, each in memory of its own; those of a deck's card n begin with `models.n.`."""
    return {
        prefix + name: tensor.detach().contiguous().clone()
        for prefix, card in _cards(model)
        for name, tensor in card.network.state_dict().items()
    }


def _cards(model: Card | Deck) -> list[tuple[str, Card]]:
    if model.kind == "card":
        return [("", card) for card in model.cards]
    return [(f"models.{number}.", card) for number, card in enumerate(model.cards)]
