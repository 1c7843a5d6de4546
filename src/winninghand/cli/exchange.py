"""`winninghand import` and `winninghand export`: from other people's files, and to other tools'."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from winninghand.base.errors import InputError, checked_classes
from winninghand.base.files import check_apart, checked_output
from winninghand.cli import completion
from winninghand.cli.options import (
    Model,
    Root,
    Seed,
    SkipBroken,
    Stream,
    Transform,
    Trust,
    image_places,
    output_file,
    parse_setting,
)

if TYPE_CHECKING:
    from torch import Tensor

    from winninghand.cards import Card
    from winninghand.cards.importing import Subnetwork
    from winninghand.cards.metadata import Triple
    from winninghand.decks import Deck

Numbers = Annotated[str | None, typer.Option(metavar="R,G,B", help="For images in [0, 1].")]


def import_(
    checkpoints: Annotated[list[Path], typer.Argument(metavar="CHECKPOINT ... OUT.card|OUT.deck")],
    architecture: Annotated[
        str,
        typer.Option(help="See 'winninghand names networks'.", autocompletion=completion.names("networks")),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the architecture; may be repeated."),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="cifar10, cifar100, names joined by commas, or a file of one name a line, in the order "
            "of the labels."
        ),
    ] = None,
    mean: Numbers = None,
    std: Numbers = None,
    input_size: Annotated[int | None, typer.Option(min=1, help="Side of the images in pixels.")] = None,
    transform: Transform = None,
    mask: Annotated[
        Path | None, typer.Option(help="File of zeros and ones by the weights' names: OpenLTH's mask.pth.")
    ] = None,
    scores: Annotated[
        str | None, typer.Option(metavar="ep|bp", help="What scores beside the weights are of.")
    ] = None,
    sparsity: Annotated[
        float | None, typer.Option(min=0, max=1, help="Fraction that the scores remove.")
    ] = None,
    scope: Annotated[
        str, typer.Option(metavar="global|layerwise", help="Over what the scores are ranked.")
    ] = "global",
    trust: Trust = False,
) -> None:
    """Make a card or a deck of checkpoints; nothing in them is executed."""
    from winninghand.cards.data_sheet import images_text
    from winninghand.cards.importing import Import
    from winninghand.decks.importing import import_model
    from winninghand.report.terminal import say

    *sources, out = checkpoints
    if not sources or out.suffix not in (".card", ".deck"):
        raise InputError("give checkpoints and then the file to write, which ends with .card or .deck")
    checked_output(out)
    check_apart([out], [*sources, *([] if mask is None else [mask])])
    wanted = Import(
        architecture=architecture,
        settings=dict(parse_setting(text) for text in changes or []),
        classes=_class_names(classes),
        mean=_triple(mean, "--mean"),
        std=_triple(std, "--std"),
        input_size=input_size,
        transform=transform,
        subnetwork=_subnetwork(scores, sparsity, scope),
        trust=trust,
        mask=mask,
    )
    model = import_model(sources, wanted, "card" if out.suffix == ".card" else "deck")
    model.save(out)
    first = model.cards[0]
    say(f"{out}: {out.stat().st_size:,} bytes, from {sum(path.stat().st_size for path in sources):,}")
    say(f"{len(first.classes)} classes, mean {first.metadata.mean}, std {first.metadata.std}")
    say(images_text(first.metadata))


def export(
    model: Model,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT.onnx|OUT.pt2|OUT.safetensors|OUT.sparse.pt|OUT.c", callback=output_file),
    ],
    trust: Trust = False,
    quantize: Annotated[
        str | None, typer.Option(metavar="int8", help="Write an .onnx file of whole numbers; needs --data.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Whose training images whole numbers are calibrated on.",
            metavar="NAME|PATH",
            autocompletion=completion.names("image_sets"),
        ),
    ] = None,
    root: Root = None,
    skip_broken: SkipBroken = False,
    stream: Stream = False,
    limit: Annotated[
        int, typer.Option(min=1, help="Calibrate on a seeded, class-balanced sample of so many images.")
    ] = 256,
    seed: Seed = 0,
    opset: Annotated[
        int | None, typer.Option(metavar="N", help="Version of the operators of an .onnx file.")
    ] = None,
) -> None:
    """Write a card or a deck for other tools, in the format that the name of the file ends with."""
    from winninghand.cli.measuring import portable
    from winninghand.decks import Deck, load
    from winninghand.exports import export as exported
    from winninghand.exports.quantized import QuantizedFile
    from winninghand.report.terminal import print_quantized, say

    check_apart([out], [model, *([] if data is None else image_places(data, root))])
    form = _whole_numbers(quantize)
    if form is not None and data is None:
        raise InputError("--quantize calibrates activations on images; say by --data which")
    if data is not None and form is None:
        raise InputError("--data is for --quantize int8; leave it out, or ask for whole numbers")
    found = load(model, trust=trust)
    images = None if data is None else _calibration(found, data, root, skip_broken, stream, limit, seed)
    written = exported(found, out, form, images, opset)
    say(f"{out}: {out.stat().st_size:,} bytes, from {model.stat().st_size:,} in {portable(model)}")
    if isinstance(written, QuantizedFile):
        print_quantized(written)
    elif written is not None:
        each = " for each card that is played" if isinstance(found, Deck) else ""
        say(
            f"flash {written.constants:,} bytes and the code, RAM {written.ram:,} bytes, "
            f"{written.products:,} products of weights{each}"
        )


def _whole_numbers(quantize: str | None) -> Literal["int8"] | None:
    match quantize:
        case None | "int8" as form:
            return form
    raise InputError(f"--quantize takes int8, not {quantize!r}")


def _calibration(
    model: Card | Deck, data: str, root: Path | None, skip_broken: bool, stream: bool, limit: int, seed: int
) -> Tensor:
    """Return a sample of the training images, float (N, 3, H, W) in [0, 1], brought to a model's size."""
    import torch

    from winninghand.base.device import to_unit
    from winninghand.cli.loading import images_as

    own = model.cards[0].metadata.preparation
    how = own.model_copy(
        update={"skip_broken": skip_broken or own.skip_broken, "stream": stream or own.stream}
    )
    split = images_as(how, data, root).train
    return to_unit(torch.from_numpy(split.images[split.balanced_sample(limit, seed)]))


def _class_names(text: str | None) -> tuple[str, ...] | None:
    from winninghand.cards.importing.published import TASKS

    if text is None:
        return None
    task = TASKS.get(text)
    if task:
        return task.classes
    if not Path(text).is_file():
        return tuple(name.strip() for name in text.split(","))
    try:
        lines = Path(text).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{text} is no readable file of class names ({error}); write one a line") from None
    return checked_classes([line.strip() for line in lines if line.strip()])


def _triple(text: str | None, option: str) -> Triple | None:
    if text is None:
        return None
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} takes three numbers joined by commas, not {text!r}") from None
    return red, green, blue


def _subnetwork(scores: str | None, sparsity: float | None, scope: str) -> Subnetwork | None:
    from winninghand.cards.importing import Subnetwork

    if scores is None:
        return None
    match scores, scope:
        case ("ep" | "bp") as method, ("global" | "layerwise") as over if sparsity is not None:
            return Subnetwork(method, sparsity, over)
    raise InputError("scores need --scores ep or bp, --sparsity, and --scope global or layerwise")
