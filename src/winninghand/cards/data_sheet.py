"""What a card is, line by line, for people: in the terminal and in notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from winninghand.base.errors import brief, counted, percent, shown
from winninghand.cards.inspection import Inspection, Work
from winninghand.cards.metadata import CardMetadata
from winninghand.spectra import SpectralProfile

_LONGEST = 100
_UNITS = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
# What a data sheet says of a recipe's training, and how.
_TRAINING = (
    ("epochs", "{} per phase"),
    ("batch_size", "batches of {}"),
    ("learning_rate", "learning rate {}"),
    ("weight_decay", "weight decay {}"),
)


def data_sheet(
    network: str, metadata: CardMetadata, profile: SpectralProfile | None, counts: Inspection, work: Work
) -> dict[str, str]:
    """Return what a card is as lines of a name and a text; a file's size is its reader's to add.

    What is not known is said so, or left out.
    """
    recipe = metadata.recipe or {}
    sheet = {
        "network": _with_settings(network, metadata.architecture, ("name", "classes")),
        "classes": classes_text(metadata.classes),
        "images": images_text(metadata),
        "normalisation": _normalisation(metadata),
        "domain": _with_settings(*_named(metadata.domain), leave=("name",)),
        "method": _method(recipe),
        "training": _training(recipe),
        "accuracies": shown(", ".join(f"{name} {value:.2%}" for name, value in metadata.accuracies.items())),
        "weights": _weights(metadata),
        "profile": _profile(profile),
        "parameters": f"{counts.parameters:,}, of which {counts.nonzero:,} are not zero",
        "sparsity": _sparsity(counts),
        "multiply-accumulates": work_text(work),
        "made by": shown(f"winninghand {metadata.winninghand}"),
    }
    return {name: text for name, text in sheet.items() if text}


def classes_text(classes: Sequence[str]) -> str:
    """Return the number of classes and the first of their names."""
    names = ", ".join(classes[:_LONGEST])
    return f"{len(classes):,}: {shown(names, _LONGEST)}"


def images_text(metadata: CardMetadata) -> str:
    """Return which images are taken, and what becomes of others."""
    height, width = metadata.input_size
    transform = metadata.preparation.transform
    return f"{height}×{width} pixels, RGB in [0, 1]; others are brought to that size by {transform}"


def work_text(work: Work) -> str:
    """Return how many multiply-accumulates one image takes, and how many by weights that are not zero."""
    total, used = amount(work.macs), amount(work.nonzero)
    nonzero = "" if used == total else f", {used} by weights that are not zero"
    return f"{total} for one image{nonzero}"


def amount(number: int) -> str:
    """Return a large number in words, such as `35.2 million`."""
    for unit, word in _UNITS:
        if number >= unit:
            return f"{number / unit:.1f} {word}"
    return f"{number:,}"


def stages(layers: Sequence[str], most: int = 12) -> dict[str, list[int]]:
    """Return the stages of a network: the numbers of the layers in each, by their common name.

    A stage is a part of the network. One that holds more than half of the layers is shown by its own parts.
    Up to `most` layers are each their own.
    """
    if len(layers) <= most:
        return {name: [number] for number, name in enumerate(layers)}
    found: dict[str, list[int]] = {}
    _divide(layers, list(range(len(layers))), 1, len(layers) / 2, found)
    return found


def _divide(
    layers: Sequence[str], numbers: Sequence[int], depth: int, largest: float, found: dict[str, list[int]]
) -> None:
    parts: dict[str, list[int]] = {}
    for number in numbers:
        names = layers[number].split(".")
        # The last one is the weight's own.
        parts.setdefault(".".join(names[:depth] if depth < len(names) else names), []).append(number)
    for name, within in parts.items():
        if len(within) > largest and len(within) > 1:
            _divide(layers, within, depth + 1, largest, found)
        else:
            found[name] = within


def _named(table: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any] | None]:
    return ("not known", None) if table is None else (str(table.get("name", "not named")), table)


def _with_settings(name: str, table: Mapping[str, Any] | None, leave: Sequence[str]) -> str:
    """Return a name and settings, such as `resnet18 (width 32)`."""
    settings = [f"{key} {_value(value)}" for key, value in (table or {}).items() if key not in leave]
    return shown(f"{name} ({', '.join(settings)})" if settings else name)


def _sparsity(counts: Inspection) -> str:
    blocks = ", in blocks of four inputs" if counts.in_blocks else ""
    return f"{percent(counts.sparsity)} of the prunable weights{blocks}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else brief(value)


def _normalisation(metadata: CardMetadata) -> str:
    if metadata.mean == (0, 0, 0) and metadata.std == (1, 1, 1):
        return "none"
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (metadata.mean, metadata.std))
    return f"mean {mean}; std {std}"


def _method(recipe: Mapping[str, Any]) -> str:
    table = recipe.get("compression")
    if not isinstance(table, Mapping) or "method" not in table:
        return "not known"
    name, sparsity, scope = table["method"], table.get("sparsity"), table.get("scope")
    pattern = table.get("pattern")
    words = [_value(name)]
    if name != "dense":
        words += [f"to a sparsity of {percent(sparsity, 0)}"] if isinstance(sparsity, float) else []
        words += [f"{_value(scope)} scope"] if scope else []
        words += [f"pattern {_value(pattern)}"] if pattern not in (None, "none") else []
    return shown(", ".join(words))


def _training(recipe: Mapping[str, Any]) -> str:
    table = recipe.get("training")
    known = table if isinstance(table, Mapping) else {}
    texts = {key: _value(known[key]) for key, _ in _TRAINING if key in known}
    if "epochs" in texts:
        texts["epochs"] += " epoch" if known["epochs"] == 1 else " epochs"
    words = [text.format(texts[key]) for key, text in _TRAINING if key in texts]
    words += [f"seed {_value(recipe['seed'])}"] if "seed" in recipe else []
    return shown(", ".join(words))


def _weights(metadata: CardMetadata) -> str:
    table = metadata.quantization
    if table is None:
        return "as they were trained"
    images = table.get("images")
    calibrated = (
        f", rounded by {counted(images, 'training image')}" if isinstance(images, int) and images else ""
    )
    return f"{_value(table.get('weights'))}{calibrated}"


def _profile(profile: SpectralProfile | None) -> str:
    if profile is None:
        return "none: no gate can go by it"
    clean = "" if profile.clean is None else ", with that of clean images"
    return f"by the {'present' if profile.rule == 'plain' else 'old'} rule{clean}"
