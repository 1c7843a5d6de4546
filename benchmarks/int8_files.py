"""What whole numbers cost: accuracy, bytes and time of the zoo's cards as floats, as int8 and as int8 files.

    python -m benchmarks.int8_files --root FOLDER [--limit 1000] [NAME ...]

`card` is the card as it is, `card int8` the card with int8 weights, `file int8` the QDQ ONNX file of it,
calibrated on 256 training images. All see the same test images of CIFAR-10, a class-balanced sample.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from winninghand.base.device import to_unit
from winninghand.base.extras import needed
from winninghand.cards import Card
from winninghand.decks import Deck, load
from winninghand.exports import export
from winninghand.exports.quantized import QuantizedFile, with_levels
from winninghand.images import ImageSet, Split, load_images
from winninghand.zoo import ZOO

CALIBRATION = 256
BATCH = 100


@torch.inference_mode()
def main() -> None:
    """Print one row for each card or deck."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(ZOO))
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=int, default=1000)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    images = load_images("cifar10", root=wanted.root)
    test = images.test.take(images.test.balanced_sample(wanted.limit, 0))
    table = Table(title=f"CIFAR-10, {len(test):,} test images, calibrated on {CALIBRATION} training images")
    for column in (
        "",
        "card",
        "card int8",
        "file int8",
        "same class",
        "bytes float",
        "int8",
        "ms float",
        "int8",
    ):
        table.add_column(column, justify="right")
    for name in wanted.names:
        table.add_row(name, *_figures(load(f"zoo:{name}"), images, test))
    console = Console(width=140)
    console.print(table)
    version = needed("onnxruntime", "export", "to run .onnx files").__version__
    console.print(f"{platform.machine()}, ONNX Runtime {version}, 1 thread, 1 image, medians of 21")


def _figures(model: Card | Deck, images: ImageSet, test: Split) -> list[str]:
    sample = images.train.take(images.train.balanced_sample(CALIBRATION, 0))
    whole, _ = with_levels(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.onnx"
        file = export(model, path, quantize="int8", images=to_unit(torch.from_numpy(sample.images)))
        assert isinstance(file, QuantizedFile)
        session = needed("onnxruntime", "export", "to run .onnx files").InferenceSession(path)
        pixels = to_unit(torch.from_numpy(test.images)).contiguous()
        answers = [
            torch.cat([model.answer(batch).outputs for batch in pixels.split(BATCH)]),
            torch.cat([whole.answer(batch).outputs for batch in pixels.split(BATCH)]),
            torch.cat([_outputs(session, batch) for batch in pixels.split(BATCH)]),
        ]
    choices = [answer.argmax(dim=1) for answer in answers]
    labels = torch.from_numpy(test.labels)
    return [
        *(f"{float((choice == labels).float().mean()):.2%}" for choice in choices),
        f"{float((choices[0] == choices[2]).float().mean()):.2%}",
        f"{file.float_bytes:,}",
        f"{file.bytes:,}",
        f"{file.float_milliseconds:.2f}",
        f"{file.milliseconds:.2f}",
    ]


def _outputs(session: object, batch: Tensor) -> Tensor:
    outputs: Tensor = torch.from_numpy(session.run(None, {"images": batch.numpy()})[0])  # type: ignore[attr-defined]
    return outputs


if __name__ == "__main__":
    main()
