"""What can be played: a card, a deck, and any other classifier, through one small protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from winninghand.base.device import device_of
from winninghand.base.errors import InputError
from winninghand.cards.answer import Answer, Answerer
from winninghand.cards.card import Card
from winninghand.networks import architecture_of, as_logits, laid_out
from winninghand.networks.entering import unwrapped


@runtime_checkable
class Player(Answerer, Protocol):
    """A classifier of float images (N, 3, H, W) in [0, 1] that knows its classes and its cards."""

    @property
    def kind(self) -> Literal["card", "deck", "module"]:
        """What it is; `module` for a classifier that is neither a card nor a deck."""

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards it plays, in the order of the weights; a card's own is the card itself."""

    @property
    def gate(self) -> str | None:
        """Name of the gate that chooses among the cards; None where there is nothing to choose."""

    def reset(self) -> None:
        """Begin a new stream of images: forget what earlier ones looked like."""

    def save(self, path: Path | str) -> None:
        """Write it to one file, whole or not at all."""


def player_of(module: nn.Module) -> Player:
    """Return a module as a player, in evaluation mode.

    Cards, decks and whatever else keeps the protocol are returned as they are. Any other classifier
    is wrapped: it has no cards, and the weights of its answers are ones (N, 1).
    """
    if not isinstance(module, nn.Module):
        raise InputError(
            f"a model must be a card, a deck or a torch module, not {type(module).__name__}; open files by "
            "load"
        )
    module.eval()
    return module if isinstance(module, Player) else _ModulePlayer(module)


def check_classes(
    player: Player, classes: Sequence[str] | None, name: str = "the model", of: str = ""
) -> None:
    """Raise `InputError`, which calls the model by its name, where images show other classes than it knows.

    Nothing is checked where the images have no names of classes (None), nor for a module, which knows none.
    `of` is what the images are called.
    """
    if classes is None or player.kind == "module" or player.classes == tuple(classes):
        return
    own = player.classes
    differing = f"{len(own)} instead of {len(classes)}"
    if len(own) == len(classes):
        pairs = zip(own, classes, strict=True)
        differing = next(f"{one!r} instead of {other!r}" for one, other in pairs if one != other)
    mend = "give images of its classes, by --data on the command line"
    if all(one.isdecimal() for one in own):  # those of a checkpoint that named none
        mend += ", or import it with the names of its classes (--classes)"
    raise InputError(f"{name} knows other classes than the images{of and f' of {of}'} ({differing}); {mend}")


class _ModulePlayer:
    """A classifier that is neither a card nor a deck: a module from images to logits (see `as_logits`)."""

    kind: Literal["module"] = "module"
    input_size = (0, 0)
    cards: tuple[Card, ...] = ()
    gate = None

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        floats = (one.dtype for one in module.parameters() if one.is_floating_point())
        self._dtype = next(floats, torch.float32)

    @property
    def classes(self) -> tuple[str, ...]:
        architecture = architecture_of(unwrapped(self._module))
        count = 0 if architecture is None else architecture.settings.get("classes", 0)
        return tuple(str(number) for number in range(count if isinstance(count, int) else 0))

    @property
    def device(self) -> torch.device:
        return device_of(self._module)

    def answer(self, images: Tensor) -> Answer:
        outputs = as_logits(self._module(laid_out(images.to(self._dtype), unwrapped(self._module))))
        if outputs.ndim != 2 or len(outputs) != len(images):
            raise InputError(
                f"the module must map {len(images)} images to logits ({len(images)}, classes), "
                f"not {(*outputs.shape,)}"
            )
        return Answer(outputs, images.new_ones(len(images), 1))

    def reset(self) -> None:
        """Remember nothing, forget nothing."""

    def save(self, path: Path | str) -> None:
        raise InputError(f"cannot save to {path}: make a card of the module first, by Card.from_module")


def adaptation_of(model: nn.Module) -> float | None:
    """Return the prior of a model whose batch norms adapt to each batch, in images; None for any other."""
    priors = (vars(part).get("adaptation_prior") for part in model.modules())
    return next((prior for prior in priors if prior is not None), None)
