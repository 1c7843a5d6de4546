"""Parquet files that a stranger would write: other types and values in their columns."""

from __future__ import annotations

import io
import json
import random
from typing import Any

from benchmarks.faults.crafted import odd_json, png_chunk


def parquet_table(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Write a parquet file anew with a column of another type, other values, or none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(whole))
    labels: list[Any] = table.column("label").to_pylist()
    pictures = table.column("image").to_pylist()
    match chance.randrange(7):
        case 0:
            labels[chance.randrange(len(labels))] = chance.choice((-1, 2**40, None, 2**62, 99))
        case 1:
            labels = [chance.choice(("a", "\x1b", "")) for _ in labels]
        case 2:
            labels = [chance.choice((0.0, 1.5, float("nan"))) for _ in labels]
        case 3:
            one = pictures[chance.randrange(len(pictures))]
            one["bytes"] = chance.choice((None, b"", png_chunk(one["bytes"], b"", chance)))
        case 4:
            pictures = [chance.choice((1, 2)) for _ in pictures]
        case 5:
            labels, pictures = [], []
        case _:
            metadata = chance.choice(
                (
                    b"{",
                    b"[]",
                    b'{"info": {"features": 3}}',
                    b'{"info": {"features": {"label": {"names": [1]}}}}',
                )
            )
            table = table.replace_schema_metadata({b"huggingface": metadata})
    changed = pa.table({"image": pictures, "label": labels}).replace_schema_metadata(table.schema.metadata)
    if chance.random() < 0.2:
        changed = changed.drop_columns([chance.choice(("image", "label"))])
    sink = io.BytesIO()
    pq.write_table(changed, sink)
    return sink.getvalue()


def cells_table(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Write a study's cells anew, without a digest: other values in a column or two, or one less."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(whole))
    metadata = dict(table.schema.metadata)
    metadata.pop(b"winninghand.digest", None)
    for _ in range(chance.choice((1, 1, 2))):
        field = table.schema.field(place := chance.randrange(table.num_columns))
        values = table.column(place).to_pylist()
        row = chance.randrange(len(values))
        match chance.randrange(6):
            case 0:
                table = table.remove_column(place)
                continue
            case 1:
                table = table.set_column(
                    place, field.name, pa.array([chance.choice((1, "a", None))] * len(values))
                )
                continue
            case 2:
                values = [values[row]] * len(values)
            case 3 if isinstance(values[row], str):
                values[row] = _odd_text(values[row], chance)
            case _:
                values[row] = None if chance.random() < 0.3 else _odd_value(values[row], chance)
        table = table.set_column(place, field, pa.array(values, field.type))
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
    return sink.getvalue()


def _odd_text(text: str, chance: random.Random) -> str:
    """Return other text, other JSON where it is JSON."""
    try:
        return json.dumps(odd_json(json.loads(text), chance))
    except ValueError:
        return chance.choice(("", "\x1b[2K\n", "../../../evil", text * 2, "x" * 100_000))


def _odd_value(value: Any, chance: random.Random) -> Any:  # noqa: ANN401 (Arrow)
    match value:
        case float():
            return chance.choice((float("nan"), float("inf"), -1.0, 2.0, 1e308, -0.0))
        case int():
            return chance.choice((-1, 0, 1, value + 1, 2**31, 2**62, -(2**63)))
        case bytes():
            return chance.choice((b"", value * 2, value[:-1], b"\xff" * len(value)))
        case list():
            return chance.choice(([], ["a"] * 1000, [None]))
        case _:
            return value
