from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("WINNINGHAND_CACHE", str(folder))
    return folder


@pytest.fixture
def pixels():
    """Random images: the same ones for the same seed."""

    def make(count, height=8, width=6, seed=0):
        generator = np.random.default_rng(seed)
        return generator.integers(0, 256, (count, height, width, 3), dtype=np.uint8)

    return make


def png(image) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def write_parquet():
    """Write images as the hub does: a struct of bytes and path, whole numbers, JSON metadata."""

    def write(path, contents, labels, image="img", label="label", names=None):
        contents = [content if isinstance(content, bytes | None) else png(content) for content in contents]
        columns = {image: [{"bytes": content, "path": None} for content in contents], label: labels}
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({image: pa.array(columns[image], kind), label: pa.array(labels, pa.int64())})
        if names is not None:
            features = {image: {"_type": "Image"}, label: {"_type": "ClassLabel", "names": names}}
            table = table.replace_schema_metadata(
                {"huggingface": json.dumps({"info": {"features": features}})}
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)

    return write


@pytest.fixture
def write_class_folders():
    """Write each image as `SPLIT/CLASS/NUMBER.png`."""

    def write(folder, images_by_class):
        for place, images in images_by_class.items():
            (folder / place).mkdir(parents=True)
            for number, image in enumerate(images):
                Image.fromarray(image).save(folder / place / f"{number}.png")

    return write
