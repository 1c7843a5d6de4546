import numpy as np
import pytest
from made_outcomes import outcome_of

from winninghand.base.errors import InputError
from winninghand.evaluation import ALEXNET_ERRORS, Cell, RobustnessTable, alexnet_corruption_errors
from winninghand.report.terminal import print_alexnet_errors

# Means over the severities, as AugMix's code has them.
MEANS = {"gaussian_noise": 88.6428, "fog": 81.9324, "jpeg_compression": 60.65, "pixelate": 71.784}


def table_with(errors, parameters="imagenet-c", severities=(1, 2, 3, 4, 5)):
    images = np.arange(1000)
    cells = tuple(
        Cell(name, level, outcome_of(images >= round(10 * rates[level - 1])))
        for name, rates in errors.items()
        for level in severities
    )
    return RobustnessTable(outcome_of(images >= 435), cells, 256, 0, parameters=parameters)


def test_alexnet_against_itself_has_an_mce_of_one(capsys):
    table = table_with(ALEXNET_ERRORS)
    errors = alexnet_corruption_errors(table, 1000)
    assert len(errors.absolute) == 15
    assert errors.mean == pytest.approx(1, abs=1e-3) and errors.relative_mean is None
    print_alexnet_errors(errors, table)
    said = " ".join(capsys.readouterr().err.split())
    assert "ImageNet-C: 100.0 over 15 corruptions of 15, on images that were made here, not saved" in said


def test_the_published_errors_have_the_published_means():
    for name, mean in MEANS.items():
        assert np.mean(ALEXNET_ERRORS[name]) == pytest.approx(mean, abs=1e-4)


def test_errors_of_twenty_per_cent_are_divided_by_the_sum_over_severities():
    errors = alexnet_corruption_errors(table_with({"fog": (20,) * 5, "saturate": (20,) * 5}), 1000)
    assert errors.absolute == {"fog": pytest.approx(100 / sum(ALEXNET_ERRORS["fog"]))}


@pytest.mark.parametrize(
    ("how", "classes", "message"),
    [
        ({}, 10, "ImageNet's 1,000 classes, and the images have 10; leave out"),
        ({"parameters": "cifar10-c"}, 1000, "use --parameters imagenet-c"),
        ({"severities": (1, 3)}, 1000, "use --severities 1-5"),
        ({"errors": {"saturate": (20,) * 5}}, 1000, "use --corruptions common"),
    ],
)
def test_what_does_not_compare_with_alexnet_is_refused(how, classes, message):
    with pytest.raises(InputError, match=message):
        alexnet_corruption_errors(table_with(**{"errors": {"fog": (20,) * 5}, **how}), classes)
