"""Compact, accurate and robust image classifiers (CARDs), played as decks.

The names below are the public face; each is loaded when it is first used, so that `import
winninghand` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from winninghand.base.errors import InputError

if TYPE_CHECKING:
    from winninghand import metrics as metrics
    from winninghand import theory, transforms
    from winninghand.augmentation import augment
    from winninghand.base.charts import save_picture
    from winninghand.base.version import __version__
    from winninghand.cards import Card
    from winninghand.catalog import names
    from winninghand.compression import Pruner
    from winninghand.corruptions import corrupt
    from winninghand.decks import Deck, load
    from winninghand.evaluation import evaluate
    from winninghand.images import ImageSet, load_images
    from winninghand.networks import network
    from winninghand.recipe import Recipe
    from winninghand.report.samples import contact_sheet
    from winninghand.results import Results
    from winninghand.runtimes import compile  # noqa: A004 (the public name)
    from winninghand.training import Callback, compress, train
    from winninghand.training.specializing import specialize

_HOMES = {
    "Callback": "training",
    "Card": "cards",
    "Deck": "decks",
    "ImageSet": "images",
    "Pruner": "compression",
    "Recipe": "recipe",
    "Results": "results",
    "__version__": "base.version",
    "augment": "augmentation",
    "compile": "runtimes",
    "compress": "training",
    "contact_sheet": "report.samples",
    "corrupt": "corruptions",
    "evaluate": "evaluation",
    "load": "decks.opening",
    "load_images": "images",
    "names": "catalog",
    "network": "networks",
    "save_picture": "base.charts",
    "specialize": "training.specializing",
    "train": "training",
}

_MODULES = ("metrics", "theory", "transforms")

# Without `metrics`, which needs an extra: `from winninghand import *` works without any.
__all__ = [
    "Callback",
    "Card",
    "Deck",
    "ImageSet",
    "InputError",
    "Pruner",
    "Recipe",
    "Results",
    "__version__",
    "augment",
    "compile",
    "compress",
    "contact_sheet",
    "corrupt",
    "evaluate",
    "load",
    "load_images",
    "names",
    "network",
    "save_picture",
    "specialize",
    "theory",
    "train",
    "transforms",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    if name in _MODULES:
        return import_module(f"winninghand.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'winninghand' has no attribute {name!r}")
    # Kept, so that the next look-up finds it at once.
    globals()[name] = getattr(import_module(f"winninghand.{_HOMES[name]}"), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
