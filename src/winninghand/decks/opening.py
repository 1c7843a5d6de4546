"""The one place that knows what kind of file a path or a name holds."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from winninghand.base.deprecation import renamed
from winninghand.base.errors import InputError, brief, shown
from winninghand.cards import Card
from winninghand.cards.container import model_path, read_streams
from winninghand.cards.file import KIND as CARD
from winninghand.cards.file import unpack_card
from winninghand.cards.inspection import Work
from winninghand.cards.opening import check_no_stranger
from winninghand.decks.bodies import shared_bodies
from winninghand.decks.deck import Deck
from winninghand.decks.file import KIND as DECK
from winninghand.decks.file import unpack_deck


def load(
    path: Path | str, network: nn.Module | None = None, trust: bool = False, revision: str | None = None
) -> Card | Deck:
    """Open a card or a deck: a file, told by what it holds and not by its name, `zoo:NAME`, `hf:OWNER/NAME`.

    `network` is the module to fill where a network has no name that is known here: a card's, or a copy of it
    that of each such card of a deck. Nothing in the file is executed. With `trust` an import path in it
    may be followed: the code of that name, which must be installed here, is run to build the network.

    A model of the Hugging Face hub is fetched into the hub's cache; where the hub gives no answer it is taken
    from there. `revision` is a branch, a tag or a commit, also as `hf:OWNER/NAME@REVISION`; by default the
    newest. `hf:OWNER/NAME/FILE` names one of several files. No code that such a file names is run: `trust` is
    refused.

    Raises `InputError` for any other file, for a damaged one, for a network of a library that is missing
    or of an import path that is not trusted, and for what is not on the hub, or may not be read there.
    """
    path = model_path(path, revision)
    if trust:
        check_no_stranger(path)
    header, streams = read_streams(path)
    # What is made in inference mode could never be trained.
    with torch.inference_mode(False):
        return _unpacked(header, streams, path, network, trust)


def _unpacked(
    header: dict[str, Any],
    streams: dict[str, torch.Tensor],
    path: Path,
    network: nn.Module | None,
    trust: bool,
) -> Card | Deck:
    kind = header.pop("kind", None)
    if kind == CARD:
        return Card(*unpack_card(header, streams, str(path), network, trust=trust))
    if kind == DECK:
        parts = unpack_deck(header, streams, str(path), network, trust)
        cards = [Card(*one) for one in parts.cards]
        return Deck.provisional(cards, parts.gate, parts.settings, parts.temperatures)
    raise InputError(f"cannot load {path}: it holds neither a card nor a deck")


def load_deck(deck: Deck | Path | str) -> Deck:
    """Return a deck as it is, or opened where it is given by a path; `InputError` for anything else."""
    model = load(deck) if isinstance(deck, str | PathLike) else deck
    if getattr(model, "kind", None) != DECK:
        raise InputError(f"a deck or a .deck file is wanted, not {shown(brief(deck, 200))}")
    return cast("Deck", model)


def inspect_file(path: Path | str, trust: bool = False) -> dict[str, Any]:
    """Return what there is to know of the size of a card or deck, as plain values.

    `path` is a file, `zoo:NAME` or `hf:OWNER/NAME`. The values are the counts of `Inspection.to_json`,
    `bytes`, `entropy_bound_bytes`, and `macs` and `nonzero_macs`, the multiply-accumulates for one image,
    all of them and those of weights that are not zero; for a card also its `metadata`. For a deck the counts
    are sums, with the same of each of its cards under `cards`. What cards share counts once there: `bodies`
    says what it costs, and `norms` of each card what its own norms and profile do. `trust` is as in `load`.
    """
    return inspected(load(path, trust=trust), model_path(path))


def inspected(model: Card | Deck, path: Path) -> dict[str, Any]:
    """Return what `inspect_file` does of a model that is opened, and whose file is at `path`."""
    size = {"bytes": path.stat().st_size}
    if model.kind == CARD:
        metadata = model.metadata.model_dump(mode="json")
        return _WithOldKey({"kind": CARD, **_inspected(model), **size, "metadata": metadata})
    cards = [_inspected(card) for card in model.cards]
    bodies = shared_bodies(model.cards, path)
    for body in bodies:
        for number in body["cards"]:
            cards[number]["norms"] = body["norms"].pop(0)
        del body["norms"]
    return {
        "kind": DECK,
        "gate": model.gate,
        # What cards share counts once.
        **{
            key: sum(card[key] for card in cards)
            - sum(body[key] * (len(body["cards"]) - 1) for body in bodies)
            for key in ("parameters", "nonzero", "entropy_bound_bytes")
        },
        **{key: sum(card[key] for card in cards) for key in ("macs", "nonzero_macs")},
        "sparsity": _joint_sparsity(model.cards),
        **size,
        "layers": [
            {**layer, "name": f"{number}/{layer['name']}"}
            for number, card in enumerate(cards)
            for layer in card["layers"]
        ],
        "cards": cards,
        **({"bodies": bodies} if bodies else {}),
    }


class _WithOldKey(dict[str, Any]):
    """Answers to `facts`, as version 0.1 called `metadata`."""

    def __missing__(self, key: str) -> Any:  # noqa: ANN401 (JSON)
        if key != "facts":
            raise KeyError(key)
        renamed("the key 'facts' of inspect_file", "'metadata'")
        return self["metadata"]


def _inspected(card: Card) -> dict[str, Any]:
    counts = card.inspect()
    work, known = Work.of(card.network, counts, card.input_size), counts.to_json()
    layers = [{**layer, "macs": work.layers[layer["name"]]} for layer in known["layers"]]
    bound = round(card.entropy_bound())
    return {
        **known,
        "layers": layers,
        "macs": work.macs,
        "nonzero_macs": work.nonzero,
        "entropy_bound_bytes": bound,
    }


def _joint_sparsity(cards: tuple[Card, ...]) -> float:
    """Return the fraction of the prunable weights of all cards together that is zero."""
    layers = [layer for card in cards for layer in card.inspect().layers]
    total = sum(layer.size for layer in layers)
    return 1 - sum(layer.nonzero for layer in layers) / total if total else 0.0
