"""Predictions for people and for programs."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

from rich.cells import cell_len, set_cell_size
from rich.table import Table

from winninghand.base.errors import counted, percent, shown
from winninghand.base.files import atomic_write
from winninghand.base.version import __version__
from winninghand.cards import Card, adaptation_of
from winninghand.cards.prediction import Prediction, Unreadable
from winninghand.decks import Deck
from winninghand.evaluation.confusion import Confusion
from winninghand.report.terminal import console, say
from winninghand.runtimes import Compiled, runtime_of

# Long enough for any path: a program reads these lines.
_LONGEST = 10_000

COLUMNS = ("file", "class", "probability", "cards")
_FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""
_MOST_FAILURES, _MOST_CLASSES, _MOST_MISTAKES = 20, 12, 10

Answers = Sequence[Prediction | Unreadable]
Truth = Mapping[Path, str]
"""The classes of files, as far as they are known."""


def true_classes(paths: Iterable[Path], places: Sequence[Path], classes: Sequence[str]) -> dict[Path, str]:
    """Return of files the class that they show, where a folder says it.

    It is the outermost folder below one of `places` that is named after a class. Names that are composed
    of other letters and look the same, as some file systems make them, are the same.
    """
    names = {normalize("NFC", name): name for name in classes}
    found = {}
    for path in paths:
        for place in places:
            if path != place and path.is_relative_to(place):
                folders = path.relative_to(place).parts[:-1]
                known = (
                    names[one] for one in (normalize("NFC", folder) for folder in folders) if one in names
                )
                name = next(known, None)
                if name is not None:
                    found[path] = name
                    break
    return found


def lines(answers: Iterable[Prediction | Unreadable], top: int = 1, aligned: bool = False) -> list[str]:
    """Return a header and one line for each image that could be read; nothing where none could.

    The columns are file, class, probability and cards played, and for each more of the `top` likeliest
    classes its name and probability. They are separated by tabs, and none holds a tab or a line's end: see
    `base.errors.shown`. With `aligned`, for people, they are as wide as their widest text instead.
    """
    read = [answer for answer in answers if isinstance(answer, Prediction)]
    if not read:
        return []
    columns = (*COLUMNS, *_more_columns(top))
    rows = [columns, *map(_texts, read)]
    if not aligned:
        return ["\t".join(row) for row in rows]
    widths = [max(map(cell_len, texts)) for texts in zip(*rows, strict=True)]
    return ["  ".join(map(set_cell_size, row, widths)).rstrip() for row in rows]


def write_csv(answers: Answers, truth: Truth, top: int, path: Path) -> None:
    """Write one row for each file, whole or not at all; for one that could not be read, why.

    `top` is at most the number of classes. After the columns of `lines` come the true class, whether the
    answer is right (1 or 0), and the error. Names that a spreadsheet would take for a formula begin with an
    apostrophe.
    """
    filled = len(COLUMNS) - 1 + 2 * (top - 1)
    with atomic_write(path) as tmp, tmp.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*COLUMNS, *_more_columns(top), "true class", "right", "error"))
        for answer in answers:
            true = truth.get(answer.path) if answer.path is not None else None
            name = "" if true is None else _cell(true)
            if isinstance(answer, Unreadable):
                writer.writerow((_cell(answer.path), *[""] * filled, name, "", _cell(answer.reason)))
                continue
            writer.writerow(
                (*_texts(answer, _cell), name, "" if true is None else int(true == answer.label), "")
            )


def _more_columns(top: int) -> Iterator[str]:
    for number in range(2, top + 1):
        yield from (f"class {number}", f"probability {number}")


def _name(name: object) -> str:
    return shown(name, _LONGEST)


def _cell(name: object) -> str:
    """Return a name for a cell of a CSV file, which is text in a spreadsheet, whatever it begins with."""
    text = _name(name)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _texts(answer: Prediction, named: Callable[[object], str] = _name) -> list[str]:
    others = [text for label, share in answer.top[1:] for text in (named(label), f"{share:.4f}")]
    return [
        named(answer.path),
        named(answer.label),
        f"{answer.probability:.4f}",
        ",".join(map(str, answer.cards)),
        *others,
    ]


def confusion_of(answers: Answers, truth: Truth) -> Confusion | None:
    """Return which classes were taken for which; None where no file that could be read has a known class."""
    pairs = [
        (truth[answer.path], answer.label)
        for answer in answers
        if isinstance(answer, Prediction) and answer.path is not None and answer.path in truth
    ]
    return Confusion.of(pairs) if pairs else None


def print_summary(answers: Answers, cards: int, truth: Truth) -> None:
    """Say of several images how many show what, which cards were played, and how many answers are right."""
    read = [answer for answer in answers if isinstance(answer, Prediction)]
    confusion = confusion_of(answers, truth)
    if len(read) > 1:
        labels = Counter(answer.label for answer in read).most_common()
        names = ", ".join(f"{label} {count:,}" for label, count in labels[:_MOST_CLASSES])
        more = f" and {len(labels) - _MOST_CLASSES:,} more classes" if len(labels) > _MOST_CLASSES else ""
        sure = sum(answer.probability for answer in read) / len(read)
        say(f"{counted(len(read), 'image')}: {names}{more}; mean probability {percent(sure, 1)}")
        if cards > 1:
            played = Counter(number for answer in read for number in answer.cards)
            numbers = ", ".join(f"{number} on {played[number]:,}" for number in range(1, cards + 1))
            say(f"cards played: {numbers}")
    if confusion is not None:
        _print_confusion(confusion, len(read), _among_the_top(read, truth))
    _print_failures(answers)


def _among_the_top(read: Sequence[Prediction], truth: Truth) -> str:
    """Say of how many images with a known class this is among the likeliest ones that were asked for."""
    known = [answer for answer in read if answer.path is not None and answer.path in truth]
    top = max((len(answer.top) for answer in known), default=1)
    if top == 1:
        return ""
    found = sum(truth[one.path] in dict(one.top) for one in known if one.path is not None)
    return f"; the true class is among the {top} likeliest of {found / len(known):.2%}"


def _print_confusion(confusion: Confusion, read: int, among: str) -> None:
    accuracy = confusion.accuracy
    others = read - confusion.images
    beside = f"; {counted(others, 'image lies', 'images lie')} elsewhere" if others else ""
    say(
        f"accuracy {accuracy.mean:.2%} (95% bootstrap over images {100 * accuracy.low:.2f} to "
        f"{100 * accuracy.high:.2f}) of {counted(confusion.images, 'image')} in folders named after "
        f"classes{among}{beside}"
    )
    names = list(dict.fromkeys(name for pair in sorted(confusion.counts) for name in pair))
    if len(names) <= _MOST_CLASSES:
        _print_matrix(confusion, sorted(names))
    elif confusion.mistakes():
        grid = Table("true class", "answer", "images", "of", title="The most frequent mistakes")
        for true, answer, count in confusion.mistakes()[:_MOST_MISTAKES]:
            grid.add_row(true, answer, f"{count:,}", f"{confusion.of_class(true)[1]:,}")
        console.print(grid)


def _print_matrix(confusion: Confusion, names: Sequence[str]) -> None:
    # Where names are too wide to stand side by side, their numbers stand for them.
    numbered = sum(3 + max(5, len(name)) for name in names) + max(map(len, names)) > console.width - 25
    titles = [f"{number} {name}" for number, name in enumerate(names, 1)] if numbered else names
    heads = [str(number) for number in range(1, len(names) + 1)] if numbered else names
    grid = Table("true class", *heads, "right", title="Answers by true class")
    for name, title in zip(names, titles, strict=True):
        right, total = confusion.of_class(name)
        if total:
            counts = (confusion.counts[name, answer] for answer in names)
            grid.add_row(title, *(f"{count:,}" if count else "·" for count in counts), f"{right / total:.1%}")
    console.print(grid)
    absent = [title for name, title in zip(names, titles, strict=True) if not confusion.of_class(name)[1]]
    if numbered and absent:
        say(f"no image is of {', '.join(absent)}")


def _print_failures(answers: Answers) -> None:
    """List the files that could not be read, or the first of them."""
    failed = [answer for answer in answers if isinstance(answer, Unreadable)]
    if failed:
        say(f"{len(failed):,} of {counted(len(answers), 'file')} could not be read:")
    for answer in failed[:_MOST_FAILURES]:
        say(answer.reason)
    if len(failed) > _MOST_FAILURES:
        say(f"and {len(failed) - _MOST_FAILURES:,} more, which --csv and --json list")


def prediction_document(
    name: str, model: Card | Deck | Compiled, answers: Answers, truth: Truth | None = None
) -> dict[str, Any]:
    """Return all predictions as plain values; `accuracy` and `confusion` are None where no class is known."""
    known = truth or {}
    confusion = confusion_of(answers, known)
    return {
        "model": name,
        "winninghand": __version__,
        "gate": model.gate,
        "runtime": runtime_of(model),
        "adaptation": adaptation_of(model),
        "cards": [card.metadata.domain_name for card in model.cards],
        "accuracy": None if confusion is None else confusion.accuracy.mean,
        "confusion": None if confusion is None else confusion.to_json(),
        "predictions": [_row(answer, known) for answer in answers if isinstance(answer, Prediction)],
        "failed": [
            {"file": str(answer.path), "reason": answer.reason}
            for answer in answers
            if isinstance(answer, Unreadable)
        ],
    }


def _row(answer: Prediction, truth: Truth) -> dict[str, Any]:
    return {
        "file": str(answer.path),
        "class": answer.label,
        "probability": answer.probability,
        "cards": list(answer.cards),
        "top": [{"class": label, "probability": share} for label, share in answer.top],
        "true_class": None if answer.path is None else truth.get(answer.path),
    }
