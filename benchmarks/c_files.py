"""What C files of the zoo's cards and decks take, and whether they say what PyTorch says.

    python -m benchmarks.c_files --root FOLDER [--limit 1000] [--checked 3] [NAME[@int8|int4|binary] ...]

Each file is compiled by gcc and clang, with warnings as errors, and run here; by gcc for 32-bit ARM, and run
by qemu; and run by valgrind on `--checked` images. What is not installed is left out and named. All see the
same test images of CIFAR-10, a class-balanced sample. Bytes of code are those of -Os for a Cortex-M7.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from winninghand.base.device import to_unit
from winninghand.cards import Card
from winninghand.decks import Deck, load
from winninghand.exports import export
from winninghand.exports.c.file import CFile
from winninghand.images import load_images

MODELS = ("cifar10-bp95-clean", "cifar10-lrr95-clean", "cifar10-lrr95-clean@int8", "cifar10-lrr95-hand")
STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
ARM = "arm-linux-gnueabihf-gcc"
CORTEX = ["-Os", "-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard", "-fno-pie", "-c"]
# How a compiled file is run; each needs its compiler and its runner.
RUNS = {
    "gcc": ["gcc"],
    "clang": ["clang"],
    "ARM": [ARM, "qemu-arm", "-L", "/usr/arm-linux-gnueabihf"],
    "valgrind": ["gcc", "valgrind", "-q", "--error-exitcode=1"],
}
# From images on standard input to scores on standard output.
MAIN = """
#include <stdio.h>
int model_predict(const unsigned char *rgb, float *scores);
int main(void)
{{
    static unsigned char rgb[{pixels}];
    float scores[{classes}];
    while (fread(rgb, sizeof rgb, 1, stdin) == 1) {{
        model_predict(rgb, scores);
        fwrite(scores, sizeof scores, 1, stdout);
    }}
    return 0;
}}
"""


@torch.inference_mode()
def main() -> None:
    """Print one row for each model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=MODELS)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--checked", type=int, default=3)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    test = load_images("cifar10", root=wanted.root).test
    images = test.take(test.balanced_sample(wanted.limit, 0)).images
    runs = {name: run for name, run in RUNS.items() if all(map(shutil.which, run[:2]))}
    table = Table(
        title=f"{len(images):,} test images of CIFAR-10: largest difference, images of the same class"
    )
    for column in ("", "constants", "code", "RAM", *runs):
        table.add_column(column, justify="right")
    for name in wanted.names:
        table.add_row(name, *_figures(_model(name), images, runs, wanted.checked))
    console = Console(width=180)
    console.print(table)
    missing = RUNS.keys() - runs
    if missing:
        console.print(
            f"left out, for want of a compiler or what runs its programs: {', '.join(sorted(missing))}"
        )


def _model(name: str) -> Card | Deck:
    zoo, _, form = name.partition("@")
    model = load(f"zoo:{zoo}")
    if not form:
        return model
    assert model.kind == "card"
    return model.quantized(form)  # type: ignore[arg-type]


def _figures(model: Card | Deck, images: np.ndarray, runs: dict[str, list[str]], checked: int) -> list[str]:
    answers = torch.cat(
        [model.answer(to_unit(torch.from_numpy(one[None]))).outputs for one in images]
    ).numpy()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        file = export(model, folder / "model.c")
        assert isinstance(file, CFile)
        (folder / "main.c").write_text(MAIN.format(pixels=images[0].size, classes=len(model.classes)))
        found = [f"{file.constants:,}", _code(folder, file), f"{file.ram:,}"]
        for name, (compiler, *runner) in runs.items():
            some = images[:checked] if name == "valgrind" else images
            call = [compiler, *STRICT, "main.c", "model.c", "-o", "run", "-lm"]
            subprocess.run(call, cwd=folder, check=True)
            ran = subprocess.run(
                [*runner, "./run"], cwd=folder, input=some.tobytes(), capture_output=True, check=True
            )
            scores = np.frombuffer(ran.stdout, np.float32).reshape(len(some), -1)
            expected = answers[: len(some)]
            same = int((scores.argmax(axis=1) == expected.argmax(axis=1)).sum())
            found.append(f"{np.abs(scores - expected).max():.1e}, {same:,} of {len(some):,}")
    return found


def _code(folder: Path, file: CFile) -> str:
    """Return the bytes of code of a file for a small processor; checks what the file says of its RAM."""
    if shutil.which(ARM) is None:
        return "–"
    subprocess.run([ARM, *CORTEX, "model.c", "-o", "model.o"], cwd=folder, check=True)
    size = subprocess.run(
        [ARM.replace("gcc", "size"), "model.o"], cwd=folder, capture_output=True, check=True, text=True
    )
    text, data, bss = map(int, size.stdout.splitlines()[1].split()[:3])
    assert bss == file.ram, (bss, file.ram)
    return f"{text + data - file.constants:,}"


if __name__ == "__main__":
    main()
