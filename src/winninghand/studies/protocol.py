"""What is held equal where methods are compared that train in different numbers of phases."""

from __future__ import annotations

from collections.abc import Iterable

from winninghand.base.errors import InputError, counted
from winninghand.compression import Phase
from winninghand.recipe import Recipe

PROTOCOL = "protocol"
"""The key of a choice that is none of a recipe's."""
PROTOCOLS = ("equal_schedule", "equal_epochs")
"""Each phase as long as the dense training; or all phases together as long as it."""


def epochs_of(phases: Iterable[Phase]) -> float:
    """Return how many epochs phases take together."""
    return sum(phase.epochs - phase.begin for phase in phases)


def under(protocol: str, recipe: Recipe) -> Recipe:
    """Return a recipe whose phases are as long as a protocol says; its epochs are the dense training's.

    A training of one phase is the same under all. Under `equal_epochs` the last phase takes what a division
    leaves over, where the method lets it be longer. Raises `InputError` where the recipe sets the length of a
    phase itself, or has more phases than epochs.
    """
    epochs, method = recipe.training.epochs, recipe.compression
    key = method.last_phase_key
    if key is not None and getattr(method, key) is not None:
        raise InputError(f'compression.{key} is what protocol = "{protocol}" decides; leave one of them out')
    phases = method.plan(epochs)
    if protocol == "equal_schedule" or len(phases) == 1:
        return recipe
    # Of a phase that is entered late only the rest counts.
    each = int((epochs + sum(phase.begin for phase in phases)) / len(phases))
    if each < 1 or any(phase.begin >= each for phase in phases):
        raise InputError(
            f"{counted(len(phases), 'phase')} of {method.name} at sparsity {method.sparsity:g} do not fit in "
            f"{counted(epochs, 'epoch')} under equal_epochs; raise training.epochs, or give fewer milestones"
        )
    left = int(epochs - epochs_of(method.plan(each)))
    if left > 0 and key is not None:
        method = method.model_copy(update={key: each + left})
    training = recipe.training.model_copy(update={"epochs": each})
    return recipe.model_copy(update={"training": training, "compression": method})
