"""`winninghand evaluate` and `winninghand heatmap`: how a model fares on corrupted images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winninghand.cli import completion
from winninghand.cli.options import (
    Adapt,
    Corruptions,
    Data,
    Device,
    Engine,
    Json,
    Limit,
    Model,
    Parameters,
    Root,
    SavedAs,
    Seed,
    Severities,
    SkipBroken,
    Stream,
    Threads,
    Trust,
    file_of,
    image_places,
    of_zoo,
    output_file,
    output_page,
    parse_severities,
    write_json,
)

if TYPE_CHECKING:
    from winninghand.evaluation import RobustnessTable


def evaluate(
    model: Model,
    data: Data = "digits",
    root: Root = None,
    skip_broken: SkipBroken = False,
    stream: Stream = False,
    corruptions: Corruptions = "common",
    severities: Severities = "1-5",
    limit: Limit = None,
    seed: Seed = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Images that a gate looks at together.")] = 256,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Another model, for mCE against it and paired differences from it.",
            callback=of_zoo,
            autocompletion=completion.models,
        ),
    ] = None,
    cells: Annotated[
        Path | None,
        typer.Option(help="Also write one row per cell to this .parquet or .csv file.", callback=output_file),
    ] = None,
    order: Annotated[
        str,
        typer.Option(
            help="Which corrupted images come together: cells, mixed, gradual or correlated.",
            metavar="NAME",
            autocompletion=completion.words("cells", "mixed", "gradual", "correlated"),
        ),
    ] = "cells",
    parameters: Parameters = "auto",
    saved_as: SavedAs = "pixels",
    alexnet: Annotated[
        bool, typer.Option("--alexnet", help="Also print the mCE against AlexNet's errors on ImageNet-C.")
    ] = False,
    adapt: Adapt = None,
    engine: Engine = "auto",
    device: Device = None,
    threads: Threads = None,
    trust: Trust = False,
    html: Annotated[
        Path | None,
        typer.Option(
            help="Also write a page to this .html file: charts, tables, who plays when.", callback=output_page
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Measure a card or a deck on clean and corrupted test images."""
    from winninghand.base.files import check_apart
    from winninghand.base.threads import use_threads
    from winninghand.cli.evaluation_page import write_page
    from winninghand.cli.loading import images_for
    from winninghand.cli.measuring import about, announced, as_given, measured, opened, portable
    from winninghand.corruptions import published_set
    from winninghand.decks import with_bn_adaptation
    from winninghand.evaluation import (
        Measurement,
        alexnet_corruption_errors,
        check_against_alexnet,
        checked_order,
        find_archives,
    )
    from winninghand.report.page import check_drawing
    from winninghand.report.terminal import print_alexnet_errors, print_robustness, say
    from winninghand.results import checked_rows_path, write_rows
    from winninghand.runtimes import checked_engine, run_by, runtime_of

    chosen, arrangement = parse_severities(severities), checked_order(order)
    on_cpu = checked_engine(engine, device, adapt is not None) not in ("auto", "torch")
    device = "cpu" if on_cpu else device
    read = [model, *image_places(data, root)] + ([] if baseline is None else [baseline])
    check_apart([cells, html, file_of(json)], read)
    if html is not None:
        check_drawing()
    if cells is not None:
        checked_rows_path(cells)
    use_threads(threads)
    player = opened(model, device, trust)
    models = {as_given(model): player}
    reference = None if baseline is None else opened(baseline, device, trust)
    if baseline is not None and reference is not None:
        models.setdefault(as_given(baseline), reference)
    images = images_for(models, data, root, skip_broken, stream)
    archives = find_archives(images.name, root, corruptions)
    measurement = Measurement(
        corruptions, chosen, limit, seed, batch_size, archives, arrangement, parameters, saved_as
    )
    if alexnet:  # before anything is measured
        made = published_set(*images.test.size, parameters)
        check_against_alexnet(len(images.classes), measurement.names, measurement.severities, made)
    if adapt is not None:
        player = with_bn_adaptation(player, adapt)
    sample = announced(measurement, images)
    run = run_by(engine, player)
    table = measured(portable(model), run, measurement, sample)
    print_robustness(table)
    described = about(model, data, images)
    document = {**described, "runtime": runtime_of(run), **table.to_json()}
    document["archive"] = ", ".join(portable(archive.folder) for archive in archives) or None
    if baseline is not None and reference is not None:
        other = measured(portable(baseline), run_by(engine, reference), measurement, sample)
        document |= _compared(table, other, baseline)
    if html is not None:
        pair = None if baseline is None else (baseline, document["differences"])
        write_page(html, (model, data), player, table, sample, pair, root is not None)
    if alexnet:
        errors = alexnet_corruption_errors(table, len(images.classes))
        print_alexnet_errors(errors, table)
        document["alexnet"] = {
            "mce": errors.mean,
            "corruptions": len(errors.absolute),
            "corruption_errors": dict(errors.absolute),
        }
    if cells is not None:
        place = {key: described[key] for key in ("model", "data")}
        write_rows([{**place, "seed": seed, **row} for row in table.rows()], cells)
        say(f"written: {cells}")
    write_json(document, json)


def heatmap(
    model: Model,
    out: Annotated[Path, typer.Option(help="Picture to draw, .svg or .png.", callback=output_file)],
    data: Data = "digits",
    root: Root = None,
    skip_broken: SkipBroken = False,
    stream: Stream = False,
    norm: Annotated[
        float | None,
        typer.Option(
            help="l2 norm of what is added to a channel, for values in 0..1; if not given, 4, and 15.7 "
            "beyond 64 pixels."
        ),
    ] = None,
    side: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Take the lowest N × N frequencies, N odd; if not given, 63 beyond 64 pixels.",
            metavar="N",
        ),
    ] = None,
    limit: Limit = 200,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Images at once: those that a gate looks at together.")
    ] = 256,
    seed: Seed = 0,
    device: Device = None,
    threads: Threads = None,
    trust: Trust = False,
    json: Json = None,
) -> None:
    """Draw a card's or a deck's error under one added spatial frequency at a time."""
    from winninghand.base.charts import checked_picture_path, save_picture
    from winninghand.base.errors import counted
    from winninghand.base.files import check_apart
    from winninghand.base.progress import progress_bar
    from winninghand.base.threads import use_threads
    from winninghand.cli.loading import images_for
    from winninghand.cli.measuring import about, as_given, opened, portable
    from winninghand.evaluation import fourier_heatmap, heatmap_shape
    from winninghand.report.terminal import print_heatmap, say
    from winninghand.spectra import half_plane

    checked_picture_path(out, is_chart=True)
    check_apart([out, file_of(json)], [model, *image_places(data, root)])
    use_threads(threads)
    player = opened(model, device, trust)
    images = images_for({as_given(model): player}, data, root, skip_broken, stream)
    count, usual = (len(half_plane(*heatmap_shape(images.test.size, one))) for one in (side, None))
    if count > usual:
        shown = counted(min(limit or len(images.test), len(images.test)), "image")
        say(f"{count:,} frequencies, each a pass over {shown}; without --side they are {usual:,}")
    with progress_bar(model.name, count, "frequencies") as progress:
        table = fourier_heatmap(player, images.test, norm, limit, seed, batch_size, progress, side)
    title = f"{portable(model)}: error with one frequency of norm {table.norm:g} added"
    save_picture(table.plot(images.name, title), out)
    print_heatmap(table)
    write_json({**about(model, data, images), "seed": seed, **table.to_json()}, json)


def _compared(table: RobustnessTable, reference: RobustnessTable, baseline: Path) -> dict[str, Any]:
    """Print a table's figures against the baseline's, and return them as plain values."""
    from winninghand.cards.container import model_digest
    from winninghand.cli.measuring import as_given, portable
    from winninghand.evaluation import compare, corruption_errors
    from winninghand.report.terminal import print_comparison

    differences, errors = compare(table, reference), corruption_errors(table, reference)
    print_comparison(as_given(baseline), differences, errors)
    return {
        "baseline": portable(baseline),
        "baseline_digest": model_digest(baseline),
        "differences": {name: vars(interval) for name, interval in differences.items()},
        **errors.to_json(),
    }
