"""The tables of the zoo, for people and for documents."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.base.files import checked_output, write_text
from winninghand.report.study_tables import markdown
from winninghand.results import ZooRecord

COLUMNS = (
    "model",
    "clean",
    "robust",
    "mCE",
    "bytes",
    "passes",
    "ms: engine",
    "PyTorch",
    "ONNX Runtime",
    "clean, robust over seeds",
)

SHORT_COLUMNS = ("model", "what it is", "clean", "robust", "bytes", "ms per image")

_BLOCK = re.compile(r"(<!-- (zoo|zoo in short) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)

# What a newcomer sees first, and in which words.
_FIRST = {
    "cifar10-dense-clean": "a dense network, run by PyTorch",
    "cifar10-lrr95-clean": "a card: 5% of the weights are left",
    "cifar10-lrr95-augmix": "a card that was trained under AugMix",
    "cifar10-lrr95-hand": "a deck: one card's body, three sets of norms, a gate",
}


def zoo_rows(models: Iterable[ZooRecord]) -> list[list[str]]:
    """Return one row per model, accuracies in percent."""
    return [
        [
            model.name,
            f"{100 * model.full.clean_accuracy:.1f}",
            f"{100 * model.full.robust_accuracy:.1f}",
            "" if model.full.mce is None else f"{100 * model.full.mce:.1f}",
            f"{model.bytes:,}",
            f"{model.full.mean_passes:.2f}",
            *_times(model),
            _over_seeds(model),
        ]
        for model in models
    ]


def zoo_title(models: Sequence[ZooRecord]) -> str:
    """Say on what the figures of a table were measured."""
    data = ", ".join(dict.fromkeys(model.data for model in models))
    over_seeds = _counts(
        model.over_seeds.images for model in models if model.over_seeds and _over_seeds(model)
    )
    return (
        f"{data}, {_counts(model.full.images for model in models)} test images. Accuracies in percent; "
        "robust: mean over 15 corruptions at five severities; mCE against the dense network; ms per image, "
        "in batches of 64 on one thread; the seed that did best on validation images is shipped, mean ± "
        "standard deviation over all seeds, on "
        f"{over_seeds} test images, stand last."
    )


def short_rows(models: Iterable[ZooRecord]) -> list[list[str]]:
    """Return a row for each model that a newcomer needs: a dense network by PyTorch, others by the engine."""
    known = {model.name: model for model in models}
    dense = "cifar10-dense-clean"
    return [
        [
            f"`{name}`",
            words,
            f"{100 * known[name].full.clean_accuracy:.1f}",
            f"{100 * known[name].full.robust_accuracy:.1f}",
            f"{known[name].bytes:,}",
            _times(known[name])[1 if name == dense else 0],
        ]
        for name, words in _FIRST.items()
        if name in known
    ]


def short_title(models: Sequence[ZooRecord]) -> str:
    """Say on what the figures of the short table were measured."""
    first = [model for model in models if model.name in _FIRST]
    return (
        f"{', '.join(dict.fromkeys(model.data for model in first))}, "
        f"{_counts(model.full.images for model in first)} test images. Accuracies in percent; robust: mean "
        "over 15 corruptions at five severities. Milliseconds in batches of 64 on one thread, cards and "
        "decks by the engine."
    )


def write_zoo(models: Sequence[ZooRecord], document: Path) -> None:
    """Put the table between the marks `<!-- zoo -->` and `<!-- end of zoo -->` of a Markdown document.

    The marks `<!-- zoo in short -->` and `<!-- end of zoo in short -->` get the few models that a newcomer
    needs. Raises `InputError` where the document has neither.
    """
    text = check_zoo_document(document)
    tables = {
        "zoo": f"{zoo_title(models)}\n\n{markdown(COLUMNS, zoo_rows(models))}",
        "zoo in short": f"{short_title(models)}\n\n{markdown(SHORT_COLUMNS, short_rows(models))}",
    }
    write_text(_BLOCK.sub(lambda match: f"{match[1]}{tables[match[2]]}{match[3]}", text), document)


def check_zoo_document(document: Path) -> str:
    """Return the text of a Markdown document that has a place for the table and may be written to."""
    try:
        if document.exists() and not document.is_file():
            raise InputError(f"{document} is no file; give a Markdown document")
        text = document.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read {document}: {reason}; give a Markdown document") from error
    if not _BLOCK.search(text):
        raise InputError(
            f"{document} has no place for the table; put <!-- zoo --> and <!-- end of zoo --> in it"
        )
    checked_output(document)
    return text


def _counts(counts: Iterable[int]) -> str:
    return ", ".join(f"{count:,}" for count in sorted(set(counts)))


def _times(model: ZooRecord) -> list[str]:
    """Return the milliseconds per image by engine, PyTorch and ONNX Runtime; empty where not measured."""
    times = {"torch": model.milliseconds, **model.times}
    return [f"{times[name]:.2f}" if name in times else "" for name in ("sparse", "torch", "onnxruntime")]


def _over_seeds(model: ZooRecord) -> str:
    if model.over_seeds is None or len(model.over_seeds.seeds) < 2:
        return ""
    figures = (model.over_seeds.clean_accuracy, model.over_seeds.robust_accuracy)
    return ", ".join(
        f"{100 * statistics.mean(one):.2f} ± {100 * statistics.stdev(one):.2f}" for one in figures
    )
