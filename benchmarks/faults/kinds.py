"""Every kind of file that is read: how one is written, read and changed; long, as there are many kinds."""

from __future__ import annotations

import copy
import io
import json
import pickle
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import winninghand as wh
from benchmarks.faults import crafted, crafted_cards, crafted_tables
from benchmarks.faults.damage import Damage
from benchmarks.faults.examples import CLASSES, RECIPE, STUDY, digest, some_card, some_network
from benchmarks.shards import add
from winninghand.cards.importing import Import
from winninghand.cards.prediction import Unreadable, predict, predictions
from winninghand.corruptions import open_archive, write_archive
from winninghand.decks.importing import import_model
from winninghand.images import ImageSet, load_images
from winninghand.images.cache import _read as read_cache
from winninghand.images.cache import _write as write_cache
from winninghand.images.pictures import Picture, decoded
from winninghand.images.preparation import Preparation
from winninghand.recipe import load_recipe, make_recipe
from winninghand.report.study_tables import summary
from winninghand.results import Results
from winninghand.results.cells import write_cells
from winninghand.studies import load_study
from winninghand.studies.graph import run_specs
from winninghand.training import new_run
from winninghand.training.identity import environment, identity
from winninghand.training.run import Run
from winninghand.training.run_folder import RunFolder

STUDIES = [Path(__file__).parents[2] / f"studies/{name}/results" for name in ("conv4", "cifar10-cpu")]
PIXELS = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    `write` writes an example by seed, with what belongs to it in the same folder; `read` reads it, uses
    what it read, and returns a digest of that. Where `sealed`, bytes that were damaged are found by a
    checksum: they must never be read as something else. `crafted` changes are those of a stranger who
    makes checksums right.
    """

    name: str
    write: Callable[[Path, int], object]
    read: Callable[[Path], str]
    crafted: Sequence[Damage] = ()
    sealed: bool = False


def _write_deck(path: Path, seed: int) -> None:
    wh.Deck([some_card(seed), some_card(seed + 2).quantized("int4")]).save(path)


def _write_body(path: Path, seed: int) -> None:
    """Write a deck of one body: two cards that differ in their norms alone."""
    card = some_card(seed)
    other = copy.deepcopy(card)
    with torch.no_grad():
        for part in other.network.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.add_(0.5)
    wh.Deck([card, other]).save(path)


_SAVED: set[str] = set()


def _read_model(path: Path) -> str:
    """Open a card or a deck and play it; save one of four that are others, once each, and open that."""
    model = wh.load(path)
    found = _model(model)
    if found[0] in "0123" and found not in _SAVED:
        again = path.with_name("again")
        model.save(again)
        if _model(wh.load(again)) != found:
            raise AssertionError("what it holds is not what its file holds")
        _SAVED.add(found)
    return found


def _model(model: wh.Card | wh.Deck) -> str:
    height, width = model.input_size
    pixels = (
        torch.nn.functional.interpolate(PIXELS, (height, width)) if (height, width) != (16, 16) else PIXELS
    )
    predict(model, pixels)  # which refuses what is no probability
    outputs = model.answer(pixels).outputs
    state = [part for item in sorted(model.state_dict().items()) for part in item]
    about = [card.metadata.model_dump_json() for card in model.cards]
    return digest(outputs, model.gate, *about, *state)


def _write_checkpoint(path: Path, seed: int) -> None:
    torch.save({"state_dict": some_network(seed, "conv4", width=2).state_dict(), "epoch": 3}, path)


def _read_checkpoint(path: Path) -> str:
    model = import_model([path], Import(architecture="conv4", classes=CLASSES, mean=(0, 0, 0), std=(1, 1, 1)))
    return _model(model)


def _write_own_checkpoint(path: Path, seed: int) -> None:
    RunFolder(path.parent).save_checkpoint({"network": some_card(seed).network.state_dict(), "rows": []})


def _read_own_checkpoint(path: Path) -> str:
    state = RunFolder(path.parent).load_checkpoint(torch.device("cpu"))
    assert state is not None
    return digest(*(part for item in sorted(state["network"].items()) for part in item))


def _pixels(count: int, seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def _write_batch(path: Path, seed: int) -> None:
    for number, name in enumerate(("data_batch_1", "test_batch")):
        data = _pixels(4, seed + number, 32).reshape(4, -1)
        content = {b"data": data, b"labels": [0, 1, 2, 0], b"batch_label": b"one"}
        (path.parent / name).write_bytes(pickle.dumps(content, protocol=3))
    names = [b"a", b"b", b"c"]
    (path.parent / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}, protocol=3))


def _read_images(path: Path) -> str:
    return _digest_of(load_images(path))


def _digest_of(images: ImageSet) -> str:
    splits = (images.train, images.test)
    return digest(images.classes, *(part for split in splits for part in (split.images, split.labels)))


def _read_folder(path: Path) -> str:
    return _read_images(path.parent)


def _write_picture(form: str, path: Path, seed: int) -> None:
    Image.fromarray(_pixels(1, seed)[0]).save(path, form)


def _read_picture(path: Path) -> str:
    (answer,) = predictions(some_card(0), [path])
    if isinstance(answer, Unreadable):
        raise wh.InputError(answer.reason)
    return digest(answer.label, answer.probability, answer.top, decoded([Picture(path.name, path)], (16, 16)))


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _write_parquet(path: Path, seed: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for number, split in enumerate(("train", "test")):
        pictures = [{"bytes": _png(pixels), "path": None} for pixels in _pixels(3, seed + number)]
        names = {"info": {"features": {"label": {"names": list(CLASSES), "_type": "ClassLabel"}}}}
        table = pa.table({"image": pictures, "label": [0, 1, 2]})
        table = table.replace_schema_metadata({b"huggingface": json.dumps(names).encode()})
        pq.write_table(table, path.parent / f"{split}-00000-of-00001.parquet")


def _write_tar(path: Path, seed: int) -> None:
    for number, split in enumerate(("train", "test")):
        with tarfile.open(path.parent / f"{split}-000000.tar", "w") as archive:
            for label, pixels in enumerate(_pixels(3, seed + number)):
                add(archive, f"{label}.png", _png(pixels))
                add(archive, f"{label}.cls", str(label).encode())


def _write_npz(path: Path, seed: int) -> None:
    parts: dict[str, Any] = {"classes": np.array(CLASSES)}
    for number, split in enumerate(("train", "test")):
        parts |= {f"{split}_images": _pixels(3, seed + number), f"{split}_labels": np.array([0, 1, 2])}
    with path.open("wb") as file:
        np.savez(file, **parts)


def _write_cache(path: Path, seed: int) -> None:
    """Write what decoding an image set once keeps."""
    train, test = ((_pixels(4, seed + number), np.array([0, 1, 2, 0])) for number in range(2))
    write_cache(path.parent, ImageSet.from_arrays(train, test, CLASSES, "cached"))


def _read_cache(path: Path) -> str:
    images = read_cache(path.parent, "cached", Preparation())
    if images is None:
        raise wh.InputError("to be decoded again")
    return _digest_of(images)


def _write_archive(path: Path, seed: int) -> None:
    write_archive(_pixels(4, seed), np.array([0, 1, 2, 0]), path.parent, "fog,contrast", (1, 5), seed)


def _read_archive(path: Path) -> str:
    archive = open_archive(path.parent)
    if archive is None:
        return "none"
    cells = [archive.cell(name, severity) for name in archive.names for severity in archive.severities]
    return digest(archive.names, archive.severities, archive.labels, archive.indices, *cells)


def _read_recipe(path: Path) -> str:
    return digest(load_recipe(path).model_dump_json())


def _read_study(path: Path) -> str:
    study = load_study(path)
    return digest(study.model_dump_json(), [spec.name for spec in run_specs(study)])


@lru_cache
def _run() -> Run:
    return new_run(make_recipe({"network": {"name": "conv2", "width": 2}}), load_images("digits"))


def _write_run(path: Path, seed: int) -> None:
    before = environment(torch.device("cpu"), "float32")
    before["versions"]["torch"] = f"2.{seed}"
    RunFolder(path.parent).begin(_asked(), before)
    (path.parent / "checkpoint.pt").touch()


def _read_run(path: Path) -> str:
    _run().folder(path.parent).begin(_asked(), environment(torch.device("cpu"), "float32"))
    return "this run"


def _write_metrics(path: Path, seed: int) -> None:
    rows = [{"epoch": epoch, "loss": seed / (epoch + 1), "validation_accuracy": 0.5} for epoch in range(5)]
    RunFolder(path.parent).write_metrics(rows)


def _read_metrics(path: Path) -> str:
    return digest(RunFolder(path.parent).read_metrics())


def _asked() -> dict[str, Any]:
    run = _run()
    return identity(run.recipe, run.images, run.origin, run.exclude, run.normalisation, run.trained)


def _write_results(path: Path, seed: int) -> None:
    """Write the first runs of a published study: what is wrong with all rows is wrong with few."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    folder = STUDIES[seed % len(STUDIES)]
    study = json.loads((folder / "study.json").read_text())
    study |= {"runs": study["runs"][:3], "claims": study["claims"][:3]}
    (path.parent / "study.json").write_text(json.dumps(study))
    cells = pq.read_table(folder / "cells.parquet")
    kept = pc.is_in(cells["run"], pa.array([run["run"] for run in study["runs"]]))
    write_cells(cells.filter(kept), path.parent / "cells.parquet")


def _read_results(path: Path) -> str:
    results = Results(path.parent)
    tables = summary(results.finished)
    return digest(tables, list(results.runs), list(results.claims))


_CRAFTED = (
    crafted_cards.header_of_a_card,
    crafted_cards.index_of_a_card,
    crafted_cards.stream_of_a_card,
    crafted_cards.metadata_of_a_card,
    crafted_cards.container_of_a_card,
)
KINDS = {
    "card": Kind(
        "a.card",
        lambda path, seed: some_card(seed).save(path),
        _read_model,
        _CRAFTED,
        sealed=True,
    ),
    "deck": Kind(
        "a.deck",
        _write_deck,
        _read_model,
        _CRAFTED,
        sealed=True,
    ),
    "body": Kind("a.deck", _write_body, _read_model, _CRAFTED, sealed=True),
    "checkpoint": Kind("a.pt", _write_checkpoint, _read_checkpoint, (crafted.zip_entry,)),
    "own-checkpoint": Kind("checkpoint.pt", _write_own_checkpoint, _read_own_checkpoint, sealed=True),
    "pickle": Kind("data_batch_1", _write_batch, _read_folder),
    "png": Kind("a.png", partial(_write_picture, "PNG"), _read_picture, (crafted.png_chunk,)),
    "jpeg": Kind("a.jpg", partial(_write_picture, "JPEG"), _read_picture),
    "gif": Kind("a.gif", partial(_write_picture, "GIF"), _read_picture),
    "bmp": Kind("a.bmp", partial(_write_picture, "BMP"), _read_picture),
    "tiff": Kind("a.tiff", partial(_write_picture, "TIFF"), _read_picture),
    "webp": Kind("a.webp", partial(_write_picture, "WEBP"), _read_picture),
    "ppm": Kind("a.ppm", partial(_write_picture, "PPM"), _read_picture),
    "names": Kind("batches.meta", _write_batch, _read_folder),
    "cache": Kind("train_images.npy", _write_cache, _read_cache, (crafted.npy_header,), sealed=True),
    "parquet": Kind(
        "train-00000-of-00001.parquet", _write_parquet, _read_folder, (crafted_tables.parquet_table,)
    ),
    "tar": Kind("train-000000.tar", _write_tar, _read_folder, (crafted.tar_header,)),
    "npz": Kind("a.npz", _write_npz, _read_images, (crafted.zip_entry,)),
    "npy": Kind("fog.npy", _write_archive, _read_archive, (crafted.npy_header,)),
    "labels": Kind("labels.npy", _write_archive, _read_archive, (crafted.npy_header,)),
    "archive": Kind("archive.json", _write_archive, _read_archive, (crafted.of_json,)),
    "recipe": Kind(
        "recipe.toml", lambda path, seed: path.write_text(RECIPE), _read_recipe, (crafted.of_toml,)
    ),
    "study": Kind("study.toml", lambda path, seed: path.write_text(STUDY), _read_study, (crafted.of_toml,)),
    "run": Kind("run.json", _write_run, _read_run, (crafted.of_json,)),
    "metrics": Kind("metrics.csv", _write_metrics, _read_metrics),
    "results": Kind("study.json", _write_results, _read_results, (crafted.of_json,)),
    "cells": Kind("cells.parquet", _write_results, _read_results, (crafted_tables.cells_table,), sealed=True),
}
