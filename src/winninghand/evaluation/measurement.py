"""What is measured, and the measuring; long, since more files would run for each cell.

Cells come one after the other, the clean images first, or the corrupted images of all as one stream.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from winninghand.base.deprecation import renamed
from winninghand.base.device import on_device, to_unit
from winninghand.base.errors import InputError, checked_path, checked_whole, counted, with_article
from winninghand.base.registry import nearest
from winninghand.cards.player import adaptation_of, check_classes, player_of
from winninghand.corruptions import (
    SEVERITIES,
    Archive,
    checked_parameters,
    checked_save,
    checked_severities,
    corrupt,
    corruption_names,
    missing_corruptions,
    open_archive,
    published_set,
)
from winninghand.corruptions.pictures import Pictures
from winninghand.evaluation.archives import holds, rows_of
from winninghand.evaluation.orders import Order, Stream, arranged, checked_order
from winninghand.evaluation.table import CLEAN, Cell, Int64Array, Outcome, RobustnessTable, Source, UInt8Array
from winninghand.images import Split
from winninghand.images.image_set import checked_split

# So many bytes of corrupted images of a stream are made at once, or one batch.
_AT_ONCE = 2**26


@dataclass(frozen=True)
class Measurement:
    """What is measured, whatever the model: corruptions × severities, on which images, from which source.

    `corruptions` is `common`, `extra`, `all`, `bar`, a name, several of these joined by commas, or a sequence
    of them; one that is named twice counts once, as does a severity. `severities` lie in 1..5. `limit` takes
    a seeded, class-balanced sample of that many images. `batch_size` images, all of one cell, are looked at
    together: for a deck it is part of the result. `archive` is an archive in CIFAR-10-C's layout, its folder,
    or a tuple of archives, of which the first that has a cell gives it. Cells that are in none are made as
    they are needed.

    `order` says which corrupted images come together: those of one cell, after which the model forgets
    (`cells`), or all as one stream, in batches that know no cells, after which it does not (`mixed`,
    `gradual`, `correlated`; see `arranged`). Each image of each cell is measured once in any order.

    `parameters` and `saved_as` are `corrupt`'s, for the images that are made: whose severities they have, and
    whether they are saved as JPEG as ImageNet-C's and Tiny-ImageNet-C's are.

    `names` are the corruptions that are measured; `missing` says of every other one of a group why it
    cannot be had. Raises `InputError` for a corruption that was asked for by its name and cannot be had,
    and for whatever is out of range.
    """

    corruptions: str | Sequence[str] = "common"
    severities: tuple[int, ...] = SEVERITIES
    limit: int | None = None
    seed: int = 0
    batch_size: int = 256
    archive: Archive | tuple[Archive, ...] | Path | str | None = None
    order: Order = "cells"
    parameters: str = "auto"
    saved_as: str = "pixels"
    names: tuple[str, ...] = field(init=False)
    missing: Mapping[str, str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.limit is not None:
            checked_whole("limit", self.limit, 1)
        checked_whole("seed", self.seed)
        checked_whole("batch size", self.batch_size, 1)
        archive = None if self.archive == () else self.archive
        several = archive if isinstance(archive, tuple) else (archive,)
        if archive is not None and not all(isinstance(one, Archive) for one in several):
            archive = _opened(archive)
        # No call for the usual one: what is run for a cell lies in few files.
        order = self.order if self.order == "cells" else checked_order(self.order)
        severities = checked_severities(self.severities)
        checked_parameters(self.parameters)
        checked_save(self.saved_as)
        # Frozen for everybody but its own construction.
        object.__setattr__(self, "archive", archive)
        names, missing = available(self.corruptions, self.archives, severities)
        checked = {"severities": severities, "names": names, "order": order}
        for key, value in checked.items():
            object.__setattr__(self, key, value)
        object.__setattr__(self, "missing", missing)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Measurement:
        """Make a measurement of a table, such as `[evaluation]`; `InputError` for an unknown key."""
        known = [one.name for one in fields(cls) if one.init]
        for key in table:
            if key not in known:
                raise InputError(f"unknown key {key!r}; {nearest(key, known)}")
        return cls(**table)

    def to_json(self) -> dict[str, Any]:
        """Return what was asked for as plain values.

        What came later is left out where it is as it was: what was measured before still counts.
        """
        return {
            "corruptions": self.corruptions if isinstance(self.corruptions, str) else list(self.corruptions),
            "severities": list(self.severities),
            "limit": self.limit,
            "seed": self.seed,
            "batch_size": self.batch_size,
            # Where it lies on this machine is nobody else's concern.
            "archive": ", ".join(one.folder.name for one in self.archives) or None,
            **({} if self.order == "cells" else {"order": self.order}),
            **({} if self.parameters == "auto" else {"parameters": self.parameters}),
            **({} if self.saved_as == "pixels" else {"saved_as": self.saved_as}),
        }

    @property
    def archives(self) -> tuple[Archive, ...]:
        """The archives that cells are taken from, the first of them that has a cell."""
        given = self.archive if isinstance(self.archive, tuple) else (self.archive,)
        return tuple(one for one in given if isinstance(one, Archive))

    def __len__(self) -> int:
        """Return the number of cells, that of the clean images included."""
        return 1 + len(self.names) * len(self.severities)

    def sample(self, split: Split | Sample) -> Sample:
        """Return the images of a split that are measured.

        Raises `InputError` where the archive does not hold them; a sample is returned as it is.
        """
        if isinstance(split, Sample):
            return split
        split = checked_split(split)
        indices = balanced_sample(split, self.limit, self.seed)
        archives = tuple((one, rows_of(one, split, indices, self.parameters)) for one in self.archives)
        return Sample(split, indices, self.seed, archives, self.parameters, self.saved_as)

    def cells(
        self,
        model: nn.Module,
        split: Split | Sample,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[Cell]:
        """Yield each cell once it is measured, the clean images first.

        `model` gives logits or log-probabilities for float images in [0, 1]; it is put into evaluation
        mode and runs where its parameters are. A deck's gate forgets between cells what it saw before,
        and in another order than `cells` before the stream begins. `progress` is told after each cell,
        or after each batch of a stream, how many images it had. Raises `InputError` where a card or a deck
        knows other classes than the split has names of.
        """
        sample = self.sample(split)
        check_classes(player_of(model), sample.split.classes)
        clean = play(model, sample.batches(CLEAN, 0, self.batch_size), int(sample.split.labels.max()) + 1)
        progress(len(sample.indices))
        yield Cell(CLEAN, 0, clean, "split")
        if self.order != "cells" and self.names:
            yield from self._of_stream(model, sample, progress)
            return
        for name in self.names:
            for severity in self.severities:
                outcome = play(model, sample.batches(name, severity, self.batch_size))
                progress(len(sample.indices))
                yield Cell(name, severity, outcome, sample.source(name, severity))

    def _of_stream(self, model: nn.Module, sample: Sample, progress: Callable[[int], None]) -> Iterator[Cell]:
        """Yield the cells once the model has seen the stream that they make."""
        cells = [(name, severity) for name in self.names for severity in self.severities]
        labels = sample.split.labels[sample.indices]
        stream = arranged(self.order, labels, len(self.names), self.severities, self.seed)
        batches = sample.stream(stream, cells, self.batch_size)
        outcome = play(model, _told(batches, progress))
        for number, (name, severity) in enumerate(cells):
            yield Cell(name, severity, outcome.at(stream.of_cell(number)), sample.source(name, severity))

    def table(
        self, model: nn.Module, cells: Iterable[Cell], size: tuple[int, int] | None = None
    ) -> RobustnessTable:
        """Return the table of a model's cells, the clean images first.

        It names the published set that images of `size` (height, width) get.
        """
        clean, *others = cells
        return RobustnessTable(
            clean.outcome,
            tuple(others),
            self.batch_size,
            self.seed,
            self.missing,
            adaptation_of(model),
            self.order,
            self.parameters if size is None else published_set(*size, self.parameters),
            self._saved_as(others),
        )

    def _saved_as(self, cells: Sequence[Cell]) -> str:
        """Return how the generated images of cells are saved; where none is, those of the archives."""
        if any(cell.source == "generated" for cell in cells):
            return self.saved_as
        found = {
            next(one.saved_as for one in self.archives if holds(one, cell.corruption, cell.severity))
            for cell in cells
        }
        return " and ".join(sorted(found)) or self.saved_as


@dataclass(frozen=True)
class Batch:
    """Some images of a split: uint8 (B, H, W, 3), and their labels (B,)."""

    images: UInt8Array
    labels: Int64Array


@dataclass(frozen=True)
class Sample:
    """The images of a split at `indices` (N,), as they are or under a corruption.

    `archives` come with where they stand in a cell of each, rows (N,).
    """

    split: Split
    indices: Int64Array
    seed: int = 0
    archives: tuple[tuple[Archive, Int64Array], ...] = ()
    parameters: str = "auto"
    saved_as: str = "pixels"

    def source(self, name: str, severity: int) -> Source:
        """Return where the images of a cell come from."""
        return "archive" if self._archived(name, severity) is not None else "generated"

    def batches(self, name: str, severity: int, batch_size: int) -> Iterator[Batch]:
        """Yield the images of a cell, in order; generated ones are those of the whole split."""
        for start in range(0, len(self.indices), batch_size):
            part = slice(start, start + batch_size)
            images = self._images(name, severity, part)
            yield Batch(images, self.split.labels[self.indices[part]])

    def stream(self, stream: Stream, cells: Sequence[tuple[str, int]], batch_size: int) -> Iterator[Batch]:
        """Yield the images of a stream of these cells, in its order."""
        batches = _AT_ONCE // self.split.images[0].nbytes // batch_size
        for block in stream.parts(max(batches, 1) * batch_size):
            images = block.images(lambda number, places: self._images(*cells[number], places))
            labels = self.split.labels[self.indices[block.places]]
            for start in range(0, len(images), batch_size):
                yield Batch(images[start : start + batch_size], labels[start : start + batch_size])

    def image(self, name: str, severity: int, place: int) -> UInt8Array:
        """Return the image at one place of the sample, uint8 (H, W, 3), under a corruption or `clean`."""
        found: UInt8Array = self._images(name, severity, slice(place, place + 1))[0]
        return found

    def _images(self, name: str, severity: int, places: slice | Int64Array) -> UInt8Array:
        """Return the images of a cell at some places of the sample."""
        archived, indices = self._archived(name, severity), self.indices[places]
        if archived is not None:
            images, rows = archived
            return images[rows[places]]
        images = self.split.images[indices]
        if name == CLEAN:
            return images
        return corrupt(images, name, severity, self.seed, 0, indices, self.parameters, self.saved_as)

    def _archived(self, name: str, severity: int) -> tuple[UInt8Array | Pictures, Int64Array] | None:
        """Return the images of a cell of an archive, and the rows of these there; None where none has it."""
        for archive, rows in self.archives:
            if holds(archive, name, severity):
                return archive.cell(name, severity), rows
        return None


@torch.inference_mode()
def play(model: nn.Module, batches: Iterable[Batch], classes: int | None = None) -> Outcome:
    """Run a classifier over batches, on the device where its parameters are.

    It warns of a module that has more outputs than there are `classes`, as far as labels tell.
    """
    player = player_of(model)
    player.reset()
    parts: list[tuple[Tensor, ...]] = []
    for batch in batches:
        answer = player.answer(to_unit(torch.from_numpy(batch.images).to(player.device)))
        outputs, highest = answer.outputs.shape[1], int(batch.labels.max())
        if outputs <= highest:
            raise InputError(f"the model tells {outputs} classes apart, and an image has the label {highest}")
        confidence, choice = answer.outputs.float().softmax(dim=1).max(dim=1)
        correct = choice == torch.from_numpy(batch.labels).to(player.device)
        passes = (answer.weights > 0).sum(dim=1).float()
        weights = (answer.weights.float(),) if player.kind == "deck" else ()
        parts.append((correct, confidence, passes, *weights))
    if classes is not None and player.kind == "module" and outputs > classes:
        warnings.warn(
            f"the module gives {outputs} outputs and the labels name {classes} classes; an answer beyond "
            "them counts as wrong",
            stacklevel=2,
        )
    outcome = Outcome(*(torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True)))
    wrong = int((~np.isfinite(outcome.confidence)).sum())
    if wrong:
        raise InputError(f"the model gives no probabilities, but NaN, for {counted(wrong, 'image')}")
    return outcome


ModelLike: TypeAlias = nn.Module | Path | str
"""A card, a deck, any other classifier, the file of a card or deck, or `zoo:NAME`."""


def as_model(model: ModelLike) -> nn.Module:
    """Return a module as it is, and a card or deck that is given by its path, opened."""
    if isinstance(model, str | PathLike):
        from winninghand.decks.opening import load  # a model that is there needs none of it

        return load(model)
    if not isinstance(model, nn.Module):
        raise InputError(
            f"a model is a card, a deck, a module or a path, not {with_article(type(model).__name__)}"
        )
    return model


SplitLike: TypeAlias = Split | Path | str
"""A split, or name or path of an image set, which stands for its test images."""


def as_split(model: nn.Module, split: SplitLike) -> Split:
    """Return a split as it is, and the test images of a path, prepared as for the training of a model."""
    if isinstance(split, str | PathLike):
        from winninghand.cards.images_for import images_for  # images that are there need none of it

        return images_for({"the model": player_of(model)}, split).test
    check_classes(player_of(model), checked_split(split).classes)
    return split


def accuracy(model: ModelLike, split: SplitLike, batch_size: int = 256) -> float:
    """Return the top-1 accuracy of `model` on the images of a split as they stand, a fraction."""
    model = as_model(model)
    split = as_split(model, split)
    batches = Sample(split, np.arange(len(split))).batches(CLEAN, 0, batch_size)
    return play(model, batches, int(split.labels.max()) + 1).accuracy


def evaluate(
    model: ModelLike,
    split: SplitLike,
    corruptions: str | Sequence[str] = "common",
    severities: Iterable[int] = range(1, 6),
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
    archive: Archive | tuple[Archive, ...] | Path | str | None = None,
    device: torch.device | str | None = None,
    order: Order = "cells",
    parameters: str = "auto",
    saved_as: str = "pixels",
    *,
    advance: Callable[[int], None] | None = None,
) -> RobustnessTable:
    """Measure a card, a deck or any classifier of float images in [0, 1] on clean and corrupted images.

    `model` may also be the path of a card or deck, or `zoo:NAME`; `split` name or path of images, of which a
    card or deck gets the test images as for its training. Images of classes that it does not know raise
    `InputError`; a `Split` of your own that has no `classes` is not checked. `corruptions` is `common`,
    `extra`, `all`, `bar`, a name, several of these joined by commas, or a sequence of them; `severities` lie
    in 1..5. `limit` takes a seeded, class-balanced sample of that many images, corrupted as they would be in
    the whole split. For a deck the size of a batch is part of the result, since a gate looks at batches, and
    so is which images come together: in the `order` `cells` those of one cell only, in `mixed`, `gradual` and
    `correlated` one stream of all (see `Measurement`). `parameters` and `saved_as` are those of `corrupt`.
    `progress` is told how many images were measured.
    Cells that `archive` holds, a folder in CIFAR-10-C's layout or a tuple of archives, are taken from there,
    memory-mapped; every cell says its source. The model runs on `device` and is brought back; without one it
    runs where it is.

    Corruptions of a group that are not available on this machine are left out and named in
    `missing`; one that is asked for by name raises `InputError`, as do unknown names,
    severities outside 1..5, images of the wrong size and an archive of another split.
    """
    if advance is not None:
        if progress is not None:
            raise InputError("advance is the old name of progress; give one of them")
        renamed("advance", "progress")
        progress = advance
    model = as_model(model)
    levels = checked_severities(severities)
    measurement = Measurement(
        corruptions, levels, limit, seed, batch_size, archive, order, parameters, saved_as
    )
    with on_device(model, device):
        images = as_split(model, split)
        cells = measurement.cells(model, images, progress or (lambda _: None))
        return measurement.table(model, cells, images.size)


def _told(batches: Iterable[Batch], progress: Callable[[int], None]) -> Iterator[Batch]:
    """Yield batches, and tell after each how many images it had."""
    for batch in batches:
        yield batch
        progress(len(batch.labels))


def available(
    corruptions: str | Sequence[str],
    archives: Sequence[Archive] = (),
    severities: Sequence[int] = SEVERITIES,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the available corruptions, and for every other one of a group why it is not.

    A corruption is available where `archives` hold it at all of `severities`, or where this machine
    can apply it. Raises `InputError` where one that was asked for by its name is not.
    """
    names = corruption_names(corruptions)
    needed = [
        name
        for name in names
        if not all(any(holds(one, name, level) for one in archives) for level in severities)
    ]
    missing = missing_corruptions(needed)
    asked = corruptions.split(",") if isinstance(corruptions, str) else corruptions
    for name in (one.strip() for one in asked):
        if name in missing:
            raise InputError(f"{name} cannot be had here: {missing[name]}")
    return tuple(name for name in names if name not in missing), missing


def balanced_sample(split: Split, limit: int | None, seed: int) -> Int64Array:
    """Return the indices of a seeded, class-balanced sample of `limit` images, or of all of them."""
    if limit is None or limit >= len(split):
        return np.arange(len(split))
    return split.balanced_sample(limit, seed)


def _opened(folder: object) -> Archive:
    archive = open_archive(checked_path("archive", folder, "an archive or the path of its folder"))
    if archive is None:
        raise InputError(
            f"{folder} holds no archive: no .npy file or folder in it is named after a corruption"
        )
    return archive
