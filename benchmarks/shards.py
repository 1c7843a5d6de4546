"""Class folders written as the hub's parquet files or as WebDataset shards, images in the same order."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

Pictures = list[tuple[Path, int]]


def write_shards(folder: Path, out: Path, kind: str, shards: int = 2, rows: int = 100) -> Path:
    """Write `train/CLASS/…` and `test/CLASS/…` of a folder as `parquet` or `tar` shards in `out/data`."""
    (out / "data").mkdir(parents=True)
    classes = sorted(path.name for path in (folder / "train").iterdir())
    for split in ("train", "test"):
        pictures: Pictures = [
            (path, label)
            for label, name in enumerate(classes)
            for path in sorted((folder / split / name).iterdir())
        ]
        parts = np.array_split(np.arange(len(pictures)), min(shards, len(pictures)))
        for number, part in enumerate(parts):
            mine = [pictures[place] for place in part]
            if kind == "parquet":
                name = f"{split}-{number:05}-of-{len(parts):05}.parquet"
                write_parquet(out / "data" / name, mine, classes, rows)
            else:
                write_tar(out / "data" / f"{split}-{number:06}.tar", mine)
    if kind == "tar":
        (out / "data" / "classnames.txt").write_text("\n".join(classes) + "\n")
    return out


def write_parquet(path: Path, pictures: Pictures, classes: Sequence[str], rows: int) -> None:
    """Write one parquet file as the hub does: struct{bytes, path}, and the names of classes as metadata."""
    import pyarrow as pa  # other layouts have no need of it
    import pyarrow.parquet as pq

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [{"bytes": picture.read_bytes(), "path": picture.name} for picture, _ in pictures]
    table = pa.table({"image": pa.array(images, kind), "label": pa.array([label for _, label in pictures])})
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": list(classes)}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=rows)


def write_tar(path: Path, pictures: Pictures) -> None:
    """Write one tar file: for each picture `KEY.jpg`, or as its file ends, and `KEY.cls`."""
    with tarfile.open(path, "w") as archive:
        for number, (picture, label) in enumerate(pictures):
            key = f"{number:06}"
            add(archive, f"{key}{picture.suffix.lower()}", picture.read_bytes())
            add(archive, f"{key}.cls", str(label).encode())


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a member to an archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
