"""What a model costs: weights that are not zero, multiply-accumulates, and milliseconds on request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from winninghand.augmentation import make_domain
from winninghand.cards import Card
from winninghand.cards.inspection import Work
from winninghand.decks import Deck
from winninghand.images import ImageSet
from winninghand.results import About

BATCH = 64
"""Images in the batches that are timed."""


def with_costs(about: About, player: Card | Deck, images: ImageSet, times: bool) -> About:
    """Return what is known of a run, and what its model costs: see `About`.

    With `times` that is also milliseconds per image, on one thread of the CPU, where the model lies then.
    """
    player = player.cpu()
    work = [Work.of(card.network, card.inspect(), card.input_size) for card in player.cards]
    costs: dict[str, Any] = {
        "nonzero": sum(int(weight.count_nonzero()) for weight in player.parameters()),
        "macs": sum(one.macs for one in work),
        "nonzero_macs": sum(one.nonzero for one in work),
    }
    if about.kind == "card" and about.recipe is not None and about.epochs is not None:
        seen = _views(about.recipe, images) * _learned_from(about.recipe, images) * about.epochs
        costs["macs_trained"] = 3 * costs["macs"] * seen
    return replace(about, **costs | (milliseconds(player) if times else {}))


def milliseconds(player: Card | Deck) -> dict[str, float | None]:
    """Return milliseconds per image by engine and PyTorch, sampled in turn; None where others disturbed them.

    None too where the engine cannot run the model.
    """
    from winninghand.runtimes import compile  # noqa: A004 (the public name)
    from winninghand.runtimes.speed import like_photographs, timed

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        compiled = compile(player, 1)
        runs = {"sparse": compiled.answer} if compiled.runtime == "sparse" else {}
        rows = list(timed({**runs, "torch": player.answer}, like_photographs(BATCH, player)))
    finally:
        torch.set_num_threads(threads)
    quiet = {row.runtime: row.milliseconds / BATCH for row in rows if row.quiet is not False}
    return {f"milliseconds_{name}": quiet.get(name) for name in ("sparse", "torch")}


def _learned_from(recipe: dict[str, Any], images: ImageSet) -> int:
    """Return how many images an epoch shows."""
    fraction = recipe["training"]["validation"]
    return len(images.train.validation(fraction)[0]) if fraction else len(images.train)


def _views(recipe: dict[str, Any], images: ImageSet) -> int:
    """Return how many views of each image a step shows the network."""
    few = torch.from_numpy(images.train.images[:4])
    return len(make_domain(recipe["domain"]).views(few, torch.Generator().manual_seed(0)))
