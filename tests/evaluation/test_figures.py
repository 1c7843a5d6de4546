"""What is made of the answers: calibration, intervals, means, ratios to a baseline."""

import csv
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_outcomes import outcome_of

from winninghand.base.errors import InputError
from winninghand.evaluation import (
    bootstrap,
    compare,
    corruption_errors,
)
from winninghand.results import checked_rows_path, write_rows


def test_calibration_errors_weigh_the_bins_by_their_images():
    outcome = outcome_of([True] * 6 + [False] * 2 + [True, False], [0.95] * 8 + [0.5] * 2)
    assert outcome.expected_calibration_error == pytest.approx(0.8 * 0.2)
    assert outcome.figures()["rms_calibration_error"] == pytest.approx(math.sqrt(0.8 * 0.2**2))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=1, max_size=50))
def test_the_expected_calibration_error_lies_between_the_whole_gap_and_the_rms_one(answers):
    correct, confidence = (np.array(column) for column in zip(*answers, strict=True))
    outcome = outcome_of(correct, confidence)
    expected, rms = outcome.expected_calibration_error, outcome.figures()["rms_calibration_error"]
    assert abs(correct.mean() - outcome.confidence.mean(dtype=np.float64)) - 1e-6 <= expected <= rms + 1e-6
    assert rms <= 1 + 1e-6


def test_the_interval_of_a_fraction_is_the_binomial_one():
    interval = bootstrap(np.arange(1000) < 900)
    spread = 1.96 * math.sqrt(0.9 * 0.1 / 1000)
    assert interval.mean == 0.9
    assert interval.low == pytest.approx(0.9 - spread, abs=0.003)
    assert interval.high == pytest.approx(0.9 + spread, abs=0.003)
    constant = bootstrap(np.full(7, 0.25))
    assert (constant.mean, constant.low, constant.high) == pytest.approx((0.25, 0.25, 0.25))


def test_means_and_the_worst_cell(table_of):
    table = table_of(9, fog=[8, 4], brightness=[9, 9], contrast=[6, 3])
    assert table.robust_accuracy == pytest.approx(0.65)
    assert table.robust_interval.mean == pytest.approx(0.65)
    assert table.families == pytest.approx({"weather": 0.75, "digital": 0.45})
    assert (table.worst_cell.corruption, table.worst_cell.severity) == ("contrast", 2)
    document = table.to_json()
    assert document["worst_cell"] == document["cells"][-1]
    assert document["clean_interval"][0] <= 0.9 <= document["clean_interval"][1]


def test_mce_and_relative_mce(table_of):
    table = table_of(9, fog=[8, 4], brightness=[9, 9], contrast=[9, 5])
    baseline = table_of(8, fog=[6, 2], brightness=[8, 8], contrast=[10, 10])
    errors = corruption_errors(table, baseline)
    assert errors.absolute == pytest.approx({"fog": 8 / 12, "brightness": 2 / 4, "contrast": None})
    assert errors.relative == pytest.approx({"fog": 6 / 8, "brightness": None, "contrast": None})
    assert errors.to_json()["mce"] == pytest.approx((8 / 12 + 2 / 4) / 2)
    assert errors.to_json()["relative_mce"] == pytest.approx(6 / 8)
    assert corruption_errors(baseline, baseline).mean == 1


def test_only_the_same_cells_are_compared(table_of):
    table, other = table_of(9, fog=[8, 4]), table_of(9, fog=[8])
    for comparison in (compare, corruption_errors):
        with pytest.raises(InputError, match="same cells"):
            comparison(table, other)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_rows_are_written_one_per_cell(table_of, tmp_path, suffix):
    table, path = table_of(9, fog=[8, 4]), tmp_path / f"cells{suffix}"
    write_rows(table.rows(), path)
    if suffix == ".csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = pq.read_table(path).to_pylist()
    assert [(row["corruption"], int(row["severity"]), row["source"]) for row in rows] == [
        ("clean", 0, "split"),
        ("fog", 1, "generated"),
        ("fog", 2, "generated"),
    ]
    assert [float(row["accuracy"]) for row in rows] == [0.9, 0.8, 0.4]


def test_rows_need_a_known_suffix():
    with pytest.raises(InputError, match=r"\.parquet or a \.csv"):
        checked_rows_path("cells.xlsx")
