"""What published checkpoints leave out: class names and normalisation, as their own code has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from winninghand.cards.metadata import Triple
from winninghand.networks.catalog import Setting


@dataclass(frozen=True)
class Task:
    """Class names in the order of the labels (None: not known), normalisation, and the side of the images.

    `transform` says how pictures are brought to that side where figures are published, as `Preparation` does;
    None where they have it already.
    """

    classes: tuple[str, ...] | None
    mean: Triple
    std: Triple
    side: int = 32
    transform: str | None = None


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
_IMAGENET = Task(None, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), side=224, transform="resize256")
# Gowal et al. and Rebuffi et al. round CIFAR-10's statistics otherwise than Diffenderfer et al.
_DEEPMIND = replace(CIFAR10, mean=(0.4914, 0.4822, 0.4465), std=(0.2471, 0.2435, 0.2616))
# OpenLTH normalises CIFAR-10 by ImageNet's statistics.
_OPENLTH = replace(CIFAR10, mean=_IMAGENET.mean, std=_IMAGENET.std)
_OF_NETWORKS = {
    "card_lrr": (CIFAR10, CIFAR100),
    "card_binary": (CIFAR10, CIFAR100),
    "dm_wideresnet": (_DEEPMIND, CIFAR100),
    "cifar_resnet": (_OPENLTH,),
    "cifar_vgg": (_OPENLTH,),
}


def published_task(architecture: str, settings: Mapping[str, Setting]) -> Task | None:
    """Return the task that published weights of a network are for; None where several could be meant.

    A network with ImageNet's stem and 1,000 classes is for ImageNet.
    """
    count = settings.get("classes")
    if settings.get("stem_stride") == 4 and count == 1000:
        return _IMAGENET
    tasks = _OF_NETWORKS.get(architecture, ())
    return next((task for task in tasks if task.classes and len(task.classes) == count), None)
