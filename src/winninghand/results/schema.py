"""The columns of a study's results: one row per run and cell. Their meaning is told by `runs`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from winninghand.base.errors import InputError
from winninghand.base.extras import needed

SCHEMA = 2
"""Raised when a column changes its meaning or goes; new columns may be added under the same number."""

ADDED = ("weights", "dense_epochs")
"""Columns that files of this schema may lack, since versions that wrote it had none of them."""

RUN_COLUMNS = {
    "run": "string",
    "kind": "string",
    "measured_on": "string",
    "data": "string",
    "data_digest": "string",
    "method": "string",
    "sparsity": "float64",
    "domain": "string",
    "seed": "int64",
    "choice": "string",
    "recipe": "string",
    "parent": "string",
    "members": "strings",
    "evaluation": "string",
    "digest": "string",
    "bytes": "int64",
    "parameters": "int64",
    "seconds": "float64",
    "epochs": "int64",
    "last_validation_accuracy": "float64",
    "validation_accuracy": "float64",
    "test_accuracy": "float64",
    "commit": "string",
    "versions": "string",
    "machine": "string",
    "threads": "int64",
    "device": "string",
    "precision": "string",
    "protocol": "string",
    "dense_epochs": "string",
    "gate": "string",
    "nonzero": "int64",
    "macs": "int64",
    "nonzero_macs": "int64",
    "macs_trained": "int64",
    "milliseconds_sparse": "float64",
    "milliseconds_torch": "float64",
}
CELL_COLUMNS = {
    "corruption": "string",
    "severity": "int64",
    "source": "string",
    "accuracy": "float64",
    "accuracy_low": "float64",
    "accuracy_high": "float64",
    "expected_calibration_error": "float64",
    "rms_calibration_error": "float64",
    "mean_passes": "float64",
    "weights": "floats",
    "images": "int64",
    "correct": "binary",
}
CLAIM_COLUMNS = {
    "name": "string",
    "sentence": "string",
    "protocol": "string",
    "statistic": "string",
    "effect": "float64",
    "low": "float64",
    "high": "float64",
    "p": "float64",
    "verdict": "string",
    "evidence": "comparisons",
    "missing": "strings",
}
COMPARISON_COLUMNS = {
    "comparison": "string",
    "expected": "string",
    "runs": "strings",
    "against": "strings",
    "seeds": "int64",
    "images": "int64",
    "effect": "float64",
    "low": "float64",
    "high": "float64",
    "p": "float64",
    "verdict": "string",
}
"""What the comparisons that a claim stands on hold."""


def pyarrow() -> ModuleType:
    """Return pyarrow; `InputError` says how to install it."""
    needed("pyarrow.parquet", "parquet", "for the results of studies")
    return needed("pyarrow", "parquet", "for the results of studies")


def arrow_schema(columns: dict[str, str]) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """Return the pyarrow schema of some columns; the number of this schema is written with it."""
    arrow = pyarrow()
    types = {
        "string": arrow.string(),
        "strings": arrow.list_(arrow.string()),
        "float64": arrow.float64(),
        "floats": arrow.list_(arrow.float64()),
        "int64": arrow.int64(),
        "bool": arrow.bool_(),
        "binary": arrow.binary(),
    }
    if "comparisons" in columns.values():
        types["comparisons"] = arrow.list_(arrow.struct(list(arrow_schema(COMPARISON_COLUMNS))))
    chosen = [(name, types[kind]) for name, kind in columns.items()]
    return arrow.schema(chosen, metadata={"winninghand.schema": str(SCHEMA)})


def check_schema(number: object, place: object) -> None:
    """Raise `InputError` where results are of another schema than this version reads."""
    if number not in range(1, SCHEMA + 1) or not isinstance(number, int) or isinstance(number, bool):
        raise InputError(
            f"{place} holds results of schema {number!r} and this version reads 1 to {SCHEMA}; "
            "open them with the version that wrote them"
        )
