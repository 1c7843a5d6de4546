"""`winninghand corrupt`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winninghand.base.errors import InputError, counted, shown
from winninghand.cli.options import (
    Corruptions,
    Data,
    Limit,
    Parameters,
    Root,
    Seed,
    Severities,
    Size,
    SkipBroken,
    Stream,
    Threads,
    Transform,
    image_places,
    output_file,
    output_folder,
    parse_severities,
)

if TYPE_CHECKING:
    from winninghand.corruptions import Archive

SHEET = "samples.png"


def corrupt(
    out: Annotated[
        Path,
        typer.Option(help="Folder of the archive.", callback=output_folder),
    ],
    data: Data = "digits",
    root: Root = None,
    size: Size = None,
    transform: Transform = None,
    skip_broken: SkipBroken = False,
    stream: Stream = False,
    corruptions: Corruptions = "common",
    severities: Severities = "1-5",
    limit: Limit = None,
    seed: Seed = 0,
    parameters: Parameters = "auto",
    layout: Annotated[
        str,
        typer.Option(
            help="arrays, as CIFAR-10-C's, or folders of JPEG files, as ImageNet-C's.", metavar="NAME"
        ),
    ] = "arrays",
    sheet: Annotated[
        Path | None,
        typer.Option(
            help="Contact sheet to draw, .png or .svg; without it, samples.png in the folder.",
            callback=output_file,
        ),
    ] = None,
    threads: Threads = None,
) -> None:
    """Write corrupted test images as an archive; run again on the same folder, it goes on where it was."""
    from winninghand.base.charts import caption_of, checked_picture_path, save_picture
    from winninghand.base.files import check_apart
    from winninghand.base.progress import progress_bar
    from winninghand.base.threads import use_threads
    from winninghand.cli.loading import images_as
    from winninghand.corruptions import checked_parameters, write_archive, write_folders
    from winninghand.corruptions.archive import DESCRIPTION, LABELS
    from winninghand.evaluation import available, balanced_sample
    from winninghand.images.preparation import make_preparation
    from winninghand.report.samples import archive_sheet
    from winninghand.report.terminal import print_missing, say

    if layout not in ("arrays", "folders"):
        raise InputError(f"--layout must be arrays or folders, not {shown(repr(layout))}")
    checked_parameters(parameters)
    levels = parse_severities(severities)
    picture = checked_picture_path(out / SHEET if sheet is None else sheet)
    check_apart([sheet], image_places(data, root))
    if not (out / DESCRIPTION).is_file():  # no archive that would be gone on with
        check_apart([out / name for name in (DESCRIPTION, LABELS, SHEET)], image_places(data, root))
    how = make_preparation(size, transform or "crop", skip_broken, stream=stream)
    use_threads(threads)
    image_set = images_as(how, data, root)
    split = image_set.test
    names, missing = available(corruptions)
    print_missing(missing)
    indices = balanced_sample(split, limit, seed)
    whole = len(indices) == len(split)
    part = split if whole else split.take(indices)
    with progress_bar(f"writing {out}", len(names) * len(levels) * len(part)) as progress:
        write: Callable[..., Archive] = write_archive
        if layout == "folders":
            write = partial(write_folders, classes=image_set.classes)
        archive = write(
            part.images,
            part.labels,
            folder=out,
            names=names,
            severities=levels,
            seed=seed,
            indices=None if whole else indices,
            progress=lambda name, severity: progress(len(part), f"{name} {severity}"),
            parameters=parameters,
        )
    caption = caption_of(image_set.name, len(part), seed)
    shown_first = split.images[archive.indices[: len(names)]]
    save_picture(archive_sheet(archive, shown_first, names, caption), picture)
    say(
        f"{out}: {counted(len(names), 'corruption')} at "
        f"{counted(len(archive.severities), 'severity', 'severities')} of {counted(len(part), 'image')}; "
        f"to look at: {picture}"
    )
