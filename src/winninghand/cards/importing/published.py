"""What RobustBench's CARD families leave out of their checkpoints: CIFAR's classes and normalisation."""

from __future__ import annotations

from dataclasses import dataclass

from winninghand.cards.metadata import Triple

FAMILIES = ("card_lrr", "card_binary")
"""Networks whose checkpoints RobustBench publishes."""


@dataclass(frozen=True)
class Task:
    """Class names in the order of the labels, and the normalisation RobustBench uses."""

    classes: tuple[str, ...]
    mean: Triple
    std: Triple


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CIFAR10 = Task(
    _words("airplane automobile bird cat deer dog frog horse ship truck"),
    (0.491, 0.482, 0.447),
    (0.247, 0.243, 0.262),
)
CIFAR100 = Task(
    _words(
        """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
        camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
        dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
        leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
        otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
        road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
        sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
        wardrobe whale willow_tree wolf woman worm
        """
    ),
    (0.5071, 0.4865, 0.4409),
    (0.2673, 0.2564, 0.2762),
)
TASKS = {"cifar10": CIFAR10, "cifar100": CIFAR100}


def published_task(architecture: str, classes: int) -> Task | None:
    """Return the task of a published card, by its network and its number of classes."""
    if architecture not in FAMILIES:
        return None
    return next((task for task in TASKS.values() if len(task.classes) == classes), None)
