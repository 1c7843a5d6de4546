"""Metrics of torchmetrics give the figures of `evaluate`, also when several processes share the images."""

import pytest
import torch

import winninghand as wh
from winninghand.base.errors import InputError

CORRUPTIONS, SEVERITIES = ("gaussian_noise", "contrast"), (2, 5)


@pytest.fixture
def batches(tiny_images):
    """Batches of every cell: images (N, 3, H, W) in [0, 1], labels, corruption and severity."""
    split, found = tiny_images.test, []
    for name in CORRUPTIONS:
        for severity in SEVERITIES:
            pixels = torch.from_numpy(wh.corrupt(split.images, name, severity)).permute(0, 3, 1, 2) / 255
            labels = torch.from_numpy(split.labels)
            found += [(pixels[part], labels[part], name, severity) for part in (slice(20), slice(20, 32))]
    return found


@pytest.fixture
def module(tiny_images):
    torch.manual_seed(1)
    return wh.network("conv2", width=4, classes=2, input_size=16).eval()


@torch.no_grad()
def test_the_figures_of_evaluate(module, tiny_images, batches):
    table = wh.evaluate(module, tiny_images.test, CORRUPTIONS, SEVERITIES)
    assert 0 < table.robust_accuracy < 1
    alone = wh.metrics.RobustAccuracy(CORRUPTIONS, SEVERITIES)
    workers = [wh.metrics.RobustAccuracy(CORRUPTIONS, SEVERITIES) for _ in range(2)]
    calibration = wh.metrics.CalibrationError()
    for number, (images, labels, name, severity) in enumerate(batches):
        alone.update(module(images), labels, name, severity)
        workers[number % 2].update(module(images), labels, corruption=name, severity=severity)
        if (name, severity) == ("contrast", 5):
            calibration.update(module(images), labels)
    assert alone.compute().item() == pytest.approx(table.robust_accuracy, abs=1e-12)
    assert alone.by_cell() == {(cell.corruption, cell.severity): cell.accuracy for cell in table.cells}
    workers[0].merge_state(workers[1])
    assert workers[0].compute() == alone.compute()
    expected = table.cells[-1].outcome.expected_calibration_error
    assert calibration.compute().item() == pytest.approx(expected, abs=1e-6)


def test_cells_without_images_are_left_out():
    metric = wh.metrics.RobustAccuracy(severities=[1, 3])
    metric.update(torch.eye(4), torch.tensor([0, 1, 2, 0]), "fog", 3)
    metric.update(torch.eye(2), torch.tensor([1, 0]), "snow", 1)
    assert metric.compute() == (0.75 + 0) / 2


@pytest.mark.parametrize(
    ("cell", "named"), [(("fogg", 1), "did you mean 'fog'"), (("fog", 2), r"severities \[1, 3\], not 2")]
)
def test_a_cell_that_the_metric_lacks_is_refused(cell, named):
    metric = wh.metrics.RobustAccuracy(severities=[1, 3])
    with pytest.raises(InputError, match=named):
        metric.update(torch.eye(2), torch.tensor([0, 1]), *cell)


@pytest.mark.parametrize(
    ("outputs", "labels", "named"),
    [
        (torch.tensor([[0.1, float("nan")], [0, 1]]), torch.tensor([0, 1]), "NaN, for 1 image$"),
        (torch.full((1, 2), -torch.inf), torch.tensor([0]), "NaN, for 1 image$"),
        (torch.eye(2), torch.tensor([0, 2]), r"lie in 0\.\.1, not 2"),
        (torch.eye(2), torch.tensor([-1, 0]), r"lie in 0\.\.1, not -1"),
        (torch.eye(3), torch.tensor([0]), r"not \(3, 3\) and \(1,\)"),
        (torch.ones(3), torch.tensor([0, 1, 0]), r"not \(3,\) and \(3,\)"),
        (torch.eye(2), torch.eye(2)[0], "whole numbers, not torch.float32"),
        ([[0.0, 1.0]], torch.tensor([0]), "must be tensors"),
    ],
)
def test_what_has_no_accuracy_is_refused_and_not_counted(outputs, labels, named):
    robust, calibration = wh.metrics.RobustAccuracy("fog", [1]), wh.metrics.CalibrationError()
    for metric, cell in ((robust, ("fog", 1)), (calibration, ())):
        with pytest.raises(InputError, match=named):
            metric.update(outputs, labels, *cell)
        assert metric.images.sum() == 0
    robust.update(torch.tensor([[-torch.inf, 0.0]]), torch.tensor([1]), "fog", 1)
    assert robust.compute() == 1
